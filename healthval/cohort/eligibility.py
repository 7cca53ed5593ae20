"""Eligible cases: the plan's eligibility steps, one case per patient, and the reference standard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from healthval.cohort.cohort import Cohort
from healthval.cohort.columns import find_column
from healthval.cohort.dates import days_between
from healthval.contracts.submission import FOLDED
from healthval.contracts.table import Eligibility, SmallLevels
from healthval.errors import CohortError, counted, part

if TYPE_CHECKING:
    import pandas as pd


def select_cases(cohort: Cohort, steps: Iterable[Eligibility]) -> Cohort:
    """Apply the plan's eligibility in its order; each step adds its count to the flow.

    Raises
    ------
    CohortError
        If a step names a column that the cohort does not have, if a condition does not fit the
        column's kind, or if no case is left.
    """
    for step in steps:
        cohort = cohort.keep(step.step, _eligible(cohort, step))
    return cohort


def _eligible(cohort: Cohort, step: Eligibility) -> Any:
    values = find_column(cohort.frame, step.column, step.step)
    met = values.notna() if step.present is not False else values.isna()
    kind = cohort.schema.columns[step.column].kind
    if step.low is not None or step.high is not None:
        _check_kind(kind, {"number", "age"}, step, "low and high")
        met &= values >= (-np.inf if step.low is None else step.low)
        met &= values <= (np.inf if step.high is None else step.high)
    if step.levels:
        _check_kind(kind, {"category", "label"}, step, "levels")
        met &= values.isin(step.levels)
    if step.not_before or step.before or step.within:
        _check_kind(kind, {"date"}, step, "dates")
        met &= _in_time(cohort.frame, step)
    return ~met if step.exclude else met


def _in_time(frame: pd.DataFrame, step: Eligibility) -> Any:
    import pandas as pd

    dates = frame[step.column]
    met = dates.notna()
    if step.not_before:
        met &= dates >= pd.Timestamp(step.not_before)
    if step.before:
        met &= dates < pd.Timestamp(step.before)
    if step.within:
        days = days_between(dates, find_column(frame, step.within.of, step.step))
        met &= (days >= -step.within.days_before) & (days <= step.within.days_after)
    return met


def _check_kind(kind: str, kinds: set[str], step: Eligibility, condition: str) -> None:
    if kind not in kinds:
        raise CohortError(
            f"step '{step.step}': {condition} do not fit column '{step.column}', which is declared "
            f"'{kind}'; correct the step"
        )


def one_case_per(
    cohort: Cohort, unit: str, *, by: str, choose: str = "first", step: str = "one_per_unit"
) -> Cohort:
    """Keep one case for each value of `unit`: the first or the last by the date in `by`.

    A case without a date is sorted after all others. Cases of the same date keep the order of the
    table.
    """
    if choose not in {"first", "last"}:
        raise CohortError("choose must be 'first' or 'last'")
    frame = cohort.frame
    find_column(frame, unit, step)
    find_column(frame, by, step)
    order = cohort.instants(by).sort_values(
        ascending=choose == "first", kind="stable", na_position="last"
    )
    chosen = frame.loc[order.index].drop_duplicates(unit).index
    return cohort.keep(step, frame.index.isin(chosen))


def common_cases(
    cohort: Cohort, subgroups: Iterable[str], rule: SmallLevels | None
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Cases whose level is common in each subgroup; all cases unless `rule` excludes. Shape (n,).

    An exclusion can make a level of another subgroup small, so it is repeated until all are common.
    Cases without a value are one level, as in the analysis.

    Raises
    ------
    CohortError
        If no case is left.
    """
    kept = np.ones(len(cohort), dtype=bool)
    if rule is None or rule.rule == "fold":
        return kept
    groups = [_level_names(cohort.levels(name)) for name in subgroups]
    before = ~kept
    while not np.array_equal(before, kept):
        before = kept.copy()
        for levels in groups:
            kept[kept] = ~_is_small(levels[kept], rule.minimum)
    if not kept.any():
        raise CohortError(
            f"no case is left of {counted(len(cohort), 'case')}: each is in a level with fewer than "
            f"{rule.minimum} cases; lower 'minimum' under 'levels' in the plan, or use 'rule: fold'"
        )
    return kept


def analysed_levels(
    cohort: Cohort, subgroups: Iterable[str], rule: SmallLevels | None
) -> Mapping[str, np.ndarray[Any, np.dtype[Any]]]:
    """Level of each case in each subgroup; the small ones are one level if `rule` folds. Shape (n,)."""
    found = {name: cohort.levels(name) for name in subgroups}
    if rule is None or rule.rule == "exclude":
        return found
    return {
        name: np.where(_is_small(_level_names(levels), rule.minimum), FOLDED, levels)
        for name, levels in found.items()
    }


def _level_names(levels: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    import pandas as pd

    return np.where(pd.isna(levels), "missing", levels).astype(str)


def _is_small(
    levels: np.ndarray[Any, np.dtype[Any]], minimum: int
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    _, at, counts = np.unique(levels, return_inverse=True, return_counts=True)
    small: np.ndarray[Any, np.dtype[np.bool_]] = counts[at] < minimum
    return small


def check_verification(cohort: Cohort) -> None:
    """Refuse a cohort in which only some cases have a reference standard, unless the plan allows it.

    When verification depends on the index test, sensitivity is overestimated and specificity
    underestimated; the report must mention it (Begg and Greenes 1983, Biometrics 39:207).
    """
    n = cohort.n_missing_reference
    if n and cohort.schema.verification == "complete":
        raise CohortError(
            f"{part(n, len(cohort), 'case', 'have no reference standard')}; declare "
            "'verification: partial' in the plan's table and give the reason in the protocol"
        )
