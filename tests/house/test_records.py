"""Records and calls name their parts: a swapped argument would pass every type check."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    path: ast.parse(path.read_text(encoding="utf-8"))
    for folder in ("healthval", "benchmarks", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
MOST_POSITIONAL = 4
# Methods of `struct.Struct`, whose arguments the format names.
STRUCT = {"pack", "pack_into"}


def decorators(node):
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        name = call.func if call else decorator
        keywords = {k.arg: getattr(k.value, "value", None) for k in call.keywords} if call else {}
        yield getattr(name, "id", getattr(name, "attr", "")), keywords


def positional_records(tree):
    """Dataclasses that accept five fields or more by position."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        fields = [
            f
            for f in node.body
            if isinstance(f, ast.AnnAssign) and "ClassVar" not in ast.unparse(f.annotation)
        ]
        annotations = [ast.unparse(f.annotation) for f in fields]
        if "KW_ONLY" in annotations:  # the fields after it are named
            fields = fields[: annotations.index("KW_ONLY")]
        for name, keywords in decorators(node):
            if (
                name == "dataclass"
                and len(fields) > MOST_POSITIONAL
                and not keywords.get("kw_only")
            ):
                yield node.name


def variadic(node):
    return (
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.args.vararg is not None
    )


def names_of_ours():
    """Functions and classes of the package that do not take any number of arguments."""
    found, open_ended = Counter(), set()
    for path, tree in SOURCES.items():
        if "healthval" not in path.parts[-4:] and ROOT / "healthval" not in path.parents:
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found[node.name] += 1
                if variadic(node):
                    open_ended.add(node.name)
    return set(found) - open_ended - STRUCT


OURS = names_of_ours()


def long_calls(tree, ours):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) > MOST_POSITIONAL:
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ours or name == "cls":
                yield f"{node.lineno}: {name} with {len(node.args)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_record_of_five_fields_is_made_by_keyword(path):
    assert list(positional_records(SOURCES[path])) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_call_passes_five_positional_arguments(path):
    assert list(long_calls(SOURCES[path], OURS)) == []


def test_both_rules_see_what_they_forbid():
    fields = "\n".join(f"    f{n}: int" for n in range(5))
    record = f"@dataclass(frozen=True, slots=True)\nclass Five:\n{fields}\n"
    assert list(positional_records(ast.parse(record))) == ["Five"]
    assert not list(positional_records(ast.parse(record.replace("slots", "kw_only"))))
    assert list(long_calls(ast.parse("Five(1, 2, 3, 4, 5)"), {"Five"})) == ["1: Five with 5"]
    assert not list(long_calls(ast.parse("Five(1, 2, 3, 4, f4=5)"), {"Five"}))
