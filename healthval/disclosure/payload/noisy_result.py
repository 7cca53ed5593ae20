"""Evaluation, subgroups and means of a protected result, from its perturbed table (pure)."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from healthval.disclosure.payload.keyed_noise import digest_of
from healthval.disclosure.payload.noisy_estimates import (
    LEVEL_PARTS,
    USUAL_SD,
    Protection,
    curve_at,
    hanley_mcneil,
    inside,
    is_at_an_end,
    moved,
    net_benefit_of,
    perturbed_rate,
    precision_reach,
    solved_intercept,
    widened,
    within,
)
from healthval.metrics.calibration.measures import Calibration
from healthval.metrics.confusion import Confusion
from healthval.metrics.estimate import Estimate, Sample
from healthval.metrics.net_benefit import DecisionCurve
from healthval.metrics.result import Evaluation, SubgroupResult, TableOne, ThresholdResult

CURVE_PARAMETERS = 5  # of the flexible calibration curve: a case moves a point by about this / n
LEAST = 1e-6
LARGEST_SHARE = (
    10.0  # of one outcome in a slope; beyond, as among scores all alike but one, it says nothing
)
FARTHEST = 2.25  # influences of one outcome that the slope may be from the table's
FEWEST = 10  # cases of a class, after noise, for a statistic of a level


def noisy_threshold(
    t: ThresholdResult, about: Protection, cells: tuple[int, int], variance: float
) -> ThresholdResult:
    """Rates and net benefit of the perturbed table at a threshold."""
    tp, fp = cells
    fn, tn = about.n_events - tp, about.n - about.n_events - fp

    def rate(e: Estimate, k: int, n: int) -> Estimate:
        return perturbed_rate(k, n, variance, level=e.level, factor=about.patients)

    return replace(
        t,
        confusion=Confusion(tp=tp, fp=fp, fn=fn, tn=tn),
        sensitivity=rate(t.sensitivity, tp, tp + fn),
        specificity=rate(t.specificity, tn, tn + fp),
        ppv=rate(t.ppv, tp, tp + fp),
        npv=rate(t.npv, tn, tn + fn),
        net_benefit=_net_benefit(t, about, cells, variance),
    )


def _net_benefit(
    t: ThresholdResult, about: Protection, cells: tuple[int, int], variance: float
) -> Estimate:
    if t.threshold >= 1 or t.net_benefit.value is None:
        return replace(t.net_benefit, **about.counts)
    _, plain = net_benefit_of(cells, about.n, t.threshold, 0.0)
    value, se = net_benefit_of(cells, about.n, t.threshold, variance)
    se = math.hypot(about.patients * plain, math.sqrt(max(0.0, se**2 - plain**2)))
    return Sample(about.n, about.n_events, t.net_benefit.level).wald(
        value, se, t.net_benefit.method
    )


def noisy_curve(
    curve: DecisionCurve, about: Protection, table: Mapping[float, tuple[int, int]], variance: float
) -> DecisionCurve:
    """Net benefit of the perturbed table; NaN at thresholds that are not cuts of it."""
    names = ("net_benefit", "lo", "hi", "se")
    out: dict[str, Any] = {name: np.full(len(curve.thresholds), np.nan) for name in names}
    z = float(ndtri((1 + curve.level) / 2))
    for i, t in enumerate(curve.thresholds.tolist()):
        if t in table and t < 1:
            value, se = net_benefit_of(table[t], about.n, t, variance)
            for name, number in zip(
                names, (value, value - z * se, value + z * se, se), strict=True
            ):
                out[name][i] = number
    return replace(curve, **out, **about.counts)


def noisy_discrimination(ev: Evaluation, like: Evaluation, about: Protection) -> dict[str, Any]:
    """AUROC and average precision with noise."""
    return {
        "auroc": within(about.perturbed(ev.auroc, like.auroc, about.one, "auroc")),
        "average_precision": within(
            about.perturbed(
                ev.average_precision,
                like.average_precision,
                precision_reach(like.average_precision.value or 0.0, about.n_events),
                "average precision",
            )
        ),
    }


def noisy_calibration(
    ev: Evaluation, like: Evaluation, about: Protection, expected: float
) -> Calibration:
    """Calibration with noise; all but slope and Brier score follow from them and the table."""
    c, as_table, s = ev.calibration, like.calibration, about.scores
    n, m = about.n, about.n_events
    largest = float(np.abs(1 - 2 * s).max(initial=0)) / n
    brier = within(about.perturbed(c.brier, as_table.brier, largest, "brier"))
    oe, citl = (widened(e, about.patients) for e in (as_table.oe, as_table.citl))
    if oe.value is not None and expected > 0:
        oe = moved(oe, m / expected - oe.value, about.noise.sd / expected)
    intercept, slope = _coefficients(c, as_table, about)
    steep = about.noise.sd / max(float((s * (1 - s)).sum()), LEAST)
    fields: dict[str, Any] = {
        "oe": replace(oe, **about.counts),
        "citl": replace(moved(citl, 0.0, steep), **about.counts),
        "intercept": intercept,
        "slope": slope,
        "brier": brier,
        "scaled_brier": _scaled_brier(as_table, brier, about),
    }
    curve = _calibration_curve(as_table, about, (intercept, slope))
    return replace(c, observed=m, expected=expected, **fields, **curve)


def _coefficients(
    c: Calibration, as_table: Calibration, about: Protection
) -> tuple[Estimate, Estimate]:
    """Slope with noise, and the intercept that follows from it and the perturbed events."""
    x, w = _weights(as_table, about)
    none = replace(as_table.slope, value=None, lo=None, hi=None, se=None, **about.counts)
    if x is None or w is None:
        return none, none
    centre = float((w * x).sum() / w.sum())
    one = float(np.abs(x - centre).max() / max((w * (x - centre) ** 2).sum(), LEAST))
    if one > LARGEST_SHARE:
        return none, none
    near = _near(c.slope, as_table.slope, FARTHEST * one)
    slope = about.perturbed(near, as_table.slope, one, "slope")
    if slope.value is None or as_table.intercept.value is None:
        return replace(slope, value=None, lo=None, hi=None, se=None), slope
    value = solved_intercept(about.scores, slope.value, about.n_events)
    tilt = centre * about.deviation("slope", one)
    sd = math.hypot(tilt, about.noise.sd / float(w.sum()))
    intercept = moved(as_table.intercept, value - as_table.intercept.value, sd)
    return replace(intercept, method=slope.method, **about.counts), slope


def _near(e: Estimate, like: Estimate, reach: float) -> Estimate:
    """Slope within reach of the table's.

    A single outcome can move the slope of nearly separated cases without limit, and separated ones
    have none: they have the largest slope within reach.
    """
    if like.value is None:
        return e
    value = math.copysign(math.inf, like.value) if e.value is None else e.value
    return replace(e, value=min(max(value, like.value - reach), like.value + reach))


def _weights(
    as_table: Calibration, about: Protection
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Logits of the scores, and the weights of the cases in the table's fit."""
    inside = about.scores[(about.scores > 0) & (about.scores < 1)]
    a, b = as_table.intercept.value, as_table.slope.value
    if a is None or b is None or inside.size < 2:
        return None, None
    x = logit(inside)
    p = expit(a + b * x)
    return x, np.maximum(p * (1 - p), LEAST)


