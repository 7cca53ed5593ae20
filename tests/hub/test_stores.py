"""One suite for every object store and index; the memory backend is the specification."""

import errno
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.errors import UsageError
from healthval.hub.backends.local import FolderObjects, SqliteIndex
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects
from healthval.hub.ports import Conflict, Item, StoreUnavailable, Write

NOW = 1_700_000_000
KEY = "results/site-aaaaaaaa/one.json"


def write(partition, key, value, version=0, *, expires=None):
    return Write(partition=partition, key=key, value=value, version=version, expires=expires)


def item(partition, key, value, version):
    return Item(partition=partition, key=key, value=value, version=version)


@pytest.fixture(params=["memory", "folder", "s3"])
def objects(request, tmp_path):
    if request.param == "memory":
        return MemoryObjects()
    if request.param == "folder":
        return FolderObjects(tmp_path / "objects")
    return request.getfixturevalue("aws").bucket()


@pytest.fixture
def clock():
    return SimpleNamespace(now=float(NOW))


@pytest.fixture(params=["memory", "sqlite", "dynamo"])
def index(request, tmp_path, clock):
    def now():
        return clock.now

    if request.param == "memory":
        yield MemoryIndex(now)
    elif request.param == "sqlite":
        made = SqliteIndex(tmp_path / "index.sqlite", now)
        yield made
        made.close()
    else:
        yield request.getfixturevalue("aws").table(now)


def test_the_first_writer_of_an_object_wins(objects):
    assert objects.put_if_absent(KEY, b"first")
    assert not objects.put_if_absent(KEY, b"second")
    assert not objects.put_if_absent(KEY, b"first")
    assert objects.get(KEY) == b"first"


def test_an_object_that_is_not_there_is_a_key_error_and_deleting_it_is_no_error(objects):
    with pytest.raises(KeyError):
        objects.get(KEY)
    objects.delete(KEY)
    objects.put_if_absent(KEY, b"")
    assert objects.get(KEY) == b""
    objects.delete(KEY)
    assert objects.keys("results/") == []
    assert objects.put_if_absent(KEY, b"again")


def test_objects_are_listed_by_prefix_in_order(objects):
    for name in ("b/two.json", "a/x/one.json", "a/one.json", "ab/one.json"):
        objects.put_if_absent(name, name.encode())
    assert objects.keys("a/") == ["a/one.json", "a/x/one.json"]
    assert objects.keys("") == ["a/one.json", "a/x/one.json", "ab/one.json", "b/two.json"]
    assert objects.keys("c/") == []


MISREAD = """
x.json /a/x.json a/../x.json ../a/x.json a/x a/X.json a//x.json a/.hidden.json a/x.json/y.json
a\\x.json a/ä.json
"""


@pytest.mark.parametrize("key", ["", "a/x.json\n", "a/\x00.json", *MISREAD.split()])
def test_a_key_that_some_store_could_misread_is_refused_by_all(objects, key):
    for call in (objects.get, objects.delete, lambda k: objects.put_if_absent(k, b"")):
        with pytest.raises(ValueError, match="looks like"):
            call(key)


def test_of_many_writers_at_once_one_wins_and_its_bytes_stay(objects):
    won = []

    def write(i):
        if objects.put_if_absent(KEY, bytes([i]) * 1000):
            won.append(i)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert objects.get(KEY) == bytes(won) * 1000


def test_versions_count_from_one_and_a_stale_write_is_a_conflict(index):
    index.commit([write("p", "k", {"n": 1.5})])
    assert index.get("p", "k") == item("p", "k", {"n": 1.5}, 1)
    index.commit([write("p", "k", {"n": None}, 1)])
    assert index.get("p", "k") == item("p", "k", {"n": None}, 2)
    for stale in (0, 1, 3):
        with pytest.raises(Conflict):
            index.commit([write("p", "k", {}, stale)])
    with pytest.raises(Conflict):
        index.commit([write("p", "k", None, 1)])
    index.commit([write("p", "k", None, 2)])
    assert index.get("p", "k") is None
    with pytest.raises(Conflict):
        index.commit([write("p", "k", {}, 2)])


def test_a_commit_is_done_whole_or_not_at_all(index):
    index.commit([write("p", "old", {})])
    with pytest.raises(Conflict):
        index.commit([write("p", "new", {}), write("q", "new", {}), write("p", "old", {})])
    assert index.get("p", "new") is None
    assert index.get("q", "new") is None
    index.commit([write("p", "new", {}), write("q", "new", {}), write("p", "old", {}, 1)])
    assert [item.version for item in index.query("p")] == [1, 2]


