"""Submissions in the background of the API: received, checked, then counted or refused, each exactly once."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from healthval.contracts.access import AccessDecision, AccessRequest, PublicKey, site_id
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.arrivals import WAITING, Arrivals
from healthval.hub.audit_chain import chain_head, check_chain, entries
from healthval.hub.auth import Caller
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects, NoModels
from healthval.hub.keyring import Keyring
from healthval.hub.ports import Backend, Refusal

KEY, BOSS = PublicKey(x="A" * 43), Caller("site-boss2345", "operator")
SITE = site_id(KEY)


@pytest.fixture
def desk(kit, artefact):
    backend = Backend(MemoryObjects(), MemoryIndex(lambda: 1e9), NoModels(), lambda: 1e9)
    registration = kit.registration_of(artefact)
    registry.store(backend, registration.artefact_sha256, artefact)
    model = registry.register(backend, BOSS, registration)
    subject = Subject("tumour", "1.0", kit.PLAN)
    asked = AccessRequest(public_key=KEY, label="x", **kit.SUBJECT)
    access.request(backend, Keyring(backend=backend, operator=PublicKey(x="B" * 42 + "A")), asked)
    approved = AccessDecision(status="approved")
    access.decide(backend, approved, actor=BOSS, site=SITE, subject=subject)
    receiver = Arrivals(backend=backend, has_worker=False)
    worker = Arrivals(backend=backend)
    yield SimpleNamespace(backend=backend, receiver=receiver, worker=worker, digest=model.digest)
    receiver.close()
    worker.close()


def actions(desk):
    chain = entries(desk.backend)
    check_chain(chain, chain_head(desk.backend))
    return [entry["action"] for entry in chain if entry["action"].startswith("result.")]


def test_a_result_waits_until_another_process_has_checked_it(kit, desk):
    is_new, sha256 = desk.receiver.receive(SITE, kit.payload(desk.digest))
    waiting = desk.receiver.receipt(SITE, sha256)
    assert (is_new, waiting.state, waiting.active) == (True, "received", None)
    assert desk.receiver.receive(SITE, kit.payload(desk.digest)) == (False, sha256)
    for _ in range(2):
        desk.worker.check_waiting()
    counted = desk.receiver.receipt(SITE, sha256)
    assert (counted.state, counted.active) == ("counted", sha256)
    assert actions(desk) == ["result.submitted", "result.checked", "result.counted"]
    assert desk.backend.index.query(WAITING) == []


def test_a_refused_result_has_a_reason_and_leaves_no_bytes(kit, desk):
    open_cell = json.loads(kit.payload(desk.digest))
    open_cell["n_events"] = 3
    payload = json.dumps(open_cell).encode()
    _, sha256 = desk.receiver.receive(SITE, payload)
    desk.worker.check_waiting()
    refused = desk.receiver.receipt(SITE, sha256)
    assert (refused.state, refused.active) == ("refused", None)
    assert refused.reason
    assert desk.backend.objects.keys("submissions/") == []
    assert desk.receiver.receive(SITE, payload) == (False, sha256)
    assert desk.backend.objects.keys("submissions/") == []
    assert actions(desk) == ["result.submitted", "result.refused"]


@pytest.mark.parametrize("step", ["received", "checked"])
def test_a_check_that_was_cut_off_is_finished_by_the_next(kit, desk, monkeypatch, step):
    _, sha256 = desk.receiver.receive(SITE, kit.payload(desk.digest))
    killed = Arrivals(backend=desk.backend)
    method = "_move" if step == "received" else "_count"
    monkeypatch.setattr(Arrivals, method, lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        killed.check_waiting()
    monkeypatch.undo()
    assert desk.receiver.receipt(SITE, sha256).state == step
    desk.worker.check_waiting()
    assert desk.receiver.receipt(SITE, sha256).state == "counted"
    killed.close()


def test_a_result_of_another_build_or_a_stranger_is_refused_at_once(kit, desk):
    with pytest.raises(Refusal, match="another build"):
        desk.receiver.receive(SITE, kit.payload("0" * 64))
    with pytest.raises(Refusal, match="No access"):
        desk.receiver.receive("site-aaaaaaaa", kit.payload(desk.digest))
    with pytest.raises(Refusal, match="no such submission"):
        desk.receiver.receipt(SITE, "0" * 64)


def test_the_api_needs_no_scientific_stack():
    code = (
        "import sys, json, healthval.hub.__main__ as m; from healthval.hub.app import openapi_text;"
        "openapi_text(); print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "scipy", "pandas", "boto3", "pydicom", "matplotlib", "sklearn"}
    assert not heavy & set(json.loads(done.stdout))
