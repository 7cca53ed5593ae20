"""Batches with a slow, busy, failing or wrong model host, on the memory backend."""

import json
import threading
import time
from concurrent.futures import wait
from types import SimpleNamespace

import pytest

from healthval.contracts.access import AccessDecision, AccessRequest, PublicKey, site_id
from healthval.contracts.base import canonical_json
from healthval.hub import access, audit_chain, auth, registry
from healthval.hub.access import Subject
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects
from healthval.hub.keyring import Keyring
from healthval.hub.ports import Backend, HostUnavailable, ModelFailed, StoreUnavailable
from healthval.hub.predictions import batches, leases, scoring
from healthval.hub.predictions.batches import Predictions
from healthval.hub.predictions.uploads import Uploads

CANARY = "Zebulon-Quartermaine-1931"
KEY, BOSS = PublicKey(x="A" * 43), auth.Caller("site-boss2345", "operator")
SITE = site_id(KEY)


class Host:
    """Gives the set answers, after the set number of failures."""

    def __init__(self):
        self.troubles, self.answer, self.calls = [], None, 0
        self.inside, self.crowd, self.count = 0, 0, threading.Lock()
        self.go = threading.Event()
        self.go.set()

    def start(self, model): ...

    def stop(self, model): ...

    def invoke(self, model, body):
        with self.count:
            self.calls += 1
            self.inside += 1
            self.crowd = max(self.crowd, self.inside)
        self.go.wait(300)
        with self.count:
            self.inside -= 1
        if self.troubles:
            raise self.troubles.pop(0)
        if self.answer is not None:
            return self.answer
        return json.dumps({"scores": [0.5] * len(json.loads(body)["rows"])}).encode()


@pytest.fixture
def desk(kit, artefact, monkeypatch):
    monkeypatch.setattr(scoring, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(batches, "QUICK_SECONDS", 300.0)
    clock = SimpleNamespace(now=1_700_000_000)
    backend = Backend(MemoryObjects(), MemoryIndex(lambda: clock.now), Host(), lambda: clock.now)
    registration = kit.registration_of(artefact)
    registry.store(backend, registration.artefact_sha256, artefact)
    registry.register(backend, BOSS, registration)
    registry.start(backend, BOSS, "tumour", "1.0")
    asked = AccessRequest(public_key=KEY, label="x", **kit.SUBJECT)
    access.request(backend, Keyring(backend=backend, operator=PublicKey(x="o" * 43)), asked)
    access.decide(
        backend,
        AccessDecision(status="approved"),
        actor=BOSS,
        site=SITE,
        subject=Subject("tumour", "1.0", kit.PLAN),
    )
    work = Predictions(backend=backend, uploads=Uploads(backend, b"s"))
    body = canonical_json(kit.batch(1.0, 2.0).model_dump(mode="json"))
    yield SimpleNamespace(
        work=work,
        host=backend.host,
        backend=backend,
        clock=clock,
        body=body,
        ask=lambda name=None: work.submit(SITE, body, name),
    )
    backend.host.go.set()
    work.close()


def settled(work, batch):
    work.poll(SITE, batch)
    running = work._leases.running(("predictions", f"{SITE}#{batch}"))
    wait([running] if running else [], 300)
    return work.poll(SITE, batch)


def test_a_host_that_is_starting_or_busy_is_asked_again(desk):
    desk.host.troubles = [HostUnavailable()] * 9
    assert desk.ask().status == "done"


def test_a_host_that_stays_out_of_reach_fails_the_batch_in_the_end(desk, monkeypatch):
    monkeypatch.setattr(scoring, "HOST_SECONDS", -1)
    desk.host.troubles = [HostUnavailable()]
    assert desk.ask().status == "failed"


def test_a_batch_that_waits_for_its_turn_is_pending_and_the_model_has_no_more_than_its_places(
    desk, kit, monkeypatch
):
    monkeypatch.setattr(batches, "QUICK_SECONDS", 0.0)
    desk.host.go.clear()
    places = kit.registration_of(b"").max_concurrency
    answers = [desk.ask() for _ in range(places + 2)]
    assert {answer.status for answer in answers} == {"pending"}
    assert desk.host.calls <= places
    desk.host.go.set()
    assert {settled(desk.work, answer.id).status for answer in answers} == {"done"}
    assert desk.host.crowd == places


def test_threads_of_calls_take_the_places_of_a_model_that_nobody_waits_for(desk, kit):
    desk.host.go.clear()
    places = kit.registration_of(b"").max_concurrency
    begun = [desk.work.accept(SITE, desk.body, here=True)[1] for _ in range(places + 2)]
    own = [isinstance(work, leases.OwnWork) for work in begun]
    assert own == [True] * places + [False] * 2
    threads = [threading.Thread(target=work.run) for work in begun[:places]]
    for thread in threads:
        thread.start()
    wait([begun[-1]], 0.2)
    assert desk.host.calls == places
    desk.host.go.set()
    assert all(work.result(300) for work in begun)
    assert desk.host.crowd == places
    again = desk.work.accept(SITE, desk.body, here=True)[1]
    assert isinstance(again, leases.OwnWork)
    again.run()
    assert again.result(0)
    for thread in threads:
        thread.join()


def test_slow_models_leave_threads_to_the_calls_of_others(desk, monkeypatch):
    monkeypatch.setattr(leases, "OWN_THREAD", 1)
    work = Predictions(backend=desk.backend, uploads=Uploads(desk.backend, b"s"))
    begun = [work.accept(SITE, desk.body, here=True)[1] for _ in range(2)]
    assert [isinstance(one, leases.OwnWork) for one in begun] == [True, False]
    begun[0].run()
    assert all(one.result(300) for one in begun)
    work.close()


def test_a_lease_is_renewed_while_the_work_runs_and_while_it_waits(desk, monkeypatch):
    monkeypatch.setattr(batches, "QUICK_SECONDS", 0.0)
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)
    desk.host.go.clear()
    waiting = [desk.ask().id for _ in range(6)]
    desk.clock.now += leases.LEASE_SECONDS
    for batch in waiting:
        key, end = f"{SITE}#{batch}", time.monotonic() + 300
        while desk.backend.index.get("predictions", key).value["lease"] <= desk.clock.now:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_repetition_that_arrives_after_scoring_stores_nothing(desk):
    answer = desk.ask("k" * 16)
    assert desk.ask("k" * 16).status == "done"
    desk.work._store(SITE, answer.id, desk.body)  # accepted before, delayed until now
    assert desk.backend.objects.keys("requests/") == []


