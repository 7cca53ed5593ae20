"""Work on a Dask cluster: the one way by which batches, de-identification and prediction use it.

Dask shows names of tasks, representations of arguments and exceptions in its logs and dashboards.
Names are hashes or numbers here, arguments do not show their content, and no exception leaves a task.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from healthval import __version__, errors
from healthval.errors import HealthvalError, UsageError

CONNECT_SECONDS = 30  # in which a Dask scheduler must answer
AHEAD: Final = 1000  # tasks that the scheduler has at a time, so that its memory is bounded
_ADDRESS: Final = re.compile(r"(tcp|tls)://\S+")
Given = TypeVar("Given")
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True, repr=False)
class _Task(Generic[Given, Done]):
    """Work and its content as Dask sees them, for workers with the same version of healthval."""

    work: Callable[[Given], Done]
    content: Given
    version: str = __version__

    def __repr__(self) -> str:
        return "healthval task"


@dataclass(frozen=True, slots=True)
class _Failed:
    """An error of a task: its kind, and its message if that is one of ours."""

    kind: str
    message: str


def _execute(task: _Task[Any, Any]) -> Any:
    """Do the work of one task on a worker; an error is returned, so that Dask never logs it."""
    if task.version != __version__:
        return _Failed(
            "UsageError", "a Dask worker has another version of healthval; install the same one"
        )
    try:
        return task.work(task.content)
    except HealthvalError as ours:
        return _Failed(type(ours).__name__, str(ours))
    except Exception as foreign:  # its text may quote a patient
        return _Failed("", type(foreign).__name__)


def outcomes(
    scheduler: str,
    work: Callable[[Given], Done],
    jobs: Iterable[tuple[str, Given]],
    *,
    ahead: int = AHEAD,
) -> Iterator[tuple[str, Done | None]]:
    """Do jobs on the workers of a cluster; yield name and result in the order of their ends.

    A job whose worker is killed is done again by another; the result is None if that happens to
    several workers, so that the job itself may be the cause.

    Parameters
    ----------
    scheduler : tcp:// or tls:// address; certificates are those of Dask's configuration
    work : a function of a module, the same on all machines
    jobs : unique name, without a patient's value, and content of each; taken as workers need them

    Raises
    ------
    UsageError
        If no scheduler answers, or the cluster ends during the work.
    HealthvalError
        The first error of a job, with the message of its worker.
    """
    client = _connected(scheduler)
    from distributed import as_completed

    waiting = iter(jobs)
    names: dict[str, str] = {}
    try:
        running: Any = as_completed([], loop=client.loop)

        def submit() -> bool:
            job = next(waiting, None)
            if job is None:
                return False
            name, content = job
            key = f"healthval-{name}"
            with _connection():
                running.add(client.submit(_execute, _Task(work, content), key=key, pure=False))
            names[key] = name
            return True

        while len(names) < ahead and submit():
            pass
        while names:
            with _connection():
                future = next(running)
                name, found = names.pop(future.key), _result(future)
                future.release()
            yield name, found
            submit()
    finally:
        with suppress(Exception):  # of a connection that has ended
            client.close()


@contextmanager
def _connection() -> Iterator[None]:
    """Raise what Dask raises at the end of a connection as one error of ours."""
    try:
        yield
    except HealthvalError:
        raise
    except Exception:  # of several kinds, by the moment of the end
        raise _scheduler_ended() from None


def _scheduler_ended() -> UsageError:
    return UsageError(
        "the Dask scheduler ended during the work; start it and the same command again: what was"
        " finished is kept"
    )


def _result(future: Any) -> Any:
    if future.status in {"cancelled", "lost"}:
        raise _scheduler_ended()
    if future.status != "finished":
        kind = type(future.exception()).__name__
        if kind == "KilledWorker":
            return None
        raise UsageError(
            f"a Dask worker cannot do this work ({kind}); install healthval with the same extras "
            "on all machines"
        )
    found = future.result()
    if isinstance(found, _Failed):
        raise _error(found)
    return found


def _error(failed: _Failed) -> HealthvalError:
    ours = getattr(errors, failed.kind, None)
    if isinstance(ours, type) and issubclass(ours, HealthvalError):
        return HealthvalError.__new__(ours, failed.message)
    return UsageError(f"a task failed on a Dask worker ({failed.message}); look at that machine")


def check_address(scheduler: str) -> None:
    """Refuse what is no address of a Dask scheduler.

    Raises
    ------
    UsageError
        If it does not begin with tcp:// or tls://.
    """
    if not _ADDRESS.fullmatch(scheduler):
        raise UsageError("the address of a Dask scheduler begins with tcp:// or tls://")


def _connected(scheduler: str) -> Any:
    check_address(scheduler)
    from distributed import Client

    # Dask's client prints tracebacks where a connection ends, which is an error of ours instead.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    if scheduler.startswith("tls:"):
        _check_certificates()
    try:
        return Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError):
        raise UsageError(
            "no Dask scheduler responds at the given address; start one with `dask scheduler`"
        ) from None


def _check_certificates() -> None:
    """Refuse tls:// without certificates before Dask opens a connection."""
    from distributed.security import Security

    try:
        context = Security().get_connection_args("client").get("ssl_context")
    except (OSError, TypeError, ValueError):  # SSLError is an OSError
        context = None
    if context is None:
        raise UsageError(
            "tls:// needs certificates: name the files in Dask's configuration (distributed.comm.tls:"
            " ca-file, and cert and key of client)"
        )
