"""Rates where sites withheld counts or released them with noise: likelihood of what is known.

Whether a count is withheld depends on the count, so the released counts are not a random sample. A
withheld count contributes the probability that it is withheld; a noisy one, the sum over the counts
that can be behind it.

References
----------
Rubin 1976, Biometrika 63:581 (withheld values that depend on the value); Turnbull 1976, J R Stat
Soc B 38:290 (interval censoring); Chu & Cole 2006, J Clin Epidemiol 59:1331.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from healthval.aggregate.between_site_variance import Array
from healthval.aggregate.meta import Pair
from healthval.aggregate.mixed.glmm import Model, Pieces, covariance

NODES = 15
FEWEST = 3  # sites that the limit of an interval counts at least
_LARGEST = 12.0  # logit beyond which a rate is 0 or 1
_MOST_TAU = 5.0
_BOUNDS = [(-_LARGEST, _LARGEST), (0.0, _MOST_TAU)]
_CLOSE = 0.002  # on the logit scale
_TAIL = 1e-9  # mass of the noise that is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A site's count of `n` cases, as far as it is known.

    Attributes
    ----------
    value : released count; None if withheld
    floor : smallest count that the site's policy shows
    variance : of the noise on the count; 0 if there is none
    near : counts of the same cases at other thresholds; a small difference to one is withheld too
    elsewhere : probability that another count is the reason for withholding this one
    band : least and greatest value of the release, where it is a band
    shifts : differences of the true count to `value` with their probabilities, where they are known
        better than by the variance of the noise
    """

    n: int
    value: int | None
    floor: int = 11
    variance: float = 0.0
    near: tuple[int, ...] = ()
    elsewhere: float = 0.0
    band: tuple[int, int] | None = None
    shifts: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CensoredFit:
    """Mean logit over sites with its profile interval, and the SD between sites.

    `ends` are (mu, tau) at the limits of the interval; `variance` is the mean's, from the curvature.
    """

    mu: float
    tau: float
    ci: Pair
    ends: tuple[Pair, Pair]
    variance: float
    loglik: float
    k: int
    level: float


def withheld_runs(count: Count) -> list[tuple[int, int]]:
    """First and last count of each run that the site's policy would withhold, in growing order."""
    if count.band is not None:
        return [count.band]
    reach = count.floor - 1
    found: list[tuple[int, int]] = []
    for mark in sorted({0, count.n, *count.near} if reach >= 0 else ()):
        low, high = max(0, mark - reach), min(count.n, mark + reach)
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        elif low <= high:
            found.append((low, high))
    return found


def _kernel(variance: float) -> Array:
    """Probabilities of discrete Laplace noise of this variance, from -reach to reach."""
    if variance <= 0:
        return np.ones(1)
    half = variance / 2
    a = (1 + 2 * half - math.sqrt(1 + 4 * half)) / (2 * half)
    reach = math.ceil(math.log(_TAIL) / math.log(a))
    return np.asarray((1 - a) / (1 + a) * a ** np.abs(np.arange(-reach, reach + 1.0)))


def _chances(count: Count) -> list[tuple[Array, Array]]:
    """Counts around each run, and the probability of each that its release is in the run.

    A run has no gap, so that the probabilities are log-concave. Noise beyond none or all of the cases
    is cut there, so that a band which begins with none, or ends with all, contains it.
    """
    noise = _kernel(count.variance)
    reach = len(noise) // 2
    found = []
    for least, most in withheld_runs(count):
        low = -2 * reach if count.band and least <= 0 else least
        high = count.n + 2 * reach if count.band and most >= count.n else most
        y = np.arange(low - reach, high + reach + 1)
        chance = np.convolve(np.ones(high - low + 1), noise)
        inside = (y >= 0) & (y <= count.n) & (chance > _TAIL)
        found.append((y[inside].astype(float), chance[inside]))
    return found


def pieces_of(count: Count) -> list[tuple[Array, Array]]:
    """Possible counts and the log-probability of the release given each, in runs without gaps."""
    noise = _kernel(count.variance)
    reach = len(noise) // 2
    if count.value is not None and count.shifts:
        by, chance = np.array(count.shifts).T
        inside = (count.value + by >= 0) & (count.value + by <= count.n)
        return [(count.value + by[inside], np.log(chance[inside]))]
    if count.value is not None:
        y = np.arange(max(0.0, count.value - reach), min(count.n, count.value + reach) + 1)
        if not len(y):
            y = np.array([float(min(max(count.value, 0), count.n))])
        where = np.clip(count.value - y.astype(int) + reach, 0, 2 * reach)
        return [(y, np.log(noise[where]))]
    found = []
    for y, chance in _chances(count) if count.elsewhere < 1 else ():
        found.append((y, np.log(chance * (1 - count.elsewhere))))
    if count.elsewhere > 0 or not found:  # a withheld count of which nothing is known
        found.append((np.zeros(0), np.array([math.log(count.elsewhere or 1.0)])))
    return found


