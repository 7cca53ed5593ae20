"""The egress ledger: append-only, chained, safe under two processes and a crash."""

import os
import stat
import subprocess
import sys
import time

import pytest

from healthval.disclosure import Ledger
from healthval.disclosure import ledger as ledger_module
from healthval.errors import LedgerError


def note(ledger, i=0):
    return ledger.record_payload(
        sha256=f"{i:064x}",
        n_bytes=100,
        n_cases=20,
        model="chest-reader",
        version="1.0",
        fields=("age",),
    )


def test_a_payload_is_noted_by_hash_size_cases_time_and_model(ledger):
    note(ledger)
    (entry,) = ledger.entries()
    assert entry.kind == "payload"
    assert entry.when == "2026-03-01T12:00:00+00:00"
    assert entry.body == {
        "sha256": "0" * 64,
        "n_bytes": 100,
        "n_cases": 20,
        "model": "chest-reader",
        "version": "1.0",
        "fields": ["age"],
    }


def test_each_entry_carries_the_hash_of_the_one_before(ledger):
    for i in range(3):
        note(ledger, i)
    first, second, third = ledger.entries()
    assert (second.prev, third.prev) == (first.hash, second.hash)
    assert ledger.verify().n_entries == 3


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_changed_entry_breaks_the_chain_and_stops_writing(ledger, at):
    for i in range(3):
        note(ledger, i)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    lines[at] = lines[at].replace(b'"n_cases":20', b'"n_cases":21')
    ledger.path.write_bytes(b"".join(lines))
    for attempt in (ledger.verify, ledger.entries, lambda: note(ledger, 9)):
        with pytest.raises(LedgerError, match=f"entry {at} "):
            attempt()
    assert ledger.path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("drop", [slice(0, 1), slice(1, 2), slice(2, 3)])
def test_a_removed_entry_is_noticed_even_at_the_end(ledger, drop):
    for i in range(3):
        note(ledger, i)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    del lines[drop]
    ledger.path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match="broken"):
        Ledger(ledger.path).verify()


def test_swapped_entries_are_noticed(ledger):
    for i in range(3):
        note(ledger, i)
    a, b, c = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(a + c + b)
    with pytest.raises(LedgerError, match="entry 1 "):
        ledger.verify()


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_a_torn_line_is_set_aside_and_noted_and_nothing_earlier_is_lost(ledger, kept):
    for i in range(2):
        note(ledger, i)
    whole = ledger.path.read_bytes()
    torn = whole.splitlines()[-1][:kept]
    ledger.path.write_bytes(whole + torn)
    entries = Ledger(ledger.path).entries()
    assert [e.kind for e in entries] == ["payload", "payload", "torn"]
    assert ledger.path.read_bytes().startswith(whole)
    assert (ledger.path.parent / entries[-1].body["file"]).read_bytes() == torn
    assert ledger.verify().n_torn == 1


def test_a_line_that_lacks_only_its_end_is_kept(ledger):
    for i in range(2):
        note(ledger, i)
    ledger.path.write_bytes(ledger.path.read_bytes()[:-1])
    assert [e.kind for e in Ledger(ledger.path).entries()] == ["payload", "payload"]
    note(ledger, 2)
    assert ledger.verify().n_entries == 3


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_only_its_owner_reads_the_ledger(ledger):
    note(ledger)
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600


WRITER = """
import sys
from healthval.disclosure import Ledger

path, start, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for i in range(start, start + count):
    Ledger(path).record_payload(
        sha256=f"{i:064x}", n_bytes=100, n_cases=20, model="chest-reader", version="1.0"
    )
"""


def writing(path, start, count):
    """Another process that appends entries."""
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(start), str(count)])


def test_two_processes_write_one_chain(ledger):
    writers = [writing(ledger.path, k * 100, 40) for k in (1, 2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    marks = {entry.body["sha256"] for entry in ledger.entries()}
    assert marks == {f"{k * 100 + i:064x}" for k in (1, 2) for i in range(40)}


def test_a_killed_writer_loses_nothing_that_was_acknowledged(ledger):
    for round_ in range(3):
        start = len(Ledger(ledger.path).entries())
        writer = writing(ledger.path, round_ * 10_000, 10_000)
        while (before := len(Ledger(ledger.path).entries())) < start + 5:
            assert writer.poll() is None
            time.sleep(0.01)
        writer.kill()
        writer.wait()
        assert Ledger(ledger.path).verify().n_entries >= before
    note(Ledger(ledger.path))


def test_a_ledger_held_too_long_is_said_to_be_busy(ledger, monkeypatch):
    monkeypatch.setattr(ledger_module, "LOCK_SECONDS", 0.05)
    note(ledger)
    with ledger._locked(), pytest.raises(LedgerError, match="another process"):
        note(Ledger(ledger.path))


@pytest.mark.parametrize(
    "junk", [b"not json\n", b"[]\n", b'{"hash": 1}\n', b"\xff\xfe\n", b"null\n"]
)
def test_a_file_that_is_no_ledger_is_called_broken(ledger, junk):
    ledger.path.write_bytes(junk)
    with pytest.raises(LedgerError, match="entry 0 "):
        ledger.entries()


def test_the_ledger_has_a_head_and_a_lock_beside_it_and_no_unfinished_file(ledger):
    for i in range(3):
        note(ledger, i)
    names = {path.name for path in ledger.path.parent.iterdir()}
    assert names == {"ledger.jsonl", "ledger.jsonl.head", "ledger.jsonl.lock"}


def test_an_unreadable_head_is_called_broken(ledger):
    note(ledger)
    (ledger.path.parent / "ledger.jsonl.head").write_text("{", encoding="utf-8")
    with pytest.raises(LedgerError, match="cannot be read"):
        Ledger(ledger.path).verify()


def test_entries_without_a_head_stop_everything(ledger, tmp_path):
    note(ledger)
    copied = tmp_path / "copy.jsonl"
    copied.write_bytes(ledger.path.read_bytes())
    with pytest.raises(LedgerError, match=r"head is missing beside 1 entry"):
        Ledger(copied).entries()


def test_a_crash_after_the_first_entry_leaves_a_head(ledger):
    note(ledger)
    head = ledger.path.with_name("ledger.jsonl.head")
    head.write_bytes(b'{"hash":"' + b"0" * 64 + b'","seq":-1}')
    assert len(Ledger(ledger.path).entries()) == 1
