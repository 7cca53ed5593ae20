"""Paired scores compared with the reference standard."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healthval.cohort import Cohort
from healthval.cohort.eligibility import analysed_levels
from healthval.contracts.monitoring import PERIOD
from healthval.errors import CohortError, counted
from healthval.evaluation.periods import periods_of
from healthval.metrics import SingleClassError, SiteResult, table_one
from healthval.metrics import evaluate as evaluate_scores
from healthval.plan import Plan
from healthval.predict import Predictions


def compare(
    plan: Plan,
    cohort: Cohort,
    judged: Cohort,
    predictions: Predictions,
    *,
    digests: Sequence[str],
) -> SiteResult:
    """Compare paired scores with the reference standard, at the site.

    Parameters
    ----------
    cohort : all cases of the plan, also those without a reference standard
    judged : the cases that `predictions` has, in the same order
    digests : of each judged case, for the ledger
    """
    has_score = ~np.isnan(predictions.score)
    if not has_score.any():
        raise CohortError(
            f"no score for any of {counted(len(has_score), 'case')}; see the model's input contract"
        )
    # By digest: the gate's noise is about cases and scores, and must not depend on the table's order.
    scored = np.array(sorted(np.flatnonzero(has_score).tolist(), key=lambda i: digests[i]))
    reference = _reference(judged, scored)
    clusters = judged.clusters
    groups = groups_of(plan, judged, scored)
    described = {name: levels for name, levels in groups.items() if name != PERIOD}
    return SiteResult(
        model=plan.model.name,
        version=plan.model.version,
        model_digest=predictions.model_digest,
        plan_hash=plan.hash,
        evaluation=evaluate_scores(
            reference,
            predictions.score[scored],
            thresholds=plan.thresholds,
            groups=groups or None,
            cluster=None if clusters is None else clusters[scored],
        ),
        flow=(*judged.steps, ("scored", scored.size)),
        # A table's dates never leave: only its numbers, ages and categories do.
        dates="shifted" if plan.images and plan.dates == "shifted" else "removed",
        cohort=frozenset(digests[i] for i in scored),
        scores=tuple(predictions.score[scored].tolist()),
        table_one=table_one(described | _characteristics(plan, judged, scored), reference),
        n_indeterminate=cohort.n_indeterminate + predictions.n_indeterminate,
        n_missing_reference=cohort.n_missing_reference,
        pixel_sign_off=bool(plan.images and plan.images.pixels.sign_off),
        canary=predictions.canary,
        selection=plan.selection,
    )


def _reference(judged: Cohort, scored: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Reference standard of the scored cases; both classes must occur."""
    reference: NDArray[np.bool_] = judged.reference.to_numpy(dtype=bool)[scored]
    n_events = int(reference.sum())
    if n_events in {0, reference.size}:
        raise SingleClassError(
            f"{n_events} of {counted(reference.size, 'scored case')} with the target condition;"
            " AUROC and calibration need cases with and without it; widen the cohort"
        )
    return reference


def groups_of(plan: Plan, judged: Cohort, chosen: Any) -> dict[str, Any]:
    """Level of each case in each subgroup variable, by declared bands for numbers; then its period."""
    found = dict(analysed_levels(judged, plan.subgroups, plan.levels))
    if plan.monitoring is not None:
        found[PERIOD] = periods_of(judged, plan.monitoring)
    return {name: levels[np.asarray(chosen)] for name, levels in found.items()}


def _characteristics(plan: Plan, judged: Cohort, chosen: Any) -> dict[str, Any]:
    """Values of the model's inputs and ages for Table 1, except those that are subgroups."""
    frame = judged.frame
    names: Iterable[str] = dict.fromkeys((*judged.schema.of_kind("age"), *plan.inputs))
    return {n: frame[n].to_numpy()[np.asarray(chosen)] for n in names if n not in plan.subgroups}
