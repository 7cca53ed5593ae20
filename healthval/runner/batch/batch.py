"""Execution of a batch on this machine, or on the workers of a Dask cluster."""

import selectors
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from healthval.cluster import outcomes
from healthval.errors import UsageError
from healthval.files import locked
from healthval.runner.batch.matrix import Matrix, Run, runs_of
from healthval.runner.batch.one_run import Outcome, known_outcome, remove_drafts
from healthval.runner.batch.worker import Worker, ended_run

FORK, NBCLIENT = "healthval-fork", "nbclient"


@dataclass(slots=True, kw_only=True)
class Summary:
    """Outcomes of the runs of a batch, counted."""

    runs: list[Run]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)

    @property
    def failed(self) -> list[tuple[Run, Outcome]]:
        """Runs that did not complete, in the order of the batch."""
        pairs = [(run, self.outcomes[run.id]) for run in self.runs if run.id in self.outcomes]
        return [(run, outcome) for run, outcome in pairs if outcome.status != "completed"]


Report = Callable[[Run, Outcome, bool], None]


def execute_batch(
    matrix: Matrix,
    report: Report,
    *,
    again: str = "",
    engine: str = FORK,
) -> Summary:
    """Execute the runs that are not complete.

    Parameters
    ----------
    report : called with each run, its outcome, and whether it was complete already
    again : "failed" to execute failed runs again, "all" to execute every run again
    engine : "healthval-fork", or "nbclient" for a fresh kernel per run

    Raises
    ------
    UsageError
        If the batch is not valid, or another batch writes to the same folder.
    """
    runs = runs_of(matrix)
    matrix.output.mkdir(parents=True, exist_ok=True)
    busy = UsageError("another batch writes to this output folder; wait for its end")
    with locked(matrix.output / ".batch.lock", seconds=0, busy=busy):
        folders = {run.folder.parent for run in runs}
        remove_drafts(folders)
        summary = Summary(runs=runs)
        todo = []
        for run in runs:
            known = None if again == "all" else known_outcome(run)
            if known is None or (again == "failed" and known.status != "completed"):
                todo.append(run)
            else:
                summary.outcomes[run.id] = known
                summary.skipped.add(run.id)
                report(run, known, True)
        for run, outcome in _outcomes(matrix, todo, engine):
            summary.outcomes[run.id] = outcome
            report(run, outcome, False)
        remove_drafts(folders)  # of workers that were killed
    return summary


def _outcomes(matrix: Matrix, todo: list[Run], engine: str) -> Iterator[tuple[Run, Outcome]]:
    if matrix.scheduler:
        yield from _on_cluster(matrix.scheduler, todo, engine)
    elif todo:
        yield from _on_this_machine(todo, min(matrix.workers, len(todo)), engine)


def _on_this_machine(todo: list[Run], workers: int, engine: str) -> Iterator[tuple[Run, Outcome]]:
    """Give each free worker the next run; a worker that ends is replaced."""
    waiting = iter(todo)
    with selectors.DefaultSelector() as ready:
        busy: dict[Worker, Run] = {}

        def start(worker: Worker) -> None:
            run = next(waiting, None)
            if run is None:
                worker.stop()
                return
            busy[worker] = run
            ready.register(worker.pipe, selectors.EVENT_READ, worker)
            worker.send(run)

        try:
            for _ in range(workers):
                start(Worker(engine))
            while busy:
                times = [t for t in (worker.seconds_left() for worker in busy) if t is not None]
                found = [key.data for key, _ in ready.select(min(times, default=None))]
                for worker in found or [w for w in busy if w.seconds_left() == 0]:
                    ready.unregister(worker.pipe)
                    run, outcome = busy.pop(worker), worker.outcome()
                    if outcome is None:
                        worker.stop()
                    yield run, outcome or ended_run(run)
                    start(Worker(engine) if outcome is None else worker)
        finally:
            for worker in busy:
                worker.stop()


_workers: dict[str, Worker] = {}


def _execute_there(given: tuple[Run, str]) -> Outcome:
    """Execute one run on a Dask worker, in a warm process that stays for the next."""
    run, engine = given
    worker = _workers.pop(engine, None) or Worker(engine)
    worker.send(run)
    outcome = worker.outcome()
    if outcome is None:
        worker.stop()
        return ended_run(run)
    _workers[engine] = worker
    return outcome


def _on_cluster(scheduler: str, todo: list[Run], engine: str) -> Iterator[tuple[Run, Outcome]]:
    by_id = {run.id: run for run in todo}
    jobs = ((run.id, (run, engine)) for run in todo)
    for name, outcome in outcomes(scheduler, _execute_there, jobs):
        yield by_id[name], outcome or ended_run(by_id[name])
