"""Attacker for releases: solver and posterior, with all that the reader knows (used by presets.py).

The reader has every score, the levels of the input subgroups, thresholds, policy and code. `claims`
returns what each attack derives as certain; a claim is a success only if nearly all of its kind are true.
"""

import warnings
from itertools import pairwise

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from healthval.contracts.submission import SUPPRESSED, band_limits
from healthval.disclosure.payload.base_table import square_root
from healthval.disclosure.payload.keyed_noise import level_times
from healthval.disclosure.payload.noisy_estimates import TIMES, USUAL_SD

SMALL = range(1, 11)
CASES = 400  # larger cohorts are tried by atoms alone


def half_unit(value):
    """Half a unit of the last decimal of a shown number."""
    return 0.5 * 10.0 ** -max(0, len(repr(round(value, 9)).partition(".")[2])) + 1e-9


def cell_span(cell, top):
    if isinstance(cell, (int, float)):
        return cell, cell
    return (0, top) if cell == SUPPRESSED else band_limits(cell) or (0, top)


def both(a, b):
    return max(a[0], b[0]), min(a[1], b[1])


def cut_spans(s, score):
    """Least and greatest number of events at or above each cut, from cells, rates, bins and curves."""
    m, n = s.n_events, s.n
    found = {0.0: (m, m), 2.0: (0, 0)}
    for t in s.thresholds:
        k = round(float((score >= t.threshold).sum()) * n / score.size)
        c = t.confusion
        tp, fn = cell_span(c.tp, m), cell_span(c.fn, m)
        fp, tn = cell_span(c.fp, n - m), cell_span(c.tn, n - m)
        span = both(tp, (m - fn[1], m - fn[0]))
        span = both(span, both((k - fp[1], k - fp[0]), (k - n + m + tn[0], k - n + m + tn[1])))
        for e, size, shift in (
            (t.sensitivity, m, 0),
            (t.specificity, n - m, k - n + m),
            (t.ppv, k, 0),
            (t.npv, n - k, m - n + k),
        ):
            if e.value is not None and size:
                h = half_unit(e.value)
                span = both(span, (shift + (e.value - h) * size, shift + (e.value + h) * size))
        found[t.threshold] = span
    above = 0
    for b in reversed(s.histogram):
        above += b.events
        if b.low > 0:
            found[b.low] = both(found.get(b.low, (0, m)), (above, above))
    return {at: (np.ceil(a - 1e-6), np.floor(b + 1e-6)) for at, (a, b) in found.items()}


def level_spans(s, levels):
    """Least and greatest number of events in each shown level, as (members, span)."""
    out = []
    for row in s.subgroups:
        if row.level != SUPPRESSED and isinstance(row.n_events, int):
            out.append((levels == row.level, (row.n_events, row.n_events)))
    for row in s.table_one:
        if row.mean is None and isinstance(row.events, int):
            out.append((levels == row.level, (row.events, row.events)))
    return [(inside, span) for inside, span in out if inside.any()]


def statistic_rows(s, score):
    """Brier score, AUROC and slope as bounds on sums over the outcomes, by name."""
    n, m, out = score.size, s.n_events, {}
    c = s.calibration
    if c is not None and c.brier.value is not None:
        v, h, const = c.brier.value, half_unit(c.brier.value), (score**2).sum()
        out["brier"] = (2 * score - 1, const - n * (v + h), const - n * (v - h))
    if s.auroc.value is not None:
        v, h, pairs = s.auroc.value, half_unit(s.auroc.value), m * (n - m)
        low = m * (m + 1) / 2
        out["auroc"] = (rankdata(score), (v - h) * pairs + low, (v + h) * pairs + low)
    if c is not None and c.slope.value is not None and abs(c.slope.value) < 20:
        x, v, h = logit(np.clip(score, 1e-6, 1 - 1e-6)), c.slope.value, half_unit(c.slope.value)
        out["slope"] = (x, *sorted((slope_sum(v - h, x, m), slope_sum(v + h, x, m))))
    return out


def slope_sum(b, x, m):
    """Sum of the events' logits that a logistic slope b with m events means."""
    low, high = -900.0, 900.0
    for _ in range(80):
        a = (low + high) / 2
        low, high = (a, high) if expit(a + b * x).sum() < m else (low, a)
    return float((x * expit(a + b * x)).sum())


def slope_of(x, p):
    """Slope of a logistic fit of the risks on the logits."""
    a, b = 0.0, 1.0
    for _ in range(30):
        fit = expit(a + b * x)
        w = np.maximum(fit * (1 - fit), 1e-9)
        gradient = np.array([(p - fit).sum(), (x * (p - fit)).sum()])
        matrix = np.array([[w.sum(), (w * x).sum()], [(w * x).sum(), (w * x**2).sum()]])
        step = np.linalg.solve(matrix, gradient)
        a, b = a + step[0], b + step[1]
    return b


