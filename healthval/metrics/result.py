"""Records of one site's results, unrounded, with their JSON, tables and plots.

None of them leaves the site: `healthval.disclosure` makes the releasable copy.
"""

import json
from dataclasses import asdict, dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from healthval.metrics.calibration.measures import Calibration
from healthval.metrics.confusion import Confusion
from healthval.metrics.display import plots, tables
from healthval.metrics.display.frame import frame_of
from healthval.metrics.estimate import Estimate
from healthval.metrics.net_benefit import DecisionCurve

if TYPE_CHECKING:
    import pandas as pd

FEWEST_SUMMED = 3  # the smallest minimum cell of any policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdResult:
    """Counts, rates and net benefit at one threshold; positive means score >= threshold."""

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

    `score_sums` is exact, because the gate adds up merged bins. The sum of a bin with one case is
    that case's score; repr and JSON therefore contain `shown_sums` in its place.
    """

    edges: tuple[float, ...]
    events: tuple[int, ...]
    non_events: tuple[int, ...]
    score_sums: tuple[float, ...] = field(repr=False)

    @property
    def shown_sums(self) -> tuple[float | None, ...]:
        """Sums of at least 3 scores; None for smaller bins and where a sum could be subtracted."""
        sizes = [e + o for e, o in zip(self.events, self.non_events, strict=True)]
        hidden: list[int] = []
        for bin_ in sorted((i for i, n in enumerate(sizes) if n), key=lambda i: sizes[i]):
            few = sum(sizes[i] for i in hidden) < FEWEST_SUMMED
            if sizes[bin_] < FEWEST_SUMMED or (hidden and few):
                hidden.append(bin_)
        return tuple(None if i in hidden else s for i, s in enumerate(self.score_sums))


@dataclass(frozen=True, slots=True)
class LevelFacts:
    """Numbers of a level for the gate, which are known however few its events are.

    Attributes
    ----------
    expected : sum of the scores
    hits, rejections : events at or above the threshold, and non-events below it
    area : AUROC; None without a case of each class
    """

    expected: float
    hits: int
    rejections: int
    area: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupResult:
    """Performance in one level of one subgroup variable.

    `members` has one bit for each case, and `facts` are numbers: both are for the gate and part of no file.
    """

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
    members: bytes | None = field(default=None, repr=False, compare=False)
    facts: LevelFacts | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOne:
    """Row of Table 1: counts of a level, or mean and SD of a number.

    `overall`, `events` and `non_events` are counts of cases. `reach` is the largest distance of a value
    from the mean; `dominated` is whether one or two values are most of the total or of the spread. `members` has
    one bit for each case, for the gate.
    """

    variable: str
    level: str
    overall: int | None = None
    events: int | None = None
    non_events: int | None = None
    mean: float | None = None
    sd: float | None = None
    reach: float | None = field(default=None, repr=False)
    dominated: bool = field(default=False, repr=False)
    members: bytes | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CaseRows:
    """Each case's outcome and place among the cuts, for the gate; part of no file.

    Attributes
    ----------
    cuts : thresholds and edges of the bins above 0, ascending
    above : uint8 array, shape (n_cases,), number of cuts at or below the case's score
    outcome : bool array, shape (n_cases,)
    """

    cuts: tuple[float, ...]
    above: NDArray[np.uint8]
    outcome: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Evaluation:
    """A model's performance on one set of cases; the result of `metrics.evaluate`."""

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
    rows: CaseRows | None = field(default=None, compare=False)

    def to_json(self) -> str:
        """JSON with sorted keys and exact numbers; aggregates only, but unrounded: stays at the site.

        Sums of fewer than 3 scores are null.
        """
        values = asdict(self)
        values["histogram"]["score_sums"] = self.histogram.shown_sums
        for level in values["subgroups"]:
            del level["members"], level["facts"]
        del values["rows"]
        if self.n < FEWEST_SUMMED:
            values["calibration"]["expected"] = None
        return json.dumps(values, default=_json_value, sort_keys=True, allow_nan=False)

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each number; ``to_csv`` or ``to_excel`` of the frame write it to a file.

        Unrounded and with small cells, as `to_json`: it stays at the site.
        """
        return frame_of(self)

    def plot_roc(self, ax: Any = None) -> Any:
        """Plot sensitivity on a fixed grid of false-positive rates; return the axes.

        Parameters
        ----------
        ax : matplotlib axes to plot on; without them new ones are made, which a notebook shows
        """
        marks = [
            (1 - row.specificity.value, row.sensitivity.value)
            for row in self.thresholds
            if row.sensitivity.value is not None and row.specificity.value is not None
        ]
        return plots.plot_roc(
            ax, self.roc, label=f"AUROC {tables.short(self.auroc)}", thresholds=marks
        )

    def plot_calibration(self, ax: Any = None) -> Any:
        """Plot observed against predicted probability on a fixed grid; `ax` as in `plot_roc`."""
        label = f"slope {tables.short(self.calibration.slope)}"
        return plots.plot_calibration(ax, self.calibration.curve, label=label)

    def plot_decision_curve(self, ax: Any = None) -> Any:
        """Plot net benefit over thresholds, with treat all and treat none; `ax` as in `plot_roc`."""
        return plots.plot_decision_curve(ax, self.decision_curve)

    def plot_subgroups(self, ax: Any = None) -> Any:
        """Plot each subgroup's AUROC with its interval, and the overall one; `ax` as in `plot_roc`."""
        rows = [(f"{s.variable}: {s.level}", s.auroc) for s in self.subgroups]
        return plots.plot_forest(ax, [("all cases", self.auroc), *rows], label="AUROC")

    def plot_scores(self, ax: Any = None) -> Any:
        """Plot the numbers of cases by score, with and without the condition; `ax` as in `plot_roc`."""
        h = self.histogram
        return plots.plot_scores(ax, h.edges, h.events, h.non_events)

    def __repr__(self) -> str:
        """Tables of headline numbers, thresholds and subgroups; `to_json` has every number."""
        return tables.as_text(tables.tables_of(self))

    def _repr_html_(self) -> str:
        """HTML of the same tables."""
        inner = tables.as_html(tables.tables_of(self))
        return f"<div class='healthval-evaluation'>{inner}</div>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SiteResult:
    """One site's evaluation, with the identity of model, plan and cohort.

    `cohort` contains keyed digests of the cases, one for each; the cases of the evaluation are in the
    digests' order. It stays in the site's ledger, where the gate judges overlapping releases together. `scores` are the values that the gate searches for in every byte
    of the payload. Neither is ever part of a payload. `selection` is a digest of the rules that select the
    cases: under other rules the gate adds other noise to the flow.
    """

    model: str
    version: str
    model_digest: str
    plan_hash: str
    evaluation: Evaluation
    flow: tuple[tuple[str, int], ...]
    dates: Literal["removed", "shifted", "kept", "none"]
    cohort: frozenset[str]
    scores: tuple[float, ...] = ()
    table_one: tuple[TableOne, ...] = ()
    n_indeterminate: int = 0
    n_missing_reference: int = 0
    plan_amended: bool = False
    pixel_sign_off: bool = False
    canary: Literal["unchanged", "changed", "not_run"] = "not_run"
    selection: str = ""

    def __repr__(self) -> str:
        """Model, plan and the tables of the evaluation; neither digests nor scores."""
        return f"{self._subject}\n\n{self.evaluation!r}"

    def _repr_html_(self) -> str:
        """HTML of the same."""
        return f"<p>{escape(self._subject)}</p>{self.evaluation._repr_html_()}"

    @property
    def _subject(self) -> str:
        amended = ", amended" if self.plan_amended else ""
        return f"{self.model} {self.version}, plan {self.plan_hash[:16]}{amended}"


def _json_value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"an evaluation must not contain a {type(value).__name__}")