def stack(counts: Sequence[Count]) -> Pieces:
    """Pieces of the counts of all sites."""
    return padded([(i, [(c.n, *piece)]) for i, c in enumerate(counts) for piece in pieces_of(c)])


def noisy_pieces(yes: Array, n: Array, variance: Array) -> Pieces:
    """Pieces of released counts with noise, one per site; all three are (k, d)."""

    def side(i: int, j: int) -> tuple[int, Array, Array]:
        size = int(n[i, j])
        given = Count(n=size, value=int(yes[i, j]), variance=float(variance[i, j]))
        return (size, *pieces_of(given)[0])

    k, d = yes.shape
    return padded([(i, [side(i, j) for j in range(d)]) for i in range(k)])


def padded(
    rows: Sequence[tuple[int, Sequence[tuple[float, Array, Array]]]], *, poisson: bool = False
) -> Pieces:
    """One array of pieces; a row is the site's index with size, values and weights of each side."""
    d = len(rows[0][1])
    most = max(len(logw) for _, sides in rows for _, _, logw in sides)
    y, logw = np.zeros((len(rows), d, most)), np.full((len(rows), d, most), -np.inf)
    n = np.zeros((len(rows), d))
    for row, (_, sides) in enumerate(rows):
        for side, (size, values, weights) in enumerate(sides):
            y[row, side, : len(values)] = values
            logw[row, side, : len(weights)] = weights
            n[row, side] = size if len(values) else 0
    site = np.array([i for i, _ in rows])
    return Pieces(y=y, logw=logw, n=n, site=site, poisson=poisson)


def fit_censored(
    counts: Sequence[Count], *, level: float = 0.95, nodes: int = NODES
) -> CensoredFit:
    """Fit the mean and SD of the logits over sites; the interval is the profile likelihood's.

    Its limit is that of the t test with k - 1 degrees of freedom, k log(1 + t^2 / (k - 1)) / 2, where k
    is the number of sites of which a count or a band is known: a withheld one says little of the SD.
    """
    shown = sum(c.value is not None or c.band is not None for c in counts)
    return profile_fit(stack(counts), _starts(counts), level=level, nodes=nodes, shown=shown)


def profile_fit(
    pieces: Pieces,
    starts: Sequence[float],
    *,
    level: float = 0.95,
    nodes: int = NODES,
    shown: int | None = None,
) -> CensoredFit:
    """Fit mean and SD to what is known of one count per site, from several starts of the mean.

    Parameters
    ----------
    shown : number of sites with a count or a band; by default all
    """
    from scipy.optimize import minimize
    from scipy.stats import t

    likelihood = _Likelihood(pieces, nodes)
    found = [minimize(likelihood, [mu, 0.5], jac=True, bounds=_BOUNDS) for mu in starts]
    best = min(found, key=lambda one: float(one.fun))
    mu, tau = (float(x) for x in best.x)
    k = len(np.unique(pieces.site))
    m = k if shown is None else max(shown, min(k, FEWEST))
    limit = m * math.log1p(float(t.ppf((1 + level) / 2, m - 1)) ** 2 / (m - 1)) / 2
    least = -float(best.fun) - limit
    low, high = (_edge(likelihood, (mu, tau), side, least) for side in (-1, 1))
    return CensoredFit(
        mu=mu,
        tau=tau,
        ci=(low[0], high[0]),
        ends=(low, high),
        variance=likelihood.variance(best.x),
        loglik=-float(best.fun),
        k=k,
        level=level,
    )


