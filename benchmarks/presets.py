"""Attack success against utility for each disclosure preset; the default follows from this table.

Run: python benchmarks/presets.py [releases for each row] [preset ...]
"""

import sys
import tempfile
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from healthval.contracts.submission import band_limits
from healthval.disclosure import DisclosureRefused, Ledger, load_policy, release
from healthval.disclosure.payload.protect import protected
from healthval.disclosure.presets import PRESETS
from healthval.metrics import SiteResult, evaluate

THRESHOLDS = (0.1, 0.2, 0.3)
FACTS = {"model": "bench-model", "version": "1.0", "model_digest": "a" * 64, "plan_hash": "b" * 64}


def hospital(n, seed, prevalence=0.27, strength=1.5):
    """Invented outcomes, and scores of a model of this strength."""
    rng = np.random.default_rng(seed)
    outcome = np.zeros(n, bool)
    outcome[rng.permutation(n)[: round(n * prevalence)]] = True
    shift = np.log(prevalence / (1 - prevalence)) - strength / 2
    logit = rng.normal(size=n) + strength * outcome + shift
    return outcome, np.round(1 / (1 + np.exp(-logit)), 6)


def result_of(outcome, score):
    return SiteResult(
        **FACTS,
        evaluation=evaluate(outcome, score, thresholds=THRESHOLDS),
        flow=(("scored", outcome.size),),
        dates="removed",
        cohort=frozenset(f"{i:032x}" for i in range(outcome.size)),
        scores=tuple(score.tolist()),
    )


def shown_cuts(s):
    """Least and greatest number of true positives at each cut, as a reader takes them."""
    cuts = {0.0: (s.n_events, s.n_events), 2.0: (0, 0)}
    for t in s.thresholds:
        tp = t.confusion.tp
        limits = (tp, tp) if isinstance(tp, int) else band_limits(tp)
        if limits is not None:
            cuts[t.threshold] = limits
    return cuts


def determined(s, score, outcome):
    """Outcomes that are the same in every solution of the shown counts: (found, true)."""
    cuts = shown_cuts(s)
    rows = np.array([score >= at for at in cuts], float)
    least, most = np.array(list(cuts.values()), float).T
    rule = LinearConstraint(rows, least - 1e-6, most + 1e-6)
    found = true = 0
    for low, high in pairwise(sorted(cuts)):
        inside = np.flatnonzero((score >= low) & (score < high))
        for i in inside[:1]:  # the cases between two cuts are alike to the solver
            can = []
            for v in (0, 1):
                floor, roof = np.zeros(score.size), np.ones(score.size)
                floor[i] = roof[i] = v
                q = milp(
                    0 * floor,
                    constraints=rule,
                    integrality=1 + 0 * floor,
                    bounds=Bounds(floor, roof),
                )
                can += [v] if q.x is not None else []
            if len(can) == 1:
                found += inside.size
                true += int((outcome[inside] == can[0]).sum())
    return found, true


def best_test(preset, n, draws):
    """Share of releases in which the best linear test of one extreme case's outcome is right."""
    outcome, score = hospital(n, 1)
    score[5] = 0.97
    seen, truth = [], []
    for value in (False, True):
        outcome[5] = value
        result = result_of(outcome.copy(), score)
        for k in range(draws):
            secret = f"{value} {k}".encode().ljust(32)
            e = protected(result, load_policy(preset), secret, result.scores).evaluation
            c = e.calibration
            numbers = [e.n_events, *(t.confusion.tp for t in e.thresholds), *e.histogram.events]
            numbers += [
                x.value or 0 for x in (e.auroc, c.brier, c.slope, c.intercept, e.average_precision)
            ]
            seen.append(numbers)
            truth.append(value)
    x, y = np.array(seen, float), np.array(truth)
    x = x[:, x.std(axis=0) > 0]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    half = np.arange(y.size) % 2 == 0
    a, b = x[half & y], x[half & ~y]
    spread = np.cov(np.vstack([a - a.mean(axis=0), b - b.mean(axis=0)]).T) + 0.01 * np.eye(
        x.shape[1]
    )
    weights = np.linalg.solve(spread, a.mean(axis=0) - b.mean(axis=0))
    middle = weights @ (a.mean(axis=0) + b.mean(axis=0)) / 2
    return float(((x[~half] @ weights > middle) == y[~half]).mean())


def row_of(preset, n, releases, folder):
    """Attack success and utility over releases of one size."""
    n_shown = certain = refused = 0
    widths, errors, covered = [], [], []
    for seed in range(releases):
        outcome, score = hospital(n, 1000 * n + seed)
        result = result_of(outcome, score)
        ledger = Ledger(Path(folder) / f"{preset}-{n}-{seed}.jsonl")
        try:
            s = release(result, load_policy(preset), ledger).submission
        except DisclosureRefused:
            refused += 1
            continue
        if not isinstance(s.n_events, int):
            continue
        found, true = determined(s, score, outcome)
        certain += found >= 6 and true >= 0.95 * found
        exact = result.evaluation.auroc
        if s.auroc.value is not None:
            widths.append((s.auroc.hi - s.auroc.lo) / (exact.hi - exact.lo))
        for t, before in zip(s.thresholds, result.evaluation.thresholds, strict=True):
            if t.sensitivity.value is not None:
                n_shown += 1
                errors.append(t.sensitivity.value - before.sensitivity.value)
                true_rate = float(before.sensitivity.value)
                covered.append(t.sensitivity.lo <= true_rate <= t.sensitivity.hi)
    shares = [len(widths) / releases, n_shown / (releases * len(THRESHOLDS))]
    error = np.array(errors) if errors else np.array([np.nan])
    return (
        certain / releases,
        *shares,
        float(np.mean(widths or [np.nan])),
        float(error.mean()),
        float(np.sqrt((error**2).mean())),
        float(np.mean(covered or [np.nan])),
        refused / releases,
    )


def main():
    warnings.simplefilter("ignore")
    releases = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    head = ("certain", "AUROC", "cuts", "width", "bias", "RMSE", "covers", "refused")
    print(
        f"{'preset':12}{'n':>6}"
        + "".join(f"{name:>9}" for name in head)
        + "  best test of one outcome"
    )
    with tempfile.TemporaryDirectory() as folder:
        for preset in sys.argv[2:] or PRESETS:
            for n in (30, 60, 150, 400, 5000):
                row = row_of(preset, n, releases if n < 5000 else max(2, releases // 8), folder)
                test = f"{best_test(preset, n, 4 * releases):10.2f}" if n in (60, 150) else ""
                print(f"{preset:12}{n:6d}" + "".join(f"{x:9.3f}" for x in row) + test, flush=True)


if __name__ == "__main__":
    main()
