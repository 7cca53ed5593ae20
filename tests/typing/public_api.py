"""What a type checker must accept and refuse of the public names; read by mypy, never run.

A line with ``type: ignore`` must be an error: mypy reports each one that is not needed.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas as pd
from pydicom.dataset import Dataset

import healthval as hv
from healthval import aggregate, cohort, deid, disclosure, metrics, report
from healthval.contracts.model import ModelCard
from healthval.contracts.submission import Submission
from healthval.credential import Credential


def statistics(reference: np.ndarray, score: np.ndarray) -> None:
    """Every statistic is an `Estimate` or contains some."""
    assert_type(metrics.auroc(reference, score), metrics.Estimate)
    assert_type(metrics.auroc([True, False], [0.2, 0.1], ci="newcombe", level=0.9).lo, float | None)
    assert_type(metrics.compare_auroc(reference, score, score).difference, metrics.Estimate)
    assert_type(metrics.confusion_at(reference, score, 0.5), metrics.Confusion)
    assert_type(metrics.calibration(reference, score).slope, metrics.Estimate)
    assert_type(metrics.evaluate(reference, score, thresholds=(0.2,)), metrics.Evaluation)
    metrics.auroc(reference)  # type: ignore[call-arg]
    metrics.auroc(reference, score, reference)  # type: ignore[call-arg]
    metrics.auroc(reference, score, ci="exact")  # type: ignore[arg-type]
    metrics.calibration(reference, score).slope = 1.0  # type: ignore[misc, assignment]


def deidentification(dataset: Dataset, frame: pd.DataFrame, secret: deid.Secret) -> None:
    """A policy and a secret, never the secret's bytes."""
    policy = deid.Policy()
    assert_type(deid.deidentify(dataset, policy, secret), deid.Deidentified)
    assert_type(deid.deidentify_files([Path("x")], Path("out"), policy, secret), deid.Manifest)
    assert_type(deid.audit(dataset, dataset), list[deid.Leak])
    deid.deidentify(dataset, policy, b"secret")  # type: ignore[arg-type]
    deid.deidentify(dataset, secret, policy)  # type: ignore[arg-type]


def release(result: metrics.SiteResult, submission: Submission, ledger: disclosure.Ledger) -> None:
    """Only a result enters the gate, and only a release leaves it."""
    policy = disclosure.load_policy("cms")
    assert_type(disclosure.release(result, policy, ledger), disclosure.Release)
    assert_type(disclosure.check_arrival(submission, policy), Submission)
    disclosure.release(submission, policy, ledger)  # type: ignore[arg-type]
    disclosure.release(result, ledger, policy)  # type: ignore[arg-type]


def pooling(submission: Submission, card: ModelCard, facts: report.PlanFacts) -> None:
    """Labelled submissions become a study, a study becomes a report."""
    study = aggregate.pool((("a", submission), ("b", submission)))
    assert_type(study, aggregate.StudyResult)
    assert_type(report.build(study, {"a": submission}, card, facts), report.Report)
    assert_type(report.build(study, [submission], card, facts).numbers, dict[str, Any])
    aggregate.pool([submission])  # type: ignore[list-item]


def evaluation(patients: cohort.Cohort, credential: Credential) -> None:
    """A plan, a cohort and a client give a site's result."""
    plan, client = hv.load_plan("plan.yaml"), hv.Client("http://127.0.0.1:1", credential)
    assert_type(hv.evaluate(plan, patients, client), metrics.SiteResult)
    hv.evaluate(patients, plan, client)  # type: ignore[arg-type]
    hv.Client("http://127.0.0.1:1", "key")  # type: ignore[arg-type]
