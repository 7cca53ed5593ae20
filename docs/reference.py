"""Reference pages, made from the code when the site is built; what they show is what the code has."""

import itertools
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grimp

from healthval.disclosure import load_policy
from healthval.disclosure.presets import PRESETS
from healthval.runner.parameters import NOTEBOOKS

ROOT = Path(__file__).parents[1]
# Public packages, in the order of the path, and the modules that users import beside them.
PACKAGES = ("cohort", "deid", "predict", "metrics", "disclosure", "aggregate", "report", "runner")
MODULES = (
    "client",
    "credential.key",
    "credential.aws_role",
    "contracts.access",
    "contracts.model",
    "contracts.submission",
)


def write(folder: Path) -> None:
    """Write all reference pages into a folder."""
    folder.mkdir(exist_ok=True)
    pages = {
        "commands": commands(),
        "python": python(),
        "plan-fields": plan_fields(),
        "notebooks": notebooks(),
        "rest": rest(),
        "policies": policies(),
        "packages": packages(),
        "security": page_of_root("SECURITY.md"),
        "changes": page_of_root("CHANGELOG.md"),
    }
    for name, lines in pages.items():
        text = "\n".join(lines) + "\n"
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def describe_parameters(  # noqa: PLR0913, PLR0917 - the signature of Sphinx's event
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Turn `name : meaning` into a name and its meaning: the types are in the signature.

    numpydoc would take the meaning for a type.
    """
    section, found = "", list[str]()
    for line, under in itertools.pairwise([*lines, ""]):
        if under and set(under) == {"-"}:
            section = line
        given = re.match(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (.+)", line)
        if section in {"Parameters", "Other Parameters", "Attributes"} and given:
            found += [given[1], f"    {given[2]}"]
        else:
            found.append(line)
    lines[:] = found


def commands() -> Iterator[str]:
    """Yield the page of all commands."""
    yield "# Commands\n"
    yield "`--help` prints the same.\n"
    yield "```{eval-rst}\n.. click:: healthval.cli:cli\n   :prog: healthval\n   :nested: full\n```"


def python() -> Iterator[str]:
    """Yield the page of the public Python API."""
    yield "# Python\n"
    yield "What `import healthval as hv` offers first, then the public names of each package.\n"
    yield "## healthval\n"
    yield "```{eval-rst}"
    for name in ("load_plan", "evaluate", "local_report"):
        yield f".. autofunction:: healthval.{name}"
    yield "```\n"
    for name in (*PACKAGES, *MODULES):
        yield f"## healthval.{name}\n"
        shown = "\n   :imported-members:" if name in PACKAGES else ""
        yield f"```{{eval-rst}}\n.. automodule:: healthval.{name}{shown}\n```\n"


def plan_fields() -> Iterator[str]:
    """Yield the fields of a plan, from its JSON Schema."""
    schema = json.loads((ROOT / "schemas" / "plan.schema.json").read_text(encoding="utf-8"))
    yield "# Fields of the plan\n"
    yield "From `schemas/plan.schema.json`, by which editors complete and check a plan.\n"
    yield from _fields("Plan", schema)
    for name, part in schema["$defs"].items():
        if "properties" in part:
            yield from _fields(name, part)


def _fields(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}\n"
    yield f"{schema.get('description', '')}\n"
    required = schema.get("required", ())
    yield from _table(
        ("field", "type", "default"),
        (
            (f"`{field}`", _type(part), "required" if field in required else _default(part))
            for field, part in schema["properties"].items()
        ),
    )


def _type(part: Mapping[str, Any]) -> str:
    """Return a JSON Schema type in words; parts of their own are linked."""
    several = part.get("anyOf") or part.get("oneOf")
    if several:
        return " or ".join(dict.fromkeys(_type(one) for one in several))
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name != "JsonValue" else "any"
    fixed = part.get("enum", [part["const"]] if "const" in part else [])
    if fixed:
        return " or ".join(f"`{value}`" for value in fixed)
    kind, inner = part.get("type", "any"), part.get("items", part.get("additionalProperties"))
    word = {"array": "list", "object": "mapping", "null": "nothing"}.get(kind, kind)
    joint = {"array": "of", "object": "to"}.get(kind)
    return f"{word} {joint} {_type(inner)}" if joint and isinstance(inner, dict) and inner else word


def _default(part: Mapping[str, Any]) -> str:
    return f"`{json.dumps(part['default'])}`" if "default" in part else ""


def notebooks() -> Iterator[str]:
    """Yield the parameters of the notebooks."""
    yield "# Parameters of the notebooks\n"
    yield "`healthval params NAME` prints the same. A wrong name, type or path is refused before a kernel starts.\n"
    for name, shape in NOTEBOOKS.items():
        yield f"## {name}\n"
        fields = shape.model_json_schema()
        required = fields.get("required", ())
        yield from _table(
            ("parameter", "type", "default", "meaning"),
            (
                (
                    f"`{field}`",
                    _type(part),
                    "required" if field in required else _default(part),
                    part.get("description", ""),
                )
                for field, part in fields["properties"].items()
            ),
        )


def rest() -> Iterator[str]:
    """Yield the routes of the hub, from its OpenAPI document."""
    api = json.loads((ROOT / "schemas" / "openapi.json").read_text(encoding="utf-8"))
    yield "# REST API\n"
    yield (
        "From `schemas/openapi.json` (OpenAPI 3.1), the source of both SDKs. Every problem is an "
        "`application/problem+json` document with title, status, detail and whether a repetition may help.\n"
    )
    for path, methods in api["paths"].items():
        for method, route in methods.items():
            yield f"## {method.upper()} {path}\n"
            yield f"{route.get('description', route.get('summary', ''))}\n"
            if taken := ", ".join(
                f"`{one['name']}` ({one['in']})" for one in route.get("parameters", ())
            ):
                yield f"Parameters: {taken}.\n"
            if body := _content(route.get("requestBody", {})):
                yield f"Body: {body}.\n"
            yield from _table(
                ("status", "meaning", "content"),
                (
                    (status, answer["description"], _content(answer))
                    for status, answer in route["responses"].items()
                ),
            )


def _content(part: Mapping[str, Any]) -> str:
    kinds = part.get("content", {})
    return ", ".join(
        f"`{shape['schema'].get('$ref', kind).rpartition('/')[2]}`"
        for kind, shape in kinds.items()
        if "schema" in shape
    )


def policies() -> Iterator[str]:
    """Yield the rules of every preset of the disclosure gate."""
    yield "# Presets of the disclosure gate\n"
    yield "[](../disclosure.md) explains them; each is a file in `healthval/disclosure/policies`.\n"
    found = {name: load_policy(name) for name in PRESETS}
    fields = list(vars_of(next(iter(found.values()))))
    yield from _table(
        ("rule", *found),
        (
            (f"`{field}`", *(f"{vars_of(policy)[field]}" for policy in found.values()))
            for field in fields
        ),
    )


def vars_of(policy: Any) -> dict[str, Any]:
    """Return the rules of a policy by name."""
    return {name: getattr(policy, name) for name in policy.__dataclass_fields__}


def packages() -> Iterator[str]:
    """Yield the packages in the order of their layers, with a picture of their imports."""
    graph = grimp.build_graph("healthval")
    order, imports = _layers(), dict[str, set[str]]()
    modules = {name: {one for one in graph.modules if _room(one) == name} for name in order}
    for name in order:
        found = {
            _room(to)
            for one in modules[name]
            for to in graph.find_modules_directly_imported_by(one)
        }
        imports[name] = found & set(order) - {name}
    yield "# Packages\n"
    yield (
        "From the imports of the code. A dot: a module of the row's package imports one of the column's. "
        "import-linter refuses any below the diagonal, through other modules too; `plan` and `plan_checks` "
        "are one layer.\n"
    )
    yield f"```{{raw}} html\n{_matrix(order, imports)}\n```\n"
    yield from _table(
        ("package", "modules", "imports"),
        (
            (f"`{name}`", str(len(modules[name])), ", ".join(sorted(imports[name])))
            for name in order
        ),
    )


def page_of_root(name: str) -> list[str]:
    """Return a page of the repository's root, with its links seen from the folder of the reference."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(
        r"\]\((?!\w+:|#)(docs/)?", lambda m: "](../" if m[1] else "](../../", text
    ).splitlines()


