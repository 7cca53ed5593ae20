"""State machines of predictions and submissions over each store, with a process killed at any operation.

A killed process has done all operations on its store up to one, and none after. The next process begins
with what is stored. Nothing is lost: each accepted batch and each received result comes to its end.
Nothing is doubled: it is counted once, however often it is sent.
"""

import json
from collections import Counter
from concurrent.futures import Future
from contextlib import suppress

import pytest
from hub_machine import HubMachine, Killed, Life, Mortal
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from healthval.contracts.access import AccessDecision, AccessRequest, PublicKey, site_id
from healthval.contracts.base import canonical_json
from healthval.contracts.model import InputContract
from healthval.contracts.prediction import DicomInstances, PredictionRequest, UploadRequest
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.arrivals import WAITING, Arrivals
from healthval.hub.audit_chain import entries
from healthval.hub.auth import Caller
from healthval.hub.keyring import Keyring
from healthval.hub.ports import Backend, ModelFailed, Refusal
from healthval.hub.predictions.batches import Predictions
from healthval.hub.predictions.leases import LEASE_SECONDS, Leases
from healthval.hub.predictions.uploads import Uploads

KEY, BOSS = PublicKey(x="A" * 43), Caller("site-boss2345", "operator")
SITE = site_id(KEY)
TABLE, FILES = "tumour", "reader"
N_KEYS = 3


class Host:
    """Model host that scores a row by its size and a file by its length, or fails."""

    def __init__(self, life):
        self.fails, self._life = False, life

    def start(self, model): ...

    def stop(self, model): ...

    def invoke(self, model, body):
        self._life.spend()
        if self.fails:
            raise ModelFailed("on purpose")
        sent = json.loads(body)
        if "rows" in sent:
            return json.dumps({"scores": [row[0] / 100 for row in sent["rows"]]}).encode()
        return json.dumps({"scores": [len(file) / 10_000 for file in sent["files"]]}).encode()


class Inline(Leases):
    """Does the work at once, in the thread that queues it."""

    def _queue(self, place, model, work, *, here=False):
        done = Future()
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)
        return done


class WorkMachine(HubMachine):
    """A site with access, and one process of the hub at a time, which may be killed."""

    kit, artefact = None, b""
    examples = 30

    def __init__(self):
        super().__init__()
        registry.store(self.backend, self.registration(TABLE).artefact_sha256, self.artefact)
        keyring = Keyring(backend=self.backend, operator=PublicKey(x="o" * 43))
        for name in (TABLE, FILES):
            registry.register(self.backend, BOSS, self.registration(name))
            asked = AccessRequest(public_key=KEY, label="x", **self.subject(name))
            access.request(self.backend, keyring, asked)
            approved = AccessDecision(status="approved", max_cases=10_000, valid_days=300)
            subject = Subject(name, "1.0", self.kit.PLAN)
            access.decide(self.backend, approved, actor=BOSS, site=SITE, subject=subject)
        self.begin()

    def registration(self, name):
        made = self.kit.registration_of(self.artefact, name)
        if name == FILES:
            return made.model_copy(update={"inputs": InputContract(kind="dicom")})
        return made

    def subject(self, name):
        return {**self.kit.SUBJECT, "model": name}

    def begin(self):
        """Start a process over what is stored."""
        self.life = Life()
        self.host = Host(self.life)
        self.process = Backend(
            Mortal(self.kept.objects, self.life),
            Mortal(self.kept.index, self.life),
            self.host,
            lambda: self.clock.now,
        )

    def lived(self, act, left):
        """Act in a process that is killed after so many operations; return None if it was."""
        self.life.left = left
        try:
            return act()
        except Killed:
            self.begin()
            return None
        finally:
            self.life.left = None

    def events(self):
        return Counter((event["action"], event["subject"]) for event in entries(self.backend))


LEFT = st.none() | st.integers(0, 30)


