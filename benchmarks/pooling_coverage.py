"""Bias and coverage of pooled sensitivity: withheld and noisy counts, by number of sites.

Run `python benchmarks/pooling_coverage.py [networks]`. Small counts are withheld, so the sites that
remain are not a random sample; the truth is the mean over sites on the logit scale, as a rate.
"""

import sys

import numpy as np

from healthval.aggregate.mixed.censored import Count, fit_censored

FLOOR = 11
SITES = (3, 5, 10, 30)


def expit(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def noise(rng: np.random.Generator, variance: float) -> int:
    """Discrete Laplace noise."""
    if not variance:
        return 0
    a = 1 + 1 / variance - ((1 + 1 / variance) ** 2 - 1) ** 0.5
    return int(rng.geometric(1 - a) - rng.geometric(1 - a))


def site(rng: np.random.Generator, eta: float, *, floor: int, variance: float) -> Count:
    m = int(rng.integers(40, 120))
    hits = min(m, max(0, int(rng.binomial(m, expit(eta))) + noise(rng, variance)))
    small = 0 < min(hits, m - hits) < floor
    return Count(n=m, value=None if small else hits, floor=floor, variance=variance)


def row(k: int, mu: float, tau: float, *, floor: int, variance: float, networks: int) -> str:
    rng, held, error, width, wide, shown = np.random.default_rng(k), 0, [], [], 0, []
    for _ in range(networks):
        counts = [site(rng, eta, floor=floor, variance=variance) for eta in rng.normal(mu, tau, k)]
        found = fit_censored(counts)
        low, high = (expit(end) for end in found.ci)
        held += low <= expit(mu) <= high
        width.append(high - low)
        wide += high - low > 0.5
        error.append(expit(found.mu) - expit(mu))
        shown.append(np.mean([c.value is not None for c in counts]))
    return (
        f"{k:3d} {expit(mu):12.3f} {tau:4.1f} {floor:6d} {variance:6.1f} {np.mean(shown):6.2f} "
        f"{held / networks:9.3f} {np.median(error):+8.3f} {np.sqrt(np.mean(np.square(error))):6.3f} "
        f"{np.median(width):6.3f} {wide / networks:5.2f}"
    )


def main(networks: int) -> None:
    error = 2 * (0.95 * 0.05 / networks) ** 0.5
    print(f"{networks} networks a row; shown: share of sites; wide: intervals over 0.5")
    print(f"simulation error of a coverage of 0.95: +-{error:.2f} (two standard errors)")
    print("  k  sensitivity  tau  floor  noise  shown  coverage    bias   rmse  width  wide")
    for k in SITES:
        for mu, tau in ((1.9, 0.5), (0.9, 0.8), (0.0, 1.2)):
            print(row(k, mu, tau, floor=FLOOR, variance=0.0, networks=networks), flush=True)
    for k in SITES:
        print(row(k, 1.2, 0.4, floor=1, variance=4.337, networks=networks), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
