"""Results as a pandas table: one row for each number, with its interval, method and place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from healthval.metrics.estimate import Estimate
from healthval.metrics.net_benefit import DecisionCurve

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("part", "variable", "level", "at", "statistic", "value", "lo", "hi", "se", "confidence"),
    *("method", "n", "n_events", "p", "reason"),
)
# Parts that are not numbers with an interval: the bins of scores are drawn by `plot_scores`.
_LEFT_OUT = frozenset({"histogram", "members", "facts", "rows"})
_PLACES = {"threshold": "at", "variable": "variable", "level": "level"}


def frame_of(result: Any) -> pd.DataFrame:
    """Return the numbers of a result as rows; `pandas` writes them as CSV or XLSX.

    The columns are those of `COLUMNS`: `at` is the threshold or the point of a curve, `confidence` the
    level of the interval.
    """
    from pandas import DataFrame

    rows = list(_rows(result, "", {}))
    found = DataFrame(rows, columns=list(COLUMNS))
    return found.dropna(axis="columns", how="all")


def _rows(value: Any, name: str, place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if isinstance(value, Estimate):
        yield place | {"statistic": name or value.method} | _numbers(value)
    elif isinstance(value, DecisionCurve):
        for at, estimate in zip(value.thresholds.tolist(), value.estimates, strict=True):
            yield from _rows(estimate, "net_benefit", place | {"at": at})
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _record(value, name, place)
    elif isinstance(value, tuple):
        for item in value:
            yield from _item(item, name, place)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place | {"statistic": name, "value": float(value)}


def _record(record: Any, name: str, place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of a record's fields; a threshold, variable or level is the place of the others."""
    own = {_PLACES[f.name]: getattr(record, f.name) for f in fields(record) if f.name in _PLACES}
    inner = place | own | ({"part": name} if name else {})
    for entry in fields(record):
        if entry.name not in _PLACES and entry.name not in _LEFT_OUT:
            yield from _rows(getattr(record, entry.name), entry.name, inner)


def _item(item: Any, name: str, place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of one item of a list: a point (x, estimate) of a curve, or a record."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], Estimate):
        yield from _rows(item[1], name, place | {"part": name, "at": item[0]})
    else:
        yield from _rows(item, name, place)


def _numbers(e: Estimate) -> dict[str, Any]:
    shared = {"value": e.value, "lo": e.lo, "hi": e.hi, "se": e.se, "confidence": e.level}
    about = {"method": e.method, "n": e.n, "n_events": e.n_events, "p": e.p, "reason": e.reason}
    return shared | about
