"""Hubs killed at any moment, two hubs on one folder: every submission is stored exactly once."""

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from healthval.client import Client, Credential
from healthval.errors import HubError, HubUnavailable
from healthval.hub.audit_chain import check_chain


class Own:
    """A hub to kill, with a model; each test has its own site."""

    def __init__(self, kit, folder, operator_key, artefact):
        self.hub = kit.HubProcess(folder / "data", Path(f"{operator_key}.pub")).start()
        self.operator = Client(self.hub.url, Credential.load(operator_key))
        self.operator.register_model(kit.registration_of(artefact), artefact)
        self.model = self.operator.start_model("tumour", "1.0")

    def results(self):
        held = self.operator.submissions(model="tumour", version="1.0", plan_hash="a" * 64)
        return [result for result in held if result.site == self.site.site]

    def check_audit(self):
        told = json.loads(self.operator.transport.send("GET", "/v1/audit"))
        check_chain(told["entries"], told["head"])
        return [entry["action"] for entry in told["entries"] if entry["actor"] == self.site.site]


@pytest.fixture(scope="module")
def running(kit, tmp_path_factory, operator_key, artefact):
    made = Own(kit, tmp_path_factory.mktemp("own"), operator_key, artefact)
    yield made
    made.operator.close()
    made.hub.stop()


@pytest.fixture
def own(kit, running, tmp_path):
    running.site = Client(running.hub.url, Credential.create(tmp_path / "site.key"))
    kit.approve(running.operator, running.site)
    yield running
    running.site.close()


def test_killed_while_submitting_and_started_again_it_holds_each_result_once(kit, own):
    payloads = [kit.payload(own.model.digest, n=100 + i) for i in range(30)]
    receipts = []

    def submit_all():
        for payload in payloads:
            while len(receipts) < len(payloads):
                try:
                    receipts.append(own.site.submit(payload))
                    break
                except HubUnavailable:
                    continue

    submitting = threading.Thread(target=submit_all)
    submitting.start()
    rng = random.Random(20261123)
    port = own.hub.port
    for _ in range(3):
        time.sleep(rng.uniform(0.05, 0.3))
        own.hub.kill()
        own.hub.start(port)
    submitting.join(kit.LONG)

    hashes = [hashlib.sha256(payload).hexdigest() for payload in payloads]
    assert [receipt.submission_sha256 for receipt in receipts] == hashes
    assert [receipt.supersedes for receipt in receipts] == [None, *hashes[:-1]]
    assert [result.payload for result in own.results()] == [payloads[-1]]
    assert own.check_audit().count("result.submitted") == len(payloads)
    kept = sorted((own.hub.data / "objects" / "submissions" / own.site.site).rglob("*.json"))
    assert {path.stem for path in kept} == set(hashes)
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.stem for path in kept)


def test_killed_under_load_it_loses_and_doubles_nothing():
    script = Path(__file__).parents[2] / "benchmarks" / "hub_kills.py"
    done = subprocess.run(
        [sys.executable, str(script), "3"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "3 kills: nothing lost, nothing doubled" in done.stdout


def test_killed_it_takes_its_model_server_with_it_and_serves_again_after(kit, own):
    own.site.predict(kit.batch(1.0))
    children = children_of(own.hub.process.pid)
    assert len(children) == 1
    port = own.hub.port
    own.hub.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in children))
    own.hub.start(port)
    assert own.operator.model("tumour", "1.0").status == "serving"
    assert own.site.predict(kit.batch(2.0)).predictions[0].score == 0.5


def test_a_model_server_that_is_killed_is_started_again(kit, own):
    own.site.predict(kit.batch(1.0))
    for pid in children_of(own.hub.process.pid):
        os.kill(pid, 9)
    assert own.site.predict(kit.batch(2.0)).predictions[0].score == 0.5


def test_a_stopped_model_is_not_asked_until_it_is_started(kit, own):
    own.operator.stop_model("tumour", "1.0")
    assert children_of(own.hub.process.pid) == []
    with pytest.raises(HubError, match="stopped, not serving"):
        own.site.predict(kit.batch(1.0))
    own.operator.start_model("tumour", "1.0")
    own.site.predict(kit.batch(1.0))


def test_a_batch_under_way_when_the_hub_was_killed_is_finished_by_the_next(kit, own):
    from healthval.contracts.base import canonical_json
    from healthval.hub.backends.local import FolderObjects, SqliteIndex
    from healthval.hub.ports import Write

    site, batch = own.site.site, "prediction-" + "7" * 32
    port = own.hub.port
    own.hub.kill()
    # What a hub leaves that was killed between accepting a batch and scoring it.
    body = canonical_json(kit.batch(2.0).model_dump(mode="json"))
    FolderObjects(own.hub.data / "objects").put_if_absent(f"requests/{site}/{batch}.json", body)
    index = SqliteIndex(own.hub.data / "index.sqlite", time.time)
    note = {**kit.SUBJECT, "status": "pending", "lease": int(time.time()) + 1}
    key, end = f"{site}#{batch}", int(time.time()) + 3600
    index.commit([Write(partition="predictions", key=key, value=note, expires=end)])
    index.close()
    own.hub.start(port)

    def answer():
        return own.site.transport.send("GET", f"/v1/predictions/{batch}")

    wait_until(lambda: b'"done"' in answer())
    assert b'"score":0.5' in answer()
    assert list((own.hub.data / "objects" / "requests").rglob("*.json")) == []


