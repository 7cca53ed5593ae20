"""Headline measures pooled by other estimators and tests: sensitivity to the choice of method."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from healthval.aggregate.effects import IDENTITY, LOG, LOGIT
from healthval.aggregate.meta import meta_analysis
from healthval.aggregate.secondary.records import MethodChoice
from healthval.aggregate.values import PooledMeasure
from healthval.errors import MetricError

_Method: TypeAlias = Literal["REML", "PM", "DL"]
_Test: TypeAlias = Literal["z", "hk", "hk-truncated"]
_METHODS: tuple[_Method, ...] = ("REML", "PM", "DL")
_TESTS: tuple[_Test, ...] = ("z", "hk", "hk-truncated")
_SCALES = {"logit": LOGIT, "log": LOG, "identity": IDENTITY}


def choices(measures: Sequence[PooledMeasure]) -> tuple[MethodChoice, ...]:
    """Pool each measure by each combination of estimator and test; none below three sites."""
    return tuple(
        found
        for measure in measures
        if measure.meta is not None
        for method in _METHODS
        for test in _TESTS
        if (found := _pooled(measure, method, test)) is not None
    )


def _pooled(measure: PooledMeasure, method: _Method, test: _Test) -> MethodChoice | None:
    effects, variances = zip(*((p.effect, p.se**2) for p in measure.funnel), strict=True)
    try:
        meta = meta_analysis(effects, variances, method=method, test=test)
    except MetricError:
        return None
    if meta.ci is None:
        return None
    back = _SCALES[measure.scale].back
    return MethodChoice(
        measure=measure.measure,
        method=method,
        test=test,
        value=back(meta.mu),
        ci=(back(meta.ci[0]), back(meta.ci[1])),
    )
