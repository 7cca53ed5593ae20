"""Pooled results and heterogeneity over sites, from released numbers only (pure)."""

from healthval.aggregate.counts import pool_counts
from healthval.aggregate.external import Imported, pool_imported, read_medperf, read_nvflare
from healthval.aggregate.meta import MetaResult, meta_analysis
from healthval.aggregate.mixed.bivariate import bivariate
from healthval.aggregate.pool import active_submissions, pool
from healthval.aggregate.regression import MetaRegression, meta_regression, regress_on
from healthval.aggregate.result import BivariateResult, StudyResult
from healthval.aggregate.roc import PooledRoc, pooled_roc
from healthval.aggregate.same_hospital import are_same_patients, counted_elsewhere
from healthval.aggregate.secondary.predictive_values import PredictiveValues, predictive_values

__all__ = [
    "BivariateResult",
    "Imported",
    "MetaRegression",
    "MetaResult",
    "PooledRoc",
    "PredictiveValues",
    "StudyResult",
    "active_submissions",
    "are_same_patients",
    "bivariate",
    "counted_elsewhere",
    "meta_analysis",
    "meta_regression",
    "pool",
    "pool_counts",
    "pool_imported",
    "pooled_roc",
    "predictive_values",
    "read_medperf",
    "read_nvflare",
    "regress_on",
]