def solve(cost, limits, top):
    rows, lows, highs = limits
    rule = LinearConstraint(np.array(rows, float), np.array(lows) - 1e-6, np.array(highs) + 1e-6)
    found = milp(
        cost,
        constraints=rule,
        integrality=np.ones(top.size),
        bounds=Bounds(np.zeros(top.size), top),
        options={"time_limit": 1.0},
    )
    return None if found.x is None or found.status != 0 else np.round(found.x)


def by_cuts(s, score, outcome):
    """Claims from the cuts alone: each count above a cut, and each gap between two."""
    spans, out = cut_spans(s, score), []
    edges = sorted(spans)
    for low, high in [*pairwise(edges), *((at, edges[-1]) for at in edges[1:-1])]:
        ends = spans[low] + spans[high]
        if ends[0] == ends[1] and ends[2] == ends[3]:
            inside = (score >= low) & (score < high)
            out += about_cells(ends[0] - ends[2], inside, outcome)
    return out


def about_cells(said, inside, outcome):
    """Claims that a set of cases has a number of events: small cells, and labels of one class.

    The labels of a set are one claim: they are true or false together.
    """
    total, true = int(inside.sum()), int(outcome[inside].sum())
    pairs = [(said, true), (total - said, total - true)]
    out = [("cells", x, y) for x, y in pairs if x in SMALL and x != total]
    if total and said in (0, total):
        out.append(("labels", said, true))
    return out


def by_atoms(s, score, levels, outcome):
    """Claims of an integer programme over atoms: cuts by levels of the input subgroups."""
    spans, groups, out = cut_spans(s, score), level_spans(s, levels), []
    edges = sorted(spans)
    if not groups:
        return out
    names, level = np.unique(levels, return_inverse=True)
    keys = np.digitize(score, edges[1:-1]) * names.size + level
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    size = np.bincount(index).astype(float)
    masks = [(score >= at)[first] for at in edges[:-1]] + [inside[first] for inside, _ in groups]
    limits = [spans[at] for at in edges[:-1]] + [span for _, span in groups]
    lows, highs = zip(*limits, strict=True)
    seen = solve(np.zeros(size.size), (masks, lows, highs), size)
    if seen is None:
        return out  # the numbers contradict each other
    least = most = seen
    for i, goal in enumerate(np.eye(size.size)):
        for sign in (1, -1):
            if least[i] == most[i]:
                found = solve(sign * goal, (masks, lows, highs), size)
                found = np.stack([0 * size, size]) if found is None else found[None]
                least, most = np.minimum(least, found.min(0)), np.maximum(most, found.max(0))
        if least[i] == most[i]:
            out += about_cells(int(least[i]), index == i, outcome)
    return out


def by_cases(s, score, outcome, targets):
    """Claims of an integer programme over single cases: counts with one statistic, and with all."""
    if score.size > CASES:
        return []
    spans, found, out = cut_spans(s, score), statistic_rows(s, score), []
    base = [((score >= at).astype(float), *spans[at]) for at in spans if at < 2]
    names = [[name] for name in found] + ([list(found)] if len(found) > 1 else [])
    for chosen in names:
        rows, lows, highs = zip(*base, *(found[name] for name in chosen), strict=True)
        top = np.ones(score.size)
        seen = solve(np.zeros(score.size), (rows, lows, highs), top)
        if seen is None:
            continue
        met = [seen]
        for i in targets:
            if len({x[i] for x in met}) == 1:
                goal = np.eye(1, score.size, i)[0] * (2 * seen[i] - 1)
                other = solve(goal, (rows, lows, highs), top)
                if other is not None:
                    met.append(other)
                    if other[i] == seen[i]:
                        out.append(("labels", int(seen[i]), int(outcome[i])))
    return out


