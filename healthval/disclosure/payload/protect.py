"""Protected copy of a result: its base table carries keyed noise, and every count follows from it (pure).

A reader who scored the cases knows how many lie above each cut, so only the outcomes are perturbed:
true positives carry noise, and false positives are the known total less those. Cuts stay ordered
in both classes, so that no released number contradicts another.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from healthval.contracts.base import canonical_json
from healthval.disclosure.payload.keyed_noise import KeyedNoise
from healthval.disclosure.payload.noisy_estimates import (
    Protection,
    noisy_calibration,
    noisy_curve,
    noisy_discrimination,
    noisy_level,
    noisy_mean,
    noisy_threshold,
)
from healthval.disclosure.policy import Policy
from healthval.metrics.result import Evaluation, ScoreHistogram, SiteResult, TableOne

Level = tuple[int, int | None]


def protected(
    result: SiteResult, policy: Policy, secret: bytes, scores: Sequence[float]
) -> SiteResult:
    """Perturb a result; the gate builds the submission from this copy alone."""
    if policy.noise_scale is None:
        return result
    noise = KeyedNoise(
        secret=secret,
        cohort=hashlib.sha256(canonical_json(sorted(result.cohort))).hexdigest(),
        scale=policy.noise_scale,
        multiple=policy.multiple,
    )
    ev = result.evaluation
    cuts = perturbed_cuts(ev, noise, np.sort(np.asarray(scores, dtype=float)))
    about = Protection(
        noise=noise,
        n=cuts.n,
        n_events=cuts.tp[0.0],
        scores=tuple(scores) or _middles(ev.histogram),
    )
    levels = perturbed_levels(result, noise, about)
    return replace(
        result,
        evaluation=_evaluation(ev, about, cuts, levels),
        table_one=tuple(_row(row, ev.n, about, levels) for row in result.table_one),
        flow=perturbed_flow(result, noise, cuts.n),
        n_indeterminate=perturbed_count(result.n_indeterminate, noise, "excluded"),
        n_missing_reference=perturbed_count(result.n_missing_reference, noise, "excluded"),
    )


@dataclass(frozen=True, slots=True)
class Cuts:
    """True and false positives at each cut, perturbed; 0.0 is the cut below all cases."""

    tp: Mapping[float, int]
    fp: Mapping[float, int]

    @property
    def n(self) -> int:
        """Number of cases."""
        return self.tp[0.0] + self.fp[0.0]


def perturbed_cuts(ev: Evaluation, noise: KeyedNoise, scores: NDArray[np.float64]) -> Cuts:
    """Perturb the true positives of every cut, in order, within what the score totals allow.

    Thresholds come first, and each gap between two of them keeps cases of both classes: a gap of
    one class would state each of its cases' outcomes. Bin edges are fitted between them.
    """
    true = _true_cuts(ev)
    totals = {at: tp + fp for at, (tp, fp) in true.items()} | {math.inf: 0}
    noisy = {at: _noisy_cut(at, counts, noise, scores) for at, counts in true.items()}
    shown = _anchors(sorted({0.0, *(t.threshold for t in ev.thresholds)}), noisy, totals)
    shown[math.inf] = 0
    for low, high in list(pairwise(sorted(shown))):
        before = low
        for at in sorted(at for at in noisy if low < at < high):
            least = max(shown[high], shown[before] - (totals[before] - totals[at]))
            most = min(shown[before], shown[high] + totals[at] - totals[high])
            shown[at] = min(max(noisy[at], least), most)
            before = at
    tp = {at: noise.rounded(shown[at]) for at in true}
    fp = {at: noise.rounded(totals[at] - shown[at]) for at in true}
    return Cuts(tp, fp)


def _noisy_cut(
    at: float, counts: tuple[int, int], noise: KeyedNoise, scores: NDArray[np.float64]
) -> int:
    above = scores[np.searchsorted(scores, at) :] if at > 0 else scores[:0]
    return noise.count(
        counts[0], "events", sum(counts), hashlib.sha256(above.tobytes()).hexdigest()
    )


def _anchors(
    ordered: Sequence[float], noisy: Mapping[float, int], totals: Mapping[float, int]
) -> dict[float, int]:
    """True positives at the thresholds, with both classes between any two where two cases are."""
    ends = [*ordered, math.inf]
    needs = [int(totals[a] - totals[b] >= 2) for a, b in pairwise(ends)]
    shown: dict[float, int] = {}
    for i, at in enumerate(ordered):
        later = sum(needs[i:])
        least, most = later, max(later, totals[at] - later)
        if i:
            gap = totals[ordered[i - 1]] - totals[at]
            least = max(least, shown[ordered[i - 1]] - gap + needs[i - 1])
            most = min(most, shown[ordered[i - 1]] - needs[i - 1])
        shown[at] = min(max(noisy[at], least), most)
    return shown


def _true_cuts(ev: Evaluation) -> dict[float, tuple[int, int]]:
    h = ev.histogram
    cuts = {edge: (sum(h.events[i:]), sum(h.non_events[i:])) for i, edge in enumerate(h.edges[:-1])}
    cuts |= {t.threshold: (t.confusion.tp, t.confusion.fp) for t in ev.thresholds}
    return cuts | {0.0: (ev.n_events, ev.n - ev.n_events)}


def _evaluation(
    ev: Evaluation, about: Protection, cuts: Cuts, levels: Mapping[tuple[str, str], Level]
) -> Evaluation:
    histogram = _histogram(ev.histogram, cuts)
    expected = math.fsum(histogram.score_sums)
    return replace(
        ev,
        n=about.n,
        n_events=about.n_events,
        histogram=histogram,
        thresholds=tuple(
            noisy_threshold(t, about, (cuts.tp[t.threshold], cuts.fp[t.threshold]))
            for t in ev.thresholds
        ),
        calibration=noisy_calibration(ev, about, expected),
        decision_curve=noisy_curve(ev.decision_curve, about, cuts.tp, cuts.fp),
        subgroups=tuple(noisy_level(s, about, levels[s.variable, s.level]) for s in ev.subgroups),
        **noisy_discrimination(ev, about),
    )


def _histogram(h: ScoreHistogram, cuts: Cuts) -> ScoreHistogram:
    inner = [*h.edges[:-1], math.inf]
    tp, fp = ({**cut, math.inf: 0, h.edges[0]: cut[0.0]} for cut in (cuts.tp, cuts.fp))
    events = tuple(tp[a] - tp[b] for a, b in pairwise(inner))
    others = tuple(fp[a] - fp[b] for a, b in pairwise(inner))
    before = zip(h.score_sums, h.events, h.non_events, pairwise(h.edges), strict=True)
    means = [s / (e + o) if e + o else (a + b) / 2 for s, e, o, (a, b) in before]
    sums = tuple(m * (e + o) for m, e, o in zip(means, events, others, strict=True))
    return ScoreHistogram(edges=h.edges, events=events, non_events=others, score_sums=sums)


def _middles(h: ScoreHistogram) -> tuple[float, ...]:
    """One score per case in the middle of its bin, where the scores themselves are not given."""
    bins = zip(pairwise(h.edges), h.events, h.non_events, strict=True)
    return tuple(x for (a, b), e, o in bins for x in [(a + b) / 2] * (e + o))


def perturbed_levels(
    result: SiteResult, noise: KeyedNoise, about: Protection
) -> dict[tuple[str, str], Level]:
    """Perturb each level once, for subgroups and Table 1 together; the largest takes the remainder."""
    found: dict[str, dict[str, Level]] = {}
    for row in result.table_one:
        if row.mean is None and row.overall is not None:
            found.setdefault(row.variable, {})[row.level] = (row.overall, row.events)
    for s in result.evaluation.subgroups:
        before = found.setdefault(s.variable, {})
        if before.get(s.level, (s.n, s.n_events)) != (s.n, s.n_events):
            return {}  # other counts in Table 1 than among the subgroups: the gate refuses
        before[s.level] = (s.n, s.n_events)
    whole = (result.evaluation.n, result.evaluation.n_events)
    out: dict[tuple[str, str], Level] = {}
    for variable, levels in found.items():
        shown = _perturbed_variable(levels, whole, noise, about)
        out |= {(variable, level): counts for level, counts in shown.items()}
    return out


def _perturbed_variable(
    levels: Mapping[str, Level], whole: tuple[int, int], noise: KeyedNoise, about: Protection
) -> dict[str, Level]:
    out: dict[str, Level] = {}
    for level, (n, e) in levels.items():
        size = min(max(0, noise.count(n, "level", e)), about.n)
        events = None if e is None else _mixed(noise.count(e, "level events", n), size)
        out[level] = (
            noise.rounded(size),
            None if events is None else min(noise.rounded(events), noise.rounded(size)),
        )
    if sum(n for n, _ in levels.values()) != whole[0] or not out:
        return out
    largest = max(levels, key=lambda level: (levels[level][0], level))
    others = [counts for level, counts in out.items() if level != largest]
    size = max(0, about.n - sum(n for n, _ in others))
    events = out[largest][1]
    if events is not None and all(e is not None for _, e in others):
        events = min(size, max(0, about.n_events - sum(e or 0 for _, e in others)))
    out[largest] = (size, None if events is None else min(events, size))
    return out


def _mixed(events: int, size: int) -> int:
    """Events within a level of this size, of both classes where it has two cases."""
    least = int(size >= 2)
    return min(max(least, events), size - least)


def _row(
    row: TableOne, n: int, about: Protection, levels: Mapping[tuple[str, str], Level]
) -> TableOne:
    if row.mean is not None:
        whole = row.overall is None or row.overall == n
        return replace(noisy_mean(row, about), overall=about.n if whole else None)
    shown = levels.get((row.variable, row.level))
    if shown is None:
        return row
    n, e = shown
    return replace(row, overall=n, events=e, non_events=None if e is None else n - e)


def perturbed_count(count: int, noise: KeyedNoise, kind: str) -> int:
    """Perturb a count of excluded cases."""
    return max(0, noise.rounded(noise.count(count, kind)))


def perturbed_flow(result: SiteResult, noise: KeyedNoise, n: int) -> tuple[tuple[str, int], ...]:
    """Perturb each step of the flow; steps stay in falling order and end at the scored cases."""
    least, out = n, []
    for step, count in reversed(result.flow):
        if count == result.evaluation.n:
            shown = n
        else:
            shown = max(least, noise.rounded(noise.count(count, "flow")))
        least = max(least, shown)
        out.append((step, shown))
    return tuple(reversed(out))
