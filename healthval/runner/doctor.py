"""Check of this machine: optional parts, Pango, kernel, clock and current folder, with remedies."""

import importlib.util
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from healthval.errors import HealthvalError
from healthval.plan_file import load_plan
from healthval.report.render import why_no_pdf

_NO_STUDY: Final = "2.25.0"


@dataclass(frozen=True)
class Finding:
    """Result of one check; `healthval doctor` fails if a required one is missing."""

    what: str
    ok: bool
    detail: str
    required: bool = True


def diagnose(plan: Path | None = None) -> list[Finding]:
    """Check the machine without changing it; with a plan, also whether its PACS answers."""
    return [*_extras(), _pango(), _kernel(), _clock(), _writable(), *_pacs(plan)]


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
        detail = "installed" if found else f'pip install "healthval[{extra}]"'
        yield Finding(f"extra {extra}", found, detail, required=extra == "notebooks")


def _pango() -> Finding:
    remedy = why_no_pdf()
    return Finding("Pango", remedy is None, remedy or "PDF can be made", required=False)


def _kernel() -> Finding:
    if importlib.util.find_spec("jupyter_client") is None:
        return Finding("Jupyter kernel", False, 'pip install "healthval[notebooks]"')
    from jupyter_client.kernelspec import KernelSpecManager

    found = "python3" in KernelSpecManager().find_kernel_specs()
    detail = "python3" if found else "python -m ipykernel install --sys-prefix"
    return Finding("Jupyter kernel", found, detail)


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


def _pacs(plan: Path | None) -> Iterator[Finding]:
    """Search the PACS of a plan for a study that does not exist."""
    images = load_plan(plan).images if plan is not None else None
    if images is None or images.pacs is None:
        return
    from healthval.cohort.dicom.pacs import open_pacs

    try:
        answers = list(open_pacs(images.pacs).search({"StudyInstanceUID": _NO_STUDY}))
        detail = "answers" if not answers else "ignores the filters of a search"
        yield Finding("PACS", not answers, detail)
    except HealthvalError as problem:
        yield Finding("PACS", False, str(problem))