def _scaled_brier(as_table: Calibration, brier: Estimate, about: Protection) -> Estimate:
    """Scaled Brier score of the perturbed Brier score and classes."""
    e, n, m = as_table.scaled_brier, about.n, about.n_events
    if e.value is None or brier.value is None:
        return replace(e, value=None, lo=None, hi=None, se=None, **about.counts)
    spread = max(m * (n - m) / n**2, 1 / n)
    noise = math.sqrt(max(0.0, (brier.se or 0.0) ** 2 - (as_table.brier.se or 0.0) ** 2))
    found = moved(e, 1 - brier.value / spread - e.value, noise / spread)
    return replace(within(found, -math.inf, 1.0), **about.counts)


def _calibration_curve(
    as_table: Calibration, about: Protection, line: tuple[Estimate, Estimate]
) -> dict[str, Any]:
    """Curve of the table, tilted to the released intercept and slope, and its distances."""
    a, b, sd = as_table.intercept.value, as_table.slope.value, about.noise.sd / about.n
    ends = [e.value for e in line]
    tilt = (0.0, 0.0)
    if a is not None and b is not None and ends[0] is not None and ends[1] is not None:
        tilt = (ends[0] - a, ends[1] - b)
    points = {x: y.value for x, y in as_table.curve if y.value is not None}
    if not points:
        return {}
    knots = np.array(sorted(points))
    at = dict(zip(knots.tolist(), curve_at(points, knots, tilt).tolist(), strict=True))
    curve = tuple(
        (x, within(moved(y, at[x] - (y.value or 0.0), CURVE_PARAMETERS * sd)))
        for x, y in as_table.curve
        if x in at
    )
    distance = np.abs(curve_at(points, about.scores, tilt) - about.scores)
    values = (distance.mean(), *np.quantile(distance, (0.5, 0.9)))
    out: dict[str, Any] = {"curve": curve}
    for name, value in zip(("ici_rcs5", "e50", "e90"), values, strict=True):
        e: Estimate = getattr(as_table, name)
        shift = float(value) - (e.value or 0.0)
        out[name] = replace(within(moved(e, shift, CURVE_PARAMETERS * sd)), **about.counts)
    return out


