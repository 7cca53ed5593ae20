"""The page of `make bench`: goals and missing peers are read from what the benchmarks print."""

import contextlib
import importlib.util
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from healthval.errors import MetricError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@contextlib.contextmanager
def script(name):
    """A script of the folder, imported as it is run: beside its neighbours."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(BENCHMARKS))
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(BENCHMARKS))
        del sys.modules[module.__name__]
        sys.modules.pop("peers", None)


@pytest.fixture(scope="module")
def bench():
    with script("run") as module:
        yield module


@pytest.fixture
def peers(tmp_path, monkeypatch):
    with script("peers") as module:
        monkeypatch.setattr(module, "PLACE", tmp_path / "peers")
        monkeypatch.setattr(module, "REASONS", tmp_path / "peers" / "reasons.json")
        monkeypatch.setattr(module, "LOCKS", tmp_path)
        yield module


@pytest.mark.parametrize(
    ("line", "name", "met", "margin"),
    [
        (f"{'pROC / ours':<58}{12.5:>9.2f} x  >= 10 met", "pROC / ours", True, 1.25),
        (f"{'resumed, seconds':<62}{4.0:>9.2f}  <= 2 MISSED", "resumed, seconds", False, 0.5),
        (f"{'2 processes / 1':40}{1.9:6.2f}  >= 1.9  met", "2 processes / 1", True, 1.0),
        (f"{'ours : peer':34} {1234.0:12,.1f}  >= 1,000  met", "ours : peer", True, 1.234),
        (
            f"{'99th percentile':44}{'41.2 ms':>24}   < 60 ms: met",
            "99th percentile",
            True,
            60 / 41.2,
        ),
        (f"{'import':28}{0.03:8.3f}{2.0:15.1f}  < 0.3 s: met", "import", True, 10.0),
        (f"{'pool':52} {'0.50 s; goal < 2 s; 3.1 x hashing':52} met", "pool", True, 4.0),
        (f"{'start':44}{'1.2 s':>24}   < 900 ms: MISSED", "start", False, None),
        (f"{'new line':44}{'equal':>24}   equal: met", "new line", True, None),
    ],
)
def test_a_line_with_a_goal_is_read(bench, line, name, met, margin):
    (goal,) = bench.Run("one", f"a title\n{line}\n", 1.0, 0).goals
    assert (goal.name, goal.met) == (name, met)
    assert goal.found in " ".join(line.split()) or goal.found in line
    assert goal.margin == (margin if margin is None else pytest.approx(margin))


def test_the_page_has_missed_goals_missing_peers_failures_and_every_line(bench, tmp_path):
    text = f"{'a / ours':<58}{12.5:>9.2f} x  >= 10 met\n{'b / ours':<58}  dcurves not installed: no wheel\n"
    text += f"{'deid':30}  failed: KeyError: x\n"
    runs = [bench.Run("metrics", text, 3.0, 0), bench.Run("hub", "no Node here\n", 1.0, 2)]
    runs += [bench.Run("start", f"{'help':<44}{3.0:>9.2f}  <= 2 MISSED\n", 1.0, 0)]
    page = bench.page(runs, datetime(2026, 1, 2, tzinfo=UTC))
    assert "2 values have a goal; 1 missed it." in page
    assert "| start | help | 3.00  <= 2 | **missed** |" in page
    assert "- metrics: b / ours: dcurves not installed: no wheel" in page
    assert "- metrics: deid: failed: KeyError: x" in page
    assert "1 s, ended with 2." in page
    assert text.rstrip() in page
    for peer in bench.peers():
        assert f"| {peer} | {bench.installed(peer)} |" in page
    assert bench.installed("no-such-package-at-all") == "not installed"
    bench.plot([goal for one in runs for goal in one.goals], tmp_path / "plot.svg")
    assert "start: help" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


def test_one_that_fails_does_not_hide_the_others(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "HERE", tmp_path)
    (tmp_path / "bad.py").write_text("raise SystemExit('no peer')", encoding="utf-8")
    (tmp_path / "good.py").write_text("print('x / ours   2.00 x  >= 1 met')", encoding="utf-8")
    assert bench.main([]) == 1
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "ended with 1" in page
    assert "no peer" in page
    assert "| good | x / ours | 2.00 x  >= 1 | met |" in page
    assert bench.main(["other"]) == 2
    assert "no such benchmark: other" in capsys.readouterr().out


def test_a_peer_that_pip_refuses_is_named_with_the_reason_and_the_others_are_installed(
    peers, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(peers, "names", lambda group: ["bad", "good"] if group == "peers" else [])
    (tmp_path / "bad.txt").write_text("bad requirement\n", encoding="utf-8")
    (tmp_path / "good.txt").write_text("# nothing more than we have\n", encoding="utf-8")
    peers.main()
    assert list(json.loads(peers.REASONS.read_text(encoding="utf-8"))) == ["bad"]
    assert "bad: not installed: ERROR: Invalid requirement" in capsys.readouterr().out
    assert peers.installed("bad").startswith("not installed: ERROR: Invalid requirement")
    assert peers.installed("good") == "not installed"
    assert peers.installed("pytest") == pytest.__version__


def test_every_peer_has_a_lock_and_a_benchmark_that_names_it():
    with script("peers") as module:
        locks = {path.stem for path in module.LOCKS.glob("*.txt")}
        assert set(module.peers()) == locks
        text = "".join(path.read_text(encoding="utf-8") for path in BENCHMARKS.glob("*.py"))
        assert not [name for name in locks if name not in text]


def test_a_peer_that_fails_is_a_row_and_the_next_part_is_measured(capsys):
    with script("metrics") as module:

        def broken():
            raise ImportError("no such name\nmore lines")

        module.measure(broken)
        with pytest.raises(MetricError):
            module.measure(lambda: module.hm.auroc([True], [2.0]))
        module.measure(lambda: module.row("x / ours", 2.0, 1, at_most=False))
    shown = capsys.readouterr().out
    assert "broken" in shown
    assert "  failed: ImportError: no such name\n" in shown
    assert "2.00 x  >= 1 met" in shown
