"""What this machine has and lacks, in words that say how to mend it."""

import importlib.util
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PANGO = "HTML is made; for the PDF: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `required` ones make `healthval doctor` fail."""

    what: str
    ok: bool
    detail: str
    required: bool = True


def diagnose() -> list[Finding]:
    """Look at parts, Pango, the kernel, the clock and the current folder; changes nothing."""
    return [*_extras(), _pango(), _kernel(), _clock(), _writable()]


def has_pango() -> bool:
    """Whether WeasyPrint finds the text layout library it draws PDFs with."""
    try:
        import weasyprint  # noqa: F401 - the import is the test
    except (ImportError, OSError):
        return False
    return True


def _extras() -> Iterator[Finding]:
    parts = {
        "notebooks": "papermill",
        "hub": "fastapi",
        "pdf": "pydyf",
        "fhir": "fhirpathpy",
        "aws": "boto3",
    }
    for extra, module in parts.items():
        found = importlib.util.find_spec(module) is not None
        detail = "installed" if found else f'pip install "healthval[{extra}]"'
        yield Finding(f"extra {extra}", found, detail, required=extra == "notebooks")


def _pango() -> Finding:
    found = has_pango()
    return Finding("Pango", found, "PDF can be made" if found else PANGO, required=False)


def _kernel() -> Finding:
    if importlib.util.find_spec("jupyter_client") is None:
        return Finding("Jupyter kernel", False, 'pip install "healthval[notebooks]"')
    from jupyter_client.kernelspec import KernelSpecManager

    found = "python3" in KernelSpecManager().find_kernel_specs()
    return Finding(
        "Jupyter kernel", found, "python3" if found else "python -m ipykernel install --sys-prefix"
    )


def _clock() -> Finding:
    sane = time.time() > 1_750_000_000  # plausibility only
    return Finding("clock", sane, "plausible" if sane else "set the date: signatures expire by it")


def _writable() -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=Path.cwd()):
            pass
    except OSError:
        return Finding("current folder", False, "cannot be written; change to a folder of your own")
    private = not Path.cwd().stat().st_mode & 0o002
    return Finding(
        "current folder", True, "writable" if private else "writable, by everyone: chmod o-w ."
    )