def test_two_hubs_on_one_folder_hold_one_truth(kit, own, operator_key):
    second = kit.HubProcess(own.hub.data, own.hub.operator).start()
    other = Client(second.url, own.site.credential)
    payloads = [kit.payload(own.model.digest, n=100 + i) for i in range(10)]
    receipts = []

    def submit(client):
        for payload in payloads:
            receipts.append(client.submit(payload))

    threads = [threading.Thread(target=submit, args=(client,)) for client in (own.site, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(not receipt.repeated for receipt in receipts) == len(payloads)
    assert len({receipt.submission_sha256 for receipt in receipts}) == len(payloads)
    superseded = [r.supersedes for r in receipts if not r.repeated]
    assert len(set(superseded)) == len(payloads), "each takes the place of another"
    assert own.check_audit().count("result.submitted") == len(payloads)
    other.predict(kit.batch(1.0))
    other.close()
    second.stop()


def test_a_changed_audit_entry_is_found(own):
    from healthval.errors import IntegrityError

    told = json.loads(own.operator.transport.send("GET", "/v1/audit"))
    chain, head = told["entries"], told["head"]
    check_chain(chain, head)
    changed = [*chain[:1], {**chain[1], "actor": "site-aaaaaaaa"}, *chain[2:]]
    for broken in (changed, chain[1:], chain[:-1], [*chain, chain[-1]], chain[::-1], []):
        with pytest.raises(IntegrityError):
            check_chain(broken, head)


def test_the_embedded_hub_binds_loopback_only_and_prints_so(kit, tmp_path, operator_key):
    from healthval.hub.__main__ import main

    public = f"{operator_key}.pub"
    assert main(["--data", str(tmp_path), "--operator", public, "--host", "0.0.0.0"]) == 2
    assert main(["--data", str(tmp_path), "--operator", str(operator_key)]) == 2
    assert main(["--data", str(tmp_path), "--operator", str(tmp_path / "none")]) == 2


def test_files_of_a_start_that_was_cut_off_do_not_block_the_next(kit, tmp_path, operator_key):
    data = tmp_path / "data"
    data.mkdir()
    for pid in range(1, 200):
        (data / f"upload.secret.{pid}").write_bytes(b"")
        (data / f".upload.secret.{pid:016x}").write_bytes(b"")
    kit.HubProcess(data, Path(f"{operator_key}.pub")).start().stop()
    assert len((data / "upload.secret").read_bytes()) == 32


@pytest.mark.parametrize("size", [0, 31])
def test_a_damaged_secret_is_refused_with_its_remedy(tmp_path, operator_key, capsys, size):
    from healthval.hub.__main__ import main

    (tmp_path / "upload.secret").write_bytes(b"x" * size)
    assert main(["--data", str(tmp_path), "--operator", f"{operator_key}.pub"]) == 2
    assert "fewer than 32 bytes; delete it" in capsys.readouterr().err
    assert (tmp_path / "upload.secret").read_bytes() == b"x" * size


@pytest.mark.parametrize("is_full", [False, True], ids=["log", "pipe"])
def test_a_full_disk_is_named_also_where_the_log_is_on_it(
    tmp_path, operator_key, capsys, monkeypatch, is_full
):
    from healthval.hub import __main__ as hub

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "Qqq", "Qqq")

    monkeypatch.setattr(hub, "write_durably", fail)
    if is_full:
        monkeypatch.setattr(hub.sys, "stderr", SimpleNamespace(write=fail))
    folder = str(tmp_path)
    options = ["--data", folder, "--operator", f"{operator_key}.pub", "--die-with-parent"]
    assert hub.main(options) == 74
    said = capsys.readouterr()
    line = json.loads(said.out if is_full else said.err)
    assert line == {"failed": "the disk is full; free some space and run the command again"}


def test_secrets_are_readable_by_their_owner_only(own):
    assert (own.hub.data / "upload.secret").stat().st_mode & 0o777 == 0o600


def processes() -> dict[int, int]:
    """Running processes and their parents."""
    if not Path("/proc/self/stat").exists():  # macOS
        listed = subprocess.run(
            ["ps", "-Ao", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
        )
        rows = [line.split() for line in listed.stdout.splitlines()]
        return {int(pid): int(parent) for pid, parent, state in rows if "Z" not in state}
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, *_ = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            if state != "Z":
                found[int(path.parent.name)] = int(parent)
    return found


def children_of(pid: int) -> list[int]:
    return [child for child, parent in processes().items() if parent == pid]


def is_alive(pid: int) -> bool:
    return pid in processes()


def wait_until(holds) -> None:
    end = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
