"""Performance statistics, each with an interval: numpy and scipy only, without I/O."""

from healthval.errors import MissingPredictionError, SingleClassError
from healthval.metrics.agreement import cohen_kappa, reader_agreement
from healthval.metrics.calibration.curves import (
    HosmerLemeshow,
    expected_calibration_error,
    hosmer_lemeshow,
)
from healthval.metrics.calibration.measures import Calibration, calibration
from healthval.metrics.calibration.recalibration import Update, recalibrate
from healthval.metrics.cases import reference_standard
from healthval.metrics.confusion import (
    Confusion,
    LikelihoodRatios,
    confusion_at,
    likelihood_ratios,
    predictive_values,
)
from healthval.metrics.discrimination.auroc import DirectionWarning, auroc
from healthval.metrics.discrimination.average_precision import average_precision
from healthval.metrics.discrimination.comparison import (
    Comparison,
    PairedAccuracy,
    compare_auroc,
    compare_auroc_unpaired,
    mcnemar,
)
from healthval.metrics.discrimination.partial_auroc import partial_auroc
from healthval.metrics.estimate import Estimate
from healthval.metrics.evaluate import at_threshold, data_derived_threshold, evaluate
from healthval.metrics.intervals.analytic import proportion
from healthval.metrics.intervals.resampling import Bootstrap
from healthval.metrics.missing import Bounds, MissingBounds, missing_bounds
from healthval.metrics.net_benefit import DecisionCurve, net_benefit
from healthval.metrics.outcomes.continuous import Continuous, continuous
from healthval.metrics.outcomes.multiclass import Multiclass, multiclass
from healthval.metrics.outcomes.segmentation import (
    Segmentation,
    SegmentedCase,
    froc,
    segment_case,
    segmentation,
)
from healthval.metrics.outcomes.survival import SurvivalMetrics, concordance, survival
from healthval.metrics.planning import (
    Action,
    Precision,
    SampleSize,
    achieved_precision,
    expected_suppressed_cells,
    required_sample_size,
)
from healthval.metrics.result import (
    Evaluation,
    ScoreHistogram,
    SiteResult,
    SubgroupResult,
    TableOne,
    ThresholdResult,
)
from healthval.metrics.subgroups.gaps import Difference, Gap, SubgroupAnalysis, holm, subgroups
from healthval.metrics.subgroups.heterogeneity import Heterogeneity
from healthval.metrics.table_one import table_one

__all__ = [
    "Action",
    "Bootstrap",
    "Bounds",
    "Calibration",
    "Comparison",
    "Confusion",
    "Continuous",
    "DecisionCurve",
    "Difference",
    "DirectionWarning",
    "Estimate",
    "Evaluation",
    "Gap",
    "Heterogeneity",
    "HosmerLemeshow",
    "LikelihoodRatios",
    "MissingBounds",
    "MissingPredictionError",
    "Multiclass",
    "PairedAccuracy",
    "Precision",
    "SampleSize",
    "ScoreHistogram",
    "Segmentation",
    "SegmentedCase",
    "SingleClassError",
    "SiteResult",
    "SubgroupAnalysis",
    "SubgroupResult",
    "SurvivalMetrics",
    "TableOne",
    "ThresholdResult",
    "Update",
    "achieved_precision",
    "at_threshold",
    "auroc",
    "average_precision",
    "calibration",
    "cohen_kappa",
    "compare_auroc",
    "compare_auroc_unpaired",
    "concordance",
    "confusion_at",
    "continuous",
    "data_derived_threshold",
    "evaluate",
    "expected_calibration_error",
    "expected_suppressed_cells",
    "froc",
    "holm",
    "hosmer_lemeshow",
    "likelihood_ratios",
    "mcnemar",
    "missing_bounds",
    "multiclass",
    "net_benefit",
    "partial_auroc",
    "predictive_values",
    "proportion",
    "reader_agreement",
    "recalibrate",
    "reference_standard",
    "required_sample_size",
    "segment_case",
    "segmentation",
    "subgroups",
    "survival",
    "table_one",
]
