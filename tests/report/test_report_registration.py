"""The report shows when each plan was registered, amended and used; countersignatures are checked."""

import base64
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from healthval.contracts.access import AccessGrant, Amendment
from healthval.contracts.keys import HubKey, HubKeys, fingerprint
from healthval.contracts.stamp import Stamp, stamped_bytes
from healthval.errors import IntegrityError
from healthval.report import Conduct, build
from healthval.report.conduct import conduct_of
from healthval.report.proof.attestation import jwk
from healthval.report.proof.registration import registration_lines

NOW = datetime(2031, 3, 14, 15, 9, 26, tzinfo=UTC)
FIRST, SECOND, THIRD = "a" * 64, "b" * 64, "c" * 64
SITE = "site-aaaaaaaa"
PLAN = SimpleNamespace(model=SimpleNamespace(name="node-risk", version="1.4.2"), hash=SECOND)
HUB = Ed25519PrivateKey.generate()
KEYS = HubKeys(
    keys=(
        HubKey(
            kid=fingerprint(jwk(HUB.public_key())),
            x=jwk(HUB.public_key()).x,
            purpose="registration",
            valid_from=NOW - timedelta(days=9),
        ),
    )
)


def stamp(plan_hash, at):
    draft = Stamp(
        kind="plan",
        site=SITE,
        sha256=plan_hash,
        at=at,
        kid=KEYS.keys[0].kid,
        signature="A" * 86,
    )
    signature = base64.urlsafe_b64encode(HUB.sign(stamped_bytes(draft))).decode().rstrip("=")
    return draft.model_copy(update={"signature": signature})


def grant(plan_hash, day, **more):
    at = NOW + timedelta(days=day)
    return AccessGrant(
        site=SITE,
        label="Harbour",
        model="node-risk",
        version="1.4.2",
        plan_hash=plan_hash,
        status="approved",
        stamp=stamp(plan_hash, at),
        requested=at,
        **more,
    )


GRANTS = (
    grant(FIRST, 0, first_prediction=NOW + timedelta(days=1)),
    grant(SECOND, 2, amendment=Amendment(of=FIRST, reason="The committee asked for it.")),
)


def lines(conduct, folder, keys=None):
    (folder / "metrics.json").write_text(json.dumps({"conduct": asdict(conduct)}), "utf-8")
    return registration_lines(folder, keys)


def test_amendments_are_followed_back_to_the_first_version():
    (hospital,) = conduct_of(PLAN, GRANTS, []).hospitals
    first, second = hospital.plans
    assert (first.plan_hash, first.first_prediction) == (FIRST, "2031-03-15T15:09:26+00:00")
    assert (second.plan_hash, second.registered) == (SECOND, "2031-03-16T15:09:26+00:00")
    assert second.reason == "The committee asked for it."


def test_amendments_in_a_ring_or_of_an_unknown_version_end():
    ring = (
        grant(FIRST, 0, amendment=Amendment(of=SECOND, reason="x")),
        grant(SECOND, 1, amendment=Amendment(of=FIRST, reason="y")),
    )
    (hospital,) = conduct_of(PLAN, ring, []).hospitals
    assert [v.plan_hash for v in hospital.plans] == [FIRST, SECOND]
    unknown = (grant(SECOND, 1, amendment=Amendment(of=THIRD, reason="y")),)
    (hospital,) = conduct_of(PLAN, unknown, []).hospitals
    assert (hospital.plans[0].plan_hash, hospital.plans[0].registered) == (THIRD, None)


def test_another_hospitals_version_is_not_taken():
    other = grant(FIRST, 0).model_copy(update={"site": "site-bbbbbbbb", "plan_hash": THIRD})
    unknown = grant(SECOND, 1, amendment=Amendment(of=THIRD, reason="y"))
    hospitals = conduct_of(PLAN, (unknown, other), []).hospitals
    assert hospitals[0].plans[0].registered is None


def test_the_report_prints_the_sequence(study, released, card, plan):
    conduct = conduct_of(PLAN, GRANTS, [])
    report = build(study, released, card, plan, conduct)
    page = report.section("cohort")._repr_html_()
    assert "Registration of the plan at each hospital, in order" in page
    assert page.index("2031-03-14 15:09, countersigned") < page.index("2031-03-16 15:09")
    assert "The committee asked for it." in page
    assert report.numbers["conduct"]["hospitals"][0]["plans"][0]["plan_hash"] == FIRST
    assert "Registration of the plan" not in _without_conduct(study, released, card, plan)


def _without_conduct(study, released, card, plan):
    return build(study, released, card, plan).section("cohort")._repr_html_()


def test_verify_checks_each_countersignature(tmp_path):
    conduct = conduct_of(PLAN, GRANTS, [])
    shown = lines(conduct, tmp_path, KEYS)
    assert [line.split()[0] for line in shown] == ["plan", "countersigned"] * 2
    assert "registered 2031-03-14T15:09:26+00:00, first prediction 2031-03-15" in shown[0]
    assert "amended 2031-03-16T15:09:26+00:00 (The committee asked for it.), no" in shown[2]
    assert all("signature valid" in line for line in shown[1::2])
    assert "give --hub" in lines(conduct, tmp_path)[1]


@pytest.mark.parametrize(
    "change",
    [
        {"registered": "2031-03-13T15:09:26+00:00"},
        {"plan_hash": THIRD},
        {"site": "site-bbbbbbbb"},
        {"key": "0" * 64},
        {"signature": "A" * 86},
        {"signature": "short"},
    ],
    ids=str,
)
def test_a_changed_registration_is_refused(change, tmp_path):
    (hospital,) = conduct_of(PLAN, GRANTS, []).hospitals
    first = replace(hospital.plans[0], **change)
    forged = Conduct((replace(hospital, plans=(first, *hospital.plans[1:])),))
    with pytest.raises(IntegrityError, match="countersignature"):
        lines(forged, tmp_path, KEYS)


def test_a_version_without_a_countersignature_is_named(tmp_path):
    bare = [g.model_copy(update={"stamp": None}) for g in GRANTS]
    shown = lines(conduct_of(PLAN, bare, []), tmp_path, KEYS)
    assert shown[1].strip() == "not countersigned by a hub"


@pytest.mark.parametrize("text", ["[", "[]", '{"conduct": {"hospitals": [{"label": 3}]}}'])
def test_numbers_that_are_malformed_are_refused(text, tmp_path):
    (tmp_path / "metrics.json").write_text(text, "utf-8")
    with pytest.raises(IntegrityError, match="malformed"):
        registration_lines(tmp_path)


def test_a_folder_without_numbers_or_hospitals_has_no_sequence(tmp_path):
    assert registration_lines(tmp_path) == []
    (tmp_path / "metrics.json").write_text("{}", "utf-8")
    assert registration_lines(tmp_path) == []
