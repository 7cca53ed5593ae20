"""Each wall between rooms goes red for a breach planted in a temporary copy of the package."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
LAYERS = [[name.strip(" ()") for name in re.split("[|:]", row)] for row in CONTRACTS[0]["layers"]]
PURE = CONTRACTS[1]["source_modules"]


def contract(start):
    return next(c["name"] for c in CONTRACTS if c["name"].startswith(start))


def module_file(room):
    """The first module of a room, below its deepest packages, so that no list of names is met."""
    path = ROOT / Path(*room.split("."))
    if not path.is_dir():
        return path.with_suffix(".py").relative_to(ROOT)
    return max((p for p in path.rglob("*.py")), key=lambda p: (len(p.parts), p)).relative_to(ROOT)


def lint(tree):
    command = [
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports_command as c; c()",
    ]
    command += ["--no-cache", "--config", "pyproject.toml"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(tree), "COLUMNS": "300"})  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    tree = tmp_path_factory.mktemp("walls")
    shutil.copytree(
        ROOT / "healthval", tree / "healthval", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


@pytest.fixture
def plant(copy):
    changed = {}

    def change(file, line):
        path = copy / file
        changed.setdefault(path, path.read_text() if path.exists() else None)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Inside a function, where a lazy import hides.
        path.write_text((changed[path] or "") + f"\n\ndef planted() -> None:\n    {line}\n")

    yield change
    for path, text in changed.items():
        path.unlink() if text is None else path.write_text(text)


def test_the_package_keeps_all_walls(copy):
    code, words = lint(copy)
    assert code == 0, words
    assert "BROKEN" not in words


UPWARDS = [(low, high) for above, below in pairwise(LAYERS) for high in above for low in below]
SIBLINGS = [
    tuple(name.strip() for name in row.split("|")) for row in CONTRACTS[0]["layers"] if "|" in row
]


@pytest.mark.parametrize(("low", "high"), UPWARDS + SIBLINGS)
def test_no_room_imports_the_next_above_or_beside_it(copy, plant, low, high):
    plant(module_file(f"healthval.{low}"), f"import healthval.{high}")
    code, words = lint(copy)
    assert code != 0
    assert f"healthval.{low} is not allowed to import healthval.{high}" in " ".join(words.split())


def test_a_new_room_needs_a_place_in_the_layers(copy, plant):
    plant("healthval/annex.py", "import json")
    code, words = lint(copy)
    assert code != 0
    assert "annex" in words


@pytest.mark.parametrize("room", PURE)
@pytest.mark.parametrize("library", ["time", "random", "logging", "os", "pathlib", "httpx"])
def test_a_pure_room_knows_no_outside(copy, plant, room, library):
    plant(module_file(room), f"import {library}")
    code, words = lint(copy)
    assert code != 0
    assert f"{room} is not allowed to import {library}" in " ".join(words.split())


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_knows_no_outside_through_another_module_either(copy, plant, room):
    plant(module_file(room), "import healthval.errors")
    plant("healthval/errors.py", "import socket")
    code, words = lint(copy)
    assert code != 0
    assert f"{room} is not allowed to import socket" in " ".join(words.split())


@pytest.mark.parametrize(
    ("start", "changes"),
    [
        ("The audit", [("healthval/deid/audit/patterns.py", "import healthval.deid.dicom.engine")]),
        ("The audit", [("healthval/deid/audit/audit.py", "from healthval.deid.pixels import risk")]),
        ("The audit", [("healthval/deid/audit/sources.py", "import healthval.deid.secret"),
                       ("healthval/deid/secret.py", "import healthval.deid.dicom.profile")]),
        ("Pixels", [("healthval/deid/pixels/ocr.py", "import healthval.deid.dicom.engine")]),
        ("Attacks", [("healthval/disclosure/payload/suppression.py", "import healthval.disclosure.attacks.bounds")]),
        ("Attacks", [("healthval/disclosure/attacks/bounds.py", "import healthval.disclosure.gate")]),
        ("Sections", [("healthval/report/figures/style.py", "import healthval.report.sections.summary")]),
        ("FHIRPath", [("healthval/cohort/fhirpath/syntax.py", "import healthval.contracts.table")]),
        ("No site room", [("healthval/predict/predictions.py", "import healthval.hosting.artefact")]),
        ("No site room", [("healthval/site.py", "import healthval.credential"),
                          ("healthval/credential.py", "import healthval.hub.auth")]),
        ("The hub", [("healthval/hub/routes.py", "import healthval.cohort.read")]),
        ("The hub", [("healthval/hub/ports.py", "import healthval.contracts.base"),
                     ("healthval/contracts/base.py", "import healthval.deid.policy")]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0][0].removeprefix("healthval/"),
)  # fmt: skip
def test_a_breach_of_a_wall_is_seen_directly_and_through_others(copy, plant, start, changes):
    for file, line in changes:
        assert (copy / file).exists(), file
        plant(file, line)
    code, words = lint(copy)
    assert code != 0
    assert any(line.startswith(contract(start)) and "BROKEN" in line for line in words.splitlines())


CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}


def impurities(source):
    """Places where code reads a clock, an unseeded random source, a file, a stream or the terminal."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        call = node.func
        if isinstance(call, ast.Name) and call.id in {
            "open",
            "print",
            "input",
            "exec",
            "eval",
            "__import__",
        }:
            found.append(node.lineno)
        if isinstance(call, ast.Attribute):
            owner = (
                call.value.attr
                if isinstance(call.value, ast.Attribute)
                else getattr(call.value, "id", "")
            )
            unseeded = (
                call.attr in {"default_rng", "Generator", "RandomState", "seed"} and not node.args
            )
            if (owner, call.attr) in CLOCKS or (owner == "random" and (unseeded or call.attr not in {"default_rng", "Generator", "SeedSequence", "PCG64"})):  # fmt: skip
                found.append(node.lineno)
    return found


PURE_MODULES = [p for room in PURE for p in sorted((ROOT / Path(*room.split("."))).rglob("*.py"))]


@pytest.mark.parametrize("path", PURE_MODULES, ids=lambda p: str(p.relative_to(ROOT / "healthval")))
def test_a_pure_module_reads_no_clock_and_no_unseeded_random_source(path):
    assert impurities(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    ["datetime.now()", "datetime.datetime.now(UTC)", "date.today()", "open('x')", "print(1)", "np.random.rand(3)",
     "np.random.default_rng()", "numpy.random.seed(1)", "__import__('os')"],
)  # fmt: skip
def test_each_impurity_is_seen(line):
    assert impurities(line) == [1]