def noisy_level(
    s: SubgroupResult, about: Protection, counts: tuple[int, int | None], like: Estimate
) -> SubgroupResult:
    """Performance in a level, from its perturbed counts.

    Whether a number is given depends on the perturbed counts alone: a level with few events, or
    with none, has numbers too where its perturbed counts are large enough.

    Parameters
    ----------
    like : perturbed AUROC of all cases, for a level that has none
    """
    n, m = counts[0], counts[1] or 0
    inner, facts = replace(about, n=n, n_events=m, noise=about.of_levels), s.facts
    sizes = ((m, s.n_events), (n - m, s.n - s.n_events))
    none: dict[str, Any] = dict.fromkeys(LEVEL_PARTS, _not_given(inner))
    out = replace(s, n=n, n_events=m, **none)
    if facts is None:
        return out
    hits = zip(("sensitivity", "specificity"), (facts.hits, facts.rejections), sizes, strict=True)
    found: dict[str, Any] = {
        name: _level_rate(inner, k, size, (name, digest_of(s.members)))
        for name, k, size in hits
        if size[0] >= FEWEST
    }
    if m >= FEWEST:
        found["oe"] = _level_oe(inner, facts.expected, digest_of(s.members))
        if n - m >= FEWEST:
            found["auroc"] = _level_auroc(s, inner, like)
    return replace(out, **found)


def _not_given(about: Protection) -> Estimate:
    return Sample(about.n, about.n_events).not_estimable(
        f"fewer than {FEWEST} cases of a class, after noise", "none"
    )


def _level_auroc(s: SubgroupResult, about: Protection, like: Estimate) -> Estimate:
    area = None if s.facts is None else s.facts.area
    m, n = about.n_events, about.n - about.n_events
    z = about.noise.normals(1, "level auroc", repr(area), about.n, m, digest_of(s.members))
    sd = math.sqrt(max(1, about.variables)) * about.deviation("level auroc", about.one)
    centre = next((x for x in (area, like.value) if x is not None), 0.5)
    value = centre + sd * float(z[0])
    shown = inside(value, sd)
    se = math.hypot(about.patients * hanley_mcneil(shown, m, n), sd)
    sample, method = Sample(about.n, m), "hanley mcneil perturbed"
    if is_at_an_end(value, sd):
        return within(sample.wald(shown, se, f"wald {method}"))
    return within(sample.logit(shown, se, f"logit {method}"))


def _level_oe(about: Protection, expected: float, members: str) -> Estimate:
    """O:E of a level; the sum of the members' scores has the noise of the largest one.

    Else a patient with the only high score would be seen to be a member.
    """
    m, sample = about.n_events, Sample(about.n, about.n_events)
    sd = about.level_times * about.noise.sd
    spread = sd * float(about.scores.max(initial=0))
    shown = expected + spread * float(about.noise.normals(1, "level expected", members)[0])
    if shown <= 2 * spread:
        return sample.not_estimable("the scores' sum is too small for its noise", "log")
    plain = math.sqrt(max(1 - m / about.n, 1 / about.n) / m)
    se = math.hypot(about.patients * plain, sd / m, spread / shown)
    return sample.log(m / shown, se, "log perturbed")


def _level_rate(
    about: Protection, hits: int, sizes: tuple[int, int], facts: tuple[str, str]
) -> Estimate:
    (size, true), times = sizes, about.level_times
    shown = min(about.noise.count(hits, "level hits", true, *facts, times=times), size)
    return perturbed_rate(shown, size, (times * about.noise.sd) ** 2, factor=about.patients)


def noisy_mean(row: TableOne, about: Protection) -> TableOne:
    """Mean and SD with noise of one case's reach or more; both are withheld where one case dominates.

    Numbers share their noise as variables do: copies of one number would average it away.
    """
    if row.mean is None or row.sd is None:
        return row
    n = max(1, row.overall or about.n)
    reach = row.sd * math.sqrt(n) if row.reach is None else row.reach
    if row.dominated:
        return replace(row, sd=0.0)  # the gate withholds a mean without a spread
    times = math.sqrt(max(1, about.numbers)) * about.noise.sd / USUAL_SD
    z = times * about.noise.normals(2, "mean", times, repr(row.mean), repr(row.sd), n)
    mean = row.mean + reach / n * float(z[0])
    one = reach**2 / (2 * n * row.sd) if row.sd > 0 else 0.0
    sd = abs(row.sd + one * float(z[1])) if row.sd > 0 else 0.0
    return replace(row, mean=mean, sd=sd)
