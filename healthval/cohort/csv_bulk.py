"""The rows of a CSV file by pyarrow, where its reading is provably that of Python's csv reader.

The two readers differ only in quotation marks within or behind a field, in rows of another length and in
open quotations. A scan of the bytes finds the marks; pyarrow refuses the rows; `None` asks for the csv
reader, which also counts and names what is wrong.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from healthval.cohort.long_columns import SMALL, as_series, coded

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 1 << 18
_QUOTE, _LF, _CR = b'"\n\r'


class Form(NamedTuple):
    """Separator, and encoding with one byte for each ASCII character."""

    separator: str
    encoding: str


def read_rows(
    file: IO[bytes], names: Sequence[str], wanted: Collection[str] | None, form: Form
) -> list[pd.Series] | None:
    """Read the rows from the file's position on as text.

    Parameters
    ----------
    names : of all columns of the file
    wanted : names of the columns to return; all by default

    Returns
    -------
    One Series for each column that is wanted, in the order of the file, of object, category or Arrow
    text; None where the csv reader is needed.
    """
    try:
        import pyarrow as pa
        from pyarrow import csv
    except ImportError:
        return None
    start = file.tell()
    if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
        return None  # pyarrow takes this sign of the first cell for a mark of the encoding
    file.seek(start)
    quoted = has_quotes(iter(lambda: file.read(_CHUNK), b""), form.separator)
    if quoted is None:
        return None
    file.seek(start)
    places = [str(at) for at in range(len(names))]
    chosen = [p for p, n in zip(places, names, strict=True) if wanted is None or n in wanted]
    if not chosen:  # for pyarrow, no column means every column
        return []
    read = csv.ReadOptions(column_names=places, block_size=_CHUNK, encoding=form.encoding)
    parse = csv.ParseOptions(delimiter=form.separator, newlines_in_values=quoted)
    types = dict.fromkeys(places, pa.string())
    convert = csv.ConvertOptions(column_types=types, include_columns=chosen)
    columns = [_Column() for _ in chosen]
    with suppress(pa.ArrowInvalid):
        for batch in csv.open_csv(file, read, parse, convert):
            for column, cells in zip(columns, batch.columns, strict=True):
                column.add(cells)
        return [column.series() for column in columns]
    return None


def has_quotes(chunks: Iterator[bytes], separator: str) -> bool | None:
    """Whether there are quotation marks; None unless each one opens, closes or doubles (RFC 4180)."""
    beside = np.zeros(256, dtype=bool)  # what may be next to a quotation, outside of it
    beside[[_QUOTE, _LF, _CR, ord(separator)]] = True
    buffer, n_quotes = b"\n", 0
    while buffer:
        chunk = next(chunks, b"")
        # The last byte waits for the one that follows it; a line end follows the last one.
        if _QUOTE in chunk or _QUOTE in buffer:
            block = np.frombuffer(buffer + (chunk or b"\n"), dtype=np.uint8)
            at = np.flatnonzero(block[1:-1] == _QUOTE) + 1
            opens = (np.arange(at.size) + n_quotes) % 2 == 0
            if not beside[block[np.where(opens, at - 1, at + 1)]].all():
                return None
            n_quotes += at.size
        buffer = (buffer + chunk if len(chunk) < 2 else chunk)[-2:] if chunk else b""
    return bool(n_quotes) if n_quotes % 2 == 0 else None


class _Column:
    """Cells of a column: levels and their codes while values repeat, otherwise the texts."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._coded = True

    def add(self, cells: Any) -> None:
        """Add the cells of one batch."""
        part = cells.dictionary_encode() if self._coded else cells
        if self._coded and len(part.dictionary) > len(cells) // 2 and len(cells) > SMALL // 10:
            self._coded, part = False, cells
            self._parts = [before.dictionary_decode() for before in self._parts]
        self._parts.append(part)

    def series(self) -> pd.Series:
        """Return the column; a short one holds objects."""
        import pandas as pd
        import pyarrow as pa

        column = pa.chunked_array(self._parts)
        self._parts = []
        if len(column) < SMALL:
            return pd.Series(column.to_pylist(), dtype=object)
        return coded(column) if self._coded else as_series(column)
