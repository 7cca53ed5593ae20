"""Time of the gate, beside evaluating the same cases; ratios of CPU time in one run.

Run: python benchmarks/disclosure.py
"""

import gc
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from healthval.disclosure import Ledger, check_arrival, find_scores, load_policy, release
from healthval.metrics import SiteResult, evaluate

REPEATS = 5


def cpu(work):
    """Least CPU time over the repeats, in seconds."""
    best = float("inf")
    for _ in range(REPEATS):
        gc.collect()
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def large_result(n=20_000, thresholds=20, levels=12):
    """20 thresholds and 12 subgroups, some of them so small that much has to be hidden."""
    rng = np.random.default_rng(7)
    outcome = rng.random(n) < 0.2
    score = 1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * outcome - 2)))
    share = np.geomspace(1, 400, levels)
    groups = {
        "ward": rng.choice([f"ward_{c}" for c in "abcdefghijkl"[:levels]], n, p=share / share.sum())
    }
    grid = tuple(np.round(np.linspace(0.02, 0.96, thresholds), 3).tolist())
    start = time.process_time()
    evaluation = evaluate(outcome, score, thresholds=grid, groups=groups)
    seconds = time.process_time() - start
    cohort = frozenset(f"{i:032x}" for i in range(n))
    result = SiteResult(
        model="bench-model",
        version="1.0",
        model_digest="a" * 64,
        plan_hash="b" * 64,
        evaluation=evaluation,
        flow=(("listed", n + 500), ("scored", n)),
        dates="removed",
        cohort=cohort,
    )
    return result, score, seconds


def monthly(result, first):
    """The same counts about 1,000 patients, of whom 100 are in the release before."""
    cohort = frozenset(f"{k:032x}" for k in range(first, first + 1_000))
    return replace(result, cohort=cohort, version=f"{first}.0")


def main():
    result, score, evaluating = large_result()
    small, *_ = large_result(1_000)
    policy = load_policy("cms")
    with tempfile.TemporaryDirectory() as folder:
        fresh = (Ledger(Path(folder) / f"{i}.jsonl") for i in range(10_000))
        first = release(result, policy, next(fresh))
        gate = cpu(lambda: release(result, policy, next(fresh)))
        arrival = cpu(lambda: check_arrival(first.payload, policy))
        searching = cpu(lambda: find_scores(first.payload, score))
        history = Ledger(Path(folder) / "history.jsonl")
        for i in range(20):
            release(monthly(small, i * 900), policy, history)
        months = iter(range(20, 10_000))
        later = cpu(lambda: release(monthly(small, next(months) * 900), policy, history))
        exact = replace(policy, noise_scale=None)
        without = cpu(lambda: release(result, exact, next(fresh)))
    rows = [
        ("gate, 20 thresholds x 12 subgroups", gate, 1.0),
        ("gate without noise, integer programmes", without, 1.0),
        ("gate after 20 monthly releases that overlap in pairs", later, 2.0),
        ("check of an arrival at the hub", arrival, 1.0),
        ("search of 20,000 scores in the payload", searching, 0.5),
    ]
    print(f"evaluating the 20,000 cases took {evaluating:.2f} s of CPU time in this run\n")
    print(f"{'':48}{'s':>8}{'x evaluation':>14}  goal")
    for name, seconds, goal in rows:
        verdict = "met" if seconds <= goal else "missed"
        print(f"{name:48}{seconds:8.3f}{seconds / evaluating:14.2f}  <= {goal:.1f} s: {verdict}")


if __name__ == "__main__":
    main()
