"""Pooling, measured as ratios of CPU time in one run: `python benchmarks/aggregate.py`."""

import json
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from peers import installed

from healthval.aggregate import bivariate, meta_analysis, pool, pooled_roc
from healthval.contracts.base import digest
from healthval.contracts.submission import Submission


def cpu(call: Callable[[], object], repeats: int) -> float:
    """Least CPU seconds of several calls."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def estimate(value: float, se: float, n: int, events: int) -> dict[str, object]:
    half = 1.96 * se
    return {
        "value": value,
        "lo": value - half,
        "hi": value + half,
        "se": se,
        "level": 0.95,
        "method": "wald",
        "n": n,
        "n_events": events,
        "withheld": "none",
    }


def submission(rng: np.random.Generator, thresholds: int) -> Submission:
    """Draw a released result of a hospital with 300 to 3,000 cases."""
    n = int(rng.integers(300, 3000))
    m = n // 4
    auc, oe = rng.normal(0.8, 0.03), rng.normal(1, 0.1)
    e = estimate(float(auc), 0.4 / m**0.5, n, m)
    at = [
        {
            "threshold": float(t),
            "origin": "pre-specified",
            "confusion": {
                "tp": int(m * (1 - t)),
                "fp": int((n - m) * (1 - t) / 3),
                "fn": m - int(m * (1 - t)),
                "tn": n - m - int((n - m) * (1 - t) / 3),
            },
            **{
                rate: estimate(float(rng.normal(0.7, 0.05)), 0.02, n, m)
                for rate in ("sensitivity", "specificity", "ppv", "npv", "net_benefit")
            },
        }
        for t in np.round(np.linspace(0.05, 0.9, thresholds), 4)
    ]
    share = np.diff(np.linspace(0, 1, 11) ** 0.5)
    return Submission.model_validate_json(
        json.dumps(
            {
                "model": "sepsis",
                "version": "1",
                "model_digest": "a" * 64,
                "plan_hash": "b" * 64,
                "healthval_version": "0.1",
                "dates": "removed",
                "n": n,
                "n_events": m,
                "auroc": e,
                "thresholds": at,
                "calibration": {
                    "observed": m,
                    "expected": float(m / oe),
                    "oe": estimate(float(oe), 0.08, n, m),
                    "slope": estimate(float(rng.normal(1, 0.1)), 0.08, n, m),
                }
                | dict.fromkeys(
                    ("citl", "intercept", "brier", "scaled_brier", "ici_rcs5", "e50", "e90"), e
                ),
                "histogram": [
                    {
                        "low": i / 10,
                        "high": (i + 1) / 10,
                        "events": int(m * share[9 - i]),
                        "non_events": int((n - m) * share[i]),
                        "score_sum": float(n * i / 10),
                    }
                    for i in range(10)
                ],
                "subgroups": [
                    {
                        "variable": "sex",
                        "level": x,
                        "n": n // 2,
                        "n_events": m // 2,
                        "auroc": e,
                        "oe": e,
                        "sensitivity": e,
                        "specificity": e,
                    }
                    for x in ("female", "male")
                ],
                "certificate": {"policy": "cms", "policy_version": 1, "minimum_cell": 11},
            }
        )
    )


def rows() -> list[tuple[str, str, bool | None]]:
    """Name, what was measured, and whether its goal was met."""
    rng = np.random.default_rng(1)
    v = rng.uniform(0.01, 0.1, 15)
    y = rng.normal(1, np.sqrt(v + 0.05))
    out = []
    sites = [(f"site-{i}", submission(rng, 10)) for i in range(1000)]
    whole = cpu(lambda: pool(sites, bivariate="none"), 3)
    reading = cpu(lambda: [digest(s) for _, s in sites], 3)
    out.append(
        (
            "pool 1,000 sites x 10 thresholds, GLMM apart",
            f"{whole:.2f} s; goal < 2 s; {whole / reading:.1f} x hashing them",
            whole < 2,
        )
    )
    histograms = [s.histogram for _, s in sites]
    roc = cpu(lambda: pooled_roc(histograms), 3)
    out.append(("pooled ROC of 1,000 histograms", f"{roc / whole:.0%} of pooling", None))
    counts = [
        (int(a), int(b), int(c), int(d))
        for a, b, c, d in zip(
            rng.integers(50, 90, 15),
            rng.integers(5, 30, 15),
            rng.integers(3, 20, 15),
            rng.integers(90, 200, 15),
            strict=True,
        )
    ]
    fine, laplace = cpu(lambda: bivariate(counts), 3), cpu(lambda: bivariate(counts, nodes=1), 3)
    out.append(
        (
            "bivariate GLMM, 15 sites: 15 nodes / Laplace",
            f"{fine:.2f} s, ratio {fine / laplace:.2f}",
            None,
        )
    )
    ours = cpu(lambda: meta_analysis(y, v), 20)
    if find_spec("statsmodels") is None:
        out.append(("statsmodels combine_effects (DL, no REML)", installed("statsmodels"), None))
    else:
        from statsmodels.stats.meta_analysis import combine_effects

        theirs = cpu(lambda: combine_effects(y, v, method_re="iterated").summary_frame(), 20)
        out.append(
            ("REML with Q-profile / statsmodels Paule-Mandel", f"ratio {ours / theirs:.2f}", None)
        )
    return out


if __name__ == "__main__":
    for name, measured, met in rows():
        verdict = "" if met is None else ("met" if met else "MISSED")
        sys.stdout.write(f"{name:52} {measured:52} {verdict}\n")
