"""Every file is in one share; the shares get smaller, and what they give keeps its order."""

import gc
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

from healthval.deid.shares import _shares, in_shares, pool_of


def lengths(files):
    return [len(file) for file in files]


def fail_at_the_third(files):
    if "ccc" in files:
        raise ValueError("third")
    return lengths(files)


def processes(files):
    return [os.getpid() for _ in files]


def frozen(files):
    return [gc.get_freeze_count() for _ in files]


def run(work, files, workers=2):
    with (
        pool_of(workers, lambda _: None, None) as pool,
        tqdm(total=len(files), disable=True) as bar,
    ):
        return in_shares(pool, work, files, workers, bar)


@given(st.integers(0, 500), st.integers(1, 9))
def test_shares_hold_every_file_once_and_end_small(files, workers):
    names = [str(number) for number in range(files)]
    shares = list(_shares(names, workers))
    assert [name for share in shares for name in share] == names
    assert [len(share) for share in shares] == sorted((len(s) for s in shares), reverse=True)
    assert all(1 <= len(share) <= 25 for share in shares)


def test_results_come_in_the_order_of_the_files():
    files = ["x" * (number % 7) for number in range(200)]
    assert run(lengths, files) == lengths(files)


def test_no_file_is_no_error():
    assert run(lengths, []) == []


def test_work_is_done_elsewhere_and_without_the_garbage_of_the_parent():
    assert os.getpid() not in run(processes, ["a"] * 60)
    assert min(run(frozen, ["a"])) > 10_000


def test_the_first_error_ends_it():
    with pytest.raises(ValueError, match="third"):
        run(fail_at_the_third, ["a"] * 100 + ["ccc"] + ["a"] * 100)


def test_one_worker_is_no_pool():
    with pool_of(1, lambda _: None, None) as pool:
        assert pool is None
