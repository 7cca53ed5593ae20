"""kill -9 of the embedded hub under load: a ledger of the clients is compared with the hub after each.

Two sites send rows and files, a third one submits results; the hub is killed at a random moment and
started again. After each kill the hub's stores are read: every batch that was answered is stored with
its scores, every receipt is there, no event is doubled. At the end everything that was sent is answered,
the cases are counted exactly, the files are deleted and the audit chain is whole.

Called with a number of kills (30 without one).
"""

import hashlib
import json
import random
import secrets
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from healthval import client_transport
from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision
from healthval.contracts.base import canonical_json
from healthval.contracts.model import InputContract, InputField, ModelCard, ModelRegistration
from healthval.contracts.prediction import (
    DicomInstances,
    PredictionRequest,
    TableInstances,
    uploads_of,
)
from healthval.contracts.submission import (
    AttackPassed,
    Certificate,
    CountNoise,
    ReleasedEstimate,
    Submission,
)
from healthval.disclosure import load_policy
from healthval.disclosure.gate import run_checks
from healthval.errors import HubUnavailable, PredictionError
from healthval.hosting import sandbox
from healthval.hosting.artefact import pack
from healthval.hosting.child_process import ChildProcess
from healthval.hub.audit_chain import verify_pages

PLAN = "a" * 64
KILLS = 30
INFERENCE = """
def load(model_dir): return None
def predict(model, instances):
    return [len(x) / 1e6 if isinstance(x, bytes) else x["size"] / 100 for x in instances]
"""


def subject(model: str) -> dict[str, str]:
    return {"model": model, "version": "1.0", "plan_hash": PLAN}


def dicom(size: int) -> bytes:
    """An invented file of about this size."""
    import io

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "2.25.1"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", "invented"
    dataset.add_new("PixelData", "OB", bytes(size))
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def payload(digest: str, n: int) -> bytes:
    submission = Submission(
        **subject("rows"),
        model_digest=digest,
        healthval_version="0.1.0",
        dates="removed",
        n=n,
        n_events=40,
        noise=CountNoise(scale=2.0, variance=4.083),
        auroc=ReleasedEstimate(value=0.9, lo=0.85, hi=0.94, method="delong", n=n, n_events=40),
        certificate=Certificate(policy="cms", policy_version=1, minimum_cell=11),
    )
    past = AttackPassed(name="ledger-differencing", checked=0)
    attacks = (*run_checks(submission, load_policy()), past)
    certificate = submission.certificate.model_copy(update={"attacks": attacks})
    sealed = submission.model_copy(update={"certificate": certificate})
    return canonical_json(sealed.model_dump(mode="json"))


