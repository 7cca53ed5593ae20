"""The report on disk: each file complete or not there at all."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from healthval.errors import ReportError
from healthval.report.document import Report
from healthval.report.render import render_html, render_pdf, why_no_pdf

HTML, PDF, METRICS = "report.html", "report.pdf", "metrics.json"


def write(report: Report, folder: Path) -> dict[str, str]:
    """Write ``report.html``, ``metrics.json`` and, where it can be made, ``report.pdf``.

    Everything is rendered before the first file is replaced. Without Pango there is no PDF, an
    older one is removed, and `why_no_pdf` says how to get it. Equal reports give equal bytes.

    Returns
    -------
    dict
        File name to SHA-256 of its bytes.

    Raises
    ------
    ReportError
        If the report cannot be rendered or the folder cannot be written.
    """
    html = render_html(report.notebook())
    files = {HTML: html.encode(), METRICS: metrics_json(report)}
    if why_no_pdf() is None:
        files[PDF] = render_pdf(html)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            replace(folder / name, content)
        if PDF not in files:
            (folder / PDF).unlink(missing_ok=True)
    except OSError:
        raise ReportError(
            "the report's folder cannot be written; give another one or free some space"
        ) from None
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def metrics_json(report: Report) -> bytes:
    """Encode the report's numbers: sorted keys, two spaces, one newline at the end."""
    text = json.dumps(report.numbers, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def replace(path: Path, content: bytes) -> None:
    """Put the bytes in place in one step: a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