def test_an_entry_is_gone_at_its_expiry_not_before(index, clock):
    index.commit([write("p", "k", {"n": 1}, expires=NOW + 10)])
    for seconds, there in ((9, True), (11, False), (10, False)):
        clock.now = NOW + seconds
        assert (index.get("p", "k") is not None) is there
        assert (index.query("p") != []) is there
    with pytest.raises(Conflict):
        index.commit([write("p", "k", {"n": 2}, 1)])
    index.commit([write("p", "k", {"n": 2}, 0)])
    assert index.get("p", "k") == item("p", "k", {"n": 2}, 1)


def test_a_query_returns_one_partition_by_prefix_in_order(index):
    keys = ["b#2", "a#10", "a#1", "a", "b", "a$", "~"]
    index.commit([write("p", key, {"key": key}) for key in keys])
    index.commit([write("pp", "a#0", {})])
    assert [item.key for item in index.query("p")] == sorted(keys)
    assert [item.key for item in index.query("p", "a#")] == ["a#1", "a#10"]
    assert index.query("p", "c") == []
    assert [item.key for item in index.query("p", "a#", limit=1)] == ["a#1"]
    assert [item.key for item in index.query("p", "a#", after="a#1")] == ["a#10"]
    assert index.query("p", "a#", after="a#10", limit=1) == []
    assert index.query("none") == []


def test_a_large_partition_comes_whole(index):
    filling = "x" * 100_000
    for i in range(15):
        index.commit([write("p", f"{i:03d}", {"filling": filling})])
    assert [item.key for item in index.query("p")] == [f"{i:03d}" for i in range(15)]


@pytest.mark.parametrize(
    "writes",
    [
        [write("p", "k", {}), write("p", "k", {})],
        [write("p", str(i), {}) for i in range(101)],
        [write("", "k", {})],
        [write("p", "é", {})],
        [write("p", "k", {"text": "x" * 400 * 1024})],
    ],
    ids=["twice", "too many", "no partition", "not ASCII", "too large"],
)
def test_what_dynamodb_would_not_take_no_index_takes(index, writes):
    with pytest.raises(ValueError, match=r"index|commit"):
        index.commit(writes)


def test_an_empty_commit_is_nothing(index):
    index.commit([])


def test_of_many_counters_at_once_none_is_lost(index):
    index.commit([write("p", "n", {"n": 0})])

    def count():
        done = 0
        while done < 5:
            held = index.get("p", "n")
            try:
                index.commit([write("p", "n", {"n": held.value["n"] + 1}, held.version)])
            except Conflict:
                continue
            done += 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index.get("p", "n").value == {"n": 20}


WRITES = st.builds(
    Write,
    partition=st.sampled_from(["p", "q"]),
    key=st.sampled_from(["a", "ab", "b"]),
    value=st.none() | st.dictionaries(st.sampled_from("xy"), st.integers(0, 3), max_size=2),
    version=st.integers(0, 2),
    expires=st.none() | st.integers(NOW, NOW + 3),
)


@given(st.lists(st.lists(WRITES, max_size=3, unique_by=lambda w: (w.partition, w.key)), max_size=8))
@settings(max_examples=40, deadline=None)
def test_sqlite_and_dynamodb_do_what_memory_does(aws, tmp_path_factory, commits):
    clock = SimpleNamespace(now=NOW)

    def now():
        return clock.now

    sqlite = SqliteIndex(tmp_path_factory.mktemp("same") / "index.sqlite", now)
    memory, dynamo = MemoryIndex(now), aws.table(now)
    for writes in commits:
        outcomes = [_outcome(index, writes) for index in (memory, sqlite, dynamo)]
        assert outcomes[0] == outcomes[1] == outcomes[2]
        clock.now += 1
    for partition in ("p", "q"):
        assert memory.query(partition) == sqlite.query(partition) == dynamo.query(partition)
    sqlite.close()


def _outcome(index, writes):
    try:
        index.commit(writes)
    except Conflict:
        return "conflict"
    return "done"


def test_a_folder_store_finds_what_another_process_wrote_and_leaves_no_half_file(tmp_path):
    FolderObjects(tmp_path).put_if_absent(KEY, b"x")
    assert FolderObjects(tmp_path).keys("") == [KEY]
    assert list((tmp_path / ".unfinished").iterdir()) == []


def test_two_sqlite_indexes_on_one_file_see_one_truth(tmp_path):
    one, two = (SqliteIndex(tmp_path / "index.sqlite", lambda: NOW) for _ in range(2))
    one.commit([write("p", "k", {})])
    with pytest.raises(Conflict):
        two.commit([write("p", "k", {})])
    assert two.get("p", "k") == one.get("p", "k")
    one.close()
    two.close()


