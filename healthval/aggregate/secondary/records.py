"""Records of the secondary analyses."""

from dataclasses import dataclass

from healthval.aggregate.meta import Pair
from healthval.aggregate.values import Excluded, PooledMeasure, Rate
from healthval.secure_sum.outcome import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Usefulness:
    """Net benefit of the model less that of the better default, treat all or treat none.

    `p_useful` is the chance that the difference is above 0 at a hospital that is not among the
    sites; None below five sites. Both are None, with the `reason`, where a site withheld counts.
    """

    threshold: float
    gain: PooledMeasure
    p_useful: float | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveAt:
    """Mean observed event rate over sites at a score; `prediction` is for a new site."""

    predicted: float
    observed: float
    ci: Pair
    prediction: Pair | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JointCalibration:
    """Calibration intercept and slope pooled jointly over the `k` sites, and the curve from them.

    `cov` is the covariance of the means, `tau` are SDs between sites, `rho` their correlation. `p`
    tests intercept 0 and slope 1 together. The curve is within the range of scores that the curve
    of every one of these sites contains. All are None with the `reason`.
    """

    intercept: float | None
    intercept_ci: Pair | None
    slope: float | None
    slope_ci: Pair | None
    cov: tuple[Pair, Pair] | None
    tau: Pair | None
    rho: float | None
    p: float | None
    curve: tuple[CurveAt, ...]
    k: int
    excluded: tuple[Excluded, ...]
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMix:
    """Case mix of one site, from its histogram; None with the `reason`.

    `sd_linear_predictor` is that of the logits of the mean score in each of the `bins`; it is
    slightly below that of the scores. `model_c` is the c statistic if the scores were the true
    risks: an AUROC of the site below it is not explained by the case mix.
    """

    site: str
    mean_score: float | None
    sd_linear_predictor: float | None
    model_c: float | None
    bins: int
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRatio:
    """Mean O:E over sites by a Poisson model, with sites without events and with withheld events."""

    value: float | None
    ci: Pair | None
    prediction: Pair | None
    tau: float | None
    k: int
    no_events: int
    withheld: int
    excluded: tuple[Excluded, ...]
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodChoice:
    """A headline measure pooled by another estimator or test."""

    measure: str
    method: str
    test: str
    value: float
    ci: Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Secondary:
    """All secondary analyses of a study."""

    usefulness: tuple[Usefulness, ...]
    calibration: JointCalibration
    case_mix: tuple[CaseMix, ...]
    oe_poisson: EventRatio
    choices: tuple[MethodChoice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalAt:
    """Counts and rates of all cases of a secure sum at one threshold; exact, with Wilson's intervals."""

    threshold: float
    tp: int
    fp: int
    fn: int
    tn: int
    sensitivity: Rate
    specificity: Rate
    ppv: Rate
    npv: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureTotal:
    """Secure sum of the plan: its total over sites whose tables nobody received, or why there is none.

    Attributes
    ----------
    sites : labels of the hospitals in the sum; empty without a sum
    dropped : hospitals that joined and are not in the sum, each with the round that it missed
    opened_by : number of hospitals that opened the sum by themselves
    thresholds : those at which the total is above the floor; empty unless `status` is ``total``
    withheld : the plan's other thresholds, where `status` is ``total``
    """

    status: Status
    minimum_sites: int
    floor: int
    sites: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()
    opened_by: int = 0
    reason: str = ""
    thresholds: tuple[TotalAt, ...] = ()
    withheld: tuple[float, ...] = ()
