"""Table 1: description of the cases, overall and by reference standard (STARD 2015, items 20, 21)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from healthval.errors import MetricError, counted
from healthval.metrics.cases import check_rows, member_bits, read_reference
from healthval.metrics.inputs import (
    Bools,
    Floats,
    check_kind,
    is_missing,
    is_numeric,
    missing_rows,
    read_column,
    read_numbers,
)
from healthval.metrics.result import TableOne

NK_SHARE, P_PERCENT, SPREAD_SHARE = 0.9, 0.1, 0.5


def table_one(columns: Mapping[str, Any], reference: ArrayLike) -> tuple[TableOne, ...]:
    """Rows of Table 1: counts of the levels of a category, mean and SD of a number.

    Parameters
    ----------
    columns : name to array of shape (n_cases,); numbers have mean and SD, other values have levels
    reference : bool or 0/1 array, shape (n_cases,)

    Returns
    -------
    One row per level or number, and a row "missing" where values are missing. `overall`, `events`
    and `non_events` are counts of cases.

    Raises
    ------
    MetricError
        If a column does not have one value per case, or the reference standard is missing.

    Examples
    --------
    >>> table_one({"sex": np.array(["F", "M", "F"])}, [True, False, False])[0]
    TableOne(variable='sex', level='F', overall=2, events=1, non_events=1, mean=None, sd=None)
    """
    check_kind(columns, Mapping, "columns")
    check_rows(reference, *columns.values())
    events = read_reference(reference)
    rows: list[TableOne] = []
    for name, column in columns.items():
        values = read_column(column, "a column")
        if values.shape != events.shape:
            raise MetricError(
                f"column '{name}' needs one value for each of {counted(events.size, 'case')}; got "
                f"{values.size}"
            )
        rows += (
            _number(name, read_numbers(values, "a column"), events)
            if _is_number(values)
            else _levels(name, values, events)
        )
    return tuple(rows)


def _is_number(values: NDArray[Any]) -> bool:
    """Whether values are numbers, some possibly missing; bools and all-missing columns are not."""
    if values.dtype.kind != "O":
        return values.dtype.kind in "fiu"
    known = np.delete(values, missing_rows(values))
    return (
        bool(known.size)
        and is_numeric(known)
        and not any(isinstance(x, bool | np.bool_) for x in known)
    )


def _number(name: str, values: Floats, events: Bools) -> Iterator[TableOne]:
    known = np.isfinite(values)
    if known.any():
        sd = float(np.std(values[known], ddof=1)) if known.sum() > 1 else None
        yield replace(
            _counts(name, "mean", known, events),
            mean=float(np.mean(values[known])),
            sd=sd,
            reach=float(np.abs(values[known] - np.mean(values[known])).max()),
            dominated=is_dominated(values[known]),
        )
    if not known.all():
        yield _counts(name, "missing", ~known, events)


def is_dominated(values: Floats) -> bool:
    """Whether one or two values can be read from the total, or one from the standard deviation.

    References
    ----------
    Dominance rules of the SACRO guide (2023) and ACRO: the two largest values are at least 90 % of
    the total (nk rule), or the total less the two largest is below 10 % of the largest (p % rule).

    Examples
    --------
    >>> is_dominated(np.array([900.0, 2.0, 3.0, 1.0])), is_dominated(np.arange(20.0))
    (True, False)
    """
    size = np.sort(np.abs(values))[::-1]
    total, rest = float(size.sum()), float(size[2:].sum())
    squares = (values - values.mean()) ** 2
    spread = float(squares.sum())
    if total == 0:
        return False
    by_size = total - rest >= NK_SHARE * total or rest < P_PERCENT * float(size[0])
    return by_size or (spread > 0 and float(squares.max()) > SPREAD_SHARE * spread)


def _levels(name: str, values: NDArray[Any], events: Bools) -> Iterator[TableOne]:
    text = np.array(["missing" if is_missing(v) else str(v) for v in values.tolist()])
    for level in np.unique(text):
        yield _counts(name, str(level), text == level, events)


def _counts(name: str, level: str, chosen: Bools, events: Bools) -> TableOne:
    overall, both = int(np.count_nonzero(chosen)), int(np.count_nonzero(chosen & events))
    return TableOne(
        variable=name,
        level=level,
        overall=overall,
        events=both,
        non_events=overall - both,
        members=member_bits(chosen),
    )
