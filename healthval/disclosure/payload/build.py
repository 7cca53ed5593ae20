"""What may be said of a `SiteResult`: suppressed, merged, rounded, field by named field (pure)."""

from collections.abc import Sequence
from typing import Any

from healthval import __version__
from healthval.contracts.submission import (
    SUPPRESSED,
    Certificate,
    ReleasedCalibration,
    ReleasedConfusion,
    ReleasedEstimate,
    ReleasedThreshold,
    Submission,
)
from healthval.disclosure.attacks.consistency import shown_cuts
from healthval.disclosure.payload.context import (
    GRID_DECIMALS,
    WITHHELD,
    Context,
    Draft,
    is_on_grid,
    rounded,
)
from healthval.disclosure.payload.curves import (
    released_curve,
    released_decision_curve,
    released_histogram,
    released_roc,
)
from healthval.disclosure.payload.suppression import Cut, Earlier, Shown
from healthval.disclosure.payload.tables import (
    levels_of,
    released_flow,
    released_rows,
    released_subgroups,
)
from healthval.disclosure.policy import Policy
from healthval.disclosure.release import Withheld
from healthval.errors import DisclosureRefused
from healthval.metrics.estimate import Estimate
from healthval.metrics.result import Evaluation, SiteResult, ThresholdResult

ALONE = Context()


FEW_LEVELS = 4


def has_few_levels(result: SiteResult, scores: Sequence[float], policy: Policy) -> bool:
    """Whether a score has so few values, and so few cases at one, that all is given away.

    With two values the AUROC is a mean of sensitivity and specificity, and the Brier score counts
    errors: every statistic is then an equation about the table of values by classes.
    """
    levels = len(set(scores))
    hard = result.evaluation.calibration.n_boundary == result.evaluation.n
    if not (hard or 0 < levels <= FEW_LEVELS):
        return False
    h = result.evaluation.histogram
    cells = [*zip(h.events, h.non_events, strict=True)]
    apart = sum(1 for cell in cells if any(cell)) >= levels  # each value in a bin of its own
    return not apart or not all(policy.shows(count) for cell in cells for count in cell)


def build(
    result: SiteResult, policy: Policy, context: Context = ALONE
) -> tuple[Submission, tuple[Withheld, ...]]:
    """Build the submission of a result from its named fields, with what was left out and why."""
    evaluation = result.evaluation
    draft = Draft(policy, evaluation.n, evaluation.n_events, context)
    if evaluation.n < policy.minimum_cell:
        raise DisclosureRefused(
            "n", f"fewer than {policy.minimum_cell} cases", "collect more cases before release"
        )
    levels = levels_of(draft, evaluation, result.table_one)
    fields: dict[str, Any] = {
        "model": result.model,
        "version": result.version,
        "model_digest": result.model_digest,
        "plan_hash": result.plan_hash,
        "plan_amended": result.plan_amended,
        "healthval_version": __version__,
        "dates": result.dates,
        "pixel_sign_off": result.pixel_sign_off,
        "canary": result.canary,
        "n": evaluation.n,
        "n_events": evaluation.n_events if draft.classes_shown else SUPPRESSED,
        "n_indeterminate": draft.cell("n_indeterminate", result.n_indeterminate),
        "n_missing_reference": draft.cell("n_missing_reference", result.n_missing_reference),
        "subgroups": released_subgroups(draft, evaluation, levels),
        "table_one": released_rows(draft, result.table_one, levels),
        "certificate": Certificate(
            policy=policy.name, policy_version=policy.version, minimum_cell=policy.minimum_cell
        ),
    }
    fields["flow"] = released_flow(draft, result)
    fields |= _measures(draft, evaluation)
    return Submission(**fields), tuple(draft.notes)


def _measures(draft: Draft, evaluation: Evaluation) -> dict[str, Any]:
    if not draft.classes_shown:
        draft.note(
            "n_events",
            f"fewer than {draft.policy.minimum_cell} events or non-events: no statistics",
        )
        return {
            "auroc": WITHHELD,
            "thresholds": tuple(
                _threshold(draft, t, False, False) for t in _on_grid(draft, evaluation)
            ),
        }
    shown = _shown_before(draft)
    counts = (draft.n, draft.n_events)
    m = draft.smaller_class
    out: dict[str, Any] = {
        "thresholds": _thresholds(draft, evaluation, shown),
        "auroc": WITHHELD,
    }
    if draft.policy.histogram_epsilon is None:  # else the noisy histogram takes its place
        out["histogram"] = released_histogram(draft, evaluation, shown)
    out["decision_curve"] = released_decision_curve(draft, evaluation, shown)
    if draft.context.few_levels:
        draft.note("auroc", "the score takes so few values that statistics give small cells away")
        return out
    out["calibration"] = _calibration(draft, evaluation)
    if draft.discriminates:
        out["auroc"] = draft.estimate(evaluation.auroc, m, counts=counts)
        out["average_precision"] = draft.estimate(evaluation.average_precision, m, counts=counts)
        out["roc"] = released_roc(draft, evaluation, shown)
    else:
        draft.note("auroc", f"fewer than {draft.policy.minimum_class} events or non-events")
    return out


