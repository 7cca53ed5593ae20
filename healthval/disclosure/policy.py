"""`Policy`: the counts, decimals and names that a release may contain, and how numbers are rounded (pure)."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from healthval.errors import UsageError

T = TypeVar("T")
GRID_DECIMALS = 4  # of thresholds, grid points and bin edges: they belong to the protocol
LARGEST = 1e6  # beyond, a number with its interval is no statistic that says something
# The name of a method is text, so it consists of these words; any other name becomes "other".
METHOD_WORDS = frozenset({
    "none", "other", "logit", "delong", "newcombe", "obuchowski", "boyd", "wilson", "clopper",
    "pearson", "exact", "ratio", "estimator", "log", "wald", "cluster", "clustered", "robust",
    "logistic", "delta", "bootstrap", "simulation", "percentile", "pointwise", "patient", "bc", "hanley", "mcneil",
    "rcs5", "on", "p", "score", "normal", "binomial", "jackknife", "effective", "size", "haldane", "perturbed",
})  # fmt: skip
_LIMITS = {
    "version": (1, 10**6),
    "minimum_cell": (2, 1000),
    "minimum_class": (2, 10**6),
    "max_points": (2, 20),
    "max_decimals": (1, 4),
    "rounding": (0.05, 1),
    "epsilon_budget": (0, 10),
    "multiple": (1, 100),
    "max_levels": (2, 1000),
    "max_releases": (1, 1000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of a release.

    Attributes
    ----------
    minimum_cell : smallest count that may be shown; 0 may be shown unless `zero_is_sensitive`
    minimum_class : smallest number of events, and of non-events, for a discrimination measure
    max_points : largest number of grid points of a curve, or of bins
    max_decimals, rounding : a statistic over m cases has the most decimals, up to the maximum,
        with m x unit >= rounding
    histogram_epsilon : privacy cost of one differentially private histogram, or None
    epsilon_budget : privacy cost of all releases about one model together, at most
    noise_scale : standard deviation of the keyed noise on counts; statistics have noise of one
        outcome's influence or more; None for exact numbers, which a reader who knows the scores can
        take apart
    small_cells : whether perturbed counts below `minimum_cell` are shown at thresholds and in bins;
        else thresholds have a band instead of such a count, and bins are merged
    multiple : counts are rounded to multiples of this
    max_levels : a variable with more levels is withheld
    max_releases : releases about one patient, at most: their noise must not average away
    """

    name: str
    version: int
    minimum_cell: int
    zero_is_sensitive: bool = False
    minimum_class: int = 11
    max_points: int = 20
    max_decimals: int = 4
    rounding: float = 0.05
    histogram_epsilon: float | None = None
    epsilon_budget: float = 4.0
    noise_scale: float | None = None
    small_cells: bool = False
    multiple: int = 1
    max_levels: int = 1000
    max_releases: int = 3

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"policy: {name} must be between {low} and {high}")
        if self.histogram_epsilon is not None and not 0 < self.histogram_epsilon <= 10:
            raise UsageError("policy: histogram_epsilon must be above 0 and at most 10")
        if self.noise_scale is not None and not 1 <= self.noise_scale <= 100:
            raise UsageError("policy: noise_scale must be between 1 and 100")
        if self.small_cells and self.noise_scale is None:
            raise UsageError(
                "policy: small_cells needs a noise_scale; an exact small count is a leak"
            )

    def shows(self, count: float) -> bool:
        """Whether a count of cases may be shown.

        Examples
        --------
        >>> cms = Policy(name="cms", version=1, minimum_cell=11)
        >>> [cms.shows(n) for n in (0, 1, 10, 11)]
        [True, False, False, True]
        """
        return count >= self.minimum_cell or (count == 0 and not self.zero_is_sensitive)

    def shows_gap(self, count: float) -> bool:
        """Whether a count between two thresholds may follow from the shown ones."""
        return self.noise_scale is not None or self.shows(count)

    def shows_cell(self, count: float) -> bool:
        """Whether a count at a threshold, or in a bin, may be shown as a number."""
        return self.small_cells or count >= self.minimum_cell or self._is_exact_zero(count)

    def _is_exact_zero(self, count: float) -> bool:
        return self.noise_scale is None and self.shows(count)

    def decimals(self, size: float) -> int:
        """Decimals of a statistic to which each of `size` cases contributes about 1 / size.

        References
        ----------
        With 4 decimals and an earlier AUROC, one patient's outcome was recovered 4 times of 200,
        with 6 decimals 192 times; the attack's error is at most about size x unit.

        Examples
        --------
        >>> cms = Policy(name="cms", version=1, minimum_cell=11)
        >>> [cms.decimals(m) for m in (45, 50, 500, 10**6)]
        [2, 3, 4, 4]
        """
        if size <= 0:
            return 0
        fine = math.floor(math.log10(size / self.rounding) + 1e-9)
        return max(0, min(self.max_decimals, fine))

    def mean_decimals(self, sd: float, size: int) -> int:
        """Decimals of a mean that one patient cannot move visibly.

        A patient four SD away moves the mean by 4 sd / size; the unit is at least a twentieth of
        that, and a 500th of the SD.
        """
        unit = max(sd / 500, sd / (5 * max(size, 1)))
        return min(self.max_decimals, -math.ceil(math.log10(unit) - 1e-9))

    def stricter(self, **changes: Any) -> "Policy":
        """Return a copy with stricter rules; a laxer rule is refused.

        Examples
        --------
        >>> Policy(name="cms", version=1, minimum_cell=11).stricter(minimum_cell=20).minimum_cell
        20
        """
        policy = replace(self, **changes)
        check_not_laxer(policy, self)
        return policy


