"""Pure statistics: every number with an interval."""

from healthval.metrics.agreement import kappa
from healthval.metrics.calibration import Calibration, calibration
from healthval.metrics.characteristics import table_one
from healthval.metrics.confusion import (
    Confusion,
    LikelihoodRatios,
    confusion_at,
    likelihood_ratios,
    predictive_values,
)
from healthval.metrics.discrimination import auroc, average_precision
from healthval.metrics.estimate import Estimate
from healthval.metrics.inputs import (
    DirectionWarning,
    MissingPredictionError,
    SingleClassError,
    reference_standard,
)
from healthval.metrics.intervals import Bootstrap, proportion
from healthval.metrics.panel import at_threshold, data_derived_threshold, evaluate
from healthval.metrics.result import (
    Evaluation,
    ScoreHistogram,
    SiteResult,
    SubgroupResult,
    TableOne,
    ThresholdResult,
)
from healthval.metrics.utility import DecisionCurve, net_benefit

__all__ = [
    "Bootstrap",
    "Calibration",
    "Confusion",
    "DecisionCurve",
    "DirectionWarning",
    "Estimate",
    "Evaluation",
    "LikelihoodRatios",
    "MissingPredictionError",
    "ScoreHistogram",
    "SingleClassError",
    "SiteResult",
    "SubgroupResult",
    "TableOne",
    "ThresholdResult",
    "at_threshold",
    "auroc",
    "average_precision",
    "calibration",
    "confusion_at",
    "data_derived_threshold",
    "evaluate",
    "kappa",
    "likelihood_ratios",
    "net_benefit",
    "predictive_values",
    "proportion",
    "reference_standard",
    "table_one",
]
