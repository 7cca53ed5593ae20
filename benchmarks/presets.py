"""Attack success against utility for each disclosure preset; the default follows from these tables.

Run: python benchmarks/presets.py [sites for each row] [preset ...] [--sizes n ...] [--attacks n ...]
"""

import argparse
import hashlib
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm
from solver_attack import by_difference, claims

from healthval.aggregate import pool
from healthval.disclosure import DisclosureRefused, Ledger, load_policy, release
from healthval.disclosure.payload.protect import protected
from healthval.disclosure.presets import PRESETS
from healthval.metrics import Bootstrap, SiteResult, evaluate, table_one
from healthval.metrics.calibration import curves

THRESHOLDS = (0.1, 0.2, 0.3)
PLANTED = (*THRESHOLDS, 0.5, 0.98)
SIZES = (60, 150, 400)
PREVALENCE, STRENGTH, SITES = 0.27, 1.5, 10
SHIFT = np.log(PREVALENCE / (1 - PREVALENCE)) - STRENGTH / 2
FACTS = {"model": "bench-model", "version": "1.0", "model_digest": "a" * 64, "plan_hash": "b" * 64}
TARGET = 4  # the patient whom a second version scores differently
LEAST, RIGHT = 6, 0.95  # sites with a claim of a kind, and the share that is true, for a success


@dataclass(kw_only=True)
class Site:
    """An invented hospital; `chance` is each case's risk, which the reader of the scores knows."""

    outcome: np.ndarray
    score: np.ndarray
    chance: np.ndarray
    levels: np.ndarray
    targets: tuple = ()


def hospital(n, seed):
    """Outcomes, and scores of a model of a usual strength."""
    rng = np.random.default_rng(seed)
    outcome = np.zeros(n, bool)
    outcome[rng.permutation(n)[: round(n * PREVALENCE)]] = True
    x = rng.normal(size=n) + STRENGTH * outcome + SHIFT
    score = np.round(expit(x), 6)
    odds = STRENGTH * (x - SHIFT) - STRENGTH**2 / 2 + logit(PREVALENCE)
    return Site(outcome=outcome, score=score, chance=expit(odds), levels=np.full(n, "z"))


def planted(n, seed):
    """A hospital whose vendor gives chosen patients scores that make statistics answer questions."""
    site = hospital(n, seed)
    site.targets = tuple(range(8))
    for i, score in enumerate((0.985, 0.99, 0.0001, 0.9999, 0.45, 0.55, 0.499999, 0.5)):
        site.score[i] = score
        site.chance[i] = PREVALENCE
    site.levels[8:14], site.levels[14:26] = "x", "y"
    site.outcome[8:14] = seed % 2 == 0  # a level in which all have the condition, or none
    site.chance[8:14] = 0.5
    return site


def result_of(site, thresholds=THRESHOLDS, version="1.0", groups=None):
    return SiteResult(
        **FACTS | {"version": version},
        evaluation=evaluate(site.outcome, site.score, thresholds=thresholds, groups=groups),
        flow=(("scored", site.score.size),),
        dates="removed",
        cohort=frozenset(f"{i:032x}" for i in range(site.score.size)),
        scores=tuple(site.score.tolist()),
        table_one=table_one(groups, site.outcome) if groups else (),
    )


def ledger_at(path):
    """An empty ledger whose noise secret is a function of the file's name."""
    secret = hashlib.sha256(path.name.encode()).hexdigest()
    path.with_name(f"{path.name}.noise").write_text(secret, encoding="ascii")
    return Ledger(path)


@dataclass
class Tally:
    """Claims by attack and kind, and factors by which posterior odds of a label grew."""

    released: int = 0
    found: dict = field(default_factory=dict)
    sites: Counter = field(default_factory=Counter)
    gains: list = field(default_factory=list)

    def add(self, attack, items):
        self.sites.update({(kind, attack) for kind, *_ in items})
        for kind, said, true in items:
            self.found.setdefault((kind, attack), []).append(said == true)

    def determined(self, kind):
        """Claims and true claims of a kind, and how many are by an attack that succeeds."""
        rows = {k: x for k, x in self.found.items() if k[0] == kind and k[1] != "posterior"}
        sure = sum(
            sum(x) for k, x in rows.items() if self.sites[k] >= LEAST and sum(x) >= RIGHT * len(x)
        )
        return sum(map(len, rows.values())), sum(map(sum, rows.values())), sure