class PredictionMachine(WorkMachine):
    """Each batch is accepted, counted and answered once; its inputs are deleted."""

    def __init__(self):
        self.asked, self.answers, self.uploads = {}, {}, {}
        super().__init__()
        for name in (TABLE, FILES):
            registry.start(self.process, BOSS, name, "1.0")

    def begin(self):
        super().begin()
        leases = Inline(backend=self.process)
        self.work = Predictions(
            backend=self.process, uploads=Uploads(self.process, b"s"), leases=leases
        )

    def body(self, model, n, uploads=()):
        if model == TABLE:
            return canonical_json(self.kit.batch(*range(n)).model_dump(mode="json"))
        asked = PredictionRequest(
            **self.subject(FILES),
            cases=tuple(self.kit.case(i) for i in range(len(uploads))),
            instances=DicomInstances(uploads=uploads),
        )
        return canonical_json(asked.model_dump(mode="json"))

    @rule(key=st.integers(0, N_KEYS - 1), n=st.integers(1, 3), left=LEFT, fails=st.booleans())
    def send_rows(self, key, n, left, fails):
        body, n = self.asked.setdefault(f"rows-{key}", (self.body(TABLE, n), n))
        self._send(f"rows-{key}", body, left, fails=fails)

    @rule(key=st.integers(0, N_KEYS - 1), n=st.integers(1, 2), left=LEFT)
    def send_files(self, key, n, left):
        name = f"files-{key}"
        if name not in self.asked:
            sent = [self.kit.dicom(600 + 2 * i) for i in range(n)]
            places = [self._upload(f"{name}-{i}", data) for i, data in enumerate(sent)]
            self.uploads |= dict(zip(places, sent, strict=True))
            self.asked[name] = self.body(FILES, n, tuple(places)), n
        self._send(name, self.asked[name][0], left)

    def _upload(self, name, data):
        from hashlib import sha256

        asked = UploadRequest(
            **self.subject(FILES), sha256=sha256(data).hexdigest(), size=len(data)
        )
        ticket = self.work.uploads.ticket(SITE, asked, name)
        self._put(ticket, data)
        return ticket.id

    def _put(self, ticket, data):
        if not ticket.url.startswith("/"):  # the store itself receives the file
            self.kept.objects.put_if_absent(f"uploads/{SITE}/{ticket.id}.dcm", data)
            return
        _, _, query = ticket.url.partition("?")
        fields = dict(field.split("=") for field in query.split("&"))
        place = self.work.uploads.place(ticket.id, fields["terms"], fields["signature"])
        self.work.uploads.store(place, data)

    def _send(self, name, body, left, *, fails=False):
        self.host.fails = fails
        try:
            answer = self.lived(lambda: self.work.submit(SITE, body, name), left)
        except Refusal as refused:
            if name.startswith("files") and "not stored" in refused.title:
                return  # of a batch that has ended already
            raise
        finally:
            self.host.fails = False
        if answer is not None:
            self._keep(name, answer)

    @rule(data=st.data(), left=LEFT)
    @precondition(lambda self: self.answers)
    def poll(self, data, left):
        name = data.draw(st.sampled_from(sorted(self.answers)))
        with suppress(Refusal):  # a day is over
            batch = self.answers[name].id
            answer = self.lived(lambda: self.work.poll(SITE, batch), left)
            if answer is not None:
                self._keep(name, answer)

    def _keep(self, name, answer):
        """An answer that is done stays as it is, and has the scores of its rows or files."""
        before = self.answers.get(name)
        if before is not None and before.status == "done" and before.id == answer.id:
            assert answer == before, name
        if answer.status == "done":
            sent = json.loads(self.asked[name][0])["instances"]
            wanted = [
                *(row[0] / 100 for row in sent.get("rows", ())),
                *(self._score(upload) for upload in sent.get("uploads", ())),
            ]
            assert [p.score for p in answer.predictions] == wanted, name
        self.answers[name] = answer

    def _score(self, upload):
        return 4 * -(-len(self.uploads[upload]) // 3) / 10_000  # its length in base64

    @rule(left=LEFT)
    def sweep(self, left):
        self.lived(self.work.sweep, left)

    @rule()
    def lease_ends(self):
        self.clock.now += LEASE_SECONDS + 1

    def wait(self):  # a day of waiting ends answers: it has its own test
        pass

    def teardown(self):
        """Every batch comes to its end; then its inputs are gone and it was counted once."""
        self.begin()
        for _ in range(3):
            self.clock.now += LEASE_SECONDS + 1
            for item in self.backend.index.query("predictions"):
                self.work.poll(SITE, item.key.partition("#")[2])
        self.work.sweep()
        ended = {
            item.key.partition("#")[2]: item.value["status"]
            for item in self.backend.index.query("predictions")
        }
        assert set(ended.values()) <= {"done", "failed"}
        assert self.backend.objects.keys("requests/") == []
        self._check_events(ended)
        if len(self.answers) == len(ended):  # each batch answered, so that its cases are known
            self._check_counts()
        for name, answer in self.answers.items():
            if name.startswith("files") and ended[answer.id] == "done":
                for upload in json.loads(self.asked[name][0])["instances"]["uploads"]:
                    assert self.backend.objects.keys(f"uploads/{SITE}/{upload}.dcm") == []
        super().teardown()

    def _check_events(self, ended):
        events = self.events()
        for batch, status in ended.items():
            failed = events["prediction.failed", batch]
            assert events["prediction.accepted", batch] == failed + (status == "done"), batch
            assert events["prediction.done", batch] == (status == "done"), batch

    def _check_counts(self):
        for prefix, model in (("rows-", TABLE), ("files", FILES)):
            grant = self.backend.index.get("grants", Subject(model, "1.0", self.kit.PLAN).key(SITE))
            cases = sum(self.asked[name][1] for name in self.answers if name.startswith(prefix))
            assert grant.value["used"] == cases


class SubmissionMachine(WorkMachine):
    """Each result is counted or refused once; a receipt names the active one."""

    def __init__(self):
        self.known, self.order = {}, []
        super().__init__()
        digest = registry.model(self.backend, TABLE, "1.0").digest
        good = [self.kit.payload(digest, n=100 + i) for i in range(3)]
        few = json.loads(self.kit.payload(digest, n=104))
        few["n_events"] = 3  # below the minimum cell
        self.payloads = [*good, canonical_json(few)]

    def begin(self):
        super().begin()
        self.arrivals = Arrivals(backend=self.process, has_worker=False)

    @rule(i=st.integers(0, 3), left=LEFT)
    def send(self, i, left):
        received = self.lived(lambda: self.arrivals.receive(SITE, self.payloads[i]), left)
        if received is not None:
            is_new, sha256 = received
            assert not (is_new and i in self.known)
            self.known[i] = sha256

    @rule(left=LEFT)
    def check(self, left):
        self.lived(self.arrivals.check_waiting, left)

    @rule()
    def receipts(self):
        for i, sha256 in self.known.items():
            receipt = self.arrivals.receipt(SITE, sha256)
            states = {"refused", "received"} if i == 3 else {"received", "checked", "counted"}
            assert receipt.state in states
            assert "lost" not in receipt.reason

    def teardown(self):
        self.begin()
        self.arrivals.check_waiting()
        self.receipts()
        assert self.backend.index.query(WAITING) == []
        held = self.backend.index.query(f"receipts#{SITE}")
        counted = [item for item in held if item.value["state"] == "counted"]
        refused = [item for item in held if item.value["state"] == "refused"]
        assert len(counted) + len(refused) == len(held)
        events = self.events()
        for item in held:
            end = item.value["state"]
            assert events["result.submitted", item.key] == 1
            assert events[f"result.{end}", item.key] == 1
            assert events["result.checked", item.key] == (end == "counted")
        superseded = [item.value["supersedes"] for item in counted]
        assert len(set(superseded)) == len(superseded), "each takes the place of another"
        stored = self.backend.objects.keys("submissions/")
        kept = {f"submissions/{SITE}/{item.key}.json" for item in counted}
        assert kept <= set(stored)
        assert not {f"submissions/{SITE}/{item.key}.json" for item in refused} & set(stored)
        if counted:
            (active,) = {self.arrivals.receipt(SITE, item.key).active for item in counted}
            assert {active} == {item.key for item in counted} - set(superseded)
        super().teardown()


@pytest.fixture
def machine_of(kit, artefact):
    def made(kind):
        return type(kind.__name__, (kind,), {"kit": kit, "artefact": artefact})

    return made


def test_a_batch_is_answered_once_whenever_its_process_is_killed(run, machine_of):
    run(machine_of(PredictionMachine))


def test_a_result_is_counted_once_whenever_its_process_is_killed(run, machine_of):
    run(machine_of(SubmissionMachine))


@pytest.mark.parametrize("left", range(24))
def test_files_are_scored_wherever_their_process_is_killed(machine_of, left):
    machine = machine_of(PredictionMachine)()
    machine.send_files(key=0, n=2, left=left)
    machine.lease_ends()
    machine.send_files(key=0, n=2, left=None)
    assert machine.answers["files-0"].status == "done"
    machine.teardown()


@pytest.mark.parametrize("left", range(16))
def test_a_refused_result_keeps_its_reason_wherever_its_process_is_killed(machine_of, left):
    reasons = [refusal(machine_of(SubmissionMachine)(), left) for left in (None, left)]
    assert reasons[0] == reasons[1]
    assert "n_events" in reasons[0]


def refusal(machine, left):
    """The reason for the refusal of a result whose check was killed after so many operations."""
    machine.send(i=3, left=None)
    machine.check(left=left)
    machine.teardown()
    (receipt,) = (machine.arrivals.receipt(SITE, sha256) for sha256 in machine.known.values())
    assert receipt.state == "refused"
    return receipt.reason
