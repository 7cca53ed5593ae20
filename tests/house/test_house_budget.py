"""Size, start-up and promises of the house as a whole."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "healthval").rglob("*.py"))
HEAVY = {
    "numpy",
    "pandas",
    "scipy",
    "pydicom",
    "matplotlib",
    "httpx",
    "pydantic",
    "papermill",
    "sklearn",
    "boto3",
}


def code_lines(path):
    """Lines that are neither blank, comment nor docstring."""
    text = path.read_text(encoding="utf-8")
    docs = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(
                getattr(first, "value", None), ast.Constant
            ):
                docs |= set(range(first.lineno, first.end_lineno + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(
        1
        for n, line in lines
        if line.strip() and not line.strip().startswith("#") and n not in docs
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_stays_under_300_code_lines(path):
    assert code_lines(path) <= 300


def test_functions_are_short():
    long = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                doc = ast.get_docstring(node, clean=False)
                length = node.end_lineno - node.lineno + 1 - (len(doc.splitlines()) if doc else 0)
                if length > 60:
                    long.append(f"{path.name}:{node.name} {length}")
    assert not long


def test_there_is_no_drawer_for_odds_and_ends():
    assert not [p for p in MODULES if p.stem in {"utils", "util", "helpers", "common", "misc"}]


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


def test_importing_healthval_loads_nothing_heavy():
    loaded = set(
        json.loads(python("import sys, json, healthval; print(json.dumps(sorted(sys.modules)))"))
    )
    assert not HEAVY & loaded


def test_the_help_text_loads_nothing_heavy():
    code = (
        "import sys, json, contextlib, io\n"
        "sys.argv = ['healthval', '--help']\n"
        "from healthval.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert not HEAVY & set(json.loads(python(code)))


@pytest.mark.parametrize(
    "lock", sorted((ROOT / "requirements").rglob("*.txt")), ids=lambda p: p.name
)
def test_a_lock_has_hashes_and_no_addresses(lock):
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert blocks
    for block in blocks:
        assert re.match(r"[a-z0-9._-]+==", block), block[:60]
        assert "--hash=sha256:" in block, block[:60]


def test_the_smaller_locks_agree_with_the_largest():
    def pins(name):
        return set(
            re.findall(
                r"^([a-z0-9._-]+==\S+)",
                (ROOT / "requirements" / name).read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )

    assert pins("core.txt") <= pins("demo.txt") <= pins("dev.txt")


def test_every_named_extra_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"notebooks", "pdf", "aws", "sagemaker", "dask"} <= set(project["optional-dependencies"])
    core = " ".join(project["dependencies"])
    assert not re.search(
        r"boto3|sagemaker|papermill|matplotlib|fastapi|weasyprint|distributed", core
    )


def test_every_promise_in_security_names_code_and_test_that_exist():
    rows = re.findall(
        r"^\| \S.*\| `([^`]+)` \| `([^`]+)` \|$",
        (ROOT / "SECURITY.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(rows) >= 10
    for where, test in rows:
        module, _, name = where.rpartition(":")
        assert (ROOT / module).exists(), where
        assert name in (ROOT / module).read_text(encoding="utf-8"), where
        file, _, function = test.partition("::")
        assert f"def {function}" in (ROOT / file).read_text(encoding="utf-8"), test


TEXT_FOLDERS = ("healthval", "tests", "benchmarks", "examples", "docs", "infra", "schemas")
# Owners whose `open` opens no text file.
OTHERS = {"tarfile", "zipfile", "gzip", "bz2", "lzma", "Image", "os", "journal"}


def is_text_mode(mode):
    return mode is None or (isinstance(mode, ast.Constant) and "b" not in str(mode.value))


def names_no_encoding(call):
    """Whether a call opens, reads or writes a text file in the system's own encoding."""
    owner = getattr(getattr(call.func, "value", None), "id", "")
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    keywords = {k.arg: k.value for k in call.keywords}
    if {"encoding", None} & set(keywords) or owner in OTHERS:
        return False
    if isinstance(call.func, ast.Attribute) and name in {"read_text", "write_text"}:
        return len(call.args) <= (name == "write_text")
    if name == "open":
        place = 1 if owner in {"", "io", "builtins"} and isinstance(call.func, ast.Name) else 0
        given = call.args[place] if len(call.args) > place else None
        return is_text_mode(keywords.get("mode", given))
    return False


def test_every_text_file_names_its_encoding():
    """Windows reads and writes text in the system's code page where no encoding is named."""
    found = []
    for folder in TEXT_FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
            found += [f"{path.relative_to(ROOT)}:{c.lineno}" for c in calls if names_no_encoding(c)]
    assert not found, f'{found}: add encoding="utf-8"'


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("path.read_text()", True),
        ("path.write_text(text, newline='')", True),
        ("path.open()", True),
        ("path.open('a')", True),
        ("open(name, 'w')", True),
        ("open(name, mode='r')", True),
        ("path.open('rb')", False),
        ("open(name, 'wb')", False),
        ("path.read_text('utf-8')", False),
        ("path.write_text(text, encoding='utf-8')", False),
        ("tarfile.open(name)", False),
    ],
)
def test_a_text_file_without_an_encoding_is_seen(source, seen):
    assert names_no_encoding(ast.parse(source).body[0].value) is seen
