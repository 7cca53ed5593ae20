"""Monitoring over time: the plan's calendar periods, and the rules by which a period raises an alarm."""

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from healthval.contracts.base import Column
from healthval.contracts.table import Declared, Finite, IsoDate, NotText

PERIOD: Literal["period"] = "period"  # variable of the periods in a release
ENDED: Literal["in_ended_periods"] = "in_ended_periods"  # their step of the flow
MOST_PERIODS = 36
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


class AlarmRule(Declared):
    """CUSUM of one measure against its value while the model performs as intended.

    Attributes
    ----------
    target : value of the measure in control, for example from the study that admitted the model
    direction : change that raises an alarm
    shift : change to be detected soonest, in standard errors of a period
    run_length : mean number of periods until a false alarm, in control; sets the decision limit
    """

    measure: Literal["auroc", "oe", "sensitivity", "specificity"]
    target: Annotated[float, NotText, Field(gt=0, le=100)]
    direction: Literal["fall", "rise", "both"]
    shift: Annotated[Finite, Field(ge=0.25, le=3)] = 1.0
    run_length: Annotated[int, NotText, Field(ge=10, le=10_000)] = 100

    @model_validator(mode="after")
    def _target_is_on_the_scale(self) -> Self:
        if self.measure != "oe" and self.target >= 1:
            raise ValueError("the target of this measure is between 0 and 1, ends excluded")
        return self


class Monitoring(Declared):
    """Consecutive calendar periods of equal length; a case belongs to that of its `date`.

    A period is analysed once the table has a case dated on or after the period's end.
    """

    date: Column
    first: IsoDate
    every: Literal["month", "quarter", "year"]
    periods: Annotated[int, NotText, Field(ge=2, le=MOST_PERIODS)]
    alarms: Annotated[tuple[AlarmRule, ...], Field(min_length=1, max_length=8)]

    @model_validator(mode="after")
    def _begins_with_the_calendar(self) -> Self:
        day = dt.date.fromisoformat(self.first)
        if day.day != 1 or (day.month - 1) % _MONTHS[self.every]:
            raise ValueError(f"'first' is not the first day of a {self.every}; correct the date")
        if day.year + (self.periods * _MONTHS[self.every]) // 12 > 9998:
            raise ValueError("the last period ends after the year 9998; correct 'first'")
        return self

    @property
    def edges(self) -> tuple[dt.date, ...]:
        """First day of each period, and the day after the last one.

        Examples
        --------
        >>> rule = AlarmRule(measure="oe", target=1.0, direction="both")
        >>> plan = {"date": "seen", "first": "2026-07-01", "every": "quarter", "periods": 2}
        >>> [str(day) for day in Monitoring(**plan, alarms=(rule,)).edges]
        ['2026-07-01', '2026-10-01', '2027-01-01']
        """
        start = dt.date.fromisoformat(self.first)
        months = [start.month - 1 + i * _MONTHS[self.every] for i in range(self.periods + 1)]
        return tuple(dt.date(start.year + m // 12, m % 12 + 1, 1) for m in months)

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the periods in a release; their dates are in the plan only.

        Examples
        --------
        >>> rule = AlarmRule(measure="oe", target=1.0, direction="both")
        >>> plan = {"date": "seen", "first": "2026-01-01", "every": "year", "periods": 2}
        >>> Monitoring(**plan, alarms=(rule,)).levels
        ('p01', 'p02')
        """
        return tuple(f"p{i:02d}" for i in range(1, self.periods + 1))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the periods in a report.

        Examples
        --------
        >>> rule = AlarmRule(measure="oe", target=1.0, direction="both")
        >>> plan = {"date": "seen", "first": "2026-07-01", "every": "quarter", "periods": 2}
        >>> Monitoring(**plan, alarms=(rule,)).labels
        ('2026 Q3', '2026 Q4')
        """
        return tuple(self._label(day) for day in self.edges[:-1])

    def _label(self, day: dt.date) -> str:
        if self.every == "year":
            return str(day.year)
        return f"{day:%Y-%m}" if self.every == "month" else f"{day.year} Q{(day.month + 2) // 3}"