def check_not_laxer(site: Policy, hub: Policy) -> None:
    """Refuse a site policy with a rule that is laxer than the hub's.

    Raises
    ------
    UsageError
        Names the laxer rules.
    """
    at_least = ("minimum_cell", "zero_is_sensitive", "minimum_class", "rounding", "multiple")
    at_most = (
        "max_points", "max_decimals", "epsilon_budget", "small_cells", "max_levels", "max_releases",
    )  # fmt: skip
    laxer = [name for name in at_least if getattr(site, name) < getattr(hub, name)]
    laxer += [name for name in at_most if getattr(site, name) > getattr(hub, name)]
    if (site.histogram_epsilon or 0) > (hub.histogram_epsilon or 0):
        laxer.append("histogram_epsilon")
    if (site.noise_scale or 0) < (hub.noise_scale or 0):
        laxer.append("noise_scale")
    if laxer:
        raise UsageError(
            f"policy: {', '.join(laxer)} is laxer than the hub's policy; a site may only be stricter"
        )


def is_method(text: str) -> bool:
    """Whether a text consists of words for statistical methods only.

    Examples
    --------
    >>> [is_method(x) for x in ("logistic wald (clip 1e-06)", "newcombe-5", "john doe 41 years")]
    [True, True, False]
    """
    text = re.sub(r"\(clip [0-9e.-]{1,9}\)", "", text)
    words = re.findall(r"[a-z]+\d?", text.lower())
    return set(words) <= METHOD_WORDS and all(len(x) < 3 for x in re.findall(r"\d+", text))


def rounded(value: float | None, decimals: int) -> float | None:
    """Round a number; None and non-finite numbers become None, -0.0 becomes 0.0."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), decimals) + 0.0


def is_on_grid(value: float, decimals: int) -> bool:
    """Whether a number has at most so many decimals."""
    return round(value, decimals) == value


def is_rounding(shown: float, value: float) -> bool:
    """Whether a number is the value, rounded to 0 to 5 decimals."""
    return any(
        rounded(shown, d) == shown and abs(shown - value) <= 0.5 * 10**-d + 1e-9 for d in range(6)
    )


def counts_of(share: float, size: int) -> list[int]:
    """Counts out of `size` whose share rounds to the given number.

    Examples
    --------
    >>> counts_of(0.7, 20), counts_of(0.33, 6)
    ([13, 14, 15], [2])
    """
    around = round(share * size)
    span = range(max(0, around - size // 10 - 1), min(size, around + size // 10 + 1) + 1)
    return [k for k in span if size and is_rounding(share, k / size)]


def thinned(items: Sequence[T], most: int) -> list[T]:
    """Keep at most `most` items, evenly spaced, with both ends.

    Examples
    --------
    >>> thinned(range(9), 5)
    [0, 2, 4, 6, 8]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
