"""With every noisy number replaced by a constant, nothing in a message depends on the outcomes."""

from dataclasses import replace

import numpy as np
import pytest

from healthval.disclosure import Ledger, load_policy, release
from healthval.disclosure.payload import noisy_estimates, protect
from healthval.disclosure.payload.keyed_noise import KeyedNoise
from healthval.disclosure.presets import PRESETS
from healthval.metrics import SiteResult, evaluate, table_one

N = 300


def fixed_table(true, noise, *totals):
    """The same true positives whatever the outcomes are; `totals` are in the order of the cuts."""
    return {at: total // 3 for at, total in zip(true, totals, strict=False)}


@pytest.fixture
def constants(monkeypatch):
    """Replace the noisy numbers, and nothing else."""
    monkeypatch.setattr(protect, "noisy_cumulative", fixed_table)
    monkeypatch.setattr(KeyedNoise, "count", lambda *_, **__: 40)
    monkeypatch.setattr(
        noisy_estimates.Protection,
        "perturbed",
        lambda self, e, like, influence, name: replace(
            noisy_estimates.widened(like, self.patients), **self.counts
        ),
    )
    monkeypatch.setattr(KeyedNoise, "normals", lambda _, n, *facts: np.zeros(n))


def result_of(outcome, score, wards, per_patient):
    """Result of one hospital in which a patient has one case or several."""
    patients = np.arange(N) // per_patient
    several = {"cluster": patients} if per_patient > 1 else {}
    groups = {"ward": wards}
    return SiteResult(
        model="chest-reader",
        version="1.0",
        model_digest="a" * 64,
        plan_hash="b" * 64,
        evaluation=evaluate(outcome, score, thresholds=(0.2, 0.5, 0.7), groups=groups, **several),
        flow=(("listed", N + 60), ("scored", N)),
        dates="removed",
        cohort=frozenset(f"{p:032x}:{i:032x}" for i, p in enumerate(patients)),
        scores=tuple(score.tolist()),
        table_one=table_one(groups, outcome),
    )


@pytest.mark.parametrize("per_patient", [1, 2, 5])
@pytest.mark.parametrize("preset", PRESETS)
def test_without_its_noise_a_message_is_the_same_for_all_outcomes(
    constants, tmp_path, preset, per_patient
):
    rng = np.random.default_rng(3)
    score, wards = rng.random(N).round(6), np.where(rng.random(N) < 0.5, "a", "b")
    sent = []
    for i, chance in enumerate((0.2 + 0.4 * score, 0.3 + 0.6 * score)):
        outcome = np.repeat(rng.random(N // per_patient), per_patient) < chance
        result = result_of(outcome, score, wards, per_patient)
        # The level's AUROC is centred on the true one: its noise is a constant here.
        levels = tuple(
            replace(s, facts=replace(s.facts, area=0.7)) for s in result.evaluation.subgroups
        )
        result = replace(result, evaluation=replace(result.evaluation, subgroups=levels))
        made = release(result, load_policy(preset), Ledger(tmp_path / f"{i}.jsonl"))
        sent.append(made.submission.model_dump(mode="json"))
    assert sent[0]["auroc"]["value"] is not None
    assert sent[0] == sent[1]


@pytest.mark.parametrize("preset", PRESETS)
def test_without_its_noise_a_message_is_the_same_for_all_members_and_exclusions(
    constants, tmp_path, preset
):
    """Byte for byte: certificate, reasons of withheld numbers, decimals and length as well."""
    rng = np.random.default_rng(5)
    score, outcome = rng.random(N).round(6), rng.random(N) < 0.4
    sent = []
    for i, share in enumerate((0.4, 0.2)):  # the larger level is the same
        wards = np.where(rng.random(N) < share, "a", "b")
        result = result_of(outcome, score, wards, 1)
        levels = tuple(
            replace(s, facts=replace(s.facts, area=0.7, expected=50.0))
            for s in result.evaluation.subgroups
        )
        result = replace(
            result,
            evaluation=replace(result.evaluation, subgroups=levels),
            flow=(("listed", N + 60 + 7 * i), ("eligible", N + 30 - 5 * i), ("scored", N)),
            n_missing_reference=12 + 9 * i,
            n_indeterminate=3 * i,
        )
        made = release(result, load_policy(preset), Ledger(tmp_path / f"{i}.jsonl"))
        sent.append(made.payload)
    assert sent[0] == sent[1]


def test_intervals_count_patients_with_several_cases():
    """The factor is public: it depends on the numbers of cases alone."""
    cohort = [f"{i // 4}:{i}" for i in range(80)]
    assert noisy_estimates.patients_factor(cohort) == 2.0
    assert noisy_estimates.patients_factor([f"{i}" for i in range(80)]) == 1.0
    one = [*(f"{i}:0" for i in range(80)), *(f"0:{i}" for i in range(1, 12))]
    assert noisy_estimates.patients_factor(one) == 2.0