def attack(tally, policy, site, results, path):
    """Release two versions at one site, and attack them."""
    ledger = ledger_at(path)
    try:
        first, second = (release(r, policy, ledger).submission for r in results)
    except DisclosureRefused:
        return
    tally.released += 1
    if not isinstance(first.n_events, int):
        return
    found, gains = claims(first, site, policy)
    scores = tuple(np.array(r.scores) for r in results)
    found["difference"] = by_difference((first, second), scores, site.outcome, TARGET)
    tally.gains.append(gains)
    for name, items in found.items():
        tally.add(name, items)


def attacks(presets, n, releases, folder):
    """Tally of every preset over the same planted hospitals."""
    out = {preset: Tally() for preset in presets}
    for seed in range(releases):
        site, results = versions(n, 1000 * n + seed)
        for preset in presets:
            path = Path(folder) / f"a-{preset}-{n}-{seed}.jsonl"
            attack(out[preset], load_policy(preset), site, results, path)
    return out


def versions(n, seed):
    """A planted hospital, and its results for two versions that score one patient differently."""
    site = planted(n, seed)
    groups = {"ward": site.levels}
    old = result_of(site, PLANTED, groups=groups)
    score, site.score = site.score, site.score.copy()
    site.score[TARGET] = 0.55
    new, site.score = result_of(site, PLANTED, "2.0", groups=groups), score
    return site, (old, new)


def print_attacks(n, tallies):
    for preset, t in tallies.items():
        gains = np.concatenate(t.gains) if t.gains else np.array([np.nan])
        row = [f"{x:8d}" for kind in ("labels", "cells") for x in t.determined(kind)]
        sure = [*t.found.get(("labels", "posterior"), ()), *t.found.get(("cells", "posterior"), ())]
        row += [f"{np.quantile(gains, 0.99):8.1f}{gains.max():8.1f}{len(sure):8d}{sum(sure):6d}"]
        print(f"{preset:11}{n:6d}{t.released:9d}" + "".join(row), flush=True)


def truth(threshold, n):
    """Sensitivity, specificity, PPV and NPV of the invented model among n cases of a hospital."""
    at, share = logit(threshold) - SHIFT, round(n * PREVALENCE) / n
    a, b = norm.sf(at - STRENGTH), norm.cdf(at)
    tp, fp = share * a, (1 - share) * (1 - b)
    return {
        "sensitivity": a,
        "specificity": b,
        "ppv": tp / (tp + fp),
        "npv": (1 - share) * b / (1 - tp - fp),
    }


def utility(presets, n, releases, folder):
    """Honest releases of every preset about the same hospitals, as (result, submission or None)."""
    out = {preset: [] for preset in presets}
    for seed in range(releases):
        result = result_of(hospital(n, 1000 * n + seed))
        for preset in presets:
            ledger = ledger_at(Path(folder) / f"u-{preset}-{n}-{seed}.jsonl")
            try:
                found = release(result, load_policy(preset), ledger).submission
            except DisclosureRefused:
                found = None
            out[preset].append((result, found))
    return out


def pooled(submissions, n):
    """Errors of pooled rates over ten sites, and whether their intervals contain the truth."""
    errors, held = [], []
    for i in range(0, len(submissions) - SITES + 1, SITES):
        sites = [(f"site {j}", s) for j, s in enumerate(submissions[i : i + SITES]) if s]
        for at in pool(tuple(sites)).thresholds if len(sites) == SITES else ():
            for name, true in truth(at.threshold, n).items():
                value, ends = mean_of(at, name)
                if value is not None:
                    errors.append(value - true)
                    held.append(ends[0] <= true <= ends[1])
    return np.array(errors or [np.nan]), np.array(held or [np.nan], float)


def mean_of(at, name):
    """Mean over sites of sensitivity or specificity; PPV or NPV over all cases; with its interval."""
    if name in ("ppv", "npv"):
        rate = getattr(at.counts, name)
        return rate.value, rate.ci
    if at.bivariate is None:
        return None, None
    return getattr(at.bivariate, name), getattr(at.bivariate, f"{name}_ci")


