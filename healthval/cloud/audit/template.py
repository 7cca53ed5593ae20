"""Read a CloudFormation template: JSON or YAML with short tags, no field twice, bounded in size."""

import json
from pathlib import Path
from typing import Any

import yaml

from healthval.errors import UsageError

MAX_BYTES = 1_000_000  # the limit of CloudFormation
MAX_NODES = 200_000
MAX_DEPTH = 100


def read_template(path: Path) -> dict[str, Any]:
    """Read a template as plain mappings, lists and scalars; short tags become ``Fn::`` mappings.

    Raises
    ------
    UsageError
        If the file is not a template; names the line where there is one.
    """
    try:
        if not path.is_file():
            raise UsageError(f"{path.name} is not a file; check the path")
        data = path.read_bytes()
    except OSError:
        raise UsageError(f"{path.name} cannot be read; check the path") from None
    return parse_template(data, path.name)


def parse_template(data: bytes, name: str) -> dict[str, Any]:
    """Parse a template from its bytes; see `read_template`."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name} is larger than a template may be ({MAX_BYTES} bytes)")
    try:
        text = data.decode("utf-8-sig")
        parsed = _json(text) if text.lstrip().startswith("{") else yaml.load(text, _Template)  # noqa: S506 - derived from the safe loader
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8 text") from None
    except yaml.YAMLError as found:
        mark = getattr(found, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UsageError(f"{name} is not valid YAML{where}") from None
    except json.JSONDecodeError as found:
        raise UsageError(f"{name} is not valid JSON at line {found.lineno}") from None
    except _Twice:
        raise UsageError(f"{name} has a field twice; keep one of them") from None
    except (ValueError, TypeError, RecursionError):
        raise UsageError(f"{name} is not a CloudFormation template") from None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("Resources"), dict):
        raise UsageError(f"{name} has no section Resources; is it a CloudFormation template?")
    _check_size(parsed, name)
    return parsed


def _json(text: str) -> Any:
    # A YAML flow mapping begins like JSON and is valid too.
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as found:
        try:
            return yaml.load(text, _Template)  # noqa: S506 - derived from the safe loader
        except yaml.YAMLError:
            raise found from None


class _Twice(Exception):
    """A mapping has a field twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _Twice
    return dict(pairs)


class _Template(yaml.SafeLoader):
    """YAML as CloudFormation reads it: short tags, dates as text, no field twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in rules if not tag.endswith(":timestamp")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a field that is written twice: the last one would win silently."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        own = [key for key in keys if key != "<<"]
        if len(set(own)) != len(own):
            raise _Twice
        return super().construct_mapping(node, deep)


def _short_tag(loader: _Template, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Template.add_multi_constructor("!", _short_tag)


def _check_size(parsed: Any, name: str) -> None:
    """Refuse aliases that contain themselves or multiply: a walk would not end."""
    seen, todo = 0, [(parsed, 0)]
    while todo:
        node, depth = todo.pop()
        seen += 1
        if seen > MAX_NODES or depth > MAX_DEPTH:
            raise UsageError(f"{name} has too many or too deeply nested values")
        if isinstance(node, dict):
            if not all(isinstance(key, (str, int, float)) for key in node):
                raise UsageError(f"{name} has a field whose name is not a text")
            todo += [(child, depth + 1) for child in node.values()]
        elif isinstance(node, list):
            todo += [(child, depth + 1) for child in node]
