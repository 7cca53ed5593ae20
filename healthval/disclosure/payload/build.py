"""Build a submission from a `SiteResult`: suppressed, merged and rounded, field by named field (pure)."""

from collections.abc import Sequence
from typing import Any

from healthval.contracts.submission import SUPPRESSED, Certificate, CountNoise, Submission
from healthval.disclosure.payload.curves import (
    released_calibration,
    released_decision_curve,
    released_histogram,
    released_roc,
)
from healthval.disclosure.payload.keyed_noise import count_variance, level_times
from healthval.disclosure.payload.protect import numbers_of
from healthval.disclosure.payload.suppression import WITHHELD, Context, Draft, Withheld
from healthval.disclosure.payload.tables import (
    levels_of,
    released_flow,
    released_rows,
    released_subgroups,
)
from healthval.disclosure.payload.thresholds import released_thresholds, shown_before
from healthval.disclosure.policy import Policy
from healthval.errors import DisclosureRefused
from healthval.metrics.result import Evaluation, SiteResult

FEW_LEVELS = 4


def has_few_levels(result: SiteResult, scores: Sequence[float], policy: Policy) -> bool:
    """Whether statistics reveal small cells because a score has few values and few cases at one.

    With two values the AUROC is a mean of sensitivity and specificity, and the Brier score counts
    errors: every statistic is then an equation about the table of values by classes.
    """
    if policy.noise_scale is not None:
        return False
    levels = len(set(scores))
    hard = result.evaluation.calibration.n_boundary == result.evaluation.n
    if not (hard or 0 < levels <= FEW_LEVELS):
        return False
    h = result.evaluation.histogram
    cells = [*zip(h.events, h.non_events, strict=True)]
    apart = sum(1 for cell in cells if any(cell)) >= levels  # each value in a separate bin
    return not apart or not all(policy.shows(count) for cell in cells for count in cell)


def build(
    result: SiteResult, policy: Policy, context: Context
) -> tuple[Submission, tuple[Withheld, ...]]:
    """Build the submission of a result; also return the withheld fields with their reasons."""
    evaluation = result.evaluation
    if evaluation.n < policy.minimum_cell:
        raise DisclosureRefused(
            "n", f"fewer than {policy.minimum_cell} cases", "collect more cases before release"
        )
    draft = Draft(policy=policy, n=evaluation.n, n_events=evaluation.n_events, context=context)
    fields = _facts(draft, result) | _tables(draft, result) | _measures(draft, evaluation)
    return Submission(**fields), tuple(draft.notes)


def _facts(draft: Draft, result: SiteResult) -> dict[str, Any]:
    """Names, hashes and the counts of cases."""
    policy = draft.policy
    return {
        "model": result.model,
        "version": result.version,
        "model_digest": result.model_digest,
        "plan_hash": result.plan_hash,
        "plan_amended": result.plan_amended,
        "healthval_version": draft.context.healthval_version,
        "dates": result.dates,
        "pixel_sign_off": result.pixel_sign_off,
        "canary": result.canary,
        "noise": count_noise(policy, result),
        "n": draft.n,
        "n_events": draft.n_events if draft.classes_shown else SUPPRESSED,
        "n_indeterminate": draft.cell("n_indeterminate", result.n_indeterminate),
        "n_missing_reference": draft.cell("n_missing_reference", result.n_missing_reference),
        "certificate": Certificate(
            policy=policy.name, policy_version=policy.version, minimum_cell=policy.minimum_cell
        ),
    }


def count_noise(policy: Policy, result: SiteResult) -> CountNoise | None:
    """Noise that a policy asks for, as it is stated in a submission."""
    if policy.noise_scale is None:
        return None
    variables = {s.variable for s in result.evaluation.subgroups}
    variables |= {row.variable for row in result.table_one} - numbers_of(result)
    levels = policy.noise_scale * level_times(len(variables))
    return CountNoise(
        scale=policy.noise_scale,
        variance=count_variance(policy.noise_scale, policy.multiple),
        multiple=policy.multiple,
        level_variance=count_variance(levels, policy.multiple) if variables else 0.0,
    )


def _tables(draft: Draft, result: SiteResult) -> dict[str, Any]:
    levels = levels_of(draft, result.evaluation, result.table_one)
    return {
        "subgroups": released_subgroups(draft, result.evaluation, levels),
        "table_one": released_rows(draft, result.table_one, levels),
        "flow": released_flow(draft, result),
    }


def _measures(draft: Draft, evaluation: Evaluation) -> dict[str, Any]:
    """Statistics and curves; thresholds alone where the classes may not be shown."""
    if not draft.classes_shown:
        draft.note(
            "n_events",
            f"fewer than {draft.policy.minimum_cell} events or non-events: no statistics",
        )
        return {"auroc": WITHHELD, "thresholds": released_thresholds(draft, evaluation, None)}
    shown = shown_before(draft)
    out: dict[str, Any] = {
        "thresholds": released_thresholds(
            draft, evaluation, None if "thresholds" in draft.context.without else shown
        ),
        "auroc": WITHHELD,
    }
    # With an epsilon the gate adds the noisy histogram.
    if draft.policy.histogram_epsilon is None and "bins" not in draft.context.without:
        out["histogram"] = released_histogram(draft, evaluation, shown)
    out["decision_curve"] = released_decision_curve(draft, evaluation, shown)
    if draft.context.few_levels:
        draft.note("auroc", "the score has so few values that statistics reveal small cells")
        return out
    out["calibration"] = released_calibration(draft, evaluation)
    if not draft.discriminates:
        draft.note("auroc", f"fewer than {draft.policy.minimum_class} events or non-events")
        return out
    m, counts = draft.smaller_class, (draft.n, draft.n_events)
    out["auroc"] = draft.estimate(evaluation.auroc, m, counts=counts)
    out["average_precision"] = draft.estimate(evaluation.average_precision, m, counts=counts)
    out["roc"] = released_roc(draft, evaluation, shown)
    return out
