"""Bias and coverage of pooled rates over ten hospitals of 150 cases (40 events), by preset.

Run: python benchmarks/pooled_bias.py [networks] [preset ...]. "+-" is the simulation error of the bias (one standard error).
"paired" is the mean difference to the same cases counted exactly, which has a smaller one.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import norm

from healthval.aggregate import pool
from healthval.disclosure import Ledger, load_policy, release
from healthval.metrics import Bootstrap, SiteResult, evaluate
from healthval.metrics.calibration import curves

N, EVENTS, STRENGTH, SITES = 150, 40, 1.5, 10
THRESHOLDS = (0.1, 0.2, 0.3, 0.5)
SHIFT = np.log(EVENTS / (N - EVENTS)) - STRENGTH / 2
FACTS = {"model": "bench-model", "version": "1.0", "model_digest": "a" * 64, "plan_hash": "b" * 64}


def hospital(rng):
    """Result of an invented hospital."""
    outcome = np.zeros(N, bool)
    outcome[rng.permutation(N)[:EVENTS]] = True
    logit = rng.normal(size=N) + STRENGTH * outcome + SHIFT
    score = np.round(1 / (1 + np.exp(-logit)), 6)
    return SiteResult(
        **FACTS,
        evaluation=evaluate(outcome, score, thresholds=THRESHOLDS),
        flow=(("scored", N),),
        dates="removed",
        cohort=frozenset(f"{i:032x}" for i in range(N)),
        scores=tuple(score.tolist()),
    )


def truth(threshold):
    """Sensitivity and specificity of the invented model."""
    at = np.log(threshold / (1 - threshold)) - SHIFT
    return {"sensitivity": norm.sf(at - STRENGTH), "specificity": norm.cdf(at)}


def exact(results, threshold):
    """Sensitivity and specificity of all cases, counted exactly."""
    found = (t for r in results for t in r.evaluation.thresholds if t.threshold == threshold)
    cells = np.sum([(c.tp, c.fn, c.tn, c.fp) for c in (t.confusion for t in found)], axis=0)
    return {
        "sensitivity": cells[0] / cells[:2].sum(),
        "specificity": cells[2] / cells[2:].sum(),
    }


def networks(preset, k, folder):
    """Errors and coverage of the mean over sites, by rate and threshold."""
    rng, policy = np.random.default_rng(14), load_policy(preset)
    found = {}
    for i in range(k):
        paths = (Path(folder) / f"{preset}-{i}-{j}.jsonl" for j in range(SITES))
        results = [hospital(rng) for _ in range(SITES)]
        sites = tuple(
            (f"site {j}", release(result, policy, Ledger(path)).submission)
            for j, (result, path) in enumerate(zip(results, paths, strict=True))
        )
        for at in pool(sites).thresholds:
            counted = exact(results, at.threshold)
            for name, true in truth(at.threshold).items():
                row = found.setdefault((name, at.threshold), [])
                if at.bivariate is not None:
                    low, high = getattr(at.bivariate, f"{name}_ci")
                    mean = getattr(at.bivariate, name)
                    row.append((mean - true, low <= true <= high, high - low, mean - counted[name]))
    return found


def main():
    warnings.simplefilter("ignore")
    k = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    curves.PLAN = Bootstrap(reps=40)  # the width of the calibration bands is not at stake
    print(f"{k} networks of {SITES} hospitals, n = {N}, {EVENTS} events; mean over sites")
    print(
        f"{'preset':11}{'rate':12}{'at':>5}{'given':>7}{'bias':>8}{'+-':>7}{'RMSE':>7}{'covers':>8}{'width':>7}{'paired':>8}{'+-':>7}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for preset in sys.argv[2:] or ("cms", "cellkey"):
            for (name, at), row in sorted(networks(preset, k, folder).items()):
                error, held, width, paired = np.array(row, float).reshape(-1, 4).T
                spread, own = (x.std() / max(1, error.size) ** 0.5 for x in (error, paired))
                print(
                    f"{preset:11}{name:12}{at:5.1f}{error.size / k:7.2f}{error.mean():+8.4f}{spread:7.4f}"
                    f"{np.sqrt((error**2).mean()):7.4f}{held.mean():8.2f}{width.mean():7.3f}"
                    f"{paired.mean():+8.4f}{own:7.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