def _shown_before(draft: Draft) -> Shown:
    """Start with the cuts that earlier releases showed of the same, of fewer or of more cases."""
    shown = Shown.of_classes(draft.policy, draft.n_events, draft.n_non_events)
    for s in draft.context.same:
        for kind, at, count in shown_cuts(s):
            (shown.tp if kind == "true" else shown.fp).setdefault(at, count)
    shown.earlier = tuple(_earlier(s) for s in draft.context.nested)
    return shown


def _earlier(s: Submission) -> Earlier:
    cuts = list(shown_cuts(s))
    events = s.n_events if isinstance(s.n_events, int) else 0
    others = s.n - events if isinstance(s.n, int) else 0
    tp = {at: count for kind, at, count in cuts if kind == "true"}
    fp = {at: count for kind, at, count in cuts if kind == "false"}
    return Earlier(events, others, tp, fp)


def _on_grid(draft: Draft, evaluation: Evaluation) -> list[ThresholdResult]:
    """Thresholds that can be named; one found on the data is some patient's score."""
    named = []
    for t in evaluation.thresholds:
        decimals = GRID_DECIMALS if t.origin == "pre-specified" else 2
        if is_on_grid(t.threshold, decimals):
            named.append(t)
        elif t.origin == "pre-specified":
            raise DisclosureRefused(
                "thresholds",
                f"a pre-specified threshold has more than {GRID_DECIMALS} decimals",
                "state it in the plan with fewer decimals",
            )
        else:
            draft.note(
                "thresholds", "found on the data with more than 2 decimals: a patient's score"
            )
    if len({t.threshold for t in named}) < len(named):
        raise DisclosureRefused("thresholds", "a threshold is given twice", "give each once")
    return named[: draft.policy.max_points]


def _thresholds(
    draft: Draft, evaluation: Evaluation, shown: Shown
) -> tuple[ReleasedThreshold, ...]:
    """Choose thresholds shown whole, then those of which one class can be shown."""
    found = _on_grid(draft, evaluation)
    cuts = [_cut(i, t) for i, t in enumerate(found)]
    whole = set(shown.admit(cuts))
    out = []
    for cut, t in zip(cuts, found, strict=True):
        events = cut.key in whole or shown.fits_events(cut)
        non_events = cut.key in whole or shown.fits_non_events(cut)
        shown.show(cut, events, non_events)
        out.append(_threshold(draft, t, events, non_events))
    return tuple(out)


def _cut(key: int, t: ThresholdResult) -> Cut:
    # Pre-specified thresholds outweigh any number of others; an earlier one breaks a tie.
    weight = (1000.0 if t.origin == "pre-specified" else 1.0) - key / 1000
    return Cut(key, t.threshold, t.confusion.tp, t.confusion.fp, weight)


def _threshold(
    draft: Draft, t: ThresholdResult, events: bool, non_events: bool
) -> ReleasedThreshold:
    c = t.confusion
    both = events and non_events
    if not both:
        draft.note(
            f"thresholds[{t.threshold:g}]",
            f"a cell, or its difference to a neighbouring threshold, is below "
            f"{draft.policy.minimum_cell}",
        )

    def rate(estimate: Estimate, is_shown: bool, k: int, n: int) -> ReleasedEstimate:
        return draft.estimate(estimate, n, counts=(k, n)) if is_shown else WITHHELD

    return ReleasedThreshold(
        threshold=t.threshold,
        origin=t.origin,
        confusion=ReleasedConfusion(
            tp=c.tp if events else SUPPRESSED,
            fp=c.fp if non_events else SUPPRESSED,
            fn=c.fn if events else SUPPRESSED,
            tn=c.tn if non_events else SUPPRESSED,
        ),
        sensitivity=rate(t.sensitivity, events, c.tp, c.tp + c.fn),
        specificity=rate(t.specificity, non_events, c.tn, c.tn + c.fp),
        ppv=rate(t.ppv, both, c.tp, c.tp + c.fp),
        npv=rate(t.npv, both, c.tn, c.tn + c.fn),
        net_benefit=rate(t.net_benefit, both, draft.n_events, draft.n),
    )


def _calibration(draft: Draft, evaluation: Evaluation) -> ReleasedCalibration:
    c = evaluation.calibration
    counts = (draft.n, draft.n_events)
    m, n = draft.smaller_class, draft.n

    def one(estimate: Estimate, size: float) -> ReleasedEstimate:
        return draft.estimate(estimate, size, counts=counts)

    return ReleasedCalibration(
        observed=draft.n_events,
        expected=rounded(c.expected, 1),
        oe=one(c.oe, m),
        citl=one(c.citl, m),
        intercept=one(c.intercept, m),
        slope=one(c.slope, m),
        brier=one(c.brier, n),
        scaled_brier=one(c.scaled_brier, m),
        ici_rcs5=one(c.ici_rcs5, n),
        e50=one(c.e50, n),
        e90=one(c.e90, n),
        curve=released_curve(draft, evaluation),
    )
