"""Files of a form other than the full report: its page and, where Pango is installed, its PDF."""

import json
from collections.abc import Mapping
from pathlib import Path

from healthval.errors import ReportError
from healthval.files import write_durably
from healthval.report.document import Report
from healthval.report.render import render_html, render_pdf, why_no_pdf


def write_form(report: Report, folder: Path, name: str) -> list[Path]:
    """Write ``name.html``, ``name.json`` and ``name.pdf`` to a folder, and return the files.

    Raises
    ------
    ReportError
        If the folder cannot be written.
    """
    html = render_html(report.notebook())
    files = {f"{name}.html": html.encode(), f"{name}.json": _json(report)}
    if why_no_pdf() is None:
        files[f"{name}.pdf"] = render_pdf(html)
    write_all(folder, files)
    return [folder / file for file in files]


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files to a folder, which is made where it is missing.

    Raises
    ------
    ReportError
        If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            write_durably(folder / file, content, mode=0o644)
    except OSError:
        raise ReportError(
            "the folder cannot be written; give another folder or free some disk space"
        ) from None


def _json(report: Report) -> bytes:
    text = json.dumps(report.numbers, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"
