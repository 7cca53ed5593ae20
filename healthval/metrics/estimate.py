"""`Estimate`: a number with its interval, the only way a statistic is given."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its confidence interval; exact in JSON.

    `value` is None when the statistic is not estimable, and `reason` then says why; it may also say
    why there is no interval. `se` is the standard error on the scale of `value`; `p` is the p-value
    where the statistic is a test. No number is ever NaN or infinite: a value that is, or whose
    interval is, is not estimable.

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

    def __post_init__(self) -> None:
        for name in ("n", "n_events"):
            object.__setattr__(self, name, int(getattr(self, name)))
        if not all(_is_finite(x) for x in (self.value, self.lo, self.hi)):
            for name in ("value", "lo", "hi", "se", "p"):
                object.__setattr__(self, name, None)
            object.__setattr__(
                self, "reason", self.reason or "the value or its interval is not finite"
            )
        for name in ("se", "p"):
            if not _is_finite(getattr(self, name)):
                object.__setattr__(self, name, None)

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


def _is_finite(number: float | None) -> bool:
    return number is None or math.isfinite(number)


def not_estimable(
    reason: str, *, method: str, n: int, n_events: int, level: float = 0.95
) -> Estimate:
    """Build an estimate without a value, with the reason a reader needs."""
    return Estimate(None, None, None, None, level, method, n, n_events, reason)
