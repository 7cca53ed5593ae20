"""Results of made-up sites, and a ledger with a fixed clock."""

from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import patch

import numpy as np
import pytest
from exact_policy import exact

from healthval.disclosure import Ledger
from healthval.metrics import Bootstrap, SiteResult, evaluate
from healthval.metrics.calibration import curves

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def case_ids(first, count):
    return frozenset(f"{i:032x}" for i in range(first, first + count))


class Site:
    """A made-up hospital: scores, outcomes and groups, from which results are computed."""

    def __init__(self, n=600, *, seed=1, prevalence=0.4, strength=1.4):
        rng = np.random.default_rng(seed)
        self.outcome = rng.random(n) < prevalence
        shift = np.log(prevalence / (1 - prevalence)) - strength / 2
        self.score = 1 / (1 + np.exp(-(rng.normal(size=n) + strength * self.outcome + shift)))
        self.groups = {"sex": np.where(rng.random(n) < 0.5, "female", "male")}
        self.ids = [f"{i:032x}" for i in range(n)]

    def result(self, rows=slice(None), *, thresholds=(0.5,), **changes):
        groups = {name: levels[rows] for name, levels in self.groups.items()}
        with patch.object(curves, "PLAN", Bootstrap(reps=40)):  # the width of bands is not at stake
            evaluation = evaluate(
                self.outcome[rows], self.score[rows], thresholds=thresholds, groups=groups
            )
        n = evaluation.n
        found = SiteResult(
            model="chest-reader",
            version="1.2",
            model_digest="a" * 64,
            plan_hash="b" * 64,
            evaluation=evaluation,
            flow=(("listed", n + 60), ("eligible", n + 20), ("scored", n)),
            dates="removed",
            cohort=frozenset(np.array(self.ids)[rows].tolist()),
        )
        return replace(found, **changes)


@pytest.fixture
def policy():
    return exact()


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.jsonl", now=lambda: NOON)


@pytest.fixture(scope="session")
def make_site():
    return Site
