"""Protected copy of a result: its base table carries keyed noise, and every count follows from it (pure).

A reader who scored the cases knows how many are above each cut, so only the outcomes are perturbed:
true positives carry noise, and false positives are the known total less those. Cuts stay ordered
in both classes, so that no released number contradicts another.
"""

import hashlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from healthval.contracts.base import canonical_json
from healthval.disclosure.payload.base_table import noisy_cumulative, synthetic, within_gaps
from healthval.disclosure.payload.keyed_noise import (
    KeyedNoise,
    count_variance,
    digest_of,
    level_times,
)
from healthval.disclosure.payload.noisy_estimates import Protection, patients_factor
from healthval.disclosure.payload.noisy_result import (
    noisy_calibration,
    noisy_curve,
    noisy_discrimination,
    noisy_level,
    noisy_mean,
    noisy_threshold,
)
from healthval.disclosure.policy import Policy
from healthval.errors import DisclosureRefused
from healthval.metrics.evaluate import evaluate
from healthval.metrics.result import Evaluation, ScoreHistogram, SiteResult, TableOne

Level: TypeAlias = tuple[int, int | None]
Counted: TypeAlias = tuple[int, int | None, str]  # cases, events, digest of the members
Table: TypeAlias = dict[float, tuple[int, int]]  # true and false positives at each cut; 0.0 is all


def protected(
    result: SiteResult, policy: Policy, secret: bytes, scores: Sequence[float]
) -> SiteResult:
    """Perturb a result; the gate builds the submission from this copy alone."""
    if policy.noise_scale is None:
        return result
    ev = result.evaluation
    public = np.asarray(tuple(scores) or _middles(ev.histogram), dtype=np.float64)
    cohort = hashlib.sha256(canonical_json(sorted(result.cohort)) + public.tobytes())
    noise = KeyedNoise(
        secret=secret, about=cohort.hexdigest(), sd=policy.noise_scale, multiple=policy.multiple
    )
    table = perturbed_table(ev, noise)
    about = Protection(
        noise=noise,
        n=sum(table[0.0]),
        n_events=table[0.0][0],
        scores=public,
        variables=len(_levels_by_variable(result)),
        numbers=sum(row.mean is not None for row in result.table_one),
        groupings=_groupings(result),
        patients=patients_factor(result.cohort),
    )
    levels = perturbed_levels(result, about) | _missing_values(result, about)
    return replace(
        result,
        evaluation=_evaluation(ev, about, table, levels),
        table_one=tuple(
            shown for row in result.table_one if (shown := _row(row, ev.n, about, levels))
        ),
        flow=perturbed_flow(result, noise, about.n),
        n_indeterminate=noise.count(result.n_indeterminate, "indeterminate", result.selection),
        n_missing_reference=noise.count(
            result.n_missing_reference, "missing reference", result.selection
        ),
    )


def perturbed_table(ev: Evaluation, noise: KeyedNoise) -> Table:
    """Perturb the true positives of every cut, in order, within what the score totals allow.

    Thresholds come first, and each gap between two of them keeps cases of both classes: a gap of
    one class would state each of its cases' outcomes. Bin edges are fitted between them.
    """
    true = _true_cuts(ev)
    totals = {at: tp + fp for at, (tp, fp) in true.items()} | {math.inf: 0}
    noisy = noisy_cumulative({at: tp for at, (tp, _) in true.items()}, noise, *totals.values())
    anchors = sorted({0.0, *(t.threshold for t in ev.thresholds), math.inf})
    shown = _anchors(anchors, noisy, totals)
    for low, high in list(pairwise(anchors)):
        between = [low, *sorted(at for at in noisy if low < at < high), high]
        gaps = [(0, totals[a] - totals[b]) for a, b in pairwise(between)]
        wanted = [noisy[at] for at in between[1:-1]]
        fitted = within_gaps(wanted, (shown[low], shown[high]), gaps)
        shown |= dict(zip(between[1:-1], fitted, strict=True))
    return {at: (noise.rounded(shown[at]), noise.rounded(totals[at] - shown[at])) for at in true}


def _anchors(
    ordered: Sequence[float], noisy: Mapping[float, int], totals: Mapping[float, int]
) -> dict[float, int]:
    """True positives at the thresholds, with both classes between any two where two cases are.

    The number of events is fitted first, so that the thresholds do not move it.
    """
    gaps = []
    for a, b in pairwise(ordered):
        cases = totals[a] - totals[b]
        gaps.append((1, cases - 1) if cases >= 2 else (0, cases))
    events = min(max(noisy[ordered[0]], sum(a for a, _ in gaps)), sum(b for _, b in gaps))
    fitted = within_gaps([noisy[at] for at in ordered[1:-1]], (events, 0), gaps)
    return dict(zip(ordered, (events, *fitted, 0), strict=True))


