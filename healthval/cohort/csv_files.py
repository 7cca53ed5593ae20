"""CSV files as hospitals export them: encoding and separator are detected, cells stay text.

Cells are those of Python's csv reader, so that a quoted line break or an odd line end cannot shift them.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections.abc import Collection, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from healthval.cohort.csv_bulk import Form, read_rows
from healthval.errors import CohortError, part

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, with which it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_KINDS = {
    b"PK\x03\x04": "is a zip archive or a spreadsheet; read .xlsx by that name, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "is an old spreadsheet (.xls); save it as .xlsx or .csv",
    b"PAR1": "is a Parquet file; give it the suffix .parquet",
    b"%PDF": "is a PDF document; export the table as CSV",
    b"\x1f\x8b": "is compressed with gzip; give it the suffix .gz",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it",
    b"BZh": "is compressed with bzip2; unpack it",
}
_DECIMAL = re.compile(r"\s*[<>=≤≥+-]{0,2}\s*\d*,\d+\s*")
_SAMPLE = 1 << 16
_BLOCK = 20_000  # rows


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file, also gzipped, as text; see `read_columns`."""
    return read_columns(path)[0]


def read_columns(
    path: Path, wanted: Collection[str] | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read columns of a CSV file, also gzipped, as text: all, or those that are wanted.

    Returns
    -------
    The columns, and the names of the others.

    Raises
    ------
    CohortError
        If the file is no CSV, or rows do not have as many fields as the header line; names the
        separator.
    """
    import pandas as pd

    csv.field_size_limit(2**31 - 1)
    try:
        encoding = _encoding(path)
        header, columns = _read(path, encoding, wanted)
    except (OSError, EOFError, UnicodeError):
        raise CohortError("the table is truncated or cannot be read; export it again") from None
    except csv.Error:
        raise CohortError(
            "the table cannot be read as CSV: a quotation mark is not closed, or text follows one; "
            "export it again"
        ) from None
    frame = pd.DataFrame(dict(enumerate(columns)), copy=False)
    frame.columns = pd.Index([name for name in header if _is_wanted(name, wanted)])
    return frame, tuple(name for name in header if not _is_wanted(name, wanted))


def _is_wanted(name: str, wanted: Collection[str] | None) -> bool:
    return wanted is None or name in wanted


def _bytes(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _open(path: Path, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(_bytes(path), 1 << 20), encoding, newline="")  # type: ignore[type-var]


def _encoding(path: Path) -> str:
    """UTF-8, UTF-16, UTF-32 with a byte order mark, else Windows' Western European code page."""
    with _bytes(path) as file:
        start = file.read(_SAMPLE)
        for mark, problem in _KINDS.items():
            if start.startswith(mark):
                raise CohortError(f"the table {problem}")
        for mark, name in _BOMS.items():
            if start.startswith(mark):
                return name
        return _utf_16(start) or _narrow(start, file)


def _narrow(start: bytes, file: IO[bytes]) -> str:
    """UTF-8 if all bytes are, else Windows' code page; no byte is NUL."""
    decode, encoding = codecs.getincrementaldecoder("utf-8")().decode, "utf-8"
    while start:
        _refuse_nul(start)
        block, start = start, file.read(_SAMPLE)
        if encoding == "utf-8":
            try:
                decode(block, final=not start)
            except UnicodeDecodeError:
                encoding = "cp1252"
    return encoding


def _refuse_nul(block: bytes) -> None:
    if b"\0" in block:
        raise CohortError("the table contains NUL bytes; export it as CSV in UTF-8")


def _utf_16(start: bytes) -> str | None:
    """UTF-16 without a byte order mark, if every second byte of most characters is zero."""
    for name, zeros, others in (
        ("utf-16-le", start[1::2], start[::2]),
        ("utf-16-be", start[::2], start[1::2]),
    ):
        if zeros.count(0) > len(zeros) / 2 and 0 not in others:
            return name
    return None


def _read(
    path: Path, encoding: str, wanted: Collection[str] | None
) -> tuple[list[str], list[pd.Series]]:
    """Names of all columns, and the columns that are wanted."""
    import pandas as pd

    with _open(path, encoding) as lines:
        separator, before, head = _start(lines)
        rows = csv.reader(chain(head, lines), delimiter=separator, strict=True)
        header = next((row for row in rows if row), None)
        if header is None:
            raise CohortError("the table is empty; check the export")
        if (
            not encoding.startswith(("utf-16", "utf-32"))
            and separator.isascii()
            and rows.line_num <= len(head)
        ):
            before += "".join(head[: rows.line_num])
            with _bytes(path) as file:
                file.read(len(before.encode(encoding)))
                form = Form(separator, "cp1252" if encoding == "cp1252" else "utf-8")
                columns = read_rows(file, header, wanted, form)
            if columns is not None:
                return header, columns
        cells = _cells(rows, header, separator)
    named = zip(header, cells, strict=True)
    return header, [pd.Series(c, dtype=object) for name, c in named if _is_wanted(name, wanted)]


def _start(lines: io.TextIOWrapper) -> tuple[str, str, list[str]]:
    """Separator, a first line that declares it, and the first lines of the table."""
    first = lines.readline()
    declared = first.strip().lower()
    if declared.startswith("sep=") and len(declared) <= len("sep=") + 1:
        return declared[len("sep=") :] or "\t", first, [*islice(lines, 50)]
    head = [first, *islice(lines, 50)]
    return _separator(head), "", head


def _separator(head: list[str]) -> str:
    """The separator by which all first rows have as many fields as the header; else the likeliest.

    Of several such separators, the one that leaves the fewest quotation marks and other separators
    within fields, then the comma, then the one with the most fields.
    """
    likely: list[tuple[bool, int, float, bool, int, str]] = []
    for separator in _SEPARATORS:
        try:
            rows = [row for row in csv.reader(iter(head), delimiter=separator) if row]
        except csv.Error:
            continue
        if rows and len(rows[0]) > 1:
            # The last record of the sample may be cut inside quotation marks.
            same = len({len(row) for row in rows[:-1] or rows}) == 1
            fields = [field for row in rows[1:] or rows for field in row] if same else []
            n_quotes = sum(field.count('"') for row in rows for field in row) if same else 0
            mixed = sum(map(_has_separator, fields)) / max(len(fields), 1)
            is_comma = same and separator == ","
            likely.append((same, -n_quotes, -mixed, is_comma, len(rows[0]), separator))
    return max(likely)[-1] if likely else ","


def _has_separator(field: str) -> bool:
    """Whether a field contains a separator, other than one decimal comma."""
    return any(s in field for s in _SEPARATORS) and not _DECIMAL.fullmatch(field)


def _cells(rows: Iterator[list[str]], header: list[str], separator: str) -> list[list[str]]:
    columns: list[list[str]] = [[] for _ in header]
    known: list[dict[str, str]] = [{} for _ in header]
    n_rows, ragged = 0, []
    wanted = len(header)
    while block := list(islice(rows, _BLOCK)):
        block = [row for row in block if row]
        for at, row in enumerate(block):
            if len(row) != wanted:
                ragged.append(n_rows + at)
        n_rows += len(block)
        if not ragged:
            for column, seen, cells in zip(columns, known, zip(*block, strict=True), strict=False):
                if len(seen) > _BLOCK:
                    seen.clear()
                column.extend(map(seen.setdefault, cells, cells))
    if ragged:
        raise CohortError(
            f"{part(len(ragged), n_rows, 'row', 'do not have as many fields as the header line')} "
            f"(first at row {ragged[0]}), read with {_SEPARATORS.get(separator, 'another character')} as "
            "separator; quote fields that contain a separator or a line break"
        )
    return columns
