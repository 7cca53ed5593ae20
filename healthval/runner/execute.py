"""Executes one notebook by papermill; what may hold patients stays in a folder that says so."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from healthval import errors
from healthval.errors import HealthvalError, RunFailed
from healthval.runner.parameters import NotebookParameters

IDENTIFIABLE = "identifiable"
WARNING = (
    "This folder holds executed notebooks that may show patient data.\n"
    "Keep it inside the hospital; never convert, mail or upload what lies in it.\n"
)
CELL_SECONDS = 1800
# One thread and one hash seed: the order of sums and sets must not depend on the machine.
KERNEL_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "JUPYTER_PLATFORM_DIRS": "1",
}


def shared(name: str) -> Path:
    """A folder shipped with the package: `notebooks`, `templates` or `infra`."""
    packed = Path(str(files("healthval"))) / "_share" / name
    if packed.is_dir():
        return packed
    return Path(__file__).parents[2] / {"templates": "reports/templates"}.get(name, name)


def run(parameters: NotebookParameters, out: Path) -> Path:
    """Execute the notebook that the parameters belong to and return its executed copy.

    An evaluation's copy, finished or failed, lies in `out/identifiable/` and is never rendered.

    Raises
    ------
    RunFailed
        If a cell stops; names cell and kind of error. Our own errors pass through as they are.
    """
    name = f"{parameters.notebook}.ipynb"
    folder = _folder(out, identifiable=parameters.identifiable)
    values = parameters.model_dump(mode="json")
    with _quiet_kernel():
        import papermill
        from papermill.exceptions import PapermillExecutionError

        from healthval.runner.kernel import LocalKernelManager

        try:
            papermill.execute_notebook(
                str(shared("notebooks") / name),
                str(folder / name),
                parameters=values,
                kernel_name="python3",
                kernel_manager_class=LocalKernelManager,
                progress_bar=False,
                execution_timeout=CELL_SECONDS,
                cwd=str(Path.cwd()),
            )
        except PapermillExecutionError as error:
            raise _translated(error, folder / name) from None
    return folder / name


def _folder(out: Path, *, identifiable: bool) -> Path:
    folder = out / IDENTIFIABLE if identifiable else out
    folder.mkdir(parents=True, exist_ok=True)
    if identifiable:
        folder.chmod(0o700)
        (folder / "README.txt").write_text(WARNING, encoding="utf-8")
    return folder


def _translated(error: Any, copy: Path) -> HealthvalError:
    """Our own errors quote no value and pass; of any other only the kind is told."""
    own = getattr(errors, str(error.ename), None)
    if isinstance(own, type) and issubclass(own, HealthvalError):
        ours = RunFailed(str(error.evalue))
        ours.exit_code = own.exit_code  # type: ignore[misc]  # the kernel's error decides
        return ours
    return RunFailed(
        f"cell {error.exec_count} of {copy.name} stopped with {error.ename}; its text may quote patients and is"
        f" only in the executed copy in {copy.parent.name}/"
    )


@contextmanager
def _quiet_kernel() -> Iterator[None]:
    """Private sockets and a fixed environment for kernels; given back afterwards."""
    # jsonschema's optional grammar costs a second at every import and we check no IRIs.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
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
