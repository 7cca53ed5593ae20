"""Dashboard links: a key of their own for at most eight hours, that cannot become another key."""

import base64
import time
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from healthval.contracts.access import KeyRotation, PublicKey, VendorKey, rotation_bytes, site_id
from healthval.credential import Credential
from healthval.errors import UsageError
from healthval.hub import keys
from healthval.hub.auth import Authenticator, Caller, Head
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects
from healthval.hub.ports import Backend, Refusal

ORIGIN = "http://127.0.0.1:1"
OPERATOR = PublicKey(x="o" * 43)
BOSS = Caller(site_id(OPERATOR), "operator")
HOUR = 3600


@pytest.fixture
def world(monkeypatch):
    """A hub without HTTP, whose clock is the caller's too."""
    clock = SimpleNamespace(now=1_800_000_000)
    monkeypatch.setattr(time, "time", lambda: clock.now)
    backend = Backend(MemoryObjects(), MemoryIndex(lambda: clock.now), None, lambda: clock.now)
    return SimpleNamespace(
        backend=backend, clock=clock, auth=Authenticator(backend, OPERATOR, (ORIGIN,))
    )


def enrolled(world, hours=8, key=None):
    key = key or Credential(Ed25519PrivateKey.generate())
    vendor = VendorKey(public_key=key.public_key, label="Vendor", models=("tumour",), hours=hours)
    keys.enrol_vendor(world.backend, BOSS, vendor)
    return key


def call(world, key):
    return world.auth.check_head(
        Head("GET", "/v1/reports", key.sign("GET", ORIGIN, "/v1/reports", b""))
    ).caller


@pytest.mark.parametrize(("after", "is_open"), [(-1, True), (0, False), (1, False)])
def test_a_link_ends_after_its_hours(world, after, is_open):
    key = enrolled(world, hours=8)
    world.clock.now += 8 * HOUR + after
    if is_open:
        assert call(world, key).models == ("tumour",)
    else:
        with pytest.raises(Refusal, match="This link has expired"):
            call(world, key)


def test_a_repeated_enrolment_does_not_extend_a_link(world):
    key = enrolled(world, hours=2)
    world.clock.now += HOUR
    enrolled(world, hours=8, key=key)
    world.clock.now += HOUR
    with pytest.raises(Refusal, match="This link has expired"):
        call(world, key)


@pytest.mark.parametrize("hours", [(8, None), (None, 8)])
def test_a_link_is_never_a_lasting_key(world, hours):
    key = enrolled(world, hours=hours[0])
    with pytest.raises(Refusal, match="another key or role"):
        enrolled(world, hours=hours[1], key=key)


def test_the_key_of_a_link_cannot_be_replaced(world):
    key, new = enrolled(world), Credential(Ed25519PrivateKey.generate())
    signed = new.private_key.sign(rotation_bytes(key.id, new.public_key))
    proof = base64.urlsafe_b64encode(signed).decode().rstrip("=")
    rotation = KeyRotation(public_key=new.public_key, proof=proof)
    with pytest.raises(Refusal, match="cannot be replaced"):
        keys.rotate(world.backend, OPERATOR, Caller(key.id, "vendor", ("tumour",)), rotation)
    with pytest.raises(Refusal, match="not signed by a key that this hub knows"):
        call(world, new)


def test_a_link_is_revoked_like_any_key(world):
    key = enrolled(world)
    keys.revoke(world.backend, BOSS, key.id)
    with pytest.raises(Refusal, match="revoked"):
        call(world, key)


@pytest.mark.parametrize("hours", [0, 9, -1])
def test_a_link_has_one_to_eight_hours(hours):
    with pytest.raises(ValueError, match="hours"):
        VendorKey(public_key=OPERATOR, label="Vendor", models=("tumour",), hours=hours)


@pytest.mark.parametrize("hub", ["embedded"], indirect=True, scope="session")
def test_the_operator_makes_a_link(hub, operator):
    link = operator.dashboard_link("Vendor", ("tumour",), hours=1)
    address, seed = link.split("/#link=")
    assert (address, len(seed)) == (hub.url, 43)
    key = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(seed + "="))
    from healthval.client import Client

    with Client(hub.url, Credential(key)) as vendor:
        assert all(report.model == "tumour" for report in vendor.reports())
    with pytest.raises(UsageError, match="1 to 8"):
        operator.dashboard_link("Vendor", ("tumour",), hours=9)
