"""Every file is in one share; the shares get smaller, and what they give keeps its order."""

import gc
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

from healthval.deid.dicom.batch_workers import Shared, pool_of, shares_of


def lengths(files):
    return [len(file) for file in files]


def fail_at_the_third(files):
    if "ccc" in files:
        raise ValueError("third")
    return lengths(files)


def slowly(files):
    time.sleep(0.01)
    return [os.getpid() for _ in files]


def frozen(files):
    time.sleep(0.01)
    return [gc.get_freeze_count() for _ in files]


def run(work, files, workers=2):
    with (
        pool_of(workers, lambda _: None, None) as pool,
        tqdm(total=len(files), disable=True) as bar,
    ):
        return Shared(pool, workers - 1, bar).run(shares_of(files, workers), work, work)


@given(st.integers(0, 500), st.integers(1, 9))
def test_shares_hold_every_file_once_and_end_small(files, workers):
    names = [str(number) for number in range(files)]
    shares = shares_of(names, workers)
    assert [name for share in shares for name in share] == names
    assert [len(share) for share in shares] == sorted((len(s) for s in shares), reverse=True)
    assert all(1 <= len(share) <= 25 for share in shares)


def test_results_come_in_the_order_of_the_files():
    files = ["x" * (number % 7) for number in range(200)]
    assert run(lengths, files) == lengths(files)


def test_no_file_is_no_error():
    assert run(lengths, []) == []


def test_this_process_and_the_others_share_the_work():
    by = run(slowly, ["a"] * 120, workers=3)
    assert os.getpid() in by
    assert len(set(by)) == 3


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_few_files_are_spread(workers):
    assert len(set(run(slowly, ["large"] * workers, workers=workers))) == workers


def test_the_others_do_not_look_through_the_garbage_of_this_one():
    counts = run(frozen, ["a"] * 120)
    assert min(counts) == gc.get_freeze_count()
    assert max(counts) > 10_000


def test_the_first_error_ends_it():
    with pytest.raises(ValueError, match="third"):
        run(fail_at_the_third, ["a"] * 100 + ["ccc"] + ["a"] * 100)


def test_an_error_here_ends_it_too():
    def fail(_):
        raise LookupError("here")

    with pool_of(2, lambda _: None, None) as pool, tqdm(disable=True) as bar:
        with pytest.raises(LookupError, match="here"):
            Shared(pool, 1, bar).run([["a"]] * 50, slowly, fail)
        with pytest.raises(RuntimeError, match="shutdown"):
            pool.submit(int)


def test_one_worker_is_no_pool():
    with pool_of(1, lambda _: None, None) as pool:
        assert pool is None
