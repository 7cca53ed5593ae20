"""Published keys and countersignatures: what the hub signs can be checked with what it publishes."""

from datetime import timedelta

import pytest

from healthval.client import published_keys
from healthval.contracts.access import Amendment
from healthval.contracts.keys import fingerprint
from healthval.credential import check_stamp
from healthval.errors import HubError, IntegrityError

OTHER = "b" * 64


def test_a_plan_is_stamped_at_its_first_request(kit, hub, new_site, model):
    site = new_site()
    grant = site.request_access(label="St. Elsewhere", **kit.SUBJECT)
    assert (grant.stamp.kind, grant.stamp.site, grant.stamp.sha256) == (
        "plan",
        site.site,
        kit.PLAN,
    )
    check_stamp(grant.stamp, published_keys(hub.url))
    assert site.request_access(label="St. Elsewhere", **kit.SUBJECT).stamp == grant.stamp
    amended = site.request_access(
        label="St. Elsewhere",
        **{**kit.SUBJECT, "plan_hash": OTHER},
        amendment=Amendment(of=kit.PLAN, reason="a second threshold"),
    )
    assert amended.amendment.of == kit.PLAN
    assert amended.stamp.sha256 == OTHER


def test_a_changed_stamp_or_one_of_another_key_is_refused(kit, hub, new_site, model):
    site, keys = new_site(), published_keys(hub.url)
    stamp = site.request_access(label="x", **kit.SUBJECT).stamp
    changed = [
        {"sha256": OTHER},
        {"site": "site-aaaaaaaa"},
        {"kind": "ledger"},
        {"at": stamp.at + timedelta(seconds=1)},
        {"kid": fingerprint(site.credential.public_key)},
        {"signature": "A" * 86},
    ]
    for change in changed:
        with pytest.raises(IntegrityError):
            check_stamp(stamp.model_copy(update=change), keys)
    revoked = tuple(key.model_copy(update={"revoked": stamp.at}) for key in keys.keys)
    with pytest.raises(IntegrityError, match="no valid key"):
        check_stamp(stamp, keys.model_copy(update={"keys": revoked}))


def test_the_hub_publishes_its_key_and_the_operators(hub, operator):
    kids = {"report": set(), "registration": set()}
    for key in published_keys(hub.url).keys:
        kids[key.purpose].add(key.kid)
    assert fingerprint(operator.credential.public_key) in kids["report"]
    assert len(kids["registration"]) == 1
    assert not kids["report"] & kids["registration"]


def test_only_the_operator_revokes_and_only_a_listed_key(hub, site, operator):
    with pytest.raises(HubError, match="cannot use this address"):
        site.revoke_hub_key(OTHER)
    with pytest.raises(HubError, match="no such key"):
        operator.revoke_hub_key(OTHER)


def test_the_head_of_a_ledger_is_stamped_with_a_submission(kit, hub, site, model):
    receipt = site.submit(kit.payload(model.digest), ledger_head=OTHER)
    assert (receipt.ledger.kind, receipt.ledger.sha256) == ("ledger", OTHER)
    check_stamp(receipt.ledger, published_keys(hub.url))
    again = site.submit(kit.payload(model.digest))
    assert again.repeated
    assert again.ledger is None
