"""`make attack` runs what it names, and says what did not hold."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def attack():
    spec = importlib.util.spec_from_file_location("attack", ROOT / "tests" / "attack.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_set_of_attacks_is_there(attack):
    assert not [f for group in attack.ATTACKS.values() for f in group if not (ROOT / f).exists()]


def test_every_promise_has_its_line(attack):
    rows = (ROOT / "SECURITY.md").read_text(encoding="utf-8").count("| `tests/")
    assert len(attack.promises()) == rows >= 40


@pytest.mark.parametrize(
    ("outcomes", "is_held", "word"),
    [
        (["passed", "passed"], True, "held"),
        (["passed", "failed"], False, "BROKEN"),
        (["skipped"], False, "NOT TRIED"),
        ([], False, "NOT TRIED"),
    ],
)
def test_a_promise_holds_only_if_it_was_tried_and_nothing_failed(
    attack, capsys, outcomes, is_held, word
):
    found = attack.Outcomes()
    for i, outcome in enumerate(outcomes):
        node = SimpleNamespace(nodeid=f"tests/a.py::test_b[{i}]", when="call", outcome=outcome)
        found.pytest_runtest_logreport(node)
    assert found.line("nothing leaves", "tests/a.py::test_b") is is_held
    assert capsys.readouterr().out.startswith(word)
