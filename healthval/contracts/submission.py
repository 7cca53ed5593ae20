"""Submission: the only message with results that leaves a hospital, built by `healthval.disclosure`.

The shape is closed: every string has a pattern, every list a maximum length, and no field is per
patient. A count below the minimum cell is the word ``suppressed``, also in pooled results.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from healthval.contracts.base import Column, Name, Probability, Sha256, SiteId, Version, Wire
from healthval.contracts.stamp import Stamp

SUPPRESSED: Literal["suppressed"] = "suppressed"
FOLDED: Literal["other_levels"] = "other_levels"  # levels that the plan's `levels` made one level
COMMON_LEVELS = "with_common_levels"  # step of the flow that excludes small levels by the plan
Cell = Annotated[int, Field(ge=0, le=10**12)] | Literal["suppressed"]
BAND = r"^(<[1-9][0-9]{0,3}|[0-9]{1,12}-[0-9]{1,12})$"
Band = Annotated[str, Field(pattern=BAND)]  # of a count: below a number, or from one to another
Method = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9 ._()/-]{0,63}$")]


def band_of(low: int, high: int) -> str:
    """Band of counts as it is written in a release.

    Examples
    --------
    >>> band_of(0, 10), band_of(30, 40)
    ('<11', '30-40')
    """
    return f"<{high + 1}" if low == 0 else f"{low}-{high}"


def band_limits(cell: object) -> tuple[int, int] | None:
    """Least and greatest count of a band; None for anything else.

    Examples
    --------
    >>> band_limits("<11"), band_limits("30-40"), band_limits(12), band_limits(SUPPRESSED)
    ((0, 10), (30, 40), None, None)
    """
    if not isinstance(cell, str) or not re.match(BAND, cell):
        return None
    low, dash, high = cell.partition("-")
    return (int(low), int(high)) if dash else (0, int(cell[1:]) - 1)


class ReleasedEstimate(Wire):
    """A rounded estimate; `value` is None if withheld, and `withheld` is the reason."""

    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    se: float | None = None
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    method: Method = "none"
    n: Cell = SUPPRESSED
    n_events: Cell = SUPPRESSED
    withheld: Literal["none", "suppressed", "not_estimable"] = "none"


class ReleasedConfusion(Wire):
    """Cases counted by reference standard and prediction.

    A perturbed count below the floor is a band such as ``<11``, and so is its partner in the class.
    """

    tp: Cell | Band
    fp: Cell | Band
    fn: Cell | Band
    tn: Cell | Band


class ReleasedThreshold(Wire):
    """Results at one threshold; only pre-specified thresholds are pooled."""

    threshold: Probability
    origin: Literal["pre-specified", "data-derived"]
    confusion: ReleasedConfusion
    sensitivity: ReleasedEstimate
    specificity: ReleasedEstimate
    ppv: ReleasedEstimate
    npv: ReleasedEstimate
    net_benefit: ReleasedEstimate


class RocPoint(Wire):
    """Sensitivity at a false-positive rate of the fixed grid, pointwise interval."""

    fpr: Probability
    tpr: Probability
    lo: Probability
    hi: Probability


class CurvePoint(Wire):
    """Observed event rate at a predicted probability of the fixed grid, pointwise interval."""

    predicted: Probability
    observed: Probability
    lo: Probability
    hi: Probability


class ReleasedCalibration(Wire):
    """Calibration; `observed` and `expected` are sums of events and of scores."""

    observed: Cell
    expected: float | None
    oe: ReleasedEstimate
    citl: ReleasedEstimate
    intercept: ReleasedEstimate
    slope: ReleasedEstimate
    brier: ReleasedEstimate
    scaled_brier: ReleasedEstimate
    ici_rcs5: ReleasedEstimate
    e50: ReleasedEstimate
    e90: ReleasedEstimate
    curve: Annotated[tuple[CurvePoint, ...], Field(max_length=20)] = ()


class DecisionPoint(Wire):
    """Net benefit of the model and of treating all, at one threshold."""

    threshold: Probability
    model: ReleasedEstimate
    treat_all: float | None


class ReleasedBin(Wire):
    """Scores in [low, high): cases with and without the condition; bins below the minimum cell are merged."""

    low: Probability
    high: Probability
    events: Cell
    non_events: Cell
    score_sum: float | None = None


class HistogramNoise(Wire):
    """Differential privacy of the histogram: its cost, and the error bound of 95 % of cells."""

    epsilon: Annotated[float, Field(gt=0, le=10)]
    error_95: Annotated[int, Field(ge=0, le=10**6)]


class CountNoise(Wire):
    """Keyed noise on counts, of standard deviation `scale`; all counts are multiples of `multiple`.

    `variance` is that of a count at a cut or of a class, rounding included; `level_variance` is that
    of a level. A statistic carries noise of one outcome's influence or more; its `se` and interval
    include it.
    """

    scale: Annotated[float, Field(ge=1, le=100)]
    variance: Annotated[float, Field(gt=0, le=10**5)]
    multiple: Annotated[int, Field(ge=1, le=100)] = 1
    level_variance: Annotated[float, Field(ge=0, le=10**7)] = 0.0


class ReleasedSubgroup(Wire):
    """One level of one subgroup variable."""

    variable: Column
    level: Column
    n: Cell
    n_events: Cell
    auroc: ReleasedEstimate
    oe: ReleasedEstimate
    sensitivity: ReleasedEstimate
    specificity: ReleasedEstimate


class FlowCount(Wire):
    """Cases that remain after one step of the flow diagram."""

    step: Column
    n: Cell


class TableOneRow(Wire):
    """Counts of a level, or mean and SD of a number, by reference standard."""

    variable: Column
    level: Column
    overall: Cell | None = None
    events: Cell | None = None
    non_events: Cell | None = None
    mean: float | None = None
    sd: float | None = None


class AttackPassed(Wire):
    """An attack that the gate ran on this payload without success."""

    name: Name
    checked: Annotated[int, Field(ge=0)]


class Certificate(Wire):
    """The policy of the release and the attacks that the payload passed."""

    policy: Name
    policy_version: Annotated[int, Field(ge=1)]
    minimum_cell: Annotated[int, Field(ge=1, le=1000)]
    attacks: Annotated[tuple[AttackPassed, ...], Field(max_length=32)] = ()


class Submission(Wire):
    """One site's released result for one model version under one plan."""

    schema_version: Literal[1] = 1
    model: Name
    version: Version
    model_digest: Sha256
    plan_hash: Sha256
    plan_amended: bool = False
    healthval_version: Version
    dates: Literal["removed", "shifted", "kept", "none"]
    pixel_sign_off: bool = False
    canary: Literal["unchanged", "changed", "not_run"] = "not_run"
    n: Cell
    n_events: Cell
    n_indeterminate: Cell = 0
    n_missing_reference: Cell = 0
    flow: Annotated[tuple[FlowCount, ...], Field(max_length=32)] = ()
    auroc: ReleasedEstimate
    average_precision: ReleasedEstimate | None = None
    roc: Annotated[tuple[RocPoint, ...], Field(max_length=20)] = ()
    thresholds: Annotated[tuple[ReleasedThreshold, ...], Field(max_length=20)] = ()
    calibration: ReleasedCalibration | None = None
    decision_curve: Annotated[tuple[DecisionPoint, ...], Field(max_length=20)] = ()
    histogram: Annotated[tuple[ReleasedBin, ...], Field(max_length=20)] = ()
    histogram_noise: HistogramNoise | None = None
    noise: CountNoise | None = None
    subgroups: Annotated[tuple[ReleasedSubgroup, ...], Field(max_length=64)] = ()
    table_one: Annotated[tuple[TableOneRow, ...], Field(max_length=100)] = ()
    certificate: Certificate


