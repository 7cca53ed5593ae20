"""Labels and scores of a folder of Parquet files that is larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from healthval.errors import CohortError, UsageError, counted
from healthval.files import install_command

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_AT_ONCE = 1 << 18
MOST_LEVELS = 127  # their codes fit a byte


def read_scored(
    place: str | Path, *, reference: str, score: str
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Read the two columns that the metrics need, nine bytes per case, some rows at a time.

    The files of a folder are read in the order of their names.

    Parameters
    ----------
    place : Parquet file, or folder of them
    reference : column of the reference standard: bool, or 0 and 1
    score : column of the model's scores: numbers

    Returns
    -------
    Reference and score, shape (n_cases,), for `healthval.metrics.evaluate`

    Raises
    ------
    CohortError
        If there is no Parquet file, a column is absent or of another kind, or a value is missing or
        no label; names column, count and first row, and no value.

    Examples
    --------
    >>> evaluate(*read_scored("cohort/", reference="sepsis", score="risk"))  # doctest: +SKIP
    """
    found = _read(_files(Path(place)), reference, score)
    _release_memory()
    return found


def read_levels(place: str | Path, column: str) -> pd.Categorical:
    """Read the levels of one subgroup variable, one byte per case, in the order of `read_scored`.

    Parameters
    ----------
    place : Parquet file, or folder of them
    column : texts, whole numbers or truth values; a missing value stays missing

    Returns
    -------
    Categorical, shape (n_cases,), for the `groups` of `healthval.metrics.evaluate`

    Raises
    ------
    CohortError
        If there is no Parquet file, the column is absent or of another kind, or it has more than
        127 different values.

    Examples
    --------
    >>> groups = {"sex": read_levels("cohort/", "sex")}  # doctest: +SKIP
    """
    names, code = _levels(_files(Path(place)), column)
    _release_memory()
    return pd.Categorical.from_codes(code, categories=pd.Index(names))


def _levels(paths: list[Path], column: str) -> tuple[list[Any], NDArray[np.int8]]:
    files = [_opened(path, (column,)) for path in paths]
    code = np.empty(sum(file.metadata.num_rows for file in files), np.int8)
    known: dict[Any, int] = {}
    done = 0
    for file in files:
        for batch in _batches(file, [column]):
            values = batch.column(0)
            _check_kind_of_levels(values.type, column)
            found = values if hasattr(values, "dictionary") else values.dictionary_encode()
            items = found.dictionary.to_pylist()
            for item in items:
                if item is not None:
                    known.setdefault(item, len(known))
            if len(known) > MOST_LEVELS:
                raise CohortError(
                    f"column '{column}' has more than {MOST_LEVELS} different values; group them"
                )
            new = np.array([*(known.get(item, -1) for item in items), -1], np.int8)
            code[done : done + batch.num_rows] = new[found.indices.fill_null(len(items))]
            done += batch.num_rows
    return list(known), code


def _check_kind_of_levels(kind: Any, column: str) -> None:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    of_levels = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_integer,
        pa.types.is_boolean,
    )
    if not any(fits(kind) for fits in of_levels):
        raise CohortError(
            f"column '{column}' contains no texts or whole numbers; convert it before"
        )


def _read(
    paths: list[Path], reference: str, score: str
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    files = [_opened(path, (reference, score)) for path in paths]
    total = sum(file.metadata.num_rows for file in files)
    labels, scores = np.empty(total, np.bool_), np.empty(total, np.float64)
    done = 0
    for file in files:
        for batch in _batches(file, [reference, score]):
            here = slice(done, done + batch.num_rows)
            labels[here] = _labels(batch.column(reference), reference, done, total)
            scores[here] = _scores(batch.column(score), score, done, total)
            done += batch.num_rows
    return labels, scores


def _files(place: Path) -> list[Path]:
    found = sorted(place.rglob("*.parquet")) if place.is_dir() else [place]
    if not found or not found[0].is_file():
        raise CohortError("there is no Parquet file at this place; check the path")
    return found


def _opened(path: Path, columns: tuple[str, ...]) -> Any:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(f"reading Parquet needs pyarrow: {install_command('tables')}") from None
    with _damage_explained():
        file = ParquetFile(path)
    absent = [name for name in columns if name not in file.schema_arrow.names]
    if absent:
        raise CohortError(f"a file of the folder has no column '{absent[0]}'; check its name")
    return file


def _release_memory() -> None:
    """Give the reader's buffers back: Arrow keeps hundreds of megabytes for its next file."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _batches(file: Any, columns: list[str]) -> Iterator[Any]:
    batches = file.iter_batches(ROWS_AT_ONCE, columns=columns)
    while True:
        with _damage_explained():
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _damage_explained() -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException):
        raise CohortError(
            "a file of the folder is not Parquet or is damaged; write it again"
        ) from None


def _labels(column: Any, name: str, done: int, total: int) -> Any:
    values = _numbers(column, name, done, total)
    _check((values == 0) | (values == 1), name, (done, total), "are neither 0 nor 1")
    return values == 1


def _scores(column: Any, name: str, done: int, total: int) -> Any:
    values = _numbers(column, name, done, total)
    _check(np.isfinite(values), name, (done, total), "are not finite")
    return values


def _numbers(column: Any, name: str, done: int, total: int) -> Any:
    import pyarrow as pa

    _check(~column.is_null().to_numpy(zero_copy_only=False), name, (done, total), "are missing")
    kind = column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not is_number:
        raise CohortError(f"column '{name}' contains no numbers; convert it before")
    return column.to_numpy(zero_copy_only=False).astype(np.float64)


def _check(fit: Any, name: str, where: tuple[int, int], what: str) -> None:
    bad = np.flatnonzero(~fit)
    if bad.size:
        done, total = where
        raise CohortError(
            f"column '{name}': {counted(bad.size, 'value')} of rows {done} to {done + fit.size - 1} (of"
            f" {total}) {what} (first at row {done + bad[0]}); correct or leave out these cases"
        )
