"""Figures and tables of a report page as files: SVG, PNG, CSV and one XLSX workbook."""

import csv
import io
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from healthval.errors import ReportError
from healthval.files import install_command
from healthval.report.fonts import font_files
from healthval.report.forms.files import write_all

SVG_URL = "data:image/svg+xml,"
WIDTH = 2000  # pixels of a PNG; a full text column then has 290 dots per inch
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run these
_NO_LETTERS = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of the page and the name of its file, without the ending."""

    name: str
    svg: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of the page: caption, header and rows as printed, and the name of its file."""

    name: str
    caption: str
    rows: tuple[tuple[str, ...], ...]


def export(page: str, folder: Path) -> list[Path]:
    """Write every figure and table of a report's page to a folder, and return the files.

    Files are named by section, number and caption. A cell that a spreadsheet would run as a formula
    has an apostrophe before it.

    Raises
    ------
    ReportError
        If the page has neither figures nor tables, a part is not installed, or the folder cannot be
        written.
    """
    drawings, sheets = read_page(page)
    if not drawings and not sheets:
        raise ReportError("the page has no figure and no table; give the report.html of a report")
    files = {f"{d.name}.svg": d.svg.encode() for d in drawings}
    files |= {f"{d.name}.png": _png(d.svg) for d in drawings}
    files |= {f"{s.name}.csv": _csv(s) for s in sheets}
    files["tables.xlsx"] = _workbook(sheets)
    write_all(folder, files)
    return [folder / name for name in sorted(files)]


def read_page(page: str) -> tuple[list[Drawing], list[Sheet]]:
    """Return the figures and the tables of a page, in its order."""
    reader = _Page()
    reader.feed(page)
    return reader.drawings, reader.sheets


class _Page(HTMLParser):
    """Collects figures and tables with the section that they are in."""

    def __init__(self) -> None:
        super().__init__()
        self.drawings: list[Drawing] = []
        self.sheets: list[Sheet] = []
        self._section = "page"
        self._svg: str | None = None
        self._text: list[str] | None = None
        self._caption = ""
        self._rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "section":
            self._section = given.get("id", "page")
        elif tag == "img" and given.get("src", "").startswith(SVG_URL):
            self._svg = unquote(given["src"][len(SVG_URL) :])
        elif tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"caption", "figcaption", "th", "td"}:
            self._text = []
        elif tag == "span" and "detail" in given.get("class", "") and self._text:
            self._text.append("; ")

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"caption", "figcaption", "th", "td"} and self._text is not None:
            text, self._text = " ".join("".join(self._text).split()), None
            self._take(tag, text)
        elif tag == "table":
            name = self._name("table", len(self.sheets), self._caption)
            self.sheets.append(Sheet(name, self._caption, tuple(map(tuple, self._rows))))

    def _take(self, tag: str, text: str) -> None:
        if tag == "figcaption" and self._svg is not None:
            name = self._name("figure", len(self.drawings), text)
            self.drawings.append(Drawing(name, self._svg))
            self._svg = None
        elif tag == "caption":
            self._caption = text
        elif tag in {"th", "td"} and self._rows:
            self._rows[-1].append(text)

    def _name(self, kind: str, before: int, caption: str) -> str:
        first = re.split(r"[.:;,] ", caption)[0].lower()
        words = _NO_LETTERS.sub("-", first).strip("-").encode("ascii", "ignore").decode()
        return f"{self._section}-{kind}-{before + 1:02d}-{words[:60].strip('-')}".rstrip("-")


def _png(svg: str) -> bytes:
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise _missing("resvg-py") from None
    drawn = svg_to_bytes(
        svg_string=svg,
        width=WIDTH,
        dpi=96.0,
        background="white",
        skip_system_fonts=True,
        font_files=[str(path) for path in font_files()],
    )
    return bytes(drawn)


def _missing(package: str) -> ReportError:
    return ReportError(f"the export needs {package}: {install_command('export')}")


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _csv(sheet: Sheet) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerows([[_safe(cell) for cell in row] for row in sheet.rows])
    return b"\xef\xbb\xbf" + stream.getvalue().encode()  # with the mark that Excel needs for UTF-8


def _workbook(sheets: list[Sheet]) -> bytes:
    try:
        from openpyxl import Workbook
    except ImportError:
        raise _missing("openpyxl") from None
    book = Workbook()
    book.remove(book.active)
    for i, sheet in enumerate(sheets):
        page: Any = book.create_sheet(f"{i + 1:02d}")
        page.append([sheet.caption])
        for row in sheet.rows:
            page.append(list(row))
        for line in page.iter_rows():
            for cell in line:
                cell.data_type = "s" if cell.value else cell.data_type  # text, never a formula
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()
