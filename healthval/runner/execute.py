"""Execution of one notebook by papermill; an evaluation's copy stays in a marked folder."""

import builtins
import json
import logging
import os
import re
import shutil
import subprocess
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
ABOUT = "This folder contains executed notebooks of healthval.\n"
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


def run(parameters: NotebookParameters, out: Path | str) -> Path | str:
    """Execute the notebook that the parameters belong to and return its executed copy.

    The copy of an evaluation, finished or failed, is in `out/identifiable/` and is never rendered.

    Parameters
    ----------
    out : folder, or an address ``s3://bucket/prefix`` of the hospital's own storage

    Raises
    ------
    RunFailed
        If a cell fails; names the cell and the kind of error. An error of healthval keeps its
        message and exit code.
    """
    name = f"{parameters.notebook}.ipynb"
    values = parameters.model_dump(mode="json")
    place = _place(out, identifiable=parameters.identifiable)
    return _executed(packaged("notebooks") / name, values, place, name)


def run_own(notebook: Path, values: Mapping[str, Any], out: Path | str) -> Path | str:
    """Execute any notebook, with its parameters checked, and return its executed copy.

    Its outputs are unknown, so the copy is in the marked folder `out/identifiable/`. `out` may
    end in a name for the copy, in which ``{name}`` is the value of a parameter, as in papermill, and
    may be an address ``s3://bucket/prefix``.

    Raises
    ------
    RunFailed
        If a cell fails; names the cell and the kind of error.
    UsageError
        If a parameter is unknown or invalid, or a name in the template is not a parameter.
    """
    checked = checked_values(str(notebook), values)
    name = notebook.name
    above, last = out.rpartition("/")[::2] if isinstance(out, str) else (out.parent, out.name)
    if last.endswith(".ipynb"):
        try:
            name = last.format(**checked)
        except (KeyError, IndexError, ValueError):
            raise UsageError(
                "the name of the copy has a {...} that is not a given parameter; give it with -p"
            ) from None
        name = name.replace("/", "-")
        out = above
    return _executed(notebook, checked, _place(out, identifiable=True), name)


def _executed(
    notebook: Path, values: Mapping[str, Any], place: Path | str, name: str
) -> Path | str:
    """Execute in the place itself, or, for S3, in a private folder whose copy is moved there."""
    with _folder_for(place, name) as folder:
        try:
            _execute(notebook, values, folder / name, str(getattr(place, "name", place)))
        finally:
            scrub(folder / name)
    return place / name if isinstance(place, Path) else f"{place}/{name}"


def _execute(notebook: Path, values: Mapping[str, Any], copy: Path, shown: str) -> None:
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
            raise _translated(error, copy.name, shown) from None


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


_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_IN_OUR_CODE = re.compile(r"File .*[/\\]healthval[/\\]")


def error_of_ours(failed: Any) -> type[HealthvalError] | None:
    """Return the class of an error that healthval's own code raised, whose message quotes no patient.

    A notebook can give its own class the same name, or raise ours with any text: the innermost frame
    of the traceback, before the last entry with the message, is then in a cell or another library.
    """
    own = getattr(errors, str(failed.ename), None)
    frames = [_ANSI.sub("", entry) for entry in failed.traceback[:-1]]
    is_raised_here = bool(frames) and _IN_OUR_CODE.match(frames[-1].partition("\n")[0]) is not None
    is_error = isinstance(own, type) and issubclass(own, HealthvalError)
    return own if is_error and is_raised_here else None


def _place(out: Path | str, *, identifiable: bool) -> Path | str:
    """Folder or address of the copy, marked where its outputs may show patients."""
    if isinstance(out, str):
        address = f"{out.rstrip('/')}/{IDENTIFIABLE}" if identifiable else out.rstrip("/")
        _write_to_s3(WARNING if identifiable else ABOUT, f"{address}/README.txt")
        return address
    folder = out / IDENTIFIABLE if identifiable else out
    folder.mkdir(parents=True, exist_ok=True)
    if identifiable:
        mark_identifiable(folder)
    return folder


