"""Measured numbers: results below a limit and values in another unit, as the plan declares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from healthval.cohort.cohort import Counts
from healthval.cohort.columns import read_limited, within_limits
from healthval.cohort.text import as_text, refuse_rows
from healthval.cohort.units import conversion_by, same_unit
from healthval.contracts.table import NumberColumn

if TYPE_CHECKING:
    import pandas as pd


def read_measured(name: str, column: NumberColumn, frame: pd.DataFrame) -> tuple[pd.Series, Counts]:
    """Read a number with its comparator and unit, if these are declared.

    Returns
    -------
    The numbers in the declared unit, and counts of results below a limit, of converted values and of
    values that were left out because of their unit.

    Raises
    ------
    CohortError
        If a value, comparator or unit does not fit the declaration.
    """
    comparators = frame[column.comparator_column] if column.comparator_column else None
    numbers, n_below = read_limited(name, column, frame[name], comparators)
    counts: Counts = ((f"{name}_below_limit", n_below),) if n_below else ()
    if column.unit_column:
        numbers, found = _in_unit(name, column, numbers, frame[column.unit_column])
        counts += found
    return within_limits(name, column, numbers), counts


def _in_unit(
    name: str, column: NumberColumn, numbers: pd.Series, units: pd.Series
) -> tuple[pd.Series, Counts]:
    text = as_text(units.reset_index(drop=True))
    given = numbers.notna()
    scales = {unit: _scale(unit, column) for unit in text.dropna().unique()}
    slope = text.map({u: s[0] for u, s in scales.items() if s}).astype(float)
    intercept = text.map({u: s[1] for u, s in scales.items() if s}).astype(float)
    other = given & slope.isna()
    if column.other_units == "refuse":
        refuse_rows(
            other,
            name,
            f"are not in the declared unit ({column.unit})",
            "declare the other unit under 'convert', set 'other_units: exclude', or correct the "
            "plan's unit",
        )
    converted = given & ((slope != 1.0) | (intercept != 0.0)) & ~other
    counts = ((f"{name}_converted", converted), (f"{name}_other_unit", other))
    exact = numbers.where(~converted, numbers * slope + intercept).where(~other)
    return exact.astype(float), tuple((n, int(np.sum(mask))) for n, mask in counts if mask.any())


def _scale(unit: str, column: NumberColumn) -> tuple[float, float] | None:
    """Slope and intercept from a unit to the declared one; None for a unit that is not declared."""
    if same_unit(unit, column.unit):
        return 1.0, 0.0
    for declared, factor in column.convert.items():
        if same_unit(unit, declared):
            return conversion_by(factor, unit, column.unit)
    return None
