"""What each case adds to the error of a statistic; summed per patient, its variance with clusters."""

import numpy as np

from healthval.metrics.calibration.measures import calibration_of
from healthval.metrics.inputs import Bools, Cases, Floats
from healthval.metrics.logistic import dot, logit, sigmoid
from healthval.metrics.ranking.delong import placements


def auroc_parts(reference: Bools, score: Floats) -> tuple[float, Floats]:
    """AUROC and its parts (placement values, DeLong 1988)."""
    found = placements(reference, score)
    return found.auc, found.parts(reference)


def share_parts(hit: Bools, among: Bools) -> Floats:
    """Parts of the share of hits among some of the cases (ratio estimator)."""
    size = np.count_nonzero(among)
    return np.where(among, hit - np.count_nonzero(hit & among) / size, 0.0) / size


def oe_parts(cases: Cases) -> Floats:
    """Parts of observed to expected."""
    expected = float(cases.score.sum())
    return (cases.reference - cases.n_events / expected * cases.score) / expected


def citl_parts(cases: Cases) -> Floats:
    """Parts of calibration in the large, an intercept beside the logit score."""
    shift = calibration_of(cases, curve=None).citl.value or 0.0
    fitted = sigmoid(logit(cases.score) + shift)
    return np.asarray((cases.reference - fitted) / dot(fitted, 1 - fitted))


def net_benefit_parts(cases: Cases, threshold: float) -> Floats:
    """Parts of the net benefit per case."""
    worth = np.where(cases.reference, 1.0, -threshold / (1 - threshold))
    gain = worth * (cases.score >= threshold)
    return np.asarray((gain - gain.mean()) / cases.n)
