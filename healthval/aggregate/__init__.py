"""Pooling and heterogeneity over sites, pure."""

from healthval.aggregate.counts import pool_counts
from healthval.aggregate.meta import MetaResult, meta_analysis
from healthval.aggregate.pooling import pool
from healthval.aggregate.roc import PooledRoc, pooled_roc
from healthval.aggregate.selection import active_submissions
from healthval.aggregate.study import StudyResult

__all__ = [
    "MetaResult",
    "PooledRoc",
    "StudyResult",
    "active_submissions",
    "meta_analysis",
    "pool",
    "pool_counts",
    "pooled_roc",
]