class Hub:
    """The hub under test, and the ledger of what its clients know."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.starts = folder, 0, []
        self.key = folder / "operator.key"
        Credential.create(self.key)
        self.start()
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.answers: dict[str, tuple[str, int, list[float]]] = {}  # batch: model, cases, scores
        self.receipts: list[str] = []
        self.uploads: dict[str, list[str]] = {}  # batch: its files
        self.failed = Counter()  # batches that ended with a killed process, to be sent again
        self.troubles: list[BaseException] = []

    def start(self) -> None:
        command = [sys.executable, "-m", "healthval.hub", "--data", str(self.folder / "hub")]
        command += ["--operator", f"{self.key}.pub", "--port", str(self.port), "--die-with-parent"]
        command += ["--trust-models"] if sandbox.unavailable() else []
        began = time.perf_counter()
        with (self.folder / "hub.log").open("ab") as log:
            self.child = ChildProcess(command, log=log)
        self.url = self.child.first_line()["url"]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.starts.append(time.perf_counter() - began)

    def wait_for(self, kind: str) -> None:
        """Wait until the hub has answered a call of this kind since its start."""
        before = self.told(kind)
        while self.told(kind) == before and not self.ending.wait(0.01):
            pass

    def told(self, kind: str) -> int:
        with self.lock:
            if kind == "results":
                return len(self.receipts)
            return sum(model == kind for model, _, _ in self.answers.values())

    def kill(self) -> None:
        self.child.process.kill()
        self.child.stop()

    def client(self, name: str) -> Client:
        key = self.folder / f"{name}.key"
        if not key.exists():
            Credential.create(key)
        return Client(self.url, Credential.load(key))

    def register(self) -> str:
        """Register both models and approve three sites; return the digest of the model of rows."""
        source = self.folder / "model"
        source.mkdir()
        (source / "inference.py").write_text(INFERENCE, encoding="utf-8")
        artefact = pack(source)
        with Client(self.url, Credential.load(self.key)) as operator:
            for name, inputs in (
                ("rows", InputContract(fields=(InputField(name="size", low=0, high=100),))),
                ("files", InputContract(kind="dicom")),
            ):
                card = ModelCard(
                    name=name,
                    version="1.0",
                    title="Invented",
                    developer="Invented Ltd",
                    intended_use="bench",
                    target_condition="none",
                )
                sha256 = hashlib.sha256(artefact).hexdigest()
                registration = ModelRegistration(card=card, inputs=inputs, artefact_sha256=sha256)
                operator.register_model(registration, artefact)
                operator.start_model(name, "1.0")
            for name in ("rows-site", "files-site", "results-site"):
                with self.client(name) as site:
                    model = name.removesuffix("-site").replace("results", "rows")
                    grant = site.request_access(label="Bench", **subject(model))
                    decision = AccessDecision(status="approved", max_cases=10_000_000)
                    operator.decide_access(grant, decision)
            return operator.model("rows", "1.0").digest


def repeated(act):
    """Repeat a call until the hub is there."""
    while True:
        with suppress(HubUnavailable):
            return act()


def send_rows(hub: Hub, seed: int) -> None:
    rng = random.Random(seed)
    with hub.client("rows-site") as site:
        while not hub.ending.is_set():
            sizes = [rng.randrange(101) for _ in range(rng.choice([1, 3, 2000]))]
            asked = PredictionRequest(
                **subject("rows"),
                cases=tuple(f"case-{i:016x}" for i in range(len(sizes))),
                instances=TableInstances(columns=("size",), rows=tuple((s,) for s in sizes)),
            )
            keep(hub, site, asked, [s / 100 for s in sizes])


def send_files(hub: Hub, seed: int) -> None:
    rng = random.Random(seed)
    with hub.client("files-site") as site:
        while not hub.ending.is_set():
            files = [dicom(2 * rng.randrange(200, 20_000)) for _ in range(rng.choice([1, 2]))]
            uploads = tuple(
                repeated(lambda file=file: site.upload(file, **subject("files"))) for file in files
            )
            asked = PredictionRequest(
                **subject("files"),
                cases=tuple(f"case-{i:016x}" for i in range(len(files))),
                instances=DicomInstances(uploads=uploads),
            )
            keep(hub, site, asked, [len(file) / 1e6 for file in files])


def keep(hub: Hub, site: Client, asked: PredictionRequest, scores: list[float]) -> None:
    """Ask for a batch until it is answered, and enter the answer in the ledger."""
    key = secrets.token_hex(16)
    try:
        answer = repeated(lambda: site.predict(asked, key=key))
    except PredictionError:  # its inputs were deleted before its answer was stored: sent again
        with hub.lock:
            hub.failed[asked.model] += 1
        return
    found = [p.score for p in answer.predictions]
    assert found == scores, "an answer has other scores than its inputs"
    if answer.id[-1] in "0123":
        assert repeated(lambda: site.predict(asked, key=key)) == answer, "a repetition differs"
    with hub.lock:
        assert answer.id not in hub.answers
        hub.answers[answer.id] = (asked.model, len(scores), found)
        hub.uploads[answer.id] = list(uploads_of(asked.instances))


def submit(hub: Hub, digest: str) -> None:
    with hub.client("results-site") as site:
        n = 100
        while not hub.ending.is_set():
            n += 1
            sent = payload(digest, n)
            receipt = repeated(lambda sent=sent: site.submit(sent))
            before = hub.receipts[-1] if hub.receipts else None
            assert receipt.supersedes == before, "a receipt supersedes another result"
            with hub.lock:
                hub.receipts.append(receipt.submission_sha256)


def guarded(hub: Hub, work, *args) -> threading.Thread:
    def run() -> None:
        try:
            work(hub, *args)
        except BaseException as trouble:
            hub.troubles.append(trouble)
            hub.ending.set()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def check_dead(hub: Hub, known: dict[str, tuple], receipts: list[str]) -> None:
    """Compare the files of a killed hub with what its clients were told before the kill."""
    folder = hub.folder / "hub"
    with closing(sqlite3.connect(folder / "index.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        batches = {
            key.partition("#")[2]: json.loads(value)
            for key, value in db.execute(
                "SELECT key, value FROM items WHERE partition = 'predictions'"
            )
        }
        events = Counter(
            (event["action"], event["subject"])
            for key, value in db.execute("SELECT key, value FROM items WHERE partition = 'audit'")
            for event in [json.loads(value)]
            if key != "head"
        )
        held = {
            key: json.loads(value)["state"]
            for partition, key, value in db.execute("SELECT partition, key, value FROM items")
            if partition.startswith("receipts#")
        }
    for batch, (_, _, scores) in known.items():
        assert batches[batch]["status"] == "done", "an answered batch is not done"
        answer = batches[batch].get("answer")
        if answer is None:
            (path,) = folder.glob(f"objects/answers/*/{batch}.json")
            answer = json.loads(path.read_bytes())
        assert [p["score"] for p in answer["predictions"]] == scores, "a stored answer has changed"
        assert events["prediction.accepted", batch] == events["prediction.done", batch] == 1
        assert events["deleted", batch] >= 1
    for batch in batches:
        lives = 1 + events["prediction.failed", batch]
        assert events["prediction.accepted", batch] <= lives, "a batch was accepted twice"
        assert events["prediction.done", batch] <= 1, "a batch was done twice"
    for sha256 in receipts:
        assert held[sha256] == "counted", "an answered result is not counted"
        (path,) = folder.glob(f"objects/submissions/*/{sha256}.json")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
        for action in ("result.submitted", "result.checked", "result.counted"):
            assert events[action, sha256] == 1, "a result has an event twice or not"


def check_end(hub: Hub) -> str:
    """Check through the API that all is answered, counted exactly and deleted; return the counts."""
    with Client(hub.url, Credential.load(hub.key)) as operator:
        entries, _ = operator.audit()
        verify_pages(operator.audit_pages())
        grants = {(grant.site, grant.model): grant for grant in operator.access_requests()}
    events = Counter((entry.action, entry.subject) for entry in entries)
    accepted = [batch for action, batch in events if action == "prediction.accepted"]
    assert len(accepted) == len(hub.answers) + hub.failed.total(), "a batch was lost or invented"
    for name in ("rows", "files"):
        with hub.client(f"{name}-site") as site:
            used = grants[site.site, name].used_cases
        answered = sum(n for model, n, _ in hub.answers.values() if model == name)
        assert used == answered or hub.failed[name], f"{used} cases counted, {answered} answered"
    for batch, uploads in hub.uploads.items():
        for upload in uploads:
            assert not list((hub.folder / "hub/objects").glob(f"uploads/*/{upload}.dcm")), batch
    assert not list((hub.folder / "hub/objects/requests").rglob("*.json"))
    cases = sum(n for _, n, _ in hub.answers.values())
    files = sum(map(len, hub.uploads.values()))
    return (
        f"{len(hub.answers)} batches ({cases} cases, {files} of them files), "
        f"{len(hub.receipts)} results, {len(entries)} audit entries; {dict(hub.failed)} failed"
    )


def main(kills: int) -> None:
    client_transport.LONGEST_WAIT_SECONDS = 0.2  # so that a started hub has its load at once
    rng = random.Random(20261129)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        hub = Hub(Path(folder))
        digest = hub.register()
        work = [
            guarded(hub, send_rows, 1),
            guarded(hub, send_rows, 2),
            guarded(hub, send_files, 3),
            guarded(hub, send_files, 4),
            guarded(hub, submit, digest),
        ]
        try:
            for number in range(kills):
                hub.wait_for(rng.choice(["rows", "files", "results"]))
                hub.ending.wait(rng.uniform(0, 0.5))
                if hub.ending.is_set():
                    break
                with hub.lock:
                    known, receipts = dict(hub.answers), list(hub.receipts)
                hub.kill()
                check_dead(hub, known, receipts)
                hub.start()
                if (number + 1) % 10 == 0:
                    print(f"{number + 1} kills, {len(known)} batches answered", flush=True)
        finally:
            hub.ending.set()
            for thread in work:
                thread.join()
        if hub.troubles:
            raise hub.troubles[0]
        hub.kill()  # the next start sweeps what killed processes left
        check_dead(hub, hub.answers, hub.receipts)
        hub.start()
        try:
            told = check_end(hub)
        finally:
            hub.child.stop()
        slowest = max(hub.starts)
        print(
            f"{kills} kills: nothing lost, nothing doubled; {told}; slowest start {slowest:.1f} s"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS)
