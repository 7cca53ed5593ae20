"""The gate: contents of a release, and no other way to make one."""

import copy
import dataclasses
import hashlib
import json
import pickle

import pytest
from exact_policy import exact

from healthval.contracts.submission import SUPPRESSED, Submission
from healthval.disclosure import DisclosureRefused, Release, check_arrival, release


def test_an_ordinary_site_releases_everything_that_matters(make_site, policy, ledger):
    site = make_site(150, seed=3)
    out = release(site.result(thresholds=(0.4,)), policy, ledger).submission
    assert out.n == 150
    assert isinstance(out.n_events, int)
    assert out.auroc.withheld == "none"
    (t,) = out.thresholds
    assert all(isinstance(c, int) for c in t.confusion.model_dump().values())
    rates = (t.sensitivity, t.specificity, t.ppv, t.npv, t.net_benefit)
    assert all(e.withheld == "none" for e in rates)
    assert out.calibration.slope.withheld == "none"
    assert [s.level for s in out.subgroups] == ["female", "male"]
    assert out.histogram
    assert [f.step for f in out.flow] == ["listed", "eligible", "scored"]


def test_the_payload_is_canonical_and_named_by_its_hash(make_site, policy, ledger):
    out = release(make_site().result(), policy, ledger)
    assert out.sha256 == hashlib.sha256(out.payload).hexdigest()
    assert Submission.model_validate_json(out.payload) == out.submission
    again = json.dumps(json.loads(out.payload), sort_keys=True, separators=(",", ":"))
    assert again.encode() == out.payload


def test_the_same_result_is_the_same_release_and_nothing_new_is_written(make_site, policy, ledger):
    result = make_site().result()
    first = release(result, policy, ledger)
    before = ledger.path.read_bytes()
    assert release(result, policy, ledger) == first
    assert ledger.path.read_bytes() == before


def test_what_is_released_is_in_the_ledger_first_and_whole(make_site, policy, ledger):
    out = release(make_site().result(), policy, ledger)
    (entry,) = ledger.entries()
    assert entry.kind == "release"
    assert entry.body["payload"] == json.loads(out.payload)
    assert ledger.holds(out.sha256)


def test_the_cohort_stays_in_the_ledger(make_site, policy, ledger):
    site = make_site()
    out = release(site.result(), policy, ledger)
    assert not any(case.encode() in out.payload for case in site.ids)


def test_only_the_gate_makes_a_release(make_site, policy, ledger):
    out = release(make_site().result(), policy, ledger)
    with pytest.raises(TypeError, match="made by"):
        Release(submission=out.submission, payload=b"{}", sha256="0" * 64, withheld=())
    with pytest.raises(TypeError, match="made by"):
        dataclasses.replace(out, payload=b"{}")
    with pytest.raises(dataclasses.FrozenInstanceError):
        out.payload = b"{}"
    assert copy.copy(out) == out
    assert pickle.loads(pickle.dumps(out)) == out


def test_the_hub_accepts_what_the_gate_released(make_site, policy, ledger):
    out = release(make_site().result(thresholds=(0.2, 0.5, 0.7)), policy, ledger)
    assert check_arrival(out.payload, policy) == out.submission
    assert check_arrival(out.submission, policy) == out.submission


@pytest.mark.parametrize("name", ["cms", "sacro", "nhs", "datashield"])
def test_every_preset_passes_at_the_hub_that_asks_for_it(make_site, name, ledger):
    policy = exact(name)
    out = release(make_site(200).result(thresholds=(0.2, 0.3, 0.5)), policy, ledger)
    check_arrival(out.payload, policy)


def test_a_stricter_site_passes_and_a_laxer_one_does_not(make_site, policy, ledger):
    result = make_site(2000).result(thresholds=(0.3, 0.6))
    strict = release(result, policy.stricter(minimum_cell=30, max_decimals=2), ledger)
    check_arrival(strict.payload, policy)
    other = make_site(2000, seed=2)
    other.ids = [f"{i:032x}" for i in range(5000, 7000)]
    lax = release(other.result(), exact("datashield"), ledger)
    with pytest.raises(DisclosureRefused, match="laxer"):
        check_arrival(lax.payload, policy)


def test_a_cell_is_suppressed_together_with_all_that_reveals_it(make_site, policy, ledger):
    site = make_site(150, seed=4)
    out = release(site.result(thresholds=(0.15,)), policy, ledger).submission
    (t,) = out.thresholds
    assert t.confusion.fn == t.confusion.tp == SUPPRESSED
    assert t.confusion.fp == t.confusion.tn == SUPPRESSED  # the scores are known
    for e in (t.sensitivity, t.specificity, t.ppv, t.npv, t.net_benefit):
        assert (e.value, e.lo, e.hi, e.se, e.n, e.n_events) == (None,) * 4 + (SUPPRESSED,) * 2


def test_too_few_cases_are_refused_by_field_reason_and_remedy(make_site, policy, ledger):
    site = make_site(10)
    with pytest.raises(DisclosureRefused) as refusal:
        release(site.result(), policy, ledger)
    assert refusal.value.field == "n"
    assert refusal.value.reason
    assert refusal.value.remedy
    assert not ledger.path.exists()
