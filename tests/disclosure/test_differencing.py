"""Two releases together reveal no more than each alone."""

import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from healthval.contracts.base import canonical_json, digest
from healthval.disclosure import DisclosureRefused, Ledger, load_policy, release


@pytest.mark.parametrize("fewer", [1, 2, 10])
def test_a_cohort_that_lacks_few_patients_is_refused(make_site, policy, ledger, fewer):
    site = make_site(300)
    release(site.result(), policy, ledger)
    before = ledger.path.read_bytes()
    with pytest.raises(DisclosureRefused, match="cohort"):
        release(site.result(slice(fewer, None)), policy, ledger)
    assert ledger.path.read_bytes() == before


@pytest.mark.parametrize("more", [1, 10])
def test_a_cohort_with_few_more_patients_is_refused(make_site, policy, ledger, more):
    site = make_site(300)
    release(site.result(slice(0, 300 - more)), policy, ledger)
    with pytest.raises(DisclosureRefused, match="cohort"):
        release(site.result(), policy, ledger)


@pytest.mark.parametrize("moved", [1, 5, 10])
def test_exchanging_few_patients_is_refused(make_site, policy, ledger, moved):
    site = make_site(300)
    release(site.result(slice(0, 280)), policy, ledger)
    with pytest.raises(DisclosureRefused, match="cohort"):
        release(site.result(slice(moved, 280 + moved)), policy, ledger)


def test_a_disjoint_cohort_and_a_much_larger_one_pass(make_site, policy, ledger):
    site = make_site(1200)
    release(site.result(slice(0, 300)), policy, ledger)
    release(site.result(slice(300, 600)), policy, ledger)
    release(site.result(slice(0, 1200)), policy, ledger)
    assert len(ledger.entries()) == 3


def test_two_cohorts_and_their_union_plus_one_patient_are_refused(make_site, policy, ledger):
    site = make_site(601)
    release(site.result(slice(0, 300)), policy, ledger)
    release(site.result(slice(300, 600)), policy, ledger)
    with pytest.raises(DisclosureRefused, match="cohort"):
        release(site.result(), policy, ledger)


def test_a_union_minus_a_part_isolates_few_over_three_steps(make_site, policy, ledger):
    site = make_site(1_000)
    everyone = np.arange(1_000)
    release(site.result(everyone[:400]), policy, ledger)
    release(site.result(everyone[400:800]), policy, ledger)
    release(site.result(everyone[800:]), policy, ledger)
    with pytest.raises(DisclosureRefused, match="cohort"):
        release(site.result(everyone[3:]), policy, ledger)


def test_one_patient_with_many_cases_counts_once(make_site, policy, ledger):
    site = make_site(400)
    site.ids = [f"patient{i // 20}:case{i}" for i in range(400)]
    release(site.result(), policy, ledger)
    with pytest.raises(DisclosureRefused, match="cohort"):
        release(site.result(slice(20, None)), policy, ledger)


@pytest.mark.parametrize("fewer", [1, 5])
def test_under_another_models_name_it_is_the_same_cohort(make_site, policy, ledger, fewer):
    site = make_site(300)
    release(site.result(), policy, ledger)
    with pytest.raises(DisclosureRefused):
        release(site.result(slice(fewer, None), model="bone-reader"), policy, ledger)


def test_with_noise_another_model_may_lack_a_few_patients(make_site, ledger):
    """The programme finds no count certain; the noise of the two releases is independent."""
    site = make_site(300)
    release(site.result(), load_policy("cms"), ledger)
    release(site.result(slice(3, None), model="bone-reader"), load_policy("cms"), ledger)


@pytest.mark.parametrize("length", [2, 3, 4])
def test_a_chain_over_names_versions_and_bandings_that_isolates_a_patient(
    make_site, policy, ledger, length
):
    """Overlapping cohorts of which no two are close; the last step leaves one patient alone."""
    site, p = make_site(1201), 1200
    months = [np.arange(i * 300, (i + 1) * 300) for i in range(4)]
    for i, a in enumerate(months[: length - 1]):
        site.groups = {f"band_{i}": np.where(np.arange(1201) % 7 < 3 + i % 2, "low", "high")}
        release(site.result(a, model=f"model-{i}"), policy, ledger)
    everyone = np.r_[np.concatenate(months[: length - 1]), p]
    site.groups = {"other": np.where(np.arange(1201) % 2 == 0, "even", "odd")}
    with pytest.raises(DisclosureRefused):
        release(site.result(everyone, model="model-x", version="9.0"), policy, ledger)


def test_two_bandings_under_other_names_that_differ_by_one_patient(make_site, policy, ledger):
    site = make_site(600)
    age = np.random.default_rng(3).permutation(600)
    site.groups = {"age_65": np.where(age >= 300, "yes", "no")}
    first = release(site.result(), policy, ledger).submission
    assert any(isinstance(g.n, int) for g in first.subgroups)
    site.groups = {"age_66": np.where(age > 300, "yes", "no")}
    try:
        second = release(site.result(model="other-model"), policy, ledger).submission
    except DisclosureRefused:
        return
    assert not any(isinstance(g.n, int) for g in second.subgroups)