def _true_cuts(ev: Evaluation) -> dict[float, tuple[int, int]]:
    h = ev.histogram
    cuts = {edge: (sum(h.events[i:]), sum(h.non_events[i:])) for i, edge in enumerate(h.edges[:-1])}
    cuts |= {t.threshold: (t.confusion.tp, t.confusion.fp) for t in ev.thresholds}
    return cuts | {0.0: (ev.n_events, ev.n - ev.n_events)}


def _evaluation(
    ev: Evaluation, about: Protection, table: Table, levels: Mapping[tuple[str, str], Level]
) -> Evaluation:
    histogram = _histogram(ev.histogram, table)
    expected = math.fsum(histogram.score_sums)
    like = _like(ev, about, table)
    variance = count_variance(about.noise.sd, about.noise.multiple)
    discrimination = noisy_discrimination(ev, like, about)
    return replace(
        ev,
        n=about.n,
        n_events=about.n_events,
        histogram=histogram,
        thresholds=tuple(
            noisy_threshold(t, about, table[t.threshold], variance) for t in ev.thresholds
        ),
        calibration=noisy_calibration(ev, like, about, expected),
        decision_curve=noisy_curve(ev.decision_curve, about, table, variance),
        subgroups=tuple(
            noisy_level(s, about, levels[s.variable, s.level], discrimination["auroc"])
            for s in ev.subgroups
            if levels[s.variable, s.level][0]
        ),
        **discrimination,
    )


