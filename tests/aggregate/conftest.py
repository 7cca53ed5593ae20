"""A network of simulated hospitals, each with the submission its gate would let out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from healthval.contracts.submission import (
    Certificate,
    DecisionPoint,
    FlowCount,
    ReleasedBin,
    ReleasedConfusion,
    ReleasedEstimate,
    ReleasedSubgroup,
    ReleasedThreshold,
    Submission,
    TableOneRow,
)

Z = 1.959963984540054


def estimate(value: float, se: float, n: int, n_events: int) -> ReleasedEstimate:
    return ReleasedEstimate(
        value=value,
        lo=value - Z * se,
        hi=value + Z * se,
        se=se,
        method="wald",
        n=n,
        n_events=n_events,
    )


@dataclass(frozen=True)
class Hospital:
    """The rows that never leave, kept here so that exactness can be checked."""

    reference: np.ndarray
    score: np.ndarray

    @property
    def auc(self) -> float:
        p, n = self.score[self.reference], self.score[~self.reference]
        return float(np.mean((p[:, None] > n) + 0.5 * (p[:, None] == n)))

    def confusion(self, threshold: float) -> ReleasedConfusion:
        y, positive = self.reference, self.score >= threshold
        return ReleasedConfusion(
            tp=int((y & positive).sum()),
            fp=int((~y & positive).sum()),
            fn=int((y & ~positive).sum()),
            tn=int((~y & ~positive).sum()),
        )


def simulate(seed: int, n: int, shift: float = 0.0) -> Hospital:
    rng = np.random.default_rng(seed)
    reference = rng.random(n) < 0.3
    reference[:12], reference[12:24] = True, False
    logit = rng.normal(-1.2 + 1.6 * reference + shift, 1.0)
    return Hospital(reference, 1 / (1 + np.exp(-logit)))


def bins(h: Hospital, edges: np.ndarray) -> tuple[ReleasedBin, ...]:
    where = np.clip(np.searchsorted(edges, h.score, side="right") - 1, 0, len(edges) - 2)
    return tuple(
        ReleasedBin(
            low=float(edges[b]),
            high=float(edges[b + 1]),
            events=int((h.reference & (where == b)).sum()),
            non_events=int((~h.reference & (where == b)).sum()),
            score_sum=float(h.score[where == b].sum()),
        )
        for b in range(len(edges) - 1)
    )


def threshold(h: Hospital, at: float) -> ReleasedThreshold:
    c, n, m = h.confusion(at), len(h.score), int(h.reference.sum())
    sens, spec = c.tp / (c.tp + c.fn), c.tn / (c.tn + c.fp)
    nb = c.tp / n - c.fp / n * at / (1 - at)
    blank = ReleasedEstimate(withheld="not_estimable")
    return ReleasedThreshold(
        threshold=at,
        origin="pre-specified",
        confusion=c,
        ppv=blank,
        npv=blank,
        sensitivity=estimate(sens, np.sqrt(sens * (1 - sens) / m) or 0.01, m, m),
        specificity=estimate(spec, np.sqrt(spec * (1 - spec) / (n - m)) or 0.01, n - m, 0),
        net_benefit=estimate(nb, 0.4 / np.sqrt(n), n, m),
    )


def submission(
    h: Hospital, thresholds: tuple[float, ...] = (0.2, 0.5), **changes: object
) -> Submission:
    n, m = len(h.score), int(h.reference.sum())
    se = 0.5 / np.sqrt(min(m, n - m)) * np.sqrt(max(h.auc * (1 - h.auc), 1e-4)) * 1.4
    oe, brier = m / h.score.sum(), float(np.mean((h.score - h.reference) ** 2))
    blank = ReleasedEstimate(withheld="not_estimable")
    auc = estimate(h.auc, se, n, m)
    oe_estimate = estimate(oe, oe * np.sqrt((1 - m / n) / m), n, m)
    point = threshold(h, 0.2)
    fields = {
        "model": "sepsis",
        "version": "1.2",
        "model_digest": "a" * 64,
        "plan_hash": "b" * 64,
        "healthval_version": "0.1.0",
        "dates": "removed",
        "n": n,
        "n_events": m,
        "n_indeterminate": 0,
        "n_missing_reference": 11,
        "flow": (FlowCount(step="listed", n=n + 20), FlowCount(step="scored", n=n)),
        "auroc": auc,
        "thresholds": tuple(threshold(h, t) for t in thresholds),
        "calibration": {
            "observed": m,
            "expected": float(h.score.sum()),
            "oe": oe_estimate,
            "citl": estimate(float(np.log(oe)), 0.1, n, m),
            "intercept": blank,
            "slope": estimate(0.9 + 0.05 * np.sin(n), 2.0 / np.sqrt(n), n, m),
            "brier": estimate(brier, 0.1 / np.sqrt(n), n, m),
            "scaled_brier": blank,
            "ici_rcs5": blank,
            "e50": blank,
            "e90": blank,
        },
        "decision_curve": tuple(
            DecisionPoint(
                threshold=t.threshold,
                model=t.net_benefit,
                treat_all=m / n - (1 - m / n) * t.threshold / (1 - t.threshold),
            )
            for t in (threshold(h, at) for at in (0.1, 0.2, 0.3))
        ),
        "histogram": bins(h, np.linspace(0, 1, 11)),
        "subgroups": tuple(
            ReleasedSubgroup(
                variable="sex",
                level=level,
                n=n // 2,
                n_events=m // 2,
                auroc=auc,
                oe=oe_estimate,
                sensitivity=point.sensitivity,
                specificity=point.specificity,
            )
            for level in ("female", "male")
        ),
        "table_one": (
            TableOneRow(variable="age", level="mean", mean=60.0 + n / 100, sd=12.0),
            TableOneRow(
                variable="sex",
                level="female",
                overall=n // 2,
                events=m // 2,
                non_events=n // 2 - m // 2,
            ),
        ),
        "certificate": Certificate(policy="cms", policy_version=1, minimum_cell=11),
    } | changes
    return Submission.model_validate(fields)


@pytest.fixture(scope="session")
def hospitals() -> tuple[Hospital, ...]:
    return tuple(simulate(seed, 200 + 40 * seed, 0.1 * (seed % 3)) for seed in range(7))


@pytest.fixture(scope="session")
def released() -> Callable[..., Submission]:
    return submission


@pytest.fixture(scope="session")
def network(hospitals: tuple[Hospital, ...]) -> tuple[tuple[str, Submission], ...]:
    return tuple((f"site-{chr(97 + i)}", submission(h)) for i, h in enumerate(hospitals))