# Names that every result may contain; all others are those of its registered plan.
COMMON_NAMES = frozenset({
    "suppressed", "missing", "mean", "rows_read", "first_view_rows", "with_resources",
    "with_reference", "with_images", "images_deidentified", "scored",
})  # fmt: skip


def foreign_names(submission: Submission, registered: Iterable[str]) -> frozenset[str]:
    """Names of variables, levels and steps that are not those of the registered plan."""
    used = {step.step for step in submission.flow}
    used |= {name for row in submission.subgroups for name in (row.variable, row.level)}
    used |= {name for row in submission.table_one for name in (row.variable, row.level)}
    return frozenset(used) - COMMON_NAMES - frozenset(registered)


class Receipt(Wire):
    """Proof that the hub has received a site's result, with the state of that result.

    `active` is the site's result that the hub counts when it answers; a repetition of a superseded
    result has another hash there. `reason` is why a result is refused. `ledger` is the hub's
    countersignature of the head of the site's ledger, where the site sent it.
    """

    site: SiteId
    submission_sha256: Sha256
    state: Literal["received", "checked", "counted", "refused"] = "counted"
    reason: Annotated[str, Field(max_length=1000)] = ""
    active: Sha256 | None = None
    supersedes: Sha256 | None = None
    repeated: bool = False
    ledger: Stamp | None = None
