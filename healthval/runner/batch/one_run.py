"""One run of a batch: executed in a draft folder, described, and moved to its place when complete."""

import errno
import hashlib
import json
import os
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from healthval.call_limit import set_limit
from healthval.contracts.base import canonical_json
from healthval.errors import HealthvalError, RunFailed
from healthval.runner.batch.matrix import Run
from healthval.runner.execute import (
    CELL_SECONDS,
    IDENTIFIABLE,
    KERNEL_SECONDS,
    error_of_ours,
    kind_of_error,
    mark_identifiable,
    scrub,
)

STATUS = "status.json"
COPY = "notebook.ipynb"
PAGE = "notebook.html"
PRINT = "notebook.pdf"
CALLS = ".calls"  # places at the endpoints, beside the runs
GRACE_SECONDS = 2.0  # the fork engine ends a run by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of a run; `error` is empty or a sentence without values."""

    id: str
    status: str
    error: str
    seconds: float


def execute(run: Run, engine: str) -> Outcome:
    """Execute a run and put its folder in place; an earlier one of the same run is replaced.

    A run whose files cannot be written fails alone and leaves none, so that the next one has room.
    """
    draft = run.folder.with_name(f".{run.id}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        return _execute(run, draft, engine)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        reason = os.strerror(error.errno or errno.EIO)
        return Outcome(
            id=run.id,
            status="failed",
            error=f"the files of the run could not be written ({reason}); look at disk space and"
            " permissions, then start the batch again",
            seconds=0.0,
        )


def _execute(run: Run, draft: Path, engine: str) -> Outcome:
    parent = run.folder.parent
    draft.mkdir(parents=True)
    if run.identifiable:
        mark_identifiable(parent)
    started = time.monotonic()
    set_limit(run.calls, parent / CALLS, os.environ)
    error = _executed(run, draft, engine)
    seconds = round(time.monotonic() - started, 3)
    if not error:
        error = _rendered(draft, pdf=run.pdf)
    status = "failed" if error else "completed"
    if error and not run.identifiable:
        # A failed notebook may quote a patient in its error.
        marked = parent / IDENTIFIABLE
        marked.mkdir(exist_ok=True)
        mark_identifiable(marked)
        _replace(draft / COPY, marked / f"{run.id}.ipynb")
    _write_status(run, draft, Outcome(id=run.id, status=status, error=error, seconds=seconds))
    _replace(draft, run.folder)
    return Outcome(id=run.id, status=status, error=error, seconds=seconds)


@contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    """End a run after its time in any engine."""
    if seconds is None or not hasattr(signal, "setitimer"):
        yield
        return

    def end(*_: object) -> None:
        raise RunFailed("the run took longer than its time-out and was ended")

    before = signal.signal(signal.SIGALRM, end)
    # Repeated, because an event loop swallows an exception that is raised in a callback.
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _executed(run: Run, draft: Path, engine: str) -> str:
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    try:
        with _time_limit(run.timeout):
            papermill.execute_notebook(
                str(run.notebook),
                str(draft / COPY),
                parameters=run.parameters,
                engine_name=engine,
                progress_bar=False,
                start_timeout=KERNEL_SECONDS,
                execution_timeout=min(CELL_SECONDS, run.timeout or CELL_SECONDS),
                cwd=str(Path.cwd()),
                **({"run_timeout": run.timeout} if engine == "healthval-fork" else {}),
            )
    except PapermillExecutionError as failed:
        return sentence(failed)
    except CellTimeoutError:
        return "a cell took longer than its time-out and was ended"
    except DeadKernelError:
        return "the notebook's process ended before its time; look for lack of memory or os._exit"
    except HealthvalError as own:
        return str(own)
    finally:
        scrub(draft / COPY)
    return ""


def sentence(failed: Any) -> str:
    """Return the message of an error of healthval; of any other error, its kind and cell only."""
    if error_of_ours(failed) is not None:
        return str(failed.evalue)
    return f"cell {failed.exec_count} failed with {kind_of_error(failed.ename)}"


def _rendered(draft: Path, *, pdf: bool) -> str:
    """Write the page of the executed notebook, and its PDF if wanted; an error is a sentence."""
    import nbformat

    from healthval.report.render import page_of

    try:
        read: Any = nbformat.read(draft / COPY, as_version=4)  # type: ignore[no-untyped-call]
        page = page_of(read)
    except Exception as error:
        return f"the page could not be made ({type(error).__name__})"
    (draft / PAGE).write_text(page, encoding="utf-8")
    return _printed(draft, page) if pdf else ""


def _printed(draft: Path, page: str) -> str:
    from healthval.report.render import render_pdf

    try:
        (draft / PRINT).write_bytes(render_pdf(page))
    except HealthvalError as own:
        return str(own)
    except Exception as error:
        return f"the PDF could not be made ({type(error).__name__})"
    return ""


def _write_status(run: Run, draft: Path, outcome: Outcome) -> None:
    files = {p.name: _digest(p) for p in sorted(draft.iterdir()) if p.is_file()}
    content = asdict(outcome) | {"parameters": run.parameters, "files": files}
    (draft / STATUS).write_bytes(canonical_json(content) + b"\n")


def known_outcome(run: Run) -> Outcome | None:
    """Return the outcome of a run whose folder is whole, or None."""
    try:
        content = json.loads((run.folder / STATUS).read_bytes())
        whole = all(_digest(run.folder / name) == h for name, h in content["files"].items())
        if run.pdf and content["status"] == "completed" and PRINT not in content["files"]:
            return None
        kept = {name: content[name] for name in ("id", "status", "error", "seconds")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Outcome(**kept) if whole and kept["id"] == run.id else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _replace(draft: Path, place: Path) -> None:
    """Move a file or folder to its place; what is there is moved aside first, then removed."""
    if not draft.exists():
        return
    old = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.old")
    if place.exists():
        place.rename(old)
    draft.rename(place)
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)


def remove_drafts(folders: set[Path]) -> int:
    """Remove what an interrupted batch left beside its runs; return the number of entries."""
    beside = [p for folder in folders for p in folder.glob(".*")]
    left = [p for p in beside if p.suffix in {".tmp", ".old"} or p.name == CALLS]
    for path in left:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    return len(left)
