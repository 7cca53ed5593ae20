"""Differential privacy for the histogram, where a policy asks for it: OpenDP's integer mechanism.

The sizes of the classes are released exactly, so neighbouring data sets have one case in another
bin: two counts change by 1 each, and the noise is scaled to that. Only the display has noise: at
small sites it is larger than the signal.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from healthval.contracts.base import canonical_json
from healthval.contracts.submission import HistogramNoise, ReleasedBin, Submission
from healthval.disclosure.attacks.checks import SENSITIVITY, error_95
from healthval.disclosure.ledger import Entry
from healthval.disclosure.policy import GRID_DECIMALS, Policy, is_on_grid, thinned
from healthval.errors import DisclosureRefused, UsageError
from healthval.files import install_command
from healthval.metrics.result import ScoreHistogram, SiteResult

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
            f"the policy asks for a differentially private histogram: {install_command('dp')}"
        ) from None
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int)
    return [int(x) for x in dp.m.make_laplace(*space, scale=scale)(list(counts))]


def noisy_histogram(
    histogram: ScoreHistogram, policy: Policy, epsilon: float, sampler: Sampler
) -> tuple[tuple[ReleasedBin, ...], HistogramNoise]:
    """Replace the counts of every bin by noisy ones; the classes keep their exact sizes.

    Clipping negative counts at 0 would bias: they are replaced by the nearest counts that are at
    least 0 and add up to the class.
    """
    if not all(is_on_grid(edge, GRID_DECIMALS) for edge in histogram.edges):
        raise DisclosureRefused(
            "histogram", f"a bin edge has more than {GRID_DECIMALS} decimals", "use the fixed grid"
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
    """Fields of the noisy histogram with their privacy cost; empty where no noise is due.

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
    past = [e.body for e in entries if e.kind == "release"]
    past = [body for body in past if body["payload"]["model"] == result.model]
    if drawn := _drawn_before(result, epsilon, past):
        return drawn, 0.0
    spent = sum(body["epsilon"] for body in past)
    if spent + epsilon > policy.epsilon_budget:
        raise DisclosureRefused(
            "histogram",
            f"the privacy budget for this model is spent (epsilon {spent:g} so far)",
            "release without noise, with merged bins",
        )
    bins, noise = noisy_histogram(evaluation.histogram, policy, epsilon, opendp_laplace)
    return {"histogram": bins, "histogram_noise": noise}, epsilon


def _drawn_before(
    result: SiteResult, epsilon: float, past: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Noisy histogram of the first release about the same cases at the same epsilon, or nothing."""
    cases, noise = sorted(result.cohort), {"epsilon": epsilon, "error_95": error_95(epsilon)}
    for body in past:
        before = body["payload"]
        same = (body["cohort"], before["version"]) == (cases, result.version)
        if same and before["histogram_noise"] == noise:
            again = Submission.model_validate_json(canonical_json(before))
            return {"histogram": again.histogram, "histogram_noise": again.histogram_noise}
    return {}


def nearest_counts(noisy: Sequence[int], total: int) -> list[int]:
    """Whole numbers of at least 0 with the given sum that are nearest to the noisy ones.

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
