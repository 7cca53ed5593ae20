"""A stranger's solver on planted releases: nothing is certain, and the same solver breaks exact counts."""

import sys
from pathlib import Path

import pytest
from exact_policy import exact

from healthval.disclosure import load_policy
from healthval.disclosure.presets import PRESETS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from presets import Tally, attack, versions

N = 60


@pytest.fixture(scope="module")
def sites():
    return [versions(N, seed) for seed in range(6)]


def tally_of(policy, sites, folder):
    tally = Tally()
    for i, (site, results) in enumerate(sites):
        attack(tally, policy, site, results, folder / f"{i}.jsonl")
    return tally


@pytest.mark.parametrize("preset", PRESETS)
def test_no_label_and_no_small_cell_of_a_planted_release_is_certain(sites, tmp_path, preset):
    tally = tally_of(load_policy(preset), sites, tmp_path)
    assert tally.released == len(sites)
    claimed, true, certain = (
        sum(pair)
        for pair in zip(tally.determined("labels"), tally.determined("cells"), strict=True)
    )
    assert claimed > true
    assert certain == 0


def test_the_solver_breaks_counts_without_noise(sites, tmp_path):
    tally = tally_of(exact("datashield"), sites, tmp_path)
    assert tally.determined("labels")[2] > 0
    assert tally.determined("cells")[2] > 0