def _translated(error: Any, name: str, folder: str) -> HealthvalError:
    """Keep the message of a healthval error; report only the kind of any other error."""
    own = error_of_ours(error)
    if own is not None:
        ours = RunFailed(str(error.evalue))
        ours.exit_code = own.exit_code  # type: ignore[misc]  # the kernel's error decides
        return ours
    return RunFailed(
        f"cell {error.exec_count} of {name} failed with {kind_of_error(error.ename)}; the error's text may quote"
        f" patients and is only in the executed copy in {folder}/"
    )


def _kernel_manager() -> type[Any]:
    """Return a kernel manager that uses private sockets (IPC) where the system has them.

    Jupyter picks, releases and binds TCP ports again, so that parallel runs collide, and other
    users of the machine can read their traffic (nteract/papermill#511). Jupyter also numbers IPC
    sockets in the current folder, which two runs may share: socket and connection file get a
    unique name in the runtime folder instead.

    What a kernel writes beside its messages is discarded: a traceback from its end may quote values.
    """
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.paths import jupyter_runtime_dir

    class LocalKernelManager(AsyncKernelManager):
        def __init__(self, **settings: object) -> None:
            own = Path(jupyter_runtime_dir()) / uuid.uuid4().hex[:12]
            if os.name == "posix":
                settings |= {"transport": "ipc", "ip": str(own)}
            super().__init__(**settings, connection_file=f"{own}.json")

        async def _async_launch_kernel(self, kernel_cmd: list[str], **given: Any) -> None:
            await super()._async_launch_kernel(kernel_cmd, **{"stderr": subprocess.DEVNULL} | given)

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


def scrub(copy: Path) -> None:
    """Remove folders of the machine and random ids from the metadata of an executed copy."""
    if not copy.exists():
        return
    try:
        notebook = json.loads(copy.read_text(encoding="utf-8"))
    except ValueError:  # cut off by a full disk
        copy.unlink()
        return
    about = notebook["metadata"].get("papermill", {})
    for name in ("input_path", "output_path"):
        if about.get(name):
            about[name] = Path(about[name]).name
    about.pop("environment_variables", None)
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", ())
        if "injected-parameters" in tags:
            cell["id"] = "injected-parameters"
        if any(tag.startswith("papermill-error") for tag in tags):
            cell["id"] = "papermill-error"
    _ids_apart(notebook["cells"])
    copy.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _ids_apart(cells: list[dict[str, Any]]) -> None:
    seen: dict[str, int] = {}
    for cell in cells:
        name = cell.get("id", "")
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            cell["id"] = f"{name}-{seen[name]}"


@contextmanager
def _folder_for(out: Path | str, name: str) -> Iterator[Path]:
    """Yield the folder in which a copy is made; for an address in S3, one that is removed afterwards.

    At S3, the file `README.txt` is written first, so that a wrong address is noticed before a
    kernel starts; the copy, also of a failed run, is written as a whole at the end.

    Raises
    ------
    UsageError
        If nothing can be written at the address.
    """
    if isinstance(out, Path):
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="hv-") as private:
        folder = Path(private)
        try:
            yield folder
        finally:
            copy = folder / name
            if copy.exists():
                _write_to_s3(copy.read_text(encoding="utf-8"), f"{out}/{name}")


def _write_to_s3(text: str, address: str) -> None:
    """Write one object by papermill's own access to S3.

    Raises
    ------
    UsageError
        If the address, or the access to it, is not valid.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from papermill.iorw import papermill_io

    try:
        papermill_io.write(text, address, extensions=[".ipynb", ".txt"])
    except (BotoCoreError, ClientError, ValueError, OSError):
        raise UsageError(
            "nothing can be written at this s3:// address; check bucket, region and credentials (those"
            " of boto3: AWS_PROFILE, AWS_ENDPOINT_URL_S3 for a hospital's own storage)"
        ) from None


def place_of_outputs() -> str:
    """Return a line for an executed notebook: whether its outputs are in the marked folder."""
    if os.environ.get(RUN_BY_HEALTHVAL) or IDENTIFIABLE in Path.cwd().parts:
        return f"The executed copy of this notebook is kept in {IDENTIFIABLE}/."
    return (
        "The outputs of this notebook may show patient data and are saved with it, outside a folder"
        f" {IDENTIFIABLE}/: the program that runs it chooses the place. Clear them before you share"
        f" the file, or use `healthval run evaluate`, which keeps its copy in {IDENTIFIABLE}/."
    )