def print_utility(n, rows):
    for preset, row in rows.items():
        shown = [(r.evaluation, s) for r, s in row if s is not None]
        cuts = [
            (a, b)
            for e, s in shown
            for t, u in zip(e.thresholds, s.thresholds, strict=True)
            for a, b in ((t.sensitivity, u.sensitivity), (t.specificity, u.specificity))
            if b.value is not None
        ]
        widths = [
            (s.auroc.hi - s.auroc.lo) / (e.auroc.hi - e.auroc.lo)
            for e, s in shown
            if s.auroc.value is not None
        ]
        slopes = sum(
            s.calibration is not None and s.calibration.slope.value is not None for _, s in shown
        )
        error = np.array([b.value - a.value for a, b in cuts] or [np.nan])
        holds = np.array([b.lo <= a.value <= b.hi for a, b in cuts] or [np.nan], float)
        means, held = pooled([s for _, s in row], n)
        total = len(row)
        numbers = (
            len(widths) / total,
            slopes / total,
            len(cuts) / (2 * total * len(THRESHOLDS)),
            np.mean(widths or [np.nan]),
            error.mean(),
            np.sqrt((error**2).mean()),
            holds.mean(),
            means.mean(),
            np.sqrt((means**2).mean()),
            held.mean(),
        )
        print(f"{preset:11}{n:6d}" + "".join(f"{x:9.3f}" for x in numbers), flush=True)


def best_test(preset, n, draws):
    """Share of releases in which the best linear test of one extreme case's outcome is right."""
    site = hospital(n, 1)
    site.score[5] = 0.97
    seen, truths = [], []
    for value in (False, True):
        site.outcome[5] = value
        result = result_of(site)
        for k in range(draws):
            secret = f"{value} {k}".encode().ljust(32)
            e = protected(result, load_policy(preset), secret, result.scores).evaluation
            c = e.calibration
            numbers = [e.n_events, *(t.confusion.tp for t in e.thresholds), *e.histogram.events]
            numbers += [
                x.value or 0 for x in (e.auroc, c.brier, c.slope, c.intercept, e.average_precision)
            ]
            seen.append(numbers)
            truths.append(value)
    x, y = np.array(seen, float), np.array(truths)
    x = x[:, x.std(axis=0) > 0]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    half = np.arange(y.size) % 2 == 0
    a, b = x[half & y], x[half & ~y]
    apart = np.vstack([a - a.mean(axis=0), b - b.mean(axis=0)])
    spread = np.cov(apart.T) + 0.01 * np.eye(x.shape[1])
    weights = np.linalg.solve(spread, a.mean(axis=0) - b.mean(axis=0))
    middle = weights @ (a.mean(axis=0) + b.mean(axis=0)) / 2
    return float(((x[~half] @ weights > middle) == y[~half]).mean())


def print_all_attacks(presets, sizes, k, folder):
    print(f"Attacks on {k} planted sites of each size; two releases each")
    heads = ("preset     ", f"{'n':>6}", f"{'released':>9}")
    kinds = [f"{x:>8}" for kind in ("label", "cell") for x in (f"{kind}s", "true", "certain")]
    print("".join((*heads, *kinds, f"{'gain 99':>8}{'most':>8}{'.99 sure':>9}{'true':>6}")))
    for n in sizes:
        print_attacks(n, attacks(presets, n, k, folder))


def print_all_utility(presets, sizes, k, folder):
    names = ("AUROC", "slope", "rates", "width", "bias", "RMSE", "covers")
    pooled_names = ("p. bias", "p. RMSE", "p. cov.")
    print(f"\nUtility of {k} honest releases; p.: pooled rates of ten such sites")
    print(f"preset     {'n':>6}" + "".join(f"{x:>9}" for x in (*names, *pooled_names)))
    for n in sizes:
        print_utility(n, utility(presets, n, k, folder))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("sites", type=int, nargs="?", default=8)
    parser.add_argument("presets", nargs="*", default=PRESETS, metavar="preset")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="n", default=SIZES)
    parser.add_argument("--attacks", type=int, nargs="+", metavar="n", help="attacks alone")
    asked = parser.parse_args()
    k, presets = asked.sites, asked.presets
    warnings.simplefilter("ignore")
    curves.PLAN = Bootstrap(reps=40)  # the width of the calibration bands is not at stake
    with tempfile.TemporaryDirectory() as folder:
        print_all_attacks(presets, asked.attacks or asked.sizes, k, folder)
        if asked.attacks:
            return
        print_all_utility(presets, asked.sizes, max(10, k // 10 * 10), folder)
    print("\nBest test of one outcome by a reader who knows all others (share right)")
    for preset in presets:
        tests = "".join(f"{best_test(preset, n, 4 * k):8.2f}" for n in (60, 150))
        print(f"{preset:11}{tests}", flush=True)


if __name__ == "__main__":
    main()
