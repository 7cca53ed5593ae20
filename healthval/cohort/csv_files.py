"""CSV files as hospitals export them: encoding and separator are detected, cells stay text.

Cells are those of Python's csv reader, so that a quoted line break or an odd line end cannot shift them.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from healthval.errors import CohortError, part

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
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
_SAMPLE = 1 << 16
_BLOCK = 20_000  # rows


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file, also gzipped, as text.

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
        with _open(path, encoding) as lines:
            header, columns = _columns(lines)
    except (OSError, EOFError, UnicodeError):
        raise CohortError("the table is truncated or cannot be read; export it again") from None
    except csv.Error:
        raise CohortError(
            "the table cannot be read as CSV: a quotation mark is not closed, or text follows one; "
            "export it again"
        ) from None
    frame = pd.DataFrame(
        {at: pd.Series(cells, dtype=object) for at, cells in enumerate(columns)}, copy=False
    )
    frame.columns = pd.Index(header)
    return frame


def _bytes(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _open(path: Path, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(_bytes(path), 1 << 20), encoding, newline="")  # type: ignore[type-var]


def _encoding(path: Path) -> str:
    """UTF-8, UTF-16 with a byte order mark, else Windows' Western European code page."""
    with _bytes(path) as file:
        start = file.read(_SAMPLE)
        for mark, problem in _KINDS.items():
            if start.startswith(mark):
                raise CohortError(f"the table {problem}")
        for mark, name in _BOMS.items():
            if start.startswith(mark):
                return name
        if b"\0" in start:
            raise CohortError("the table contains NUL bytes; export it as CSV in UTF-8")
        decode = codecs.getincrementaldecoder("utf-8")().decode
        try:
            while start:
                decode(start)
                start = file.read(_SAMPLE)
            decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _columns(lines: io.TextIOWrapper) -> tuple[list[str], list[list[str]]]:
    start = lines.readline()
    declared = start.strip().lower()
    if declared.startswith("sep=") and len(declared) <= len("sep=") + 1:
        separator, head = (declared[len("sep=") :] or "\t"), []
    else:
        head = [start, *islice(lines, 50)]
        separator = _separator(head)
    rows = csv.reader(chain(head, lines), delimiter=separator, strict=True)
    header = next((row for row in rows if row), None)
    if header is None:
        raise CohortError("the table is empty; check the export")
    return header, _cells(rows, header, separator)


def _separator(head: list[str]) -> str:
    """The separator by which all first rows have as many fields as the header; else the likeliest."""
    likely = []
    for separator in _SEPARATORS:
        rows = csv.reader(iter(head), delimiter=separator)
        sizes: list[int] = []
        try:
            sizes += (len(row) for row in rows if row)
        except csv.Error:
            continue
        if sizes and sizes[0] > 1:
            # The last record of the sample may be cut inside quotation marks.
            likely.append((len(set(sizes[:-1] or sizes)) == 1, sizes[0], separator))
    consistent = [found for found in likely if found[0]]
    for _, _, separator in consistent:
        if separator == ",":
            return separator
    return max(consistent or likely, key=lambda found: found[1])[2] if likely else ","


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
            f"(first at row {ragged[0]}), read with {_SEPARATORS.get(separator, 'its own sign')} as "
            "separator; quote fields that contain a separator or a line break"
        )
    return columns
