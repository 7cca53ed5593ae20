"""Differential privacy for the histogram, if a policy asks for it: OpenDP's integer mechanism.

The sizes of the classes are released exactly, so neighbouring data sets have one case in another
bin: two counts change by 1 each, and the noise is scaled to that. Only the display is meant: small
sites get more noise than signal.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from healthval.contracts.base import canonical_json
from healthval.contracts.submission import HistogramNoise, ReleasedBin, Submission
from healthval.disclosure.ledger import Entry
from healthval.disclosure.payload.context import GRID_DECIMALS, is_on_grid, thinned
from healthval.disclosure.policy import Policy
from healthval.errors import DisclosureRefused, UsageError
from healthval.metrics.result import ScoreHistogram, SiteResult

SENSITIVITY = 2
Sampler: TypeAlias = Callable[[Sequence[int], float], list[int]]


def opendp_laplace(counts: Sequence[int], scale: float) -> list[int]:
    """Add discrete Laplace noise (Ghosh 2012) with OpenDP's sampler, which is exact.

    Raises
    ------
    UsageError
        If the extra is not installed.
    """
    try:
        import opendp.prelude as dp
    except ImportError:
        raise UsageError(
            "the policy asks for a differentially private histogram: pip install 'healthval[dp]'"
        ) from None
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int)
    return [int(x) for x in dp.m.make_laplace(*space, scale=scale)(list(counts))]


def error_95(epsilon: float) -> int:
    """Error that 95 % of noisy counts stay within, before they are made to add up.

    Examples
    --------
    >>> [error_95(epsilon) for epsilon in (0.5, 1.0, 4.0)]
    [12, 6, 1]
    """
    a = math.exp(-epsilon / SENSITIVITY)
    k = 0
    while 2 * a ** (k + 1) / (1 + a) > 0.05:
        k += 1
    return k


def noisy_histogram(
    histogram: ScoreHistogram, policy: Policy, epsilon: float, sampler: Sampler
) -> tuple[tuple[ReleasedBin, ...], HistogramNoise]:
    """Give every bin of both classes a noisy count; the classes keep their exact sizes.

    Negative counts are not cut off, which would bias: the nearest counts that are at least 0 and
    add up to the class take their place.
    """
    if not all(is_on_grid(edge, GRID_DECIMALS) for edge in histogram.edges):
        raise DisclosureRefused(
            "histogram", "a bin edge has too many decimals", "use the fixed grid"
        )
    cuts = thinned(range(len(histogram.edges)), policy.max_points + 1)
    bins = list(pairwise(cuts))
    events, others = (
        [sum(counts[a:b]) for a, b in bins] for counts in (histogram.events, histogram.non_events)
    )
    noisy = sampler([*events, *others], SENSITIVITY / epsilon)
    released = zip(
        bins,
        nearest_counts(noisy[: len(bins)], sum(events)),
        nearest_counts(noisy[len(bins) :], sum(others)),
        strict=True,
    )
    edges = histogram.edges
    out = tuple(
        ReleasedBin(low=edges[a], high=edges[b], events=m, non_events=n)
        for (a, b), m, n in released
    )
    return out, HistogramNoise(epsilon=epsilon, error_95=error_95(epsilon))


def noisy_display(
    result: SiteResult, policy: Policy, entries: Sequence[Entry]
) -> tuple[dict[str, Any], float]:
    """Give the fields of the noisy histogram, and what they cost now.

    Noise about the same cases is drawn once: later releases repeat it at no cost.

    Raises
    ------
    DisclosureRefused
        If the budget for this model is spent.
    """
    epsilon = policy.histogram_epsilon
    evaluation = result.evaluation
    sizes = (evaluation.n_events, evaluation.n - evaluation.n_events)
    if epsilon is None or not all(policy.shows(size) for size in sizes):
        return {}, 0.0
    spent, cases = 0.0, sorted(result.cohort)
    for body in (e.body for e in entries if e.kind == "release"):
        before = body["payload"]
        if before["model"] != result.model:
            continue
        spent += body["epsilon"]
        same = (body["cohort"], before["version"]) == (cases, result.version)
        if same and before["histogram_noise"] == {
            "epsilon": epsilon,
            "error_95": error_95(epsilon),
        }:
            again = Submission.model_validate_json(canonical_json(before))
            return {"histogram": again.histogram, "histogram_noise": again.histogram_noise}, 0.0
    if spent + epsilon > policy.epsilon_budget:
        raise DisclosureRefused(
            "histogram",
            f"the privacy budget for this model is spent (epsilon {spent:g} so far)",
            "release without noise, with merged bins",
        )
    bins, noise = noisy_histogram(evaluation.histogram, policy, epsilon, opendp_laplace)
    return {"histogram": bins, "histogram_noise": noise}, epsilon


def nearest_counts(noisy: Sequence[int], total: int) -> list[int]:
    """Whole numbers of at least 0 with the given sum, nearest to the noisy ones.

    References
    ----------
    Projection onto a simplex: Duchi 2008 ICML; then largest remainders.

    Examples
    --------
    >>> nearest_counts([5, -2, 4], 6)
    [4, 0, 2]
    """
    values = np.asarray(noisy, dtype=float)
    falling = np.sort(values)[::-1]
    shifts = (np.cumsum(falling) - total) / np.arange(1, values.size + 1)
    shift = shifts[np.flatnonzero(falling - shifts > 0)[-1]] if total else falling[0]
    projected = np.maximum(values - shift, 0.0)
    whole = np.floor(projected + 1e-9)
    missing = int(total - whole.sum())
    whole[np.argsort(whole - projected, kind="stable")[:missing]] += 1
    return [int(x) for x in whole]


def check_noise(submission: Submission, policy: Policy) -> int:
    """Noise is accepted only where the policy asks for it, at no greater cost."""
    noise = submission.histogram_noise
    if noise is None:
        return 0
    if policy.histogram_epsilon is None or noise.epsilon > policy.histogram_epsilon:
        raise DisclosureRefused(
            "histogram_noise",
            "noise that the policy does not ask for cannot be told from the counts themselves",
            "release the merged histogram",
        )
    if noise.error_95 != error_95(noise.epsilon) or any(
        b.score_sum is not None for b in submission.histogram
    ):
        raise DisclosureRefused("histogram_noise", "not what this noise gives", "release again")
    return len(submission.histogram)