def observations(s, score, levels, *, chance, policy):
    """Shown numbers as linear functions of the outcomes: rows, values, and covariance of their noise."""
    sd, n, m = policy.noise_scale, score.size, max(1, s.n_events)
    spans = {at: span for at, span in cut_spans(s, score).items() if at < 2}
    edges = sorted(
        {*np.round(np.linspace(0, 1, 21), 4)[:-1].tolist(), *(t.threshold for t in s.thresholds)},
        reverse=True,
    )
    root = square_root(len(edges))
    full = root @ root.T * (sd / np.linalg.norm(root[:, 0])) ** 2
    known = [at for at in edges if at in spans and spans[at][0] <= spans[at][1]]
    place = [edges.index(at) for at in known]
    rows = [(score >= at).astype(float) for at in known]
    values = [(spans[at][0] + spans[at][1]) / 2 for at in known]
    widths = np.array([(spans[at][1] - spans[at][0]) ** 2 / 12 for at in known])
    blocks = [full[np.ix_(place, place)] + np.diag(widths + policy.multiple**2 / 12)]
    one = 1 / m + 1 / max(1, n - m)
    p, x = chance, logit(np.clip(score, 1e-4, 1 - 1e-4))
    if s.auroc.value is not None:
        order = np.argsort(score)
        below = np.empty(n)
        below[order] = np.cumsum((1 - p)[order]) - (1 - p)[order] / 2
        above = np.empty(n)
        above[order[::-1]] = np.cumsum(p[order[::-1]]) - p[order[::-1]] / 2
        e, o = p.sum(), (1 - p).sum()
        area = float((p * below).sum() / (e * o))
        slope = below / (e * o) - above / (e * o) - area / e + area / o
        rows.append(slope)
        values.append(s.auroc.value - area + slope @ p)
        blocks.append([[(TIMES["auroc"] * one * sd / USUAL_SD) ** 2]])
    if s.calibration is not None:
        c = s.calibration
        if c.brier.value is not None:
            rows.append((1 - 2 * score) / n)
            values.append(c.brier.value - (score**2).mean())
            largest = np.abs(1 - 2 * score).max() / n
            blocks.append([[(TIMES["brier"] * largest * sd / USUAL_SD) ** 2]])
        if c.slope.value is not None:
            w = np.maximum(p * (1 - p), 1e-6)
            centre = (w * x).sum() / w.sum()
            row = (x - centre) / (w * (x - centre) ** 2).sum()
            rows.append(row)
            values.append(c.slope.value - slope_of(x, p) + row @ p)
            blocks.append([[(TIMES["slope"] * np.abs(row).max() * sd / USUAL_SD) ** 2]])
    for inside, span in level_spans(s, levels):
        rows.append(inside.astype(float))
        values.append(span[0])
        blocks.append([[(level_times(1) * sd) ** 2 + policy.multiple**2 / 12]])
    spread = np.zeros((len(rows), len(rows)))
    at = 0
    for block in map(np.asarray, blocks):
        spread[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return np.array(rows), np.array(values, float), spread


def by_posterior(s, score, levels, outcome, chance, policy):
    """Claims where the posterior is at least .99 and the model alone gave less than .9; all gains."""
    a, z, noise = observations(s, score, levels, chance=chance, policy=policy)
    v = chance * (1 - chance)
    spread = (a * v) @ a.T + noise + 1e-12 * np.eye(len(a))
    fits = np.abs(z - a @ chance) < 4 * np.sqrt(np.diag(spread))  # else the reader's model is wrong
    a, z, spread = a[fits], z[fits], spread[np.ix_(fits, fits)]
    weight = np.linalg.solve(spread, a)
    own, residual = (a * weight).sum(axis=0), weight.T @ (z - a @ chance)
    left = np.maximum(1 - v * own, 1e-9)  # spread without the case itself
    info = own / left
    log_ratio = residual / left + chance * info - info / 2
    posterior = expit(logit(chance) + log_ratio)
    sure = (np.maximum(posterior, 1 - posterior) >= 0.99) & (np.maximum(chance, 1 - chance) < 0.9)
    out = [("labels", int(posterior[i] > 0.5), int(outcome[i])) for i in np.flatnonzero(sure)]
    masks = [(score >= t.threshold).astype(float) for t in s.thresholds]
    masks += [inside.astype(float) for inside, _ in level_spans(s, levels)]
    for mask in masks:
        before = float((mask * v) @ mask)
        k = (a * v) @ mask
        after = max(before - float(k @ np.linalg.solve(spread, k)), 1e-9)
        centre = float(mask @ chance + k @ np.linalg.solve(spread, z - a @ chance))
        odds = [2 * norm.cdf(0.5 / np.sqrt(x)) - 1 for x in (before, after)]
        if odds[1] >= 0.95 > odds[0] and round(centre) in SMALL:
            out.append(("cells", round(centre), int(outcome[mask > 0].sum())))
    return out, np.exp(np.abs(log_ratio))


def by_difference(submissions, scores, outcome, target):
    """Claims about the case whose score alone differs between two versions."""
    out, (old, new), (first, second) = [], scores, submissions
    for a, b in zip(first.thresholds, second.thresholds, strict=True):
        tp = a.confusion.tp, b.confusion.tp
        if (
            all(isinstance(x, int) for x in tp)
            and (old >= a.threshold)[target] != (new >= a.threshold)[target]
        ):
            out.append(("labels", int(abs(tp[1] - tp[0]) >= 1), int(outcome[target])))
    if first.calibration is not None and second.calibration is not None:
        brier = [c.brier.value for c in (first.calibration, second.calibration)]
        if None not in brier:
            seen = (brier[1] - brier[0]) * old.size
            means = [(y - new[target]) ** 2 - (y - old[target]) ** 2 for y in (0, 1)]
            out.append(
                ("labels", int(np.abs(np.array(means) - seen).argmin()), int(outcome[target]))
            )
    return out


def claims(s, site, policy):
    """All claims about one release by attack, and the factors by which posterior odds grew."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = (s, site.score, site.levels, site.outcome)
        posterior, gains = (
            ([], np.ones(1))
            if policy.noise_scale is None
            else by_posterior(*known, site.chance, policy)
        )
        found = {
            "cuts": by_cuts(s, site.score, site.outcome),
            "atoms": by_atoms(*known),
            "cases": by_cases(s, site.score, site.outcome, site.targets),
            "posterior": posterior,
        }
    return found, gains