def test_expired_entries_leave_the_file(tmp_path):
    clock = SimpleNamespace(now=NOW)
    index = SqliteIndex(tmp_path / "index.sqlite", lambda: clock.now)
    index.commit([write("tokens", str(i), {}, expires=NOW + 1) for i in range(50)])
    clock.now += 2
    index.commit([write("p", "k", {})])
    assert index._db.execute("SELECT count(*) FROM items").fetchone() == (1,)
    index.close()


@pytest.mark.parametrize(
    "damage", [lambda sound: b"no database " * 900, lambda sound: sound[:4096] + b"\xff" * 8192]
)
def test_a_damaged_index_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "index.sqlite"
    index = SqliteIndex(path, time.time)
    index.commit([Write(partition="p", key=f"{i:05d}", value={"i": i}) for i in range(99)])
    index.close()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UsageError, match=r"index\.sqlite in the data folder is damaged"):
        SqliteIndex(path, time.time)


def test_a_token_that_expired_stays_used_when_the_clock_is_set_back(index, clock):
    index.commit([write("tokens#site", "one", {}, expires=NOW + 60)])
    clock.now = NOW + 600
    index.commit([write("tokens#site", "two", {}, expires=NOW + 660)])
    clock.now = NOW
    with pytest.raises(Conflict):
        index.commit([write("tokens#site", "one", {}, expires=NOW + 60)])
    index.commit([write("tokens#site", "three", {}, expires=NOW + 61)])
    index.commit([write("predictions", "three", {}, expires=NOW + 1)])


def test_a_commit_that_is_not_durable_yet_is_seen_and_conflicts(index):
    index.commit([write("p", "k", {"n": 1})], durable=False)
    index.flush()
    assert index.get("p", "k") == item("p", "k", {"n": 1}, 1)
    with pytest.raises(Conflict):
        index.commit([write("p", "k", {"n": 2})], durable=False)


@pytest.fixture
def flushes(tmp_path, monkeypatch):
    """An index, the flushes of its log, and an event that lets them end."""
    index, begun, go_on = SqliteIndex(tmp_path / "index.sqlite", lambda: NOW), [], Event()

    def flush(path):
        begun.append(path)
        assert go_on.wait(20)

    monkeypatch.setattr("healthval.hub.backends.local._flush_data", flush)
    yield index, begun, go_on
    go_on.set()
    index.close()


def test_sqlite_flushes_durable_commits_only(flushes, tmp_path):
    index, begun, go_on = flushes
    go_on.set()
    for number, durable in enumerate((False, True, False)):
        index.commit([write("p", f"k{number}", {})], durable=durable)
    assert begun == [f"{tmp_path}/index.sqlite-wal"]
    index.flush()
    assert len(begun) == 2


def test_commits_do_not_wait_for_a_flush_and_those_that_must_be_durable_share_the_next(flushes):
    index, begun, go_on = flushes
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(index.commit, [write("p", "first", {})])
        while not begun:
            time.sleep(0.01)
        index.commit([write("p", "another", {})], durable=False)
        others = [threads.submit(index.commit, [write("p", f"k{i}", {})]) for i in range(8)]
        while index._asked < 9:
            time.sleep(0.01)
        assert not first.done()
        assert not any(other.done() for other in others)
        go_on.set()
    assert all(work.exception() is None for work in (first, *others))
    assert len(begun) == 2


@pytest.mark.parametrize(
    ("number", "error"), [(errno.EIO, StoreUnavailable), (errno.ENOSPC, OSError)]
)
def test_a_commit_that_cannot_be_flushed_is_not_answered(tmp_path, monkeypatch, number, error):
    index = SqliteIndex(tmp_path / "index.sqlite", lambda: NOW)

    def fail(_):
        raise OSError(number, "flush")

    monkeypatch.setattr("healthval.hub.backends.local._flush_data", fail)
    with pytest.raises(error):
        index.commit([write("p", "k", {})])
    monkeypatch.undo()
    index.commit([write("p", "other", {})])
    index.close()


@pytest.mark.parametrize(
    ("pages", "error", "says"),
    [(1, OSError, "No space left"), (None, UsageError, "cannot be read or written; check")],
)
def test_a_disk_that_refuses_the_index_is_not_called_damage(
    tmp_path, monkeypatch, pages, error, says
):
    path = tmp_path / "index.sqlite"

    def refuse(db, _):
        # SQLite reports a database at its largest number of pages as it reports a full disk.
        limit = "PRAGMA query_only = ON" if pages is None else f"PRAGMA max_page_count = {pages}"
        db.execute(limit)
        db.execute("CREATE TABLE more (value TEXT)")

    monkeypatch.setattr("healthval.hub.backends.local.migrate", refuse)
    with pytest.raises(error, match=says) as refused:
        SqliteIndex(path, time.time)
    assert "damaged" not in str(refused.value)
