"""State machines of the hub over each of its stores: access and keys."""

import base64
import itertools
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hub_machine import HubMachine
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from healthval.contracts.access import (
    AccessDecision,
    AccessRequest,
    AuditorKey,
    KeyRotation,
    PublicKey,
    rotation_bytes,
    site_id,
)
from healthval.contracts.aws_role import named_role
from healthval.credential import Credential
from healthval.hub import access, keys
from healthval.hub.access import DAY, STEPS, Subject
from healthval.hub.auth import Authenticator, Caller, Head
from healthval.hub.aws_roles import USE_SECONDS, RoleSession
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects, NoModels
from healthval.hub.keyring import Keyring
from healthval.hub.pages import Page
from healthval.hub.ports import Backend, Refusal

PLAN = "a" * 64
ORIGIN = "https://hub.example"
BOSS_KEY = Credential(Ed25519PrivateKey.from_private_bytes(bytes(32)))
OPERATOR, BOSS = BOSS_KEY.public_key, Caller(BOSS_KEY.id, "operator")
KEYS = [PublicKey(x=letter * 43) for letter in "AEI"]
SUBJECTS = [Subject("model", version, PLAN) for version in ("1", "2")]


class AccessMachine(HubMachine):
    """Only the steps of the table occur; the table is applied here by hand."""

    def __init__(self):
        super().__init__()
        self.status, self.until, self.limit, self.used = {}, {}, {}, {}

    def state(self, place):
        if self.status.get(place) != "approved":
            return self.status.get(place)
        if self.clock.now >= self.until[place]:
            return "expired"
        return "active" if self.used.get(place) else "approved"

    @rule(key=st.sampled_from(KEYS), subject=st.sampled_from(SUBJECTS))
    def request(self, key, subject):
        about = {"model": subject.model, "version": subject.version, "plan_hash": PLAN}
        keyring = Keyring(backend=self.backend, operator=OPERATOR)
        sent = AccessRequest(public_key=key, label="Hospital", **about)
        self.status.setdefault((site_id(key), subject), "requested")
        grant = access.request(self.backend, keyring, sent)
        assert grant.state == self.state((site_id(key), subject))

    @rule(
        key=st.sampled_from(KEYS),
        subject=st.sampled_from(SUBJECTS),
        to=st.sampled_from(["approved", "rejected", "suspended", "revoked"]),
        days=st.integers(1, 3),
        limit=st.integers(1, 5),
    )
    def decide(self, key, subject, to, days, limit):
        place = site_id(key), subject
        decision = AccessDecision(status=to, valid_days=days, max_cases=limit)
        before = self.state(place)
        is_step = any((step.before, step.by) == (before, to) for step in STEPS)
        is_repetition = to != "approved" and self.status.get(place) == to
        if not is_step and not is_repetition:
            with pytest.raises(Refusal):
                self._decide(decision, place)
            return
        grant = self._decide(decision, place)
        self.status[place] = to
        if to == "approved":
            self.until[place] = self.clock.now + days * DAY
            self.limit[place] = limit
        assert grant.state == self.state(place)

    def _decide(self, decision, place):
        return access.decide(self.backend, decision, actor=BOSS, site=place[0], subject=place[1])

    @rule(key=st.sampled_from(KEYS), subject=st.sampled_from(SUBJECTS), n=st.integers(1, 4))
    def use(self, key, subject, n):
        place = site_id(key), subject
        is_open = self.state(place) in {"approved", "active"}
        if is_open and self.used.get(place, 0) + n <= self.limit[place]:
            held = access.require(self.backend, place[0], subject)
            self.backend.index.commit([access.count(held, n, self.clock.now)])
            self.used[place] = self.used.get(place, 0) + n
        else:
            with pytest.raises(Refusal) as refused:
                access.count(access.require(self.backend, place[0], subject), n, self.clock.now)
            assert refused.value.status == 403

    @invariant()
    def the_index_has_the_states(self):
        held = {
            (g.site, Subject(g.model, g.version, g.plan_hash)): g.state
            for g in access.grants(self.backend, Page()).grants
        }
        assert held == {place: self.state(place) for place in self.status}


def test_access_takes_only_the_steps_of_the_table(run):
    run(AccessMachine)


