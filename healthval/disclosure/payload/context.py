"""One release in the making: rounding, cells, and notes of what was left out (pure)."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from healthval.contracts.submission import SUPPRESSED, Cell, ReleasedEstimate, Submission
from healthval.disclosure.policy import Policy
from healthval.disclosure.release import Withheld
from healthval.metrics.estimate import Estimate

T = TypeVar("T")
# A method's name is text, so it is made of these words only; any other name is given as "other".
METHOD_WORDS = frozenset({"none", "other", "logit", "delong", "newcombe", "obuchowski", "boyd", "wilson", "clopper", "pearson", "exact", "ratio", "estimator", "log", "wald", "cluster", "clustered", "robust", "logistic", "delta", "bootstrap", "simulation", "percentile", "pointwise", "patient", "bc", "rcs5", "on", "p", "score", "normal", "binomial", "jackknife", "effective", "size", "haldane"})  # fmt: skip
GRID_DECIMALS = 4  # thresholds, grid points and bin edges are protocol, not data
WITHHELD = ReleasedEstimate(withheld="suppressed")


@dataclass(frozen=True, slots=True)
class Context:
    """What else decides about a release than the result and the policy.

    Attributes
    ----------
    same, nested : earlier releases about the same cases, and about fewer or more of them
    more : rows of a subgroup variable to hide beyond the rules, by variable and what is hidden
    few_levels : whether the score takes so few values that statistics give its whole table away
    """

    same: tuple[Submission, ...] = ()
    nested: tuple[Submission, ...] = ()
    more: Mapping[tuple[str, str], int] = field(default_factory=dict)
    few_levels: bool = False


@dataclass(slots=True)
class Draft:
    """One release in the making."""

    policy: Policy
    n: int
    n_events: int
    context: Context = Context()
    notes: list[Withheld] = field(default_factory=list)

    @property
    def n_non_events(self) -> int:
        """Cases without the condition."""
        return self.n - self.n_events

    @property
    def smaller_class(self) -> int:
        """Cases in the smaller class."""
        return min(self.n_events, self.n_non_events)

    @property
    def classes_shown(self) -> bool:
        """Whether the numbers of events and of non-events may be known."""
        return self.policy.shows(self.n_events) and self.policy.shows(self.n_non_events)

    @property
    def discriminates(self) -> bool:
        """Whether both classes are large enough for a discrimination measure."""
        return self.classes_shown and self.smaller_class >= self.policy.minimum_class

    def note(self, name: str, reason: str) -> None:
        """Remember, for the site, that something was left out."""
        self.notes.append(Withheld(name, reason))

    def cell(self, name: str, count: int) -> Cell:
        """Show a count, or the word that stands for it."""
        if self.policy.shows(count):
            return count
        self.note(name, f"fewer than {self.policy.minimum_cell} cases")
        return SUPPRESSED

    def estimate(
        self, estimate: Estimate, size: float, *, counts: Iterable[int]
    ) -> ReleasedEstimate:
        """Round an estimate over `size` cases; its counts are repeated only if public already."""
        public = set(counts)
        method = estimate.method if is_method(estimate.method) else "other"
        n: Cell = estimate.n if estimate.n in public else SUPPRESSED
        n_events: Cell = estimate.n_events if estimate.n_events in public else SUPPRESSED
        shared: dict[str, Any] = {
            "level": estimate.level,
            "method": method,
            "n": n,
            "n_events": n_events,
        }
        if estimate.value is None or not math.isfinite(estimate.value):
            return ReleasedEstimate(**shared, withheld="not_estimable")
        d = self.policy.decimals(size)
        return ReleasedEstimate(
            **shared,
            value=rounded(estimate.value, d),
            lo=rounded(estimate.lo, d),
            hi=rounded(estimate.hi, d),
            se=rounded(estimate.se, d + 1),
        )


def mean_decimals(sd: float, size: int, policy: Policy) -> int:
    """Decimals of a mean that one patient cannot move visibly.

    A patient four SD away moves the mean by 4 sd / size; the unit is at least a twentieth of that,
    and a 500th of the SD.
    """
    unit = max(sd / 500, sd / (5 * max(size, 1)))
    return min(policy.max_decimals, -math.ceil(math.log10(unit) - 1e-9))


def is_method(text: str) -> bool:
    """Whether a text is the name of a statistical method, and nothing else.

    Examples
    --------
    >>> [is_method(x) for x in ("logistic wald (clip 1e-06)", "newcombe-5", "john doe 41 years")]
    [True, True, False]
    """
    text = re.sub(r"\(clip [0-9e.-]{1,9}\)", "", text)
    words = re.findall(r"[a-z]+\d?", text.lower())
    return set(words) <= METHOD_WORDS and all(len(x) < 3 for x in re.findall(r"\d+", text))


def rounded(value: float | None, decimals: int) -> float | None:
    """Round to so many decimals; None and non-finite numbers become None, -0.0 becomes 0.0."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), decimals) + 0.0


def is_on_grid(value: float, decimals: int) -> bool:
    """Whether a number has at most so many decimals."""
    return round(value, decimals) == value


def thinned(items: Sequence[T], most: int) -> list[T]:
    """Keep at most so many, evenly, the ends included.

    Examples
    --------
    >>> thinned(range(9), 5)
    [0, 2, 4, 6, 8]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
