"""Records that pooled results are made of: totals, rates, measures, sites with their reasons."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from healthval.aggregate.meta import MetaResult, Pair

Scale: TypeAlias = Literal["identity", "log", "logit"]


@dataclass(frozen=True, slots=True)
class Total:
    """A sum of counts over sites; `upper` is None where a suppressed cell has no known bound.

    `n_sites` sites released a count, `n_suppressed` withheld it; the bounds are for all together.
    """

    lower: int
    upper: int | None
    n_sites: int
    n_suppressed: int

    @property
    def exact(self) -> int | None:
        """The sum, where nothing was suppressed."""
        return self.lower if self.lower == self.upper else None


@dataclass(frozen=True, slots=True)
class Excluded:
    """A site that is not part of a pooled number, and the reason."""

    site: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteValue:
    """One site's estimate as released; `weight` (percent) is None where not pooled."""

    site: str
    value: float | None
    lo: float | None
    hi: float | None
    se: float | None
    n: int | None
    n_events: int | None
    method: str
    weight: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """The pooled mean without one site, on the scale of the report."""

    site: str
    value: float
    lo: float | None
    hi: float | None
    tau2: float
    i2: float


@dataclass(frozen=True, slots=True)
class FunnelPoint:
    """A site's estimate and standard error on the scale of analysis."""

    site: str
    effect: float
    se: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledMeasure:
    """One measure pooled by random effects over site estimates.

    `value`, `ci`, `prediction` are on the scale of the report, `meta` and `funnel` on the scale of
    analysis (`scale`). With fewer than three sites everything pooled is None.
    """

    measure: str
    scale: Scale
    sites: tuple[SiteValue, ...]
    excluded: tuple[Excluded, ...]
    k: int
    value: float | None
    ci: Pair | None
    prediction: Pair | None
    meta: MetaResult | None
    leave_one_out: tuple[LeftOut, ...]
    funnel: tuple[FunnelPoint, ...]
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A proportion, or a weighted difference of two, over the cases of all sites together.

    `k` sites released its counts; `numerator` and `denominator` are their sums, `numerator` None where
    the value is not one count over another. Where other sites withheld counts, `bounds` certainly
    contain the value over all sites (None where even the totals are withheld). `value` is then their
    middle and `ci` contains both ends with their intervals, or both are None with the `reason`.
    """

    value: float | None
    ci: Pair | None
    numerator: int | None
    denominator: int
    method: str
    k: int
    bounds: Pair | None = None
    reason: str | None = None
