"""Access: the table of its steps, its end, pending requests, pages. See `test_hub_machines.py`."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest

from healthval.contracts.access import (
    AccessDecision,
    AccessRequest,
    AccessState,
    PublicKey,
    VendorKey,
    site_id,
)
from healthval.contracts.model import InputContract, InputField, ModelCard, ModelRegistration
from healthval.hub import access, keys, registry
from healthval.hub.access import DAY, STEPS, TRANSITIONS, Subject, diagram
from healthval.hub.auth import Caller
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects
from healthval.hub.keyring import Keyring
from healthval.hub.pages import Page
from healthval.hub.ports import Backend, Refusal

PLAN = "a" * 64
OPERATOR = PublicKey(x="o" * 43)
KEYS = [PublicKey(x=letter * 43) for letter in "AEI"]
SUBJECTS = [Subject("model", version, PLAN) for version in ("1", "2")]


def memory(now: float = 1_700_000_000):
    clock = SimpleNamespace(now=now)
    index = MemoryIndex(lambda: clock.now)
    return Backend(MemoryObjects(), index, None, lambda: clock.now), clock


def ask(backend, key, subject, label="Hospital"):
    about = {"model": subject.model, "version": subject.version, "plan_hash": subject.plan_hash}
    return access.request(
        backend,
        Keyring(backend=backend, operator=OPERATOR),
        AccessRequest(public_key=key, label=label, **about),
    )


BOSS = Caller(site_id(OPERATOR), "operator")


def decide(backend, decision, site, subject, actor=BOSS):
    return access.decide(backend, decision, actor=actor, site=site, subject=subject)


def test_the_table_itself():
    assert not [step for step in STEPS if step.before == "revoked"]
    assert "requested" not in {step.after for step in STEPS}
    assert {b for b, by in TRANSITIONS if by == "rejected"} == {"requested"}
    held = {"approved", "active", "suspended", "expired"}
    assert {b for b, by in TRANSITIONS if by == "revoked"} == held
    named = {state for step in STEPS for state in (step.before, step.after)}
    assert named == set(get_args(AccessState))


def test_the_diagram_in_the_docs_is_the_table():
    docs = (Path(__file__).parents[2] / "docs" / "hub.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram()}\n```" in docs, "print(healthval.hub.access.diagram())"


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_access_ends_at_its_end(offset):
    backend, clock = memory()
    ask(backend, KEYS[0], SUBJECTS[0])
    decision = AccessDecision(status="approved", valid_days=1)
    decide(backend, decision, site_id(KEYS[0]), SUBJECTS[0])
    clock.now += DAY + offset
    if offset < 0:
        access.require(backend, site_id(KEYS[0]), SUBJECTS[0])
    else:
        with pytest.raises(Refusal, match="expired"):
            access.require(backend, site_id(KEYS[0]), SUBJECTS[0])


def test_another_key_with_the_same_name_is_turned_away(monkeypatch):
    monkeypatch.setattr(keys, "site_id", lambda key: "site-aaaaaaaa" if key != OPERATOR else "x")
    monkeypatch.setattr(access, "site_id", lambda key: "site-aaaaaaaa" if key != OPERATOR else "x")
    backend, _ = memory()
    ask(backend, KEYS[0], SUBJECTS[0])
    ask(backend, KEYS[0], SUBJECTS[1])
    with pytest.raises(Refusal) as refused:
        ask(backend, KEYS[1], SUBJECTS[0])
    assert refused.value.status == 409


def test_a_sites_key_is_no_vendors_key_and_the_other_way_round():
    backend, _ = memory()
    ask(backend, KEYS[0], SUBJECTS[0])
    with pytest.raises(Refusal, match="taken by another key or role"):
        keys.enrol_vendor(
            backend, BOSS, VendorKey(public_key=KEYS[0], label="x", models=("model",))
        )
    keys.enrol_vendor(backend, BOSS, VendorKey(public_key=KEYS[1], label="x", models=("model",)))
    with pytest.raises(Refusal, match="taken by another key or role"):
        ask(backend, KEYS[1], SUBJECTS[0])


def test_a_requester_cannot_decide_on_their_own_request():
    backend, _ = memory()
    ask(backend, KEYS[0], SUBJECTS[0])
    site = site_id(KEYS[0])
    decision = AccessDecision(status="approved")
    with pytest.raises(Refusal, match="their own request"):
        decide(backend, decision, site, SUBJECTS[0], actor=Caller(site, "operator"))


def plan(i: int) -> Subject:
    return Subject("model", "1", f"{i:064x}")


def test_a_key_has_a_bounded_number_of_pending_requests(monkeypatch):
    monkeypatch.setattr(access, "MAX_PENDING", 2)
    backend, _ = memory()
    first, second = ask(backend, KEYS[0], plan(0)), ask(backend, KEYS[0], plan(1))
    with pytest.raises(Refusal, match="2 pending requests") as refused:
        ask(backend, KEYS[0], plan(2))
    assert refused.value.status == 409
    assert ask(backend, KEYS[0], plan(0)) == first  # a repetition is not a new request
    ask(backend, KEYS[1], plan(2))  # another key is not affected
    decide(backend, AccessDecision(status="approved"), second.site, plan(1))
    ask(backend, KEYS[0], plan(2))


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_pages_give_every_entry_once_in_order(limit):
    backend, _ = memory()
    for i in range(3):
        for key in KEYS[:2]:
            ask(backend, key, plan(i))
    for site in (None, site_id(KEYS[0])):
        found, page = [], Page(limit)
        while page:
            answer = access.grants(backend, page, site)
            assert len(answer.grants) <= limit
            found += answer.grants
            page = answer.next and Page(limit, answer.next)
        assert found == list(access.grants(backend, Page(), site).grants)
        assert len(found) == (3 if site else 6)


@pytest.mark.parametrize("cursor", ["é", "\u00ad", "🙂", "\0", "!", "A", "_w", "w6k"])
def test_a_cursor_that_is_none_is_refused(cursor):
    with pytest.raises(Refusal, match="not one of this list"):
        Page(1, cursor).read(MemoryIndex(lambda: 0), "models")


def test_a_cursor_of_another_list_is_refused():
    backend, _ = memory()
    for key in KEYS:
        ask(backend, key, plan(0))
    cursor = access.grants(backend, Page(1)).next
    sites = {site_id(key) for key in KEYS} - {access.grants(backend, Page(1)).grants[0].site}
    for site in sites:
        with pytest.raises(Refusal, match="not one of this list"):
            access.grants(backend, Page(1, cursor), site)
    for bad in ("!", "AAA", "_-_-", "8J-YgA"):
        with pytest.raises(Refusal, match="not one of this list"):
            access.grants(backend, Page(1, bad), site_id(KEYS[0]))


def test_a_grant_has_the_operators_reason_and_the_inputs_scored():
    backend, clock = memory()
    ask(backend, KEYS[0], SUBJECTS[0])
    site = site_id(KEYS[0])
    decide(backend, AccessDecision(status="approved"), site, SUBJECTS[0])
    held = access.require(backend, site, SUBJECTS[0])
    backend.index.commit([access.count(held, 7, clock.now)])
    withdrawn = AccessDecision(status="revoked", reason="withdrew before results")
    decide(backend, withdrawn, site, SUBJECTS[0])
    (grant,) = access.grants(backend, Page()).grants
    assert (grant.used_cases, grant.reason) == (7, "withdrew before results")


@pytest.mark.parametrize("role", ["operator", "site"])
def test_a_list_of_more_models_than_a_page_has_is_listed_whole(role):
    backend, _ = memory()
    caller, data = Caller(site_id(KEYS[0]), role), b"artefact"
    sha256 = hashlib.sha256(data).hexdigest()
    backend.objects.put_if_absent(registry.object_key(sha256), data)
    card = {"name": "model", "title": "T", "developer": "V", "intended_use": "u"}
    inputs = InputContract(fields=(InputField(name="size", low=0, high=100),))
    for number in range(1010):
        version = ModelCard(version=f"1.{number}", target_condition="t", **card)
        wanted = ModelRegistration(card=version, inputs=inputs, artefact_sha256=sha256)
        registry.register(backend, BOSS, wanted)
    first = registry.models(backend, caller, Page())
    rest = registry.models(backend, caller, Page(cursor=first.next))
    pages = [[m.registration.card.version for m in p.models] for p in (first, rest)]
    names = [[other.version for other in p.others] for p in (first, rest)]
    mine, others = (pages, names) if role == "operator" else (names, pages)
    assert ([len(page) for page in mine], others) == ([1000, 10], [[], []])
    assert len({*mine[0], *mine[1]}) == 1010
    assert rest.next is None