def test_the_inputs_are_deleted_before_the_batch_is_done_and_the_deletion_is_in_the_audit(desk):
    answer = desk.ask()
    assert desk.backend.objects.keys("requests/") == []
    entries = [
        entry["action"]
        for entry in audit_chain.entries(desk.backend)
        if entry["subject"] == answer.id
    ]
    assert entries == ["prediction.accepted", "deleted", "prediction.done"]
    audit_chain.check_chain(audit_chain.entries(desk.backend), audit_chain.chain_head(desk.backend))


def test_a_batch_whose_process_died_after_the_deletion_is_done(desk, monkeypatch):
    monkeypatch.setattr(Predictions, "_finish", lambda *_: None)
    answer = desk.ask()
    assert answer.status == "pending"
    monkeypatch.undo()
    desk.clock.now += leases.LEASE_SECONDS
    assert settled(desk.work, answer.id).status == "done"


def test_inputs_that_a_killed_process_left_are_swept_and_pending_ones_stay(desk, monkeypatch):
    monkeypatch.setattr(batches, "QUICK_SECONDS", 0.0)
    done = desk.ask().id
    assert settled(desk.work, done).status == "done"
    desk.backend.objects.put_if_absent(f"requests/{SITE}/{done}.json", desk.body)
    desk.host.go.clear()
    waiting = desk.ask().id
    desk.work.sweep()
    assert desk.backend.objects.keys("requests/") == [f"requests/{SITE}/{waiting}.json"]


def test_a_hub_that_stops_leaves_a_waiting_batch_pending(desk, monkeypatch):
    monkeypatch.setattr(batches, "QUICK_SECONDS", 0.0)
    desk.host.troubles = [HostUnavailable()] * 10_000
    answer = desk.ask()
    desk.work.close()
    assert desk.work.poll(SITE, answer.id).status == "pending"
    assert desk.backend.objects.keys("requests/") != []


LIES = b"""
{}
[]
{"scores": 1}
{"scores": [0.5]}
{"scores": [0.5, 0.5, 0.5]}
{"scores": [0.5, 1.01]}
{"scores": [0.5, "x"]}
{"scores": [0.5, NaN]}
"""


@pytest.mark.parametrize("answer", LIES.split(b"\n"), ids=range(10))
def test_an_answer_that_is_no_score_for_each_case_fails_the_batch(desk, answer):
    desk.host.answer = answer
    assert desk.ask().status == "failed"


def test_a_failed_batch_may_be_asked_again_under_the_same_name_and_is_counted_once(desk, kit):
    desk.host.troubles = [ModelFailed("")]
    assert desk.ask("k" * 16).status == "failed"
    assert desk.ask("k" * 16).status == "done"
    held = desk.backend.index.get("grants", Subject("tumour", "1.0", kit.PLAN).key(SITE))
    assert held.value["used"] == 2


