"""Acceptance criteria of the plan, and the verdict on each of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from healthval.contracts.monitoring import PERIOD, Monitoring
from healthval.contracts.report import StudyReporting
from healthval.contracts.submission import Submission
from healthval.contracts.table import CategoryColumn, SmallLevels
from healthval.errors import ReportError
from healthval.plan import Metric, Plan
from healthval.report.markup import Shown, as_shown, decimals, exact
from healthval.report.values.levels import Levels
from healthval.report.values.means import Possible, SiteMean
from healthval.report.wording.language import many, mark, say

AT_THRESHOLD = frozenset({"sensitivity", "specificity", "ppv", "npv", "net_benefit"})
NAMES: dict[str, str] = {
    "auroc": mark("AUROC"),
    "oe": mark("Observed to expected events (O:E)"),
    "citl": mark("Calibration in the large"),
    "slope": mark("Calibration slope"),
    "brier": mark("Brier score"),
    "sensitivity": mark("Sensitivity"),
    "specificity": mark("Specificity"),
    "ppv": mark("Positive predictive value"),
    "npv": mark("Negative predictive value"),
    "net_benefit": mark("Net benefit"),
}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One acceptance criterion: a lower limit, an upper limit or both for one measure.

    Examples
    --------
    >>> Criterion("slope", at_least=0.8, at_most=1.25).target()
    '0.8 to 1.25'
    """

    measure: Metric
    at_least: float | None = None
    at_most: float | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.measure not in NAMES:
            raise ReportError(
                f"the measure of a criterion is unknown; use one of {', '.join(NAMES)}"
            )
        if self.at_least is None and self.at_most is None:
            raise ReportError(
                f"the criterion on {self.measure} has no target; give at_least, at_most or both"
            )
        if (self.threshold is not None) != (self.measure in AT_THRESHOLD):
            raise ReportError(
                f"the criterion on {self.measure} "
                + ("needs a threshold" if self.measure in AT_THRESHOLD else "takes no threshold")
            )

    def name(self) -> str:
        """Return the measure in words, with its threshold."""
        at = (
            ""
            if self.threshold is None
            else say(" at threshold {threshold}", threshold=exact(self.threshold))
        )
        return say(NAMES[self.measure]) + at

    def target(self) -> str:
        """Return the target in words, with the digits of the plan."""
        low, high = (None if end is None else exact(end) for end in (self.at_least, self.at_most))
        if low is None:
            return say("at most {high}", high=high)
        return (
            say("at least {low}", low=low)
            if high is None
            else say("{low} to {high}", low=low, high=high)
        )

    def digits(self) -> int:
        """Return the decimals with which a result is comparable to the target; at least 3."""
        ends = [end for end in (self.at_least, self.at_most) if end is not None]
        return max(3, *map(decimals, ends))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFacts:
    """The parts of the plan that the report prints; the plan is fixed before data are seen."""

    title: str
    target_condition: str
    reference_standard: str
    thresholds: tuple[float, ...]
    criteria: tuple[Criterion, ...]
    plan_hash: str
    amended: bool = False
    planned_cases: int | None = None
    sample_size_rationale: str = ""
    levels: Levels = ()
    small_levels: SmallLevels | None = None
    reporting: StudyReporting | None = None
    monitoring: Monitoring | None = None


def plan_facts(plan: Plan, released: Iterable[Submission] = ()) -> PlanFacts:
    """Extract the facts of a plan; it is amended if any site registered another plan before."""
    return PlanFacts(
        title=plan.title,
        target_condition=plan.target_condition,
        reference_standard=plan.reference_standard,
        thresholds=plan.thresholds,
        criteria=tuple(
            Criterion(c.metric, at_least=c.low, at_most=c.high, threshold=c.threshold)
            for c in plan.acceptance
        ),
        plan_hash=plan.hash,
        amended=any(submission.plan_amended for submission in released),
        planned_cases=plan.sample_size.planned_cases,
        sample_size_rationale=plan.sample_size.rationale,
        levels=_levels(plan),
        small_levels=plan.levels,
        reporting=plan.reporting,
        monitoring=plan.monitoring,
    )


def _levels(plan: Plan) -> Levels:
    """Return the levels of each categorical column, subgroup variables first."""
    columns = plan.columns
    names = dict.fromkeys([*plan.subgroups, *plan.inputs, *columns])
    periods: Levels = ((PERIOD, plan.monitoring.levels),) if plan.monitoring else ()
    return periods + tuple(
        (name, tuple(dict.fromkeys(column.names.values())))
        for name in names
        if isinstance(column := columns.get(name), CategoryColumn)
    )


Outcome = Literal["met", "not met", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A criterion with the mean that it is compared with, the outcome and its reason.

    `new_site` compares the criterion with the prediction interval; None without one.
    """

    criterion: Criterion
    mean: SiteMean
    outcome: Outcome
    reason: str
    new_site: Outcome | None


def verdict(criterion: Criterion, mean: SiteMean, possible: Possible, missing: int) -> Verdict:
    """Compare the mean with the target, over the whole range of what other sites can be.

    Parameters
    ----------
    possible : intervals of the mean for values that withheld sites can have
    missing : hospitals with access that sent no result; with any of them nothing is met
    """
    outcome = judge(criterion, mean.shown())
    reason = say(_REASONS[outcome])
    if mean.ci is None:
        reason = say("no interval") if mean.value is not None else mean.shown().why
    left_out = many(mean.of - mean.k, "site")
    if outcome != "inconclusive" and possible is None:
        outcome, reason = (
            "inconclusive",
            say("{left_out} released no value, which may be any value", left_out=left_out),
        )
    elif any(judge(criterion, as_shown(lo, lo, hi)) != outcome for lo, hi in possible or ()):
        outcome, reason = (
            "inconclusive",
            say("values that {left_out} withheld can change the outcome", left_out=left_out),
        )
    elif possible and outcome != "inconclusive":
        reason += say(", over the range of values that {left_out} withheld", left_out=left_out)
    if outcome == "met" and missing:
        sent = many(missing, "hospital with access", "hospitals with access")
        outcome, reason = "inconclusive", say("{sent} sent no result", sent=sent)
    there = None if mean.prediction is None else as_shown(mean.value, *mean.prediction)
    return Verdict(
        criterion=criterion,
        mean=mean,
        outcome=outcome,
        reason=reason,
        new_site=None if there is None else judge(criterion, there),
    )


_REASONS: dict[Outcome, str] = {
    "met": mark("the whole interval reaches the target"),
    "not met": mark("none of the interval reaches the target"),
    "inconclusive": mark("the interval crosses the target"),
}


def judge(criterion: Criterion, shown: Shown) -> Outcome:
    """Return the verdict: met if the whole interval reaches the target, not met if none of it does.

    An interval that crosses a target, or a result without an interval, is inconclusive.

    >>> judge(Criterion("auroc", at_least=0.8), as_shown(0.85, 0.81, 0.88))
    'met'
    >>> judge(Criterion("auroc", at_least=0.8), as_shown(0.85, 0.79, 0.88))
    'inconclusive'
    """
    if shown.value is None or shown.lo is None or shown.hi is None:
        return "inconclusive"
    low = -float("inf") if criterion.at_least is None else criterion.at_least
    high = float("inf") if criterion.at_most is None else criterion.at_most
    if shown.hi < low or shown.lo > high:
        return "not met"
    return "met" if low <= shown.lo and shown.hi <= high else "inconclusive"