class KeyMachine(HubMachine):
    """A key signs from its enrolment to its end or revocation, always as its first holder."""

    def __init__(self):
        super().__init__()
        self.made, self.end, self.revoked = [], {}, set()
        self.auth = Authenticator(backend=self.backend, operator=OPERATOR, audiences=(ORIGIN,))

    def _sends(self, key):
        return Head("GET", "/v1/audit", key.sign("GET", ORIGIN, "/v1/audit", b""))

    def is_valid(self, key):
        is_over = self.end.get(key.key_name, self.clock.now + 1) <= self.clock.now
        return not is_over and key.key_name not in self.revoked

    @rule(again=st.booleans())
    def enrol(self, again):
        if again and self.made:
            key = self.made[0]
        else:
            key = Credential(Ed25519PrivateKey.generate())
            self.made.append(key)
        keys.enrol_auditor(
            self.backend, BOSS, AuditorKey(public_key=key.public_key, label="Auditor")
        )

    @rule(data=st.data(), days=st.integers(0, 2), forged=st.booleans())
    def rotate(self, data, days, forged):
        if not self.made:
            return
        old = data.draw(st.sampled_from(self.made))
        new = Credential(Ed25519PrivateKey.generate(), old.id)
        signer = old if forged else new
        signed = signer.private_key.sign(rotation_bytes(old.id, new.public_key))
        proof = base64.urlsafe_b64encode(signed).decode().rstrip("=")
        sent = KeyRotation(public_key=new.public_key, proof=proof, overlap_days=days)
        caller = Caller(old.id, "auditor")
        if forged:
            with pytest.raises(Refusal, match="not a signature of the new key"):
                keys.rotate(self.backend, OPERATOR, caller, sent)
            return
        first = keys.rotate(self.backend, OPERATOR, caller, sent)
        assert keys.rotate(self.backend, OPERATOR, caller, sent) == first
        end = self.clock.now + days * DAY
        for key in self.made:
            if key.id == old.id:
                self.end[key.key_name] = min(end, self.end.get(key.key_name, end))
        self.made.append(new)

    @rule(data=st.data())
    def revoke(self, data):
        if self.made:
            key = data.draw(st.sampled_from(self.made))
            assert keys.revoke(self.backend, BOSS, key.key_name).state == "revoked"
            self.revoked.add(key.key_name)

    @invariant()
    def keys_sign_while_they_are_valid(self):
        import healthval.credential.key as signing

        class Now:
            time = staticmethod(lambda: self.clock.now)

        real, signing.time = signing.time, Now
        try:
            for key in self.made:
                if self.is_valid(key):
                    caller = self.auth.check_head(self._sends(key)).caller
                    assert (caller.id, caller.role) == (key.id, "auditor")
                else:
                    with pytest.raises(Refusal) as refused:
                        self.auth.check_head(self._sends(key))
                    assert refused.value.status == 401
        finally:
            signing.time = real
        states = {key.name: key.state for key in keys.keys(self.backend, Page()).keys}
        valid = {name for name, state in states.items() if state in {"valid", "ending"}}
        assert valid == {key.key_name for key in self.made if self.is_valid(key)}


def test_keys_sign_while_they_are_valid(run):
    run(KeyMachine)


ROLES = [named_role(f"arn:aws:iam::123456789012:role/{name}") for name in ("ward", "Ward")]


class RoleMachine(HubMachine):
    """A role calls from its enrolment to its revocation, under one id of AWS, each request once."""

    def __init__(self):
        super().__init__()
        self.known, self.bound, self.used, self.revoked = set(), {}, set(), set()
        self.auth = Authenticator(backend=self.backend, operator=OPERATOR, audiences=(ORIGIN,))

    @rule(role=st.sampled_from(ROLES))
    def enrol(self, role):
        keys.enrol_auditor(self.backend, BOSS, AuditorKey(public_key=role, label="Auditor"))
        self.known.add(role.arn)

    @rule(role=st.sampled_from(ROLES))
    def revoke(self, role):
        if role.arn in self.known:
            assert keys.revoke(self.backend, BOSS, site_id(role)).aws_role == role.arn
            self.revoked.add(role.arn)

    @rule(
        role=st.sampled_from(ROLES),
        role_id=st.sampled_from(["AROA" + "1" * 16, "AROA" + "2" * 16]),
        use=st.sampled_from(["a" * 16, "b" * 16]),
    )
    def call(self, role, role_id, use):
        head = Head("GET", "/v1/audit", "", RoleSession(role, role_id, use))
        is_open = role.arn in self.known - self.revoked
        if not is_open or self.bound.setdefault(role.arn, role_id) != role_id:
            with pytest.raises(Refusal) as refused:
                self.auth.check_head(head)
            assert refused.value.status == 401
            return
        checked = self.auth.check_head(head)
        if (role.arn, use) in self.used:
            with pytest.raises(Refusal, match="used before"):
                self.auth.admit(checked, b"")
            return
        self.used.add((role.arn, use))
        assert self.auth.admit(checked, b"") == Caller(site_id(role), "auditor")

    @rule()
    def wait(self):
        """After the last moment at which API Gateway accepts the signature, the hub forgets the use."""
        self.clock.now += 2 * USE_SECONDS
        self.used.clear()


def test_roles_call_while_they_are_enrolled(run):
    run(RoleMachine)


def test_a_key_without_an_end_signs_while_the_clock_ticks():
    moments = itertools.count(int(time.time()))
    backend = Backend(MemoryObjects(), MemoryIndex(time.time), NoModels(), lambda: next(moments))
    key = Credential(Ed25519PrivateKey.generate())
    keys.enrol_auditor(backend, BOSS, AuditorKey(public_key=key.public_key, label="Auditor"))
    auth = Authenticator(backend=backend, operator=OPERATOR, audiences=(ORIGIN,))
    head = Head("GET", "/v1/audit", key.sign("GET", ORIGIN, "/v1/audit", b""))
    assert auth.check_head(head).caller.id == key.id
