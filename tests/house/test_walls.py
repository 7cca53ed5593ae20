"""Each wall between rooms goes red for a breach planted in a temporary copy of the package."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import combinations, pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]["contracts"]
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


# Lints the package in its folder once for each line that arrives, without the start of an interpreter.
LINTER = """
import sys
from contextlib import redirect_stdout
from io import StringIO
from importlinter import configuration
from importlinter.application.use_cases import lint_imports
configuration.configure()
for line in sys.stdin:
    words = StringIO()
    with redirect_stdout(words):
        kept = lint_imports(config_filename="pyproject.toml", cache_dir=None, no_logo=True)
    print(repr((kept, words.getvalue())), flush=True)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = tmp_path_factory.mktemp("walls")
    shutil.copytree(
        ROOT / "healthval", tree / "healthval", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


@pytest.fixture(scope="module")
def lint(tree):
    """Whether the copy keeps its walls, and the report, its lines joined."""
    linter = subprocess.Popen(
        [sys.executable, "-c", LINTER],
        cwd=tree,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "300", "PYTHONUTF8": "1"},
    )

    def check():
        linter.stdin.write("\n")
        linter.stdin.flush()
        kept, words = ast.literal_eval(linter.stdout.readline())
        return kept, words

    yield check
    linter.communicate()


@pytest.fixture
def plant(tree):
    changed = {}

    def change(file, *lines):
        path = tree / file
        changed.setdefault(path, path.read_text(encoding="utf-8") if path.exists() else None)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Inside a function, where a lazy import hides.
        body = "".join(f"    {line}\n" for line in lines)
        text = f"{changed[path] or ''}\n\ndef planted() -> None:\n{body}"
        path.write_text(text, encoding="utf-8")

    yield change
    for path, text in changed.items():
        path.unlink() if text is None else path.write_text(text, encoding="utf-8")


def test_the_package_keeps_all_walls(lint):
    kept, words = lint()
    assert kept, words
    assert "BROKEN" not in words


UPWARDS = [(low, high) for above, below in pairwise(LAYERS) for high in above for low in below]
SIBLINGS = [
    pair
    for row in CONTRACTS[0]["layers"]
    if "|" in row
    for pair in combinations((name.strip() for name in row.split("|")), 2)
]


@pytest.mark.parametrize(("low", "high"), UPWARDS + SIBLINGS)
def test_no_room_imports_the_next_above_or_beside_it(lint, plant, low, high):
    plant(module_file(f"healthval.{low}"), f"import healthval.{high}")
    kept, words = lint()
    assert not kept
    assert f"healthval.{low} is not allowed to import healthval.{high}" in " ".join(words.split())


def test_a_new_room_needs_a_place_in_the_layers(lint, plant):
    plant("healthval/annex.py", "import json")
    kept, words = lint()
    assert not kept
    assert "annex" in words


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_knows_no_outside(lint, plant, room):
    libraries = ["time", "random", "logging", "os", "pathlib", "httpx", "importlib", "pickle"]
    plant(module_file(room), *(f"import {library}" for library in libraries))
    kept, words = lint()
    assert not kept
    for library in libraries:
        assert f"{room} is not allowed to import {library}" in " ".join(words.split())


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_knows_no_outside_through_another_module_either(lint, plant, room):
    plant(module_file(room), "import healthval.errors")
    plant("healthval/errors.py", "import socket")
    kept, words = lint()
    assert not kept
    assert f"{room} is not allowed to import socket" in " ".join(words.split())