def test_a_failure_inside_is_logged_by_kind_only(desk, caplog):
    desk.host.troubles = [RuntimeError(CANARY)]
    assert desk.ask().status == "failed"
    assert "RuntimeError" in caplog.text
    assert CANARY not in caplog.text
    assert CANARY not in str(desk.backend.index.entries) + str(desk.backend.objects.entries)


def test_a_slow_model_is_answered_with_pending_and_polled(desk, monkeypatch):
    monkeypatch.setattr(batches, "QUICK_SECONDS", 0.05)
    desk.host.go.clear()
    answer = desk.ask("k" * 16)
    assert answer.status == "pending"
    assert desk.ask("k" * 16).status == desk.work.poll(SITE, answer.id).status == "pending"
    desk.host.go.set()
    assert settled(desk.work, answer.id).status == "done"
    assert desk.host.calls == 1
    assert desk.backend.objects.keys("requests/") == []


@pytest.mark.parametrize(("seconds", "taken"), [(-1, False), (0, True), (1, True)])
def test_a_batch_is_taken_over_when_its_lease_is_over(desk, monkeypatch, seconds, taken):
    monkeypatch.setattr(batches, "QUICK_SECONDS", 0.0)
    monkeypatch.setattr(leases, "RENEW_SECONDS", 300)
    desk.host.go.clear()
    answer = desk.ask()
    other_host = Host()
    other = Predictions(
        backend=Backend(desk.backend.objects, desk.backend.index, other_host, desk.backend.clock),
        uploads=desk.work.uploads,
    )
    desk.clock.now += leases.LEASE_SECONDS + seconds
    assert settled(other, answer.id).status == ("done" if taken else "pending")
    assert other_host.calls == int(taken)
    desk.host.go.set()
    assert settled(desk.work, answer.id).status == "done"
    other.close()


def test_a_store_that_is_out_of_reach_leaves_the_batch_for_later(desk, monkeypatch):
    desk.host.troubles = [StoreUnavailable()]
    answer = desk.ask()
    assert answer.status == "pending"
    desk.clock.now += leases.LEASE_SECONDS
    assert settled(desk.work, answer.id).status == "done"


def test_a_batch_whose_request_was_lost_fails_instead_of_hanging(desk, monkeypatch):
    desk.host.troubles = [StoreUnavailable()]
    monkeypatch.setattr(desk.backend.objects.__class__, "put_if_absent", lambda *_: True)
    answer = desk.ask()
    assert answer.status == "pending"
    desk.clock.now += leases.LEASE_SECONDS
    assert settled(desk.work, answer.id).status == "failed"


def test_a_batch_that_is_answered_at_once_is_never_stored(desk, monkeypatch):
    stored = []
    put = MemoryObjects.put_if_absent
    monkeypatch.setattr(
        MemoryObjects, "put_if_absent", lambda *args: stored.append(args[1]) or put(*args)
    )
    assert desk.ask().status == "done"
    assert stored == []
    monkeypatch.setattr(batches, "SMALL_ANSWER_BYTES", 10)
    assert [p.score for p in desk.ask().predictions] == [0.5, 0.5]
    assert [key.split("/")[0] for key in stored] == ["answers"]


def test_a_repetition_takes_over_a_batch_that_was_never_stored(desk):
    desk.host.troubles = [StoreUnavailable()]
    _, work = desk.work.accept(SITE, desk.body, "k" * 16)  # killed before it answers
    wait([work], 300)
    assert desk.backend.objects.keys("requests/") == []
    desk.clock.now += leases.LEASE_SECONDS
    assert desk.ask("k" * 16).status == "done"
    assert desk.backend.objects.keys("requests/") == []


def test_a_name_that_has_expired_is_a_new_batch_with_its_own_answer(desk, kit, monkeypatch):
    monkeypatch.setattr(batches, "SMALL_ANSWER_BYTES", 0)  # answers are stored as objects
    assert len(desk.ask("a-name-of-a-batch").predictions) == 2
    desk.clock.now += batches.KEEP_SECONDS + 1
    other = canonical_json(kit.batch(3.0).model_dump(mode="json"))
    again = desk.work.submit(SITE, other, "a-name-of-a-batch")
    assert [len(a.predictions) for a in (again, desk.work.poll(SITE, again.id))] == [1, 1]


def test_many_asking_at_once_are_all_counted(desk, kit):
    threads = [threading.Thread(target=desk.ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = desk.backend.index.get("grants", Subject("tumour", "1.0", kit.PLAN).key(SITE))
    assert held.value["used"] == 16
    audit_chain.check_chain(audit_chain.entries(desk.backend), audit_chain.chain_head(desk.backend))