def test_an_earlier_release_without_its_cases_stops_the_next(make_site, policy, ledger):
    site = make_site(600)
    release(site.result(slice(0, 300)), policy, ledger)
    line = json.loads(ledger.path.read_bytes())
    del line["body"]["cases"]
    line["hash"] = digest({k: v for k, v in line.items() if k != "hash"})
    ledger.path.write_bytes(canonical_json(line) + b"\n")
    head = {"seq": 0, "hash": line["hash"]}
    ledger.path.with_name(f"{ledger.path.name}.head").write_bytes(canonical_json(head))
    again = Ledger(ledger.path)
    release(site.result(slice(300, 600), model="other-model"), policy, again)  # nobody in common
    with pytest.raises(DisclosureRefused, match="lacks the cases"):
        release(site.result(slice(100, 400), model="other-model"), policy, again)


def test_a_change_of_few_excluded_cases_is_not_shown_under_any_name(make_site, policy, ledger):
    site = make_site(300)
    flow = (("listed", 400), ("eligible", 340), ("scored", 300))
    first = release(site.result(flow=flow, n_missing_reference=40), policy, ledger).submission
    assert [f.n for f in first.flow] == [400, 340, 300]
    assert first.n_missing_reference == 40
    moved = (("listed", 400), ("eligible", 343), ("scored", 300))
    changes = {"flow": moved, "n_missing_reference": 43, "model": "bone-reader"}
    second = release(site.result(**changes), policy, ledger).submission
    assert [f.n for f in second.flow] == [400, 300]
    assert second.n_missing_reference == "suppressed"


def test_a_copy_of_the_ledger_does_not_have_the_outcomes(make_site, policy, ledger):
    site = make_site(300)
    release(site.result(), policy, ledger)
    stored = json.loads(ledger.path.read_bytes())["body"]["cases"]["outcome"]
    assert stored != np.packbits(site.outcome).tobytes().hex()
    flipped = np.unpackbits(np.frombuffer(bytes.fromhex(stored), np.uint8))[:300] != site.outcome
    assert 90 < flipped.sum() < 210


def test_thresholds_released_one_by_one_are_as_few_as_released_together(make_site, policy, ledger):
    site = make_site(300)
    shown = {}
    for threshold in (0.5, 0.51, 0.52, 0.3, 0.31, 0.49):
        out = release(site.result(thresholds=(threshold,)), policy, ledger).submission
        c = out.thresholds[0].confusion
        for kind, count in (("tp", c.tp), ("fp", c.fp)):
            if isinstance(count, int):
                shown.setdefault(kind, set()).add(count)
    for counts in shown.values():
        gaps = np.diff(sorted(counts))
        assert all(gap >= 11 for gap in gaps)


def test_a_second_grouping_of_the_same_cases_is_kept_back(make_site, policy, ledger):
    site = make_site(600)
    age = np.linspace(20, 90, 600)
    site.groups = {"age": np.where(age < 55, "young", "old")}
    release(site.result(), policy, ledger)
    site.groups = {"age": np.where(age < 55.5, "younger", "older")}
    out = release(site.result(thresholds=(0.4,)), policy, ledger).submission
    assert [(s.level, s.n) for s in out.subgroups] == [("suppressed", "suppressed")]


def test_few_changed_reference_labels_are_refused(make_site, policy, ledger):
    site = make_site(300)
    release(site.result(), policy, ledger)
    site.outcome[np.flatnonzero(~site.outcome)[:4]] = True
    with pytest.raises(DisclosureRefused, match="n_events"):
        release(site.result(), policy, ledger)


def test_a_growing_cohort_keeps_back_what_few_new_cases_would_show(make_site, policy, ledger):
    site = make_site(900, seed=5)
    first = release(site.result(slice(0, 600), thresholds=(0.2, 0.5)), policy, ledger).submission
    second = release(site.result(thresholds=(0.2, 0.5)), policy, ledger).submission
    compared = 0
    for a, b in zip(first.thresholds, second.thresholds, strict=True):
        for cell in ("tp", "fp", "fn", "tn"):
            before, after = getattr(a.confusion, cell), getattr(b.confusion, cell)
            if isinstance(before, int) and isinstance(after, int):
                compared += 1
                assert after - before == 0 or after - before >= 11
    assert compared


def test_subgroup_rates_of_a_growing_cohort_keep_few_new_cases_back(make_site, policy, ledger):
    site = make_site(760, seed=6)
    first = release(site.result(slice(0, 700)), policy, ledger).submission
    second = release(site.result(), policy, ledger).submission
    for a, b in zip(first.subgroups, second.subgroups, strict=True):
        if a.sensitivity.value is None or b.sensitivity.value is None:
            continue
        hits = [round(g.sensitivity.value * g.n_events) for g in (a, b)]
        assert hits[1] - hits[0] == 0 or hits[1] - hits[0] >= 11


def test_repeating_an_old_release_gives_it_back_after_others_followed(make_site, policy, ledger):
    site = make_site(300)
    first = release(site.result(thresholds=(0.5,)), policy, ledger)
    release(site.result(thresholds=(0.3,)), policy, ledger)
    assert release(site.result(thresholds=(0.5,)), policy, ledger) == first
    assert len(ledger.entries()) == 2


def test_a_broken_ledger_stops_the_release(make_site, policy, ledger):
    from healthval.errors import LedgerError

    site = make_site(300)
    release(site.result(), policy, ledger)
    text = ledger.path.read_bytes()
    ledger.path.write_bytes(text.replace(b'"n":300', b'"n":301', 1))
    fresh = Ledger(ledger.path, now=lambda: datetime(2026, 1, 1).astimezone())
    with pytest.raises(LedgerError, match="broken"):
        release(replace(site.result(), version="2.0"), policy, fresh)
