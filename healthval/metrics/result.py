"""What was measured at one site, complete and unrounded: never leaves as it is."""

from dataclasses import dataclass, field
from typing import Any, Literal

from healthval.metrics import display
from healthval.metrics.calibration.measures import Calibration
from healthval.metrics.confusion import Confusion
from healthval.metrics.estimate import Estimate
from healthval.metrics.net_benefit import DecisionCurve


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """Everything at one threshold; positive means score >= threshold."""

    threshold: float
    origin: Literal["pre-specified", "data-derived"]
    confusion: Confusion
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    net_benefit: Estimate


@dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """Cases per fixed score bin [edge, next edge), last bin closed, by reference standard.

    `score_sums` is exact, for the gate to add up merged bins: the sum of one case is its score, so
    it is neither printed nor written; `shown_sums` is.
    """

    edges: tuple[float, ...]
    events: tuple[int, ...]
    non_events: tuple[int, ...]
    score_sums: tuple[float, ...] = field(repr=False)

    @property
    def shown_sums(self) -> tuple[float | None, ...]:
        """Sums of at least 3 scores; None where fewer, or where the others would tell them."""
        sizes = [e + o for e, o in zip(self.events, self.non_events, strict=True)]
        hidden: list[int] = []
        for bin_ in sorted((i for i, n in enumerate(sizes) if n), key=lambda i: sizes[i]):
            few = sum(sizes[i] for i in hidden) < display.FEWEST_SUMMED
            if sizes[bin_] < display.FEWEST_SUMMED or (hidden and few):
                hidden.append(bin_)
        return tuple(None if i in hidden else s for i, s in enumerate(self.score_sums))


@dataclass(frozen=True, slots=True)
class SubgroupResult:
    """One level of one subgroup variable."""

    variable: str
    level: str
    n: int
    n_events: int
    auroc: Estimate
    oe: Estimate
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate | None = None
    npv: Estimate | None = None
    citl: Estimate | None = None
    net_benefit: Estimate | None = None


@dataclass(frozen=True, slots=True)
class TableOne:
    """A level's counts, or a number's mean and SD, overall and by reference standard."""

    variable: str
    level: str
    overall: int | None = None
    events: int | None = None
    non_events: int | None = None
    mean: float | None = None
    sd: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's performance on one set of cases; what `metrics.evaluate` returns."""

    n: int
    n_events: int
    auroc: Estimate
    average_precision: Estimate
    roc: tuple[tuple[float, Estimate], ...]
    thresholds: tuple[ThresholdResult, ...]
    calibration: Calibration
    decision_curve: DecisionCurve
    histogram: ScoreHistogram
    subgroups: tuple[SubgroupResult, ...] = ()

    def to_json(self) -> str:
        """Every number exact; aggregates only, yet unrounded: stays at the site."""
        return display.to_json(self)

    def plot_roc(self, ax: Any = None) -> Any:
        """Draw sensitivity on a fixed grid of false-positive rates, on `ax` or on axes of its own.

        The axes come back to be adjusted; without `ax` a notebook shows them as a picture.
        """
        return display.plot_roc(self, ax)

    def plot_calibration(self, ax: Any = None) -> Any:
        """Draw observed against predicted probability on a fixed grid, as `plot_roc` does."""
        return display.plot_calibration(self, ax)

    def _repr_html_(self) -> str:
        return display.to_html(self)


@dataclass(frozen=True, slots=True)
class SiteResult:
    """One site's evaluation with what identifies model, plan and cohort.

    `cohort` holds keyed digests of the cases; it stays in the site's ledger, where the gate
    compares overlapping releases. `scores` are what the gate searches for in every byte of the
    payload. Neither is ever part of one.
    """

    model: str
    version: str
    model_digest: str
    plan_hash: str
    evaluation: Evaluation
    flow: tuple[tuple[str, int], ...]
    dates: Literal["removed", "shifted", "kept", "none"]
    cohort: frozenset[str] = field(repr=False)
    scores: tuple[float, ...] = field(default=(), repr=False)
    table_one: tuple[TableOne, ...] = ()
    n_indeterminate: int = 0
    n_missing_reference: int = 0
    plan_amended: bool = False
    pixel_sign_off: bool = False
    canary: Literal["unchanged", "changed", "not_run"] = "not_run"
