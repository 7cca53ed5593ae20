"""`Estimate`, a statistic with its interval, and `Sample`, which builds estimates."""

import math
from dataclasses import asdict, dataclass, fields
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

from scipy.special import ndtri

from healthval.contracts.proportions import expit, logit
from healthval.errors import MetricError
from healthval.metrics.inputs import read_number

if TYPE_CHECKING:
    import pandas as pd

ANY = (-math.inf, math.inf)
NOISE = 1e-12  # relative width below which an interval is rounding error
NO_SPREAD = "the interval would have no width in these cases: not given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its confidence interval; exact in JSON.

    `value` is None when the statistic is not estimable; `reason` is then the reason. With a value,
    `reason` explains a missing interval. `se` is the standard error on the scale of `value`; `p` is
    the p-value where the statistic is a test. Every number is finite: a value that is NaN or
    infinite, or whose interval is, is not estimable.

    It behaves as its value in `float()`, in a format with a specification, and in comparisons with
    numbers and other estimates; ``==`` compares all fields.

    Examples
    --------
    >>> e = Estimate(
    ...     value=0.75, lo=0.7, hi=0.8, se=0.026, level=0.95, method="wilson", n=100, n_events=40
    ... )
    >>> Estimate.from_dict(e.to_dict()) == e
    True
    >>> float(e), f"{e:.1%}", e > 0.7
    (0.75, '75.0%', True)
    """

    value: float | None
    lo: float | None
    hi: float | None
    se: float | None
    level: float
    method: str
    n: int
    n_events: int
    reason: str | None = None
    p: float | None = None

    def __post_init__(self) -> None:
        for name in ("n", "n_events"):
            object.__setattr__(self, name, int(getattr(self, name)))
        if not all(_is_finite(x) for x in (self.value, self.lo, self.hi)):
            for name in ("value", "lo", "hi", "se", "p"):
                object.__setattr__(self, name, None)
            reason = self.reason or "the value or its interval is not finite"
            object.__setattr__(self, "reason", reason)
        for name in ("se", "p"):
            if not _is_finite(getattr(self, name)):
                object.__setattr__(self, name, None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; floats survive JSON bit for bit. A list of these makes a pandas.DataFrame."""
        return asdict(self)

    def to_frame(self) -> "pd.DataFrame":
        """Table of one row with the fields as columns; `pandas.concat` joins several."""
        from pandas import DataFrame

        return DataFrame([self.to_dict()])

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Estimate from the output of `to_dict`."""
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})

    def __float__(self) -> float:
        if self.value is None:
            raise MetricError(f"not estimable ({self.reason}); a number is needed here")
        return self.value

    def __format__(self, spec: str) -> str:
        if not spec or self.value is None:
            return str(self)
        return format(self.value, spec)

    def __lt__(self, other: object) -> bool:
        return NotImplemented if (b := _number(other)) is None else float(self) < b

    def __le__(self, other: object) -> bool:
        return NotImplemented if (b := _number(other)) is None else float(self) <= b

    def __gt__(self, other: object) -> bool:
        return NotImplemented if (b := _number(other)) is None else float(self) > b

    def __ge__(self, other: object) -> bool:
        return NotImplemented if (b := _number(other)) is None else float(self) >= b

    def __str__(self) -> str:
        if self.value is None:
            return f"not estimable ({self.reason})"
        if self.lo is None or self.hi is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.level:.0%} CI {self.lo:.3f} to {self.hi:.3f})"


def _number(other: object) -> float | None:
    """Number to compare with; None for anything else, and for texts."""
    return float(other) if isinstance(other, Estimate | Real) else None


def _is_finite(number: float | None) -> bool:
    return number is None or math.isfinite(number)


@dataclass(frozen=True, slots=True)
class Sample:
    """Number of cases and events, and confidence level; builds the estimates that share them."""

    n: int
    n_events: int
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)

    @property
    def z(self) -> float:
        """Normal quantile of the two-sided level."""
        return float(ndtri((1 + self.level) / 2))

    def not_estimable(self, reason: str, method: str) -> Estimate:
        """Estimate without a value, and the reason."""
        return self._estimate(None, (None, None), None, method=method, reason=reason)

    def without_interval(
        self, value: float, method: str, *, se: float | None = None, reason: str | None = None
    ) -> Estimate:
        """Estimate without an interval; `reason` explains a missing interval."""
        return self._estimate(float(value), (None, None), se, method=method, reason=reason)

    def with_bounds(
        self, value: float, bounds: tuple[float, float], se: float | None, method: str
    ) -> Estimate:
        """Estimate with these bounds; without an interval where they are equal."""
        lo, hi = (float(bound) for bound in bounds)
        if hi - lo <= NOISE * max(abs(lo), abs(hi)):
            return self.without_interval(value, method, reason=NO_SPREAD)
        deviation = None if se is None else float(se)
        return self._estimate(float(value), (lo, hi), deviation, method=method)

    def _estimate(
        self,
        value: float | None,
        bounds: tuple[float | None, float | None],
        se: float | None,
        *,
        method: str,
        reason: str | None = None,
    ) -> Estimate:
        return Estimate(
            value=value,
            lo=bounds[0],
            hi=bounds[1],
            se=se,
            level=self.level,
            method=method,
            n=self.n,
            n_events=self.n_events,
            reason=reason,
        )

    def wald(
        self, value: float, se: float, method: str, *, within: tuple[float, float] = ANY
    ) -> Estimate:
        """Normal interval on the scale of the value, cut at the range of the statistic."""
        return self.symmetric(value, self.z * se, se, method, within=within)

    def symmetric(
        self,
        value: float,
        half: float,
        se: float,
        method: str,
        *,
        within: tuple[float, float] = ANY,
    ) -> Estimate:
        """Interval of a half width around the value, cut at the range of the statistic."""
        bounds = max(value - half, within[0]), min(value + half, within[1])
        return self.with_bounds(value, bounds, se, method)

    def log(self, value: float, se_log: float, method: str) -> Estimate:
        """Normal interval on the log scale of a positive value; `se` by the delta method."""
        factor = math.exp(min(self.z * se_log, 700.0))
        return self.with_bounds(value, (value / factor, value * factor), value * se_log, method)

    def logit(self, value: float, se: float, method: str) -> Estimate:
        """Normal interval on the logit scale of a value strictly between 0 and 1."""
        half, centre = self.z * se / (value * (1 - value)), logit(value)
        return self.with_bounds(value, (expit(centre - half), expit(centre + half)), se, method)


def check_level(level: float) -> None:
    """Refuse a confidence level that is not strictly between 0 and 1."""
    if not 0 < read_number(level, "level") < 1:
        raise MetricError("level must be strictly between 0 and 1, for example 0.95")
