"""Execution of one notebook by papermill; an evaluation's copy stays in a marked folder."""

import builtins
import logging
import os
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from healthval import errors
from healthval.errors import HealthvalError, RunFailed, UsageError
from healthval.files import packaged
from healthval.runner.own_notebook import checked_values
from healthval.runner.parameters import NotebookParameters

IDENTIFIABLE = "identifiable"
WARNING = (
    "This folder contains executed notebooks that may show patient data.\n"
    "Keep it inside the hospital; never convert, mail or upload its files.\n"
)
# Set in the kernels of `healthval run` and `healthval batch`, whose copies are in the marked folder.
RUN_BY_HEALTHVAL = "HEALTHVAL_RUN"
CELL_SECONDS = 1800
_ERROR_NAME = re.compile(r"[A-Z][A-Za-z]{0,40}(Error|Exception|Warning|Failed|Refused|Found)")
# Kernel start and late messages: a busy machine may need minutes; a kernel that died is noticed at once.
KERNEL_SECONDS = 600
# One thread and one hash seed: the order of sums and sets is the same on every machine.
KERNEL_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "JUPYTER_PLATFORM_DIRS": "1",
    RUN_BY_HEALTHVAL: "1",
}


def run(parameters: NotebookParameters, out: Path) -> Path:
    """Execute the notebook that the parameters belong to and return its executed copy.

    The copy of an evaluation, finished or failed, is in `out/identifiable/` and is never rendered.

    Raises
    ------
    RunFailed
        If a cell fails; names the cell and the kind of error. An error of healthval keeps its
        message and exit code.
    """
    name = f"{parameters.notebook}.ipynb"
    folder = _folder(out, identifiable=parameters.identifiable)
    values = parameters.model_dump(mode="json")
    return _execute(packaged("notebooks") / name, values, folder / name)


def run_own(notebook: Path, values: Mapping[str, Any], out: Path) -> Path:
    """Execute any notebook, with its parameters checked, and return its executed copy.

    Its outputs are unknown, so the copy is in the marked folder `out/identifiable/`. `out` may
    end in a name for the copy, in which ``{name}`` is the value of a parameter, as in papermill.

    Raises
    ------
    RunFailed
        If a cell fails; names the cell and the kind of error.
    UsageError
        If a parameter is unknown or invalid, or a name in the template is not a parameter.
    """
    checked = checked_values(str(notebook), values)
    name = notebook.name
    if out.suffix == ".ipynb":
        try:
            name = out.name.format(**checked)
        except (KeyError, IndexError, ValueError):
            raise UsageError(
                "the name of the copy has a {...} that is not a given parameter; give it with -p"
            ) from None
        name, out = name.replace("/", "-"), out.parent
    return _execute(notebook, checked, _folder(out, identifiable=True) / name)


def _execute(notebook: Path, values: Mapping[str, Any], copy: Path) -> Path:
    with _kernel_environment():
        import papermill
        from papermill.exceptions import PapermillExecutionError

        try:
            papermill.execute_notebook(
                str(notebook),
                str(copy),
                parameters=dict(values),
                kernel_name="python3",
                kernel_manager_class=_kernel_manager(),
                progress_bar=False,
                execution_timeout=CELL_SECONDS,
                start_timeout=KERNEL_SECONDS,
                iopub_timeout=KERNEL_SECONDS,
                cwd=str(Path.cwd()),
            )
        except PapermillExecutionError as error:
            raise _translated(error, copy) from None
    return copy


def kind_of_error(name: object) -> str:
    """Return the name of an error's class; a notebook can give a class any name, also a value's.

    Examples
    --------
    >>> kind_of_error("KeyError"), kind_of_error("StopIteration"), kind_of_error("Jane Doe")
    ('KeyError', 'StopIteration', 'an error of its own')
    """
    known = getattr(builtins, str(name), None)
    is_known = isinstance(known, type) and issubclass(known, BaseException)
    return str(name) if is_known or _ERROR_NAME.fullmatch(str(name)) else "an error of its own"


def _folder(out: Path, *, identifiable: bool) -> Path:
    folder = out / IDENTIFIABLE if identifiable else out
    folder.mkdir(parents=True, exist_ok=True)
    if identifiable:
        mark_identifiable(folder)
    return folder


def _translated(error: Any, copy: Path) -> HealthvalError:
    """Keep the message of a healthval error; report only the kind of any other error."""
    own = getattr(errors, str(error.ename), None)
    if isinstance(own, type) and issubclass(own, HealthvalError):
        ours = RunFailed(str(error.evalue))
        ours.exit_code = own.exit_code  # type: ignore[misc]  # the kernel's error decides
        return ours
    return RunFailed(
        f"cell {error.exec_count} of {copy.name} failed with {kind_of_error(error.ename)}; the error's text may quote"
        f" patients and is only in the executed copy in {copy.parent.name}/"
    )


def _kernel_manager() -> type[Any]:
    """Return a kernel manager that uses private sockets (IPC) where the system has them.

    Jupyter picks, releases and binds TCP ports again, so that parallel runs collide, and other
    users of the machine can read their traffic (nteract/papermill#511). Jupyter also numbers IPC
    sockets in the current folder, which two runs may share: socket and connection file get a
    unique name in the runtime folder instead.
    """
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.paths import jupyter_runtime_dir

    class LocalKernelManager(AsyncKernelManager):
        def __init__(self, **settings: object) -> None:
            own = Path(jupyter_runtime_dir()) / uuid.uuid4().hex[:12]
            if os.name == "posix":
                settings |= {"transport": "ipc", "ip": str(own)}
            super().__init__(**settings, connection_file=f"{own}.json")

    return LocalKernelManager


@contextmanager
def _kernel_environment() -> Iterator[None]:
    """Set a private runtime folder and a fixed environment for kernels; restore both afterwards."""
    # jsonschema's optional grammar costs a second at every import, and we check no IRIs.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    # A late message at the end of a kernel is logged with a traceback, which may quote values.
    logging.getLogger("tornado.general").setLevel(logging.CRITICAL + 1)
    before = {name: os.environ.get(name) for name in (*KERNEL_ENVIRONMENT, "JUPYTER_RUNTIME_DIR")}
    runtime = tempfile.mkdtemp(prefix="hv-")
    os.environ.update(KERNEL_ENVIRONMENT, JUPYTER_RUNTIME_DIR=runtime)
    try:
        yield
    finally:
        shutil.rmtree(runtime, ignore_errors=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def mark_identifiable(folder: Path) -> None:
    """Make a folder private and add a README that its files may show patients."""
    folder.chmod(0o700)
    (folder / "README.txt").write_text(WARNING, encoding="utf-8")


def place_of_outputs() -> str:
    """Return a line for an executed notebook: whether its outputs are in the marked folder."""
    if os.environ.get(RUN_BY_HEALTHVAL) or IDENTIFIABLE in Path.cwd().parts:
        return f"The executed copy of this notebook is kept in {IDENTIFIABLE}/."
    return (
        "The outputs of this notebook may show patient data and are saved with it, outside a folder"
        f" {IDENTIFIABLE}/: the program that runs it chooses the place. Clear them before you share"
        f" the file, or use `healthval run evaluate`, which keeps its copy in {IDENTIFIABLE}/."
    )
