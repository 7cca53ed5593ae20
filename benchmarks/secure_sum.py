"""Pooled rates of a secure sum beside those of released counts, over ten invented hospitals.

The error is that to the rate of the same cases, counted exactly; the hospitals are those of
`pooled_bias.py`. Run: python benchmarks/secure_sum.py [networks] [preset ...]
"""

import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from pooled_bias import FACTS, SITES, THRESHOLDS, hospital

from healthval.aggregate import pool, pool_counts
from healthval.aggregate.secondary.secure_total import secure_total
from healthval.credential import Credential
from healthval.disclosure import Ledger, load_policy, release
from healthval.evaluation.secure_sum import bin_counts
from healthval.metrics import Bootstrap
from healthval.metrics.calibration import curves
from healthval.secure_sum.checks import Terms
from healthval.secure_sum.masks import Secrets
from healthval.secure_sum.messages import ROUNDS, SumState
from healthval.secure_sum.outcome import outcome_of
from healthval.secure_sum.protocol import (
    Member,
    keys_message,
    opening_message,
    shares_message,
    table_message,
    total_message,
)

RATES = ("sensitivity", "specificity", "ppv", "npv")
TERMS = Terms(n_cells=2 * (len(THRESHOLDS) + 1), minimum_sites=3, floor=11)
MAKE = {"keys": keys_message, "shares": shares_message, "opening": opening_message}
MAKE["total"] = total_message


def member(rng, i):
    """A hospital of the sum with fresh keys."""
    credential = Credential.generate()
    return Member(
        site=credential.id,
        label=f"site {i}",
        public_key=credential.public_key,
        terms=TERMS,
        secrets=Secrets(rng.bytes(32)),
        sign=credential.private_key.sign,
    )


def summed(rng, results):
    """Run all rounds in memory; return the total and the seconds of one hospital."""
    members = [member(rng, i) for i in range(len(results))]
    state = SumState(**{k: FACTS[k] for k in ("model", "version", "plan_hash")})
    start = time.perf_counter()
    for round_ in ROUNDS:
        sent = [
            table_message(m, state, bin_counts(r.evaluation, THRESHOLDS))
            if round_ == "table"
            else MAKE[round_](m, state)
            for m, r in zip(members, results, strict=True)
        ]
        every = sorted((*state.messages, *sent), key=lambda m: (ROUNDS.index(m.round), m.site))
        state = state.model_copy(update={"messages": tuple(every), "round": round_})
    seconds = (time.perf_counter() - start) / len(members)
    done = state.model_copy(update={"round": "done"})
    return secure_total(outcome_of(done, TERMS), TERMS, THRESHOLDS), seconds


def exact(results, threshold):
    """Rates of all cases of a network, counted at the hospitals."""
    rows = [row for r in results for row in r.evaluation.thresholds if row.threshold == threshold]
    return pool_counts([row.confusion for row in rows])


def released(results, preset, folder):
    """Pooled result of the protected releases."""
    sites = []
    for i, result in enumerate(results):
        ledger = Ledger(Path(folder) / f"{preset}-{time.monotonic_ns()}-{i}.jsonl")
        sites.append((f"site {i}", release(result, load_policy(preset), ledger).submission))
    return pool(tuple(sites), bivariate="none")


def show(name, errors, missing):
    """Print the errors of all rates at all thresholds of all networks."""
    found = np.array(errors)
    rmse = np.sqrt((found**2).mean()) if found.size else float("nan")
    bias = found.mean() if found.size else float("nan")
    print(f"{name:14}{found.size:8}{missing:9}{bias:+10.5f}{rmse:10.5f}", flush=True)


def main():
    warnings.simplefilter("ignore")
    k = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    curves.PLAN = Bootstrap(reps=40)  # the width of the calibration bands is not at stake
    rng, presets = np.random.default_rng(14), sys.argv[2:] or ["cms", "cellkey"]
    errors = {name: [] for name in (*presets, "secure sum")}
    missing, seconds, whole = dict.fromkeys(errors, 0), [], 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(k):
            results = [hospital(rng) for _ in range(SITES)]
            total, used = summed(rng, results)
            seconds.append(used)
            whole += len(total.thresholds) == len(THRESHOLDS)
            pooled = {name: released(results, name, folder).thresholds for name in presets}
            found = {n: {at.threshold: at.counts for at in rows} for n, rows in pooled.items()}
            found["secure sum"] = {at.threshold: at for at in total.thresholds}
            for threshold in THRESHOLDS:
                true = exact(results, threshold)
                for name, at in found.items():
                    for rate in RATES:
                        shown = getattr(at.get(threshold), rate, None)
                        if shown is None or shown.value is None:
                            missing[name] += 1
                        else:
                            errors[name].append(shown.value - getattr(true, rate).value)
    print(f"{k} networks of {SITES} hospitals; four rates at {len(THRESHOLDS)} thresholds")
    print(f"{'':14}{'given':>8}{'missing':>9}{'bias':>10}{'RMSE':>10}")
    for name, found in errors.items():
        show(name, found, missing[name])
    print(f"secure sum: shown at all thresholds in {whole} networks;", end=" ")
    print(f"{1000 * np.median(seconds):.0f} ms of computing for a hospital")


if __name__ == "__main__":
    main()
