"""One hospital under two keys counts once, also with noise; different hospitals stay apart."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from exact_policy import exact

from healthval.aggregate import are_same_patients, counted_elsewhere
from healthval.contracts.submission import Submission
from healthval.disclosure import Ledger, load_policy, release
from healthval.metrics import SiteResult, evaluate, table_one
from healthval.runner.operator_tasks import by_label, twice

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Arrived:
    site: str
    label: str
    submission: Submission
    received: datetime | None = None


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Release the patients of `seed` at a new site; the noise of two sites differs."""
    places = tmp_path_factory.mktemp("sites")
    known = {}

    def make(seed, n=330, preset="cms", copy=0, excluded=0):
        key = (seed, n, preset, copy, excluded)
        if key not in known:
            rng = np.random.default_rng(seed)
            risk = 1 / (1 + np.exp(-rng.normal(-1.2, 1.2, n)))
            outcome = rng.random(n) < risk
            groups = {"ward": np.where(rng.random(n) < 0.5, "medical", "surgical")}
            result = SiteResult(
                model="ward-risk",
                version="1.0",
                model_digest="c" * 64,
                plan_hash="d" * 64,
                evaluation=evaluate(outcome, risk, thresholds=(0.3,), groups=groups),
                flow=(("rows_read", n + 4 * excluded), ("scored", n)),
                n_indeterminate=excluded,
                n_missing_reference=excluded,
                dates="removed",
                table_one=table_one(groups, outcome),
                cohort=frozenset(f"{copy:04x}{seed:04x}{i:024x}" for i in range(n)),
            )
            policy = load_policy(preset) if preset else exact()
            ledger = Ledger(places / f"{len(known)}.jsonl")
            known[key] = release(result, policy, ledger).submission
        return known[key]

    return make


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_patients_under_another_key_are_recognised_through_the_noise(released, seed):
    first, second = released(seed), released(seed, copy=1)
    assert first != second
    assert are_same_patients(first, second)
    renamed = second.model_copy(update={"plan_amended": True, "healthval_version": "9.9"})
    assert are_same_patients(first, renamed)


def test_excluded_cases_have_noise_too(released):
    first = released(1, excluded=40)
    others = [released(1, copy=copy, excluded=40) for copy in range(1, 9)]
    # Two noises are equal in one pair of eight; all nine in fewer than one run of a million.
    assert len({first.flow, *(other.flow for other in others)}) > 1
    for copy, other in enumerate(others, 1):
        assert are_same_patients(first, other)
        assert not are_same_patients(first, released(1, copy=copy, excluded=70))


@pytest.mark.parametrize("copy", [1, 2])
def test_without_noise_one_excluded_case_more_is_another_result(released, copy):
    assert are_same_patients(
        released(1, preset=None, excluded=40), released(1, preset=None, copy=copy, excluded=40)
    )
    assert not are_same_patients(
        released(1, preset=None, excluded=40), released(1, preset=None, copy=copy, excluded=41)
    )


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 3), (1, 3)])
def test_other_patients_of_the_same_number_are_another_hospital(released, one, other):
    assert not are_same_patients(released(one), released(other))


def test_one_patient_more_is_another_result(released):
    assert not are_same_patients(released(1), released(1, n=331))


def arrived(released, *of):
    """Results in the order of their arrival: (label, seed)."""
    return [
        Arrived(f"site-{i}", label, released(seed, copy=i), NOON + timedelta(hours=i))
        for i, (label, seed) in enumerate(of)
    ]


def test_the_newest_result_of_a_label_counts(released):
    found = arrived(released, ("North", 1), ("South", 2), ("North", 3))
    assert counted_elsewhere(found) == {"site-0": "site-2"}
    assert by_label(found) == {"North": found[2].submission, "South": found[1].submission}
    assert "Not pooled: the result of North (site-0)" in twice(found)
    assert "same label" in twice(found)


def test_the_same_patients_count_once_under_two_labels_unless_they_are_known_to_differ(released):
    found = arrived(released, ("North", 1), ("South", 1), ("East", 2))
    assert set(by_label(found)) == {"South", "East"}
    assert "same patients" in twice(found)
    assert set(by_label(found, ["North", "South"])) == {"North", "South", "East"}
    assert twice(found, ["North", "South"]) == "Each hospital has one result."


def test_no_order_of_arrival_changes_which_results_are_pooled(released):
    found = arrived(released, ("North", 1), ("South", 1), ("North", 2), ("East", 3))
    kept = by_label(found)
    assert by_label(found[::-1]) == by_label(sorted(found, key=lambda a: a.label)) == kept
