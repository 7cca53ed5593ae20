"""Check of this machine, and of what a study reaches from it, with remedies."""

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from healthval.errors import counted
from healthval.files import install_command
from healthval.report.render import why_no_pdf
from healthval.runner.doctor_network import Finding, fhir_findings, hub_findings, pacs_findings

_LEAST_FREE_GB: Final = 1.0


def diagnose(
    *,
    plan: Path | None = None,
    hub: str | None = None,
    key: Path | None = None,
    fhir: str | None = None,
) -> list[Finding]:
    """Check the machine without changing it, and whether the named servers answer.

    Parameters
    ----------
    plan : a plan, whose PACS is asked for a study
    hub, fhir : addresses of a hub and of a FHIR server
    key : file with a private key; with `hub`, its access is listed
    """
    machine = [
        *_extras(),
        _pango(),
        _fonts(),
        _kernel(),
        _own_kernel(),
        _clock(),
        _writable(),
        _disk(),
    ]
    return [*machine, *hub_findings(hub, key), *pacs_findings(plan), *fhir_findings(fhir)]


def _extras() -> Iterator[Finding]:
    parts = {
        "notebooks": "papermill",
        "hub": "fastapi",
        "pdf": "pydyf",
        "fhir": "fhirpathpy",
        "aws": "boto3",
        "dicom": "dicomweb_client",
        "decoders": "openjpeg",
    }
    for extra, module in parts.items():
        found = importlib.util.find_spec(module) is not None
        detail = "installed" if found else install_command(extra)
        yield Finding(f"extra {extra}", found, detail, required=extra == "notebooks")


def _pango() -> Finding:
    remedy = why_no_pdf()
    return Finding("Pango", remedy is None, remedy or "PDF can be made", required=False)


def _fonts() -> Finding:
    if importlib.util.find_spec("matplotlib") is None:
        return Finding("fonts", False, install_command("notebooks"), required=False)
    from healthval.report.fonts import font_files

    missing = [path for path in font_files() if not path.is_file()]
    remedy = f"{counted(len(missing), 'packaged font is', 'packaged fonts are')} missing; install healthval again"
    return Finding("fonts", not missing, remedy if missing else "complete", required=False)


def _kernel() -> Finding:
    if importlib.util.find_spec("jupyter_client") is None:
        return Finding("Jupyter kernel", False, install_command("notebooks"))
    from jupyter_client.kernelspec import KernelSpecManager

    found = "python3" in KernelSpecManager().find_kernel_specs()
    detail = "python3" if found else "python -m ipykernel install --sys-prefix"
    return Finding("Jupyter kernel", found, detail)


def _own_kernel() -> Finding:
    """Report the kernelspec for JupyterLab, which is optional."""
    name = "kernel healthval"
    if importlib.util.find_spec("jupyter_client") is None:
        return Finding(name, False, install_command("notebooks"), required=False)
    from healthval.runner.kernelspec import interpreter_of_kernel

    started = interpreter_of_kernel()
    if started is None:
        return Finding(name, False, "healthval kernel install", required=False)
    is_here = started == Path(sys.executable)
    detail = (
        "of this environment" if is_here else "of another environment: healthval kernel install"
    )
    return Finding(name, is_here, detail, required=False)


def _clock() -> Finding:
    is_plausible = time.time() > 1_750_000_000
    detail = "plausible" if is_plausible else "set the date: signatures have an expiry time"
    return Finding("clock", is_plausible, detail)


def _writable() -> Finding:
    folder = Path.cwd()
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError:
        return Finding("current folder", False, "not writable; change to a folder that is yours")
    is_shared = os.name == "posix" and folder.stat().st_mode & 0o002
    detail = "writable, by every user: chmod o-w ." if is_shared else "writable"
    return Finding("current folder", True, detail)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    is_enough = free >= _LEAST_FREE_GB
    detail = f"{free:.1f} GB free" + ("" if is_enough else "; make room: a full disk ends a run")
    return Finding("free disk", is_enough, detail, required=False)