class _Likelihood:
    """Negative log-likelihood of (mu, tau) with its gradient."""

    def __init__(self, pieces: Pieces, nodes: int) -> None:
        self.model = Model(pieces, nodes)

    def __call__(self, theta: Array) -> tuple[float, Array]:
        value, slope = self.model.loglik_and_gradient(np.asarray(theta))
        return -value, -slope

    def profile(self, mu: float, tau: float) -> Pair:
        """Highest log-likelihood at this mean, and the SD there; the search starts from `tau`."""
        from scipy.optimize import minimize

        def at(x: Array) -> tuple[float, Array]:
            value, slope = self(np.array([mu, x[0]]))
            return value, slope[1:]

        start, bounds = [max(tau, 0.05)], _BOUNDS[1:]
        found = minimize(at, start, jac=True, bounds=bounds, options={"ftol": 1e-9})
        return -float(found.fun), float(found.x[0])

    def variance(self, theta: Array) -> float:
        """Variance of the mean from the curvature; infinite where the likelihood is flat.

        It is flat where all counts are withheld, for example, and fit none as well as all cases.
        """
        found = covariance(self.model.loglik_and_gradient, np.asarray(theta, float), 1)
        return math.inf if found is None else float(found[0, 0])


def _starts(counts: Sequence[Count]) -> list[float]:
    shown = [(c.value, c.n) for c in counts if c.value is not None]
    if not shown:
        return [-2.0, 2.0]
    rate = sum(max(0, v) for v, _ in shown) + 0.5, sum(n for _, n in shown) + 1
    middle = math.log(rate[0] / max(rate[1] - rate[0], 0.5))
    return [middle, middle - 1.5, middle + 1.5] if len(shown) < len(counts) else [middle]


def _edge(likelihood: _Likelihood, start: Pair, side: int, least: float) -> Pair:
    """Point at which the profile falls below `least`; else the end of the range."""
    from scipy.optimize import brentq

    there, heights = dict([start]), {start[0]: -likelihood(np.array(start))[0] - least}

    def height(mu: float) -> float:
        if mu not in heights:  # a second search could end at another SD
            near = there[min(there, key=lambda x: abs(x - mu))]
            value, there[mu] = likelihood.profile(mu, near)
            heights[mu] = value - least
        return heights[mu]

    inside, step = start[0], 0.25
    while abs(inside + side * step) < _LARGEST:
        outside = inside + side * step
        if height(outside) < 0:
            edge = float(brentq(height, inside, outside, xtol=_CLOSE))
            return edge, there[min(there, key=lambda x: abs(x - edge))]
        inside, step = outside, step * 1.6
    return side * _LARGEST, there[inside]


def chance_withheld(count: Count, fit: CensoredFit) -> float:
    """Probability, under a fit, that the policy withholds the count because of its value."""
    mass, _ = _marginal(count, fit.mu, fit.tau)
    return min(1.0, float(mass.sum()))


def hidden_moments(count: Count, mu: float, tau: float) -> Pair:
    """Mean and variance of the count behind a release: a number with noise, a band, or nothing."""
    mass, y = _marginal(count, mu, tau)
    p, weight = _rates(mu, tau)
    first = count.n * float(weight @ p)
    own = mass * (1 - count.elsewhere)
    whole = float(own.sum()) + count.elsewhere
    second = count.n**2 * float(weight @ p**2) + count.n * float(weight @ (p * (1 - p)))
    mean = (float(own @ y) + count.elsewhere * first) / whole
    square = (float(own @ y**2) + count.elsewhere * second) / whole
    return mean, max(0.0, square - mean**2)


def shifts_of(count: Count, released: int, fit: CensoredFit) -> tuple[tuple[int, float], ...]:
    """Differences of the count to its released number, with their probabilities under a fit."""
    mass, y = _marginal(count, fit.mu, fit.tau)
    chance = mass / mass.sum()
    likely = chance > _TAIL
    by = (y[likely] - released).astype(int)
    return tuple(zip(by.tolist(), chance[likely].tolist(), strict=True))


def _rates(mu: float, tau: float) -> tuple[Array, Array]:
    """Rates over sites with their weights."""
    z = np.linspace(-6, 6, 201)
    weight = np.exp(-(z**2) / 2)
    return 1 / (1 + np.exp(-(mu + tau * z))), weight / weight.sum()


def _marginal(count: Count, mu: float, tau: float) -> tuple[Array, Array]:
    """Probability over sites of each count that may be withheld, and of its being withheld."""
    from scipy.special import gammaln, xlogy

    found = _chances(count)
    if count.value is not None:
        found = [(y, np.exp(logw)) for y, logw in pieces_of(count)]
    y, chance = (np.concatenate([x[i] for x in found] or [np.zeros(0)]) for i in (0, 1))
    p, weight = _rates(mu, tau)
    n = count.n
    choose = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    logs = choose + xlogy(y, p[:, None]) + xlogy(n - y, 1 - p[:, None])
    return weight @ np.exp(logs) * chance, y