def _like(ev: Evaluation, about: Protection, table: Table) -> Evaluation:
    """Evaluation of synthetic cases with the table's counts."""
    score, outcome = synthetic(np.sort(about.scores), table)
    fixed = tuple(t.threshold for t in ev.thresholds)[:20] or (0.5,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a score below chance was reported to the site already
        return evaluate(outcome, score, thresholds=fixed)


def _histogram(h: ScoreHistogram, table: Table) -> ScoreHistogram:
    counts = {**table, math.inf: (0, 0), h.edges[0]: table[0.0]}
    between = list(pairwise([*h.edges[:-1], math.inf]))
    events = tuple(counts[a][0] - counts[b][0] for a, b in between)
    others = tuple(counts[a][1] - counts[b][1] for a, b in between)
    before = zip(h.score_sums, h.events, h.non_events, pairwise(h.edges), strict=True)
    means = [s / (e + o) if e + o else (a + b) / 2 for s, e, o, (a, b) in before]
    sums = tuple(m * (e + o) for m, e, o in zip(means, events, others, strict=True))
    return ScoreHistogram(edges=h.edges, events=events, non_events=others, score_sums=sums)


def _middles(h: ScoreHistogram) -> tuple[float, ...]:
    """One score per case in the middle of its bin, where the scores themselves are not given."""
    bins = zip(pairwise(h.edges), h.events, h.non_events, strict=True)
    return tuple(x for (a, b), e, o in bins for x in [(a + b) / 2] * (e + o))


def numbers_of(result: SiteResult) -> frozenset[str]:
    """Numbers of Table 1: only their missing values are counted, without events."""
    grouped = {s.variable for s in result.evaluation.subgroups}
    return frozenset(row.variable for row in result.table_one if row.mean is not None) - grouped


def _levels_by_variable(result: SiteResult) -> dict[str, dict[str, Counted]]:
    """Counts and members of each level, from Table 1 and the subgroups together."""
    found: dict[str, dict[str, Counted]] = {}
    numbers = numbers_of(result)
    for row in result.table_one:
        if row.mean is None and row.overall is not None and row.variable not in numbers:
            found.setdefault(row.variable, {})[row.level] = (
                row.overall,
                row.events,
                digest_of(row.members),
            )
    for s in result.evaluation.subgroups:
        before = found.setdefault(s.variable, {})
        if before.get(s.level, (s.n, s.n_events))[:2] != (s.n, s.n_events):
            raise DisclosureRefused(
                f"subgroups[{s.variable}]",
                "a level has other counts in Table 1 than among the subgroups",
                "count both over the analysed cases; their difference would single out a few",
            )
        before[s.level] = (s.n, s.n_events, digest_of(s.members))
    return found


def _groupings(result: SiteResult) -> str:
    """Digest of all levels under any names, of the outcomes, and of the threshold of the levels' rates."""
    levels, rows = _levels_by_variable(result).values(), result.evaluation.rows
    members = sorted(facts for variable in levels for *_, facts in variable.values())
    members += sorted(
        digest_of(row.members) for row in result.table_one if row.variable in numbers_of(result)
    )
    outcome = digest_of(None if rows is None else rows.outcome.tobytes())
    first = [t.threshold for t in result.evaluation.thresholds[:1]]
    return hashlib.sha256(canonical_json([members, outcome, first])).hexdigest()


def perturbed_levels(result: SiteResult, about: Protection) -> dict[tuple[str, str], Level]:
    """Perturb each level once, for subgroups and Table 1 together; the largest takes the remainder."""
    out: dict[tuple[str, str], Level] = {}
    for variable, levels in _levels_by_variable(result).items():
        shown = _perturbed_variable(levels, result.evaluation.n, about)
        out |= {(variable, level): counts for level, counts in shown.items()}
    return out


def _missing_values(result: SiteResult, about: Protection) -> dict[tuple[str, str], Level]:
    """Perturb the numbers of missing values; without events they are no part of the levels' noise.

    Else each number with missing values would add to the noise of every subgroup.
    """
    numbers, noise = numbers_of(result), about.of_levels
    return {
        (row.variable, row.level): (
            min(
                about.n,
                noise.count(
                    row.overall, "level", digest_of(row.members), times=level_times(len(numbers))
                ),
            ),
            None,
        )
        for row in result.table_one
        if row.mean is None and row.overall is not None and row.variable in numbers
    }


def _perturbed_variable(
    levels: Mapping[str, Counted], whole: int, about: Protection
) -> dict[str, Level]:
    noise, times, multiple = about.of_levels, about.level_times, about.noise.multiple
    by_size = sorted(levels, key=lambda level: (levels[level][0], level), reverse=True)
    sizes, events = {}, {}
    for level, (n, e, members) in levels.items():
        sizes[level] = noise.count(n, "level", e, members, times=times)
        if e is not None:
            events[level] = noise.count(e, "level events", n, members, times=times)
    is_whole = sum(n for n, *_ in levels.values()) == whole
    ends = dict.fromkeys(by_size, (0, about.n))
    sizes = summing(sizes, ends, about.n if is_whole else None)
    mixed = {level: multiple if sizes[level] >= 2 * multiple else 0 for level in by_size}
    ends = {level: (low, sizes[level] - low) for level, low in mixed.items() if level in events}
    all_known = is_whole and len(events) == len(levels)
    events = summing(events, ends, about.n_events if all_known else None)
    return {level: (sizes[level], events.get(level)) for level in levels}


def summing(
    wanted: Mapping[str, int], ends: Mapping[str, tuple[int, int]], total: int | None
) -> dict[str, int]:
    """Counts between their ends that add up to the total; the first takes the remainder, then the next.

    Parameters
    ----------
    ends : least and greatest count of each level, in the order in which they take the remainder; where
        no counts between them add up to the total, the least is 0 and the greatest includes all
    total : None where the sum is free

    Examples
    --------
    >>> summing({"a": 4, "b": 9, "c": 8}, {"a": (0, 20), "b": (0, 20), "c": (0, 20)}, 15)
    {'a': 0, 'b': 7, 'c': 8}
    """
    if total is not None and not sum(a for a, _ in ends.values()) <= total <= sum(
        b for _, b in ends.values()
    ):
        ends = {level: (0, a + b) for level, (a, b) in ends.items()}
    out = {level: min(max(a, wanted[level]), b) for level, (a, b) in ends.items()}
    for level, (a, b) in ends.items() if total is not None else ():
        out[level] = min(max(a, out[level] + (total or 0) - sum(out.values())), b)
    return out


def _row(
    row: TableOne, n: int, about: Protection, levels: Mapping[tuple[str, str], Level]
) -> TableOne | None:
    """Row of Table 1; None for a level without cases after noise, as one without any has no row.

    Otherwise a row of 0 would state that the level has cases, and its absence that it has none.
    """
    if row.mean is not None:
        whole = row.overall is None or row.overall == n
        return replace(noisy_mean(row, about), overall=about.n if whole else None)
    shown = levels.get((row.variable, row.level))
    if shown is None:
        return row
    n, e = shown
    return replace(row, overall=n, events=e, non_events=None if e is None else n - e) if n else None


def perturbed_flow(result: SiteResult, noise: KeyedNoise, n: int) -> tuple[tuple[str, int], ...]:
    """Perturb each step of the flow; steps stay in falling order and end at the scored cases.

    A step that excluded nobody is perturbed too, and other rules of selection have other noise: equal
    counts of two steps, or under two plans, would state that nobody is between them.
    """
    least, out = n, []
    for i, (step, count) in enumerate(reversed(result.flow)):
        is_last = i == 0 and count == result.evaluation.n
        shown = n if is_last else max(least, noise.count(count, "flow", i, result.selection))
        least = max(least, shown)
        out.append((step, shown))
    return tuple(reversed(out))
