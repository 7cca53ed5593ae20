"""Ratios of CPU time of `healthval.metrics` and its peers on the same arrays, each with a goal.

Run ``python benchmarks/metrics.py``; a peer that is not installed is reported as such.
"""

import contextlib
import io
import math
import time
import traceback
import tracemalloc
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from peers import installed as version_of

from healthval import metrics as hm

WIDTH = (58, 10, 10)


def seconds(work, repeats=5):
    """Smallest CPU time of several runs."""
    best = math.inf
    for _ in range(repeats):
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            work()
        best = min(best, time.process_time() - start)
    return best


def row(name, ratio, goal, *, at_most):
    met = ratio <= goal if at_most else ratio >= goal
    sign = "<=" if at_most else ">="
    print(f"{name:<58}  {ratio:>9.2f} x  {sign} {goal:g} {'met' if met else 'MISSED'}", flush=True)


def absent(name, peer):
    print(f"{name:<58}  {peer} {version_of(peer)}", flush=True)


def cases(n, seed=0):
    rng = np.random.default_rng(seed)
    lp = rng.normal(-1.5, 1.4, n)
    return rng.random(n) < 1 / (1 + np.exp(-0.9 * lp)), 1 / (1 + np.exp(-lp))


def installed(*names):
    return all(find_spec(name) for name in names)


def measure(part):
    """Print the rows of one part; a peer that fails is a row too."""
    try:
        part()
    except Exception as problem:
        ours = str(Path(hm.__file__).parents[1])
        if any(f.filename.startswith(ours) for f in traceback.extract_tb(problem.__traceback__)):
            raise  # a fault of ours is not a row
        reason = str(problem).partition("\n")[0][:200]
        print(f"{part.__name__:<58}  failed: {type(problem).__name__}: {reason}", flush=True)


def against_sort():
    y, p = cases(10**6)
    for name, score in (("", p), (", log-odds", np.log(p / (1 - p)))):
        ours = sort = math.inf
        for _ in range(5):  # alternating, so that a busy machine affects both equally
            ours = min(ours, seconds(lambda: hm.auroc(y, score), 9))  # noqa: B023
            sort = min(sort, seconds(lambda: np.sort(score), 9))  # noqa: B023
        row(f"AUROC + interval / np.sort, n = 1e6{name}", ours / sort, 2.2, at_most=True)


def against_peers():
    for n in (10**4, 10**5, 10**6):
        y, p = cases(n)
        repeats = 7 if n < 10**6 else 3
        ours = seconds(lambda: hm.auroc(y, p), repeats)  # noqa: B023
        name = f"confidenceinterval / AUROC + interval, n = {n:.0e}"
        if installed("confidenceinterval"):
            from confidenceinterval import roc_auc_score

            theirs = seconds(lambda: roc_auc_score(y.astype(int), p), repeats)  # noqa: B023
            row(name, theirs / ours, 8, at_most=False)
        else:
            absent(name, "confidenceinterval")
        name = f"scikit-learn AUC without interval / ours with, n = {n:.0e}"
        if installed("sklearn"):
            from sklearn.metrics import roc_auc_score as bare

            row(name, seconds(lambda: bare(y, p), repeats) / ours, 1, at_most=False)  # noqa: B023
        else:
            absent(name, "scikit-learn")


def panel_of_peers(y, p):
    """Equivalent numbers from scikit-learn, statsmodels and dcurves."""
    import pandas as pd
    import statsmodels.api as sm
    from dcurves import dca
    from sklearn import metrics as sk
    from sklearn.calibration import calibration_curve

    label, lp = y.astype(int), np.log(p / (1 - p))
    sk.roc_auc_score(label, p)
    sk.average_precision_score(label, p)
    sk.brier_score_loss(label, p)
    sk.log_loss(label, p)
    sk.confusion_matrix(label, p >= 0.5)
    calibration_curve(label, p, n_bins=10)
    sm.GLM(label, sm.add_constant(lp), family=sm.families.Binomial()).fit()
    sm.GLM(label, np.ones(y.size), family=sm.families.Binomial(), offset=lp).fit()
    dca(pd.DataFrame({"y": label, "p": p}), "y", ["p"], thresholds=np.arange(1, 100) / 100)