@pytest.mark.parametrize(
    ("start", "changes"),
    [
        ("The audit", [("healthval/deid/audit/patterns.py", "import healthval.deid.dicom.engine")]),
        ("The audit", [("healthval/deid/audit/audit.py", "from healthval.deid.pixels import risk")]),
        ("The audit", [("healthval/deid/audit/reader.py", "import healthval.deid.dicom.files.batch")]),
        ("The audit", [("healthval/deid/audit/sources.py", "import healthval.deid.secret"),
                       ("healthval/deid/secret.py", "import healthval.deid.dicom.profile")]),
        ("Pixels", [("healthval/deid/pixels/ocr.py", "import healthval.deid.dicom.engine")]),
        ("Attacks", [("healthval/disclosure/payload/suppression.py", "import healthval.disclosure.attacks.bounds")]),
        ("Attacks", [("healthval/disclosure/payload/build.py", "import healthval.disclosure.policy"),
                     ("healthval/disclosure/policy.py", "import healthval.disclosure.attacks.checks")]),
        ("Attacks", [("healthval/disclosure/attacks/bounds.py", "import healthval.disclosure.gate")]),
        ("Sections", [("healthval/report/figures/style.py", "import healthval.report.sections.summary")]),
        ("FHIRPath", [("healthval/cohort/fhirpath/syntax.py", "import healthval.contracts.table")]),
        ("No site room", [("healthval/predict/predictions.py", "import healthval.hosting.artefact")]),
        ("No site room", [("healthval/site.py", "import healthval.credential"),
                          ("healthval/credential/key.py", "import healthval.hub.auth")]),
        ("The hub", [("healthval/hub/api/access.py", "import healthval.cohort.read")]),
        ("The hub", [("healthval/hub/ports.py", "import healthval.contracts.base"),
                     ("healthval/contracts/base.py", "import healthval.deid.policy")]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0][0].removeprefix("healthval/"),
)  # fmt: skip
def test_a_breach_of_a_wall_is_seen_directly_and_through_others(lint, tree, plant, start, changes):
    for file, line in changes:
        assert (tree / file).exists(), file
        plant(file, line)
    kept, words = lint()
    assert not kept
    assert any(line.startswith(contract(start)) and "BROKEN" in line for line in words.splitlines())


FOLDERS = sorted({p.parent for p in (ROOT / "healthval").rglob("*.py")})


def test_every_folder_with_modules_is_a_package():
    """The linter does not look into a folder without `__init__.py`."""
    assert [f for f in FOLDERS if not (f / "__init__.py").exists()] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_folder_has_at_most_15_modules(folder):
    assert len([p for p in folder.glob("*.py") if p.name != "__init__.py"]) <= 15


# The first three load parts of their own package at first use, the fourth loads foreign libraries that a
# notebook imports. The others look for a foreign library, or run a vendor's model.
LAZY = {
    "healthval/__init__.py",
    "healthval/cohort/__init__.py",
    "healthval/deid/__init__.py",
    "healthval/runner/fork_engine.py",
}
FOREIGN = {
    "healthval/demo/inputs.py",
    "healthval/hosting/artefact.py",
    "healthval/progress.py",
    "healthval/runner/doctor.py",
}
# Ways to a module by its name as text, which the linter cannot see.
LOADERS = {
    "__import__", "__loader__", "import_module", "load_module", "exec_module", "resolve_name", "run_module",
    "find_spec", "module_from_spec", "spec_from_file_location", "reload",
}  # fmt: skip
LOADER_LIBRARIES = {"pkgutil", "runpy", "imp", "zipimport"}


def is_ours(name):
    """Whether a name of the package is a module, which the linter sees."""
    home = ROOT / "healthval" / name
    return name == "__version__" or home.is_dir() or home.with_suffix(".py").exists()


def unseen_imports(source):
    """Lines that reach one of our modules past the linter: through the lazy package, or by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names = {a.name for a in node.names}
            root = (node.module or "").split(".")[0]
            lazy = node.module == "healthval" and not node.level
            if (lazy and not all(map(is_ours, names))) or root in LOADER_LIBRARIES:
                yield node.lineno
            if (root == "importlib" and names & LOADERS) or (root == "sys" and "modules" in names):
                yield node.lineno
        if isinstance(node, ast.Import):
            # `import healthval.plan` binds the package, whose attributes load any module.
            bound = {a.name.split(".")[0] for a in node.names if not a.asname or "." not in a.name}
            if bound & ({"healthval"} | LOADER_LIBRARIES):
                yield node.lineno
        if getattr(node, "attr", getattr(node, "id", "")) in LOADERS:
            yield node.lineno
        if is_subscript_of_modules(node):
            yield node.lineno


def is_subscript_of_modules(node):
    """Whether `sys.modules` is read by a name that is ours, or that the text does not show."""
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {
        "get",
        "pop",
        "setdefault",
    }:
        owner, key = node.func.value, node.args[0] if node.args else None
    elif isinstance(node, ast.Subscript):
        owner, key = node.value, node.slice
    else:
        return False
    named = key.value if isinstance(key, ast.Constant) else "healthval"
    return getattr(owner, "attr", "") == "modules" and str(named).startswith("healthval")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_module_is_imported_behind_the_linter(folder):
    for path in sorted(folder.glob("*.py")):
        if path.relative_to(ROOT).as_posix() not in LAZY | FOREIGN:
            assert list(unseen_imports(path.read_text(encoding="utf-8"))) == [], path


@pytest.mark.parametrize("path", sorted(FOREIGN))
def test_a_module_that_looks_for_foreign_ones_names_none_of_ours(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in LOADERS:
            words = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
            assert not [word for word in words if "healthval" in str(word)], path


@pytest.mark.parametrize(
    "source",
    ["import healthval", "import healthval as h", "from healthval import evaluate", "from healthval import Client as C",
     "importlib.import_module('healthval.hub')", "import_module(name)", "__import__('healthval.hub')",
     "import healthval.plan", "import json, healthval.plan", "from importlib import import_module as load",
     "from importlib import __import__ as load", "import runpy", "from runpy import run_module as run",
     "import pkgutil as p", "from pkgutil import resolve_name", "importlib.util.find_spec('healthval.hub')",
     "load = importlib.import_module", "sys.modules['healthval.hub']", "sys.modules.get('healthval')",
     "sys.modules[name]", "from sys import modules", "__loader__.load_module('healthval.hub')"],
)  # fmt: skip
def test_each_unseen_import_is_found(source):
    assert set(unseen_imports(source)) == {1}


@pytest.mark.parametrize(
    "source",
    ["from healthval import __version__, errors", "import healthval.plan as plan", "from .. import plan",
     "from importlib import metadata, resources", "sys.modules.get('numpy')"],
)  # fmt: skip
def test_an_import_that_the_linter_sees_is_allowed(source):
    assert list(unseen_imports(source)) == []


@pytest.mark.parametrize(
    ("start", "file", "line"),
    [
        ("No site room", "healthval/predict/predictions.py", "from .. import hub"),
        ("No site room", "healthval/metrics/cases.py", "from ..hosting.artefact import pack"),
        ("The hub", "healthval/hub/api/system.py", "from ... import cohort"),
        ("The audit", "healthval/deid/audit/patterns.py", "from .. import pixels as p"),
        ("The audit", "healthval/deid/audit/reader.py", "from healthval.deid import deidentify"),
        ("The pure rooms", "healthval/contracts/base.py", "from os import environ as settings"),
        ("FHIRPath", "healthval/cohort/fhirpath/dates.py", "from .. import fhir"),
        ("Attacks", "healthval/disclosure/payload/tables.py", "from ..attacks import checks"),
        ("Sections", "healthval/report/figures/forest.py", "from ..sections import summary"),
        ("Pixels", "healthval/deid/pixels/risk.py", "from ..dicom import engine"),
    ],
)  # fmt: skip
def test_a_relative_or_renamed_import_is_seen_too(lint, plant, start, file, line):
    assert (ROOT / file).exists()
    plant(file, line)
    kept, words = lint()
    assert not kept
    assert any(w.startswith(contract(start)) and "BROKEN" in w for w in words.splitlines())
