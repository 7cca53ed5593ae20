"""Shares of a batch: every file is in one share, results keep the order of the files.

All tests of worker processes run with each start method of the platform.
"""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

from healthval.deid import Secret
from healthval.deid.dicom.files import batch_workers
from healthval.deid.dicom.files.batch_workers import Shared, check_can_start, pool_of, shares_of
from healthval.errors import UsageError

LONG = 300  # a bound for what should happen soon, on a machine that may be busy
METHODS = [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()]


@pytest.fixture(params=METHODS)
def method(request, monkeypatch):
    monkeypatch.setattr(batch_workers, "start_method", request.param)
    return request.param


def start(_):
    pass


def lengths(files):
    return [len(file) for file in files]


def fail_at_the_third(files):
    if "ccc" in files:
        raise ValueError("third")
    return lengths(files)


def slowly(files):
    time.sleep(0.01)
    return lengths(files)


_waiting = []


def start_waiting(barrier):
    _waiting[:] = [barrier]


def process_ids(files):
    """Wait, once in each process, until every process has taken a share."""
    while _waiting:
        _waiting.pop().wait(LONG)
    return [os.getpid() for _ in files]


def collector(files):
    time.sleep(0.01)
    return [(os.getpid(), gc.get_freeze_count(), gc.isenabled()) for _ in files]


def run(work, files, *, workers=2, start=start, task=None):
    with pool_of(workers - 1, start, task) as pool, tqdm(total=len(files), disable=True) as bar:
        return Shared(pool, workers - 1, bar).run(files, work, work)


def processes(files, workers, method):
    barrier = multiprocessing.get_context(method).Barrier(workers)
    start_waiting(barrier)
    return run(process_ids, files, workers=workers, start=start_waiting, task=barrier)


@given(st.integers(0, 500), st.integers(1, 9))
def test_shares_hold_every_file_once_and_end_small(files, workers):
    shares = shares_of(files, workers)
    assert [number for share in shares for number in share] == list(range(files))
    assert [len(share) for share in shares] == sorted((len(s) for s in shares), reverse=True)
    assert all(1 <= len(share) <= 25 for share in shares)


def test_results_have_the_order_of_the_files(method):
    files = ["x" * (number % 7) for number in range(200)]
    assert run(lengths, files) == lengths(files)


def test_no_file_is_no_error(method):
    assert run(lengths, []) == []


def test_this_process_and_the_others_share_the_work(method):
    by = processes(["a"] * 60, 3, method)
    assert os.getpid() in by
    assert len(set(by)) == 3


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_few_files_are_spread(workers, monkeypatch):
    monkeypatch.setattr(batch_workers, "start_method", METHODS[0])
    by = processes(["large"] * workers, workers, METHODS[0])
    assert len(set(by)) == workers


def test_workers_neither_search_the_objects_of_this_process_nor_collect_by_themselves(method):
    found = run(collector, ["a"] * 120)
    others = [counts for counts in found if counts[0] != os.getpid()]
    assert others
    assert min(frozen for _, frozen, _ in others) > 10_000
    assert not any(enabled for _, _, enabled in others)


def test_the_first_error_ends_the_run(method):
    with pytest.raises(ValueError, match="third"):
        run(fail_at_the_third, ["a"] * 100 + ["ccc"] + ["a"] * 100)


def test_an_error_in_this_process_ends_the_run(method):
    def fail(_):
        raise LookupError("here")

    with pool_of(1, start, None) as pool, tqdm(disable=True) as bar:
        with pytest.raises(LookupError, match="here"):
            Shared(pool, 1, bar).run(["a"] * 50, slowly, fail)
        with pytest.raises(RuntimeError, match="shutdown"):
            pool.submit(int)


def test_a_secret_made_from_bytes_cannot_be_sent_to_a_new_process(tmp_path, method):
    (tmp_path / "key").write_bytes(b"k" * 32)
    check_can_start(Secret.from_file(tmp_path / "key"))
    if method == "fork":
        check_can_start(Secret(b"k" * 32))
    else:
        with pytest.raises(UsageError, match="from_file or from_env"):
            check_can_start(Secret(b"k" * 32))


_ORPHANS = """
import os, time
from multiprocessing import get_context
from healthval.deid.dicom.files.batch_workers import pool_of, start_method

def start(barrier):
    global waiting
    waiting = barrier

def identify(_):
    waiting.wait()  # until each worker has a task
    return os.getpid()

if __name__ == "__main__":
    barrier = get_context(start_method).Barrier(3)
    print(*pool_of(3, start, barrier).map(identify, range(3)), flush=True)
    time.sleep(10_000)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, 9])
def test_workers_end_with_their_parent(tmp_path, number):
    script = tmp_path / "orphans.py"
    script.write_text(_ORPHANS, encoding="utf-8")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        workers = [int(word) for word in parent.stdout.readline().split()]
        parent.send_signal(number)
    deadline = time.monotonic() + LONG
    while any(map(_is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(set(workers)) == 3
    assert not any(map(_is_running, workers))


def _is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or ") Z " not in status.read_text(encoding="utf-8")
