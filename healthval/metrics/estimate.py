"""`Estimate`: a number with its interval, the only way a statistic is given."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its confidence interval; exact in JSON.

    `value` is None when the statistic is not estimable, and `reason` then says why. `se` is the
    standard error on the scale of `value`; `p` is the p-value where the statistic is a test.

    Examples
    --------
    >>> e = Estimate(0.75, 0.7, 0.8, 0.026, 0.95, "wilson", 100, 40)
    >>> Estimate.from_dict(e.to_dict()) == e
    True
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values; floats survive JSON bit for bit."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read back what `to_dict` wrote."""
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})

    def __str__(self) -> str:
        if self.value is None:
            return f"not estimable ({self.reason})"
        if self.lo is None or self.hi is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.level:.0%} CI {self.lo:.3f} to {self.hi:.3f})"


def not_estimable(
    reason: str, *, method: str, n: int, n_events: int, level: float = 0.95
) -> Estimate:
    """Build an estimate without a value, with the reason a reader needs."""
    return Estimate(None, None, None, None, level, method, n, n_events, reason)
