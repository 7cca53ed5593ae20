"""Share of studies in which a criterion whose target equals the true mean is met: at most 2.5 % is right.

Run as ``python benchmarks/verdicts.py [networks]``. Prints a line for each number of sites, their sizes
and each size of the differences between them, with the simulation error (two standard errors). The counts
have the noise that the gate's default policy adds.
"""

import math
import sys
from itertools import product

import numpy as np

from healthval.contracts.submission import (
    CountNoise,
    ReleasedConfusion,
    ReleasedEstimate,
    ReleasedThreshold,
)
from healthval.report import Criterion
from healthval.report.criteria import verdict
from healthval.report.values.means import site_mean

WITHHELD = ReleasedEstimate(withheld="suppressed")


class Site:
    """The fields of a submission that a mean over sites reads."""

    def __init__(self, *, tp=0, fp=0, fn=0, tn=0, auroc=WITHHELD, noise=None):
        cells = ReleasedConfusion(tp=tp, fp=fp, fn=fn, tn=tn)
        rates = dict.fromkeys(("sensitivity", "specificity", "ppv", "npv", "net_benefit"), WITHHELD)
        self.n, self.n_events, self.auroc = tp + fp + fn + tn, tp + fn, auroc
        self.thresholds = (
            ReleasedThreshold(threshold=0.3, origin="pre-specified", confusion=cells, **rates),
        )
        self.calibration, self.noise = None, noise


def expit(x):
    return 1 / (1 + np.exp(-x))


NOISE = CountNoise(scale=2.0, variance=4.083)


def perturbed(rng, *, tp, fp, fn, tn):
    """The counts with noise; the numbers of cases, and of cases marked, stay as they are."""
    noisy = rng.normal([tp, tp + fn], NOISE.scale)
    found = int(np.clip(round(noisy[0]), 0, tp + fp))
    missed = int(np.clip(round(noisy[1]) - found, 0, fn + tn))
    return {"tp": found, "fp": tp + fp - found, "fn": missed, "tn": fn + tn - missed}


def unlike(rng, _):
    """Cases of a site, 60 to 2000."""
    return int(np.exp(rng.uniform(math.log(60), math.log(2000))))


def one_large(_, i):
    """Cases of a site: the first one has more than all others together."""
    return 150 if i else 5000


def network(rng, k, spread, cases=unlike):
    """Sites that differ in sensitivity, specificity, prevalence and AUROC."""
    sites = {}
    for i in range(k):
        n = cases(rng, i)
        sens, spec, share, auc = expit(TRUE + spread * rng.standard_normal(4) * [1, 1, 1, 0.6])
        events = max(1, rng.binomial(n, share))
        tp, tn = rng.binomial(events, sens), rng.binomial(n - events, spec)
        se = 0.5 / math.sqrt(events) * math.sqrt(auc * (1 - auc))
        drawn = expit(np.log(auc / (1 - auc)) + se / (auc * (1 - auc)) * rng.standard_normal())
        estimate = ReleasedEstimate(value=float(drawn), se=float(se))
        counts = perturbed(rng, tp=tp, fn=events - tp, tn=tn, fp=n - events - tn)
        sites[f"s{i}"] = Site(**counts, auroc=estimate, noise=NOISE)
    return sites


TRUE = np.log(np.array([0.85, 0.75, 0.3, 0.8]) / (1 - np.array([0.85, 0.75, 0.3, 0.8])))


def true_means(spread, rng):
    """Means over hospitals of each measure, from many of them."""
    draws = expit(TRUE + spread * rng.standard_normal((200_000, 4)) * [1, 1, 1, 0.6])
    sens, spec, share, _ = draws.T
    tp, fp = share * sens, (1 - share) * (1 - spec)
    means = {
        "sensitivity": sens,
        "specificity": spec,
        "ppv": tp / (tp + fp),
        "npv": (1 - share) * spec / ((1 - share) * spec + share * (1 - sens)),
        "net_benefit": tp - fp * 0.3 / 0.7,
    }
    return {name: float(np.mean(v)) for name, v in means.items()} | {"auroc": float(expit(TRUE[3]))}


def wrongly_met(k, spread, networks, rng, *, truth=None, cases=unlike):
    """Share of networks in which a target equal to the truth is met, for each measure."""
    truth = truth or true_means(spread, rng)
    met = dict.fromkeys(truth, 0)
    for _ in range(networks):
        sites = network(rng, k, spread, cases)
        for name, target in truth.items():
            at = None if name == "auroc" else 0.3
            criterion = Criterion(name, at_least=target, threshold=at)
            outcome = verdict(criterion, site_mean(sites, name, at), (), missing=0).outcome
            met[name] += outcome == "met"
    return {name: count / networks for name, count in met.items()}


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    error = 200 * math.sqrt(0.025 * 0.975 / size)
    print(f"{size} networks; right: at most 2.5 % + {error:.1f}")
    for k in (3, 10):
        for cases, spread in product((unlike, one_large), (0.0, 0.5)):
            found = wrongly_met(k, spread, size, np.random.default_rng(k), cases=cases)
            cells = "  ".join(f"{name} {100 * share:.1f}" for name, share in found.items())
            print(f"{k:>3} sites, {cases.__name__}, spread {spread}: {cells}")
