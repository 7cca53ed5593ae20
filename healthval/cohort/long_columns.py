"""Long columns of text, as pyarrow reads them: one pass in its kernels where each cell is plain.

Each function returns None if a cell needs the readers in `columns`, which then convert
the whole column and count what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from healthval.contracts.table import plain_token
from healthval.errors import CohortError

if TYPE_CHECKING:
    import pandas as pd

SMALL = 10_000  # rows; shorter columns are converted as objects
_FEW = 1000  # spellings of a missing value that are looked at
_PLAIN_ID = "^[0-9A-Za-z_-]+$"
_PLAIN_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_PLAIN_TIME = (
    r"^(1[5-9]|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?$"
)


def is_long_text(values: pd.Series) -> bool:
    """Whether a column is text in pyarrow's memory, with enough rows to outweigh the overhead of its calls."""
    return len(values) >= SMALL and _is_arrow(values)


def _is_arrow(values: pd.Series) -> bool:
    import pandas as pd

    dtype = values.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return dtype.type is str
    return isinstance(dtype, pd.StringDtype) and dtype.storage == "pyarrow"


def compact(values: pd.Series) -> pd.Series:
    """Return long text with levels and their codes, if its values repeat; other columns as they are."""
    if not is_long_text(values):
        return values
    cells = _cells(values)
    few = len(cells.slice(0, SMALL).unique()) <= SMALL // 2
    return coded(cells.dictionary_encode(), values) if few else values


def coded(cells: Any, otherwise: pd.Series | None = None) -> pd.Series:
    """Return levels and codes of a dictionary-encoded column; without repetition, the other one."""
    import pandas as pd
    import pyarrow as pa

    one = cells.unify_dictionaries().combine_chunks()
    if len(one.dictionary) > len(cells) // 4:
        return as_series(cells.cast(pa.string())) if otherwise is None else otherwise
    levels = pd.Index(one.dictionary.to_pylist(), dtype=object)
    codes = one.indices.fill_null(-1).to_numpy()
    return pd.Series(pd.Categorical.from_codes(codes, categories=levels))


def as_series(cells: Any) -> pd.Series:
    """Return text in pyarrow's memory as a column, without a copy."""
    import pandas as pd

    return pd.Series(pd.arrays.ArrowExtensionArray(cells), copy=False)


def is_unique(values: pd.Series) -> bool:
    """Whether no value repeats."""
    if is_long_text(values):
        from pyarrow import compute as pc

        cells = _cells(values)
        ascending = pc.all(pc.less(cells.slice(0, len(cells) - 1), cells.slice(1)))
        return bool(ascending.as_py()) or len(cells.unique()) == len(cells)
    return bool(values.is_unique)


def is_coded(values: pd.Series) -> bool:
    """Whether a column has levels and their codes."""
    import pandas as pd

    return isinstance(values.dtype, pd.CategoricalDtype)


def as_plain(values: pd.Series) -> pd.Series:
    """Return a coded column as objects, None where missing; another one as it is."""
    return values.astype(object).where(values.notna(), None) if is_coded(values) else values


def by_level(values: pd.Series, read: Callable[[pd.Series], Any]) -> Any:
    """Read the levels of a coded column, and give each cell what was read for its level.

    Returns
    -------
    Series or DataFrame; None if a level is refused, and the rows must be counted.
    """
    import pandas as pd

    used = _used(values).cat
    levels = pd.Series([*used.categories, *([None] if values.hasnans else [])], dtype=object)
    try:
        found = read(levels)
    except CohortError:
        return None
    return found.take(used.codes.to_numpy()).reset_index(drop=True)


def _used(values: pd.Series) -> pd.Series:
    """Return a coded column without levels that no cell has."""
    codes = values.cat.codes.to_numpy()
    counts = np.bincount(codes[codes >= 0], minlength=len(values.cat.categories))
    return values if counts.all() else values.cat.remove_unused_categories()


def plain_ids(values: pd.Series, gone: frozenset[str]) -> pd.Series | None:
    """Ids of letters, digits, - and _ alone, none of them a spelling of a missing value."""
    import pyarrow as pa
    from pyarrow import compute as pc

    cells = _cells(values)
    plain = pc.match_substring_regex(cells, _PLAIN_ID)
    absent = pc.is_in(pc.utf8_lower(cells), value_set=pa.array(sorted(gone), cells.type))
    if cells.null_count or not pc.all(plain).as_py() or pc.any(absent).as_py():
        return None
    return values.astype("str")


def plain_numbers(
    values: pd.Series, missing: frozenset[str], is_missing: Callable[[list[str]], bool]
) -> pd.Series | None:
    """Numbers with a decimal point or none, beside missing values.

    Parameters
    ----------
    missing : codes of a missing value, as declared
    is_missing : whether all texts of a list are missing values
    """
    import pandas as pd
    import pyarrow as pa
    from pyarrow import compute as pc

    cells = _cells(values)
    plain = _plain(cells, _PLAIN_NUMBER, is_missing)
    if plain is None:
        return None
    numbers = pc.if_else(plain, cells, None).cast(pa.float64()).to_numpy()
    if np.isinf(numbers).any():
        return None
    if missing:
        beside = np.isin(numbers, _as_numbers(missing))
        for text in cells.filter(pa.array(beside)).unique().to_pylist():  # "-999", "-999.0"
            if plain_token(text) in missing:
                numbers = np.where(pc.equal(cells, text).to_numpy(), np.nan, numbers)
    return pd.Series(numbers)


def _as_numbers(codes: frozenset[str]) -> list[float]:
    numbers = []
    for code in codes:
        with suppress(ValueError):
            numbers.append(float(code))
    return numbers


def plain_times(
    values: pd.Series, missing: frozenset[str], is_missing: Callable[[list[str]], bool]
) -> pd.Series | None:
    """Dates and times without an offset, beside missing values; arguments as in `plain_numbers`."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import compute as pc

    cells = _cells(values)
    plain = _plain(cells, _PLAIN_TIME, is_missing)
    if plain is None:
        return None
    plain = pc.and_not(plain, pc.is_in(cells, value_set=pa.array(sorted(missing), cells.type)))
    try:
        times = pc.if_else(plain, cells, None).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:  # no such day
        return None
    return pd.Series(times.to_numpy())


def _plain(cells: Any, pattern: str, is_missing: Callable[[list[str]], bool]) -> Any:
    """Mask of the cells of a pattern; None if another cell is not missing."""
    from pyarrow import compute as pc

    plain = pc.match_substring_regex(cells, pattern)
    others = cells.filter(pc.invert(plain)).unique()
    return plain if len(others) <= _FEW and is_missing(others.to_pylist()) else None


def _cells(values: pd.Series) -> Any:
    import pyarrow as pa

    cells = values.array.__arrow_array__()
    return cells if isinstance(cells, pa.ChunkedArray) else pa.chunked_array([cells])