def panel():
    n, name = 10**5, "sum of peers / full binary panel with intervals, n = 1e5"
    if not installed("sklearn", "statsmodels", "dcurves"):
        missing = [x for x in ("scikit-learn", "statsmodels", "dcurves") if " " in version_of(x)]
        absent(name, (missing or ["scikit-learn"])[0])
        return
    y, p = cases(n)
    at = np.arange(1, 100) / 100

    def ours():
        hm.auroc(y, p)
        hm.average_precision(y, p)
        hm.calibration(y, p, curve=None)
        hm.expected_calibration_error(y, p)
        hm.confusion_at(y, p, 0.5)
        hm.net_benefit(y, p, at)

    whole = theirs = mine = math.inf
    for _ in range(4):  # alternating, so that a busy machine affects both equally
        theirs = min(theirs, seconds(lambda: panel_of_peers(y, p), 1))
        mine = min(mine, seconds(ours, 6))
        whole = min(whole, seconds(lambda: hm.evaluate(y, p), 6))
    row(name, theirs / mine, 20, at_most=False)
    row("sum of peers / evaluate (curve, bands, histogram too)", theirs / whole, 20, at_most=False)


def bootstrap():
    n, name = 10**4, "scikit-learn loop / 2000-rep bootstrap of AUROC, n = 1e4"
    if not installed("sklearn"):
        absent(name, "scikit-learn")
        return
    from sklearn.metrics import roc_auc_score

    y, p = cases(n)
    rng = np.random.default_rng(0)

    def loop(reps=50):
        for _ in range(reps):
            rows = rng.integers(n, size=n)
            roc_auc_score(y[rows], p[rows])

    ours = seconds(lambda: hm.auroc(y, p, ci="bootstrap"), 3)
    row(name, seconds(loop, 3) * 40 / ours, 30, at_most=False)


def subgroup_bootstrap():
    n, name = 10**5, "fairlearn / subgroup bootstrap of rates, 5 groups, per rep"
    if not installed("fairlearn", "sklearn"):
        absent(name, "fairlearn")
        return
    from fairlearn.metrics import MetricFrame, false_positive_rate, true_positive_rate

    from healthval.metrics.cases import read_probability_cases
    from healthval.metrics.subgroups.gaps import rate_gaps
    from healthval.metrics.subgroups.levels import levels_of

    y, p = cases(n)
    group = np.random.default_rng(1).integers(5, size=n)
    rates = {"tpr": true_positive_rate, "fpr": false_positive_rate}
    label, flagged = y.astype(int), (p >= 0.5).astype(int)

    def theirs(reps=2):
        MetricFrame(
            metrics=rates,
            y_true=label,
            y_pred=flagged,
            sensitive_features=group,
            n_boot=reps,
            ci_quantiles=[0.025, 0.975],
            random_state=0,
        )

    data = read_probability_cases(y, p)
    levels = levels_of("group", list("abcde"), group)
    ours = seconds(lambda: rate_gaps(data, ("group", levels), 0.5, hm.Bootstrap(2000)), 5) / 2000
    row(name, seconds(theirs, 2) / 2 / ours, 1000, at_most=False)


def growth():
    """Growth with n, relative to `np.sort`, on which caches have the same effect."""
    times = {}
    for n in (10**4, 10**7):
        y, p = cases(n)
        repeats = 30 if n == 10**4 else 4
        ours = seconds(lambda: hm.auroc(y, p), repeats)  # noqa: B023
        times[n] = ours, seconds(lambda: np.sort(p), repeats)  # noqa: B023
    ours, sort = (times[10**7][i] / times[10**4][i] for i in (0, 1))
    row("growth of AUROC + interval, 1e4 to 1e7 / growth of np.sort", ours / sort, 1, at_most=True)


def memory():
    n = 10**6
    y, p = cases(n)
    for name, work in (
        ("AUROC + interval", lambda: hm.auroc(y, p)),
        ("average precision", lambda: hm.average_precision(y, p)),
        ("calibration without curve", lambda: hm.calibration(y, p, curve=None)),
        ("decision curve", lambda: hm.net_benefit(y, p, [0.1, 0.2])),
    ):
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        row(f"peak memory of {name} / array of n float64", peak / 8 / n, 10, at_most=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print("healthval.metrics: CPU time ratios\n")
    for part in (against_sort, against_peers, panel, bootstrap, subgroup_bootstrap, growth, memory):
        measure(part)
