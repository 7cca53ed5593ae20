"""Case mix of each site: spread of the linear predictor, and the c statistic that it implies."""

import math

import numpy as np

from healthval.aggregate.between_site_variance import Array
from healthval.aggregate.counts import Sites
from healthval.aggregate.effects import count
from healthval.aggregate.secondary.records import CaseMix
from healthval.contracts.submission import Submission

_NEAREST = 1e-6  # of a mean score to 0 and 1


def case_mix(sites: Sites) -> tuple[CaseMix, ...]:
    """Describe each site's case mix from its released histogram.

    References
    ----------
    van Klaveren 2016, Stat Med 35:4136 (model-based concordance); Debray 2015, J Clin Epidemiol
    68:279 (spread of the linear predictor).
    """
    return tuple(_of_site(site, s) for site, s in sites)


def _of_site(site: str, s: Submission) -> CaseMix:
    bins = _bins(s)
    if isinstance(bins, str):
        return CaseMix(
            site=site, mean_score=None, sd_linear_predictor=None, model_c=None, bins=0, reason=bins
        )
    n, p = bins
    logit = np.log(p / (1 - p))
    mean = float(n @ logit / n.sum())
    return CaseMix(
        site=site,
        # Nine digits, as in ``metrics.json``: a number that is rounded twice may print otherwise.
        mean_score=round(float(n @ p / n.sum()), 9),
        sd_linear_predictor=math.sqrt(float(n @ (logit - mean) ** 2 / n.sum())),
        model_c=_model_c(n, p),
        bins=len(n),
        reason=None,
    )


def _bins(s: Submission) -> tuple[Array, Array] | str:
    """Cases and mean score of each bin with cases, in growing order; or the reason for none."""
    sizes, means = [], []
    for b in s.histogram:
        events, others = count(b.events), count(b.non_events)
        if events is None or others is None or b.score_sum is None:
            return "a bin without counts or mean score"
        size = events + others
        if size > 0:
            sizes.append(float(size))
            means.append(min(max(b.score_sum / size, _NEAREST), 1 - _NEAREST))
    if len(sizes) < 2:
        return "fewer than two bins with cases"
    return np.array(sizes), np.array(means)


def _model_c(n: Array, p: Array) -> float:
    """Concordance if the scores are the risks; two cases of one bin count one half."""
    events, others = n * p, n * (1 - p)
    below = np.concatenate([[0.0], np.cumsum(others)[:-1]])
    return float(events @ (below + others / 2) / (events.sum() * others.sum()))