def _room(module: str) -> str:
    return [*module.split("."), ""][1]


def _layers() -> list[str]:
    """Return the packages from the highest layer to the lowest, as the linter's contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        one
        for one in settings["tool"]["importlinter"]["contracts"]
        if one["type"] == "layers" and one["containers"] == ["healthval"]
    )
    return [name for layer in contract["layers"] for name in re.split(r"\s*[|:]\s*", layer)]


def _matrix(order: Sequence[str], imports: Mapping[str, set[str]]) -> str:
    """Draw which package imports which, as an SVG."""
    step, left, top = 22, 140, 130
    size = (left + step * len(order), top + step * len(order))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" role="img" '
        'aria-label="Which package imports which; the table below has the same" font-size="13" '
        'fill="currentColor" style="max-width: 46rem">'
    ]
    for i, name in enumerate(order):
        middle = step * i + step / 2
        parts.append(f'<text x="{left - 8}" y="{top + middle + 4}" text-anchor="end">{name}</text>')
        place = f"{left + middle + 4} {top - 8}"
        parts.append(f'<text transform="translate({place}) rotate(-90)">{name}</text>')
        parts.append(
            f'<rect x="{left + step * i}" y="{top + step * i}" width="{step}" height="{step}" opacity="0.15"/>'
        )
        parts.extend(
            f'<circle cx="{left + step * j + step / 2}" cy="{top + middle}" r="5"/>'
            for j, other in enumerate(order)
            if other in imports[name]
        )
    return "".join(parts) + "</svg>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |"
    yield ""
