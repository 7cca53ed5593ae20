"""Keys of a hub over time: replaced keys end, revoked keys stay revoked."""

import asyncio
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from healthval.contracts.access import PublicKey
from healthval.contracts.keys import fingerprint
from healthval.hub.app import Settings, create_app
from healthval.hub.auth import HUB_KEYS, Caller
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects, NoModels
from healthval.hub.keyring import Keyring
from healthval.hub.ports import Backend

BOSS = Caller("site-boss2345", "operator")
OLD, NEW = PublicKey(x="A" * 43), PublicKey(x="B" * 42 + "A")


def test_a_replaced_key_ends_and_a_revoked_key_stays_revoked():
    clock = SimpleNamespace(now=1_700_000_000)
    backend = Backend(
        MemoryObjects(), MemoryIndex(lambda: clock.now), NoModels(), lambda: clock.now
    )
    signer = Ed25519PrivateKey.generate()
    first = Keyring(backend=backend, operator=OLD, signer=signer)
    assert {key.valid_until for key in first.published().keys} == {None}
    clock.now += 100
    second = Keyring(backend=backend, operator=NEW, signer=signer)
    listed = {key.kid: key for key in second.published().keys}
    assert len(listed) == 3
    old = listed[fingerprint(OLD)]
    assert old.valid_until is not None
    assert old.signs_reports_at(old.valid_from)
    assert not old.signs_reports_at(old.valid_until)
    revoked = second.revoke(BOSS, old.kid)
    clock.now += 100
    assert second.revoke(BOSS, old.kid) == revoked
    assert not revoked.signs_reports_at(revoked.valid_from)


def test_a_hub_without_a_key_stamps_nothing():
    backend = Backend(MemoryObjects(), MemoryIndex(lambda: 0), NoModels(), lambda: 0)
    assert Keyring(backend=backend, operator=OLD).stamp("plan", "site-aaaaaaaa", "a" * 64) is None


def test_keys_are_listed_from_the_second_in_which_a_hub_starts():
    """A report may be signed before anybody has asked for the keys, and in that second."""
    backend = Backend(MemoryObjects(), MemoryIndex(lambda: 10.7), NoModels(), lambda: 10.7)
    app = create_app(backend, Settings(operator=OLD, audiences=(), upload_secret=b""))

    async def started():
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(started())
    assert [item.value["valid_from"] for item in backend.index.query(HUB_KEYS)] == [10]
