"""Possible values of a template's expressions, over every parameter and condition.

The result is never too small: a value that depends on something unknown is `UNKNOWN`.
"""

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MOST = 200  # more combinations than this count as unknown

BOTH: Final = frozenset({True, False})
_CONTINUED: Final = re.compile(r"\$\{([^!{}][^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Mark:
    """A value other than a literal."""

    text: str


UNKNOWN: Final = Mark("unknown")
ABSENT: Final = Mark("absent")


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to a resource of the same template."""

    name: str
    attribute: str = ""


Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Names that expressions of one template may refer to.

    `given` holds the parameters of a nested stack, whose defaults are final; it is None for a
    template that a person deploys, who may give any parameter.
    """

    parameters: Mapping[str, Any]
    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]
    resources: Mapping[str, Any]
    given: Mapping[str, Values] | None = None
    _truths: dict[str, frozenset[bool]] = field(default_factory=dict)

    def values(self, node: Any) -> Values:
        """Return the possible values of a node; their children are not resolved."""
        if _is_dynamic(node):
            return (UNKNOWN,)
        if not isinstance(node, dict):
            return (node,)
        intrinsic = [key for key in node if key in _FUNCTIONS or str(key).startswith("Fn::")]
        if not intrinsic:
            return (node,)
        rule = _FUNCTIONS.get(intrinsic[0])
        if len(node) > 1 or rule is None:
            return (UNKNOWN,)
        found = rule(self, node[intrinsic[0]])
        return _distinct(UNKNOWN if _is_dynamic(value) else value for value in found)

    def get(self, node: Any, *path: str) -> Values:
        """Return the possible values at a path below a node; "[]" is any item of a list."""
        found = self.values(node)
        for key in path:
            found = _distinct(itertools.chain.from_iterable(self._child(v, key) for v in found))
        return found

    def items(self, node: Any) -> list[Any]:
        """Return every possible item of a list; `UNKNOWN` means items that are not known."""
        found = itertools.chain.from_iterable(itertools.chain(*self.lists(node)))
        return [item for item in found if item is not ABSENT]

    def lists(self, node: Any) -> list[list[Values]]:
        """Return the possible lists, each item by its possible values; absent is an empty list."""
        found: list[list[Values]] = []
        for value in self.values(node):
            items = value if isinstance(value, list) else [] if value is ABSENT else [value]
            found.append([self.values(item) for item in items])
        return found

    def truth(self, condition: Any) -> frozenset[bool]:
        """Return the possible truth values of a condition, by name or expression."""
        if isinstance(condition, str):
            if condition not in self._truths:
                self._truths[condition] = BOTH  # for a condition that refers to itself
                self._truths[condition] = self.truth(self.conditions.get(condition))
            return self._truths[condition]
        if not isinstance(condition, dict) or len(condition) != 1:
            return BOTH
        name, arguments = next(iter(condition.items()))
        if name == "Condition":
            return self.truth(arguments) if isinstance(arguments, str) else BOTH
        rule = _LOGIC.get(name)
        return rule(self, arguments) if rule and isinstance(arguments, list) else BOTH

    def _child(self, value: Any, key: str) -> Values:
        if key == "[]":
            return (ABSENT,) if value is ABSENT else tuple(self.items(value)) or (ABSENT,)
        if not isinstance(value, dict):
            return (ABSENT,) if value is ABSENT else (UNKNOWN,)
        if any(str(name).startswith("Fn::") for name in value):  # a macro may add the key
            return (UNKNOWN,)
        return self.values(value[key]) if key in value else (ABSENT,)

    def product(self, nodes: Iterable[Any]) -> Iterable[Values]:
        """Return all combinations of the possible values of several nodes."""
        each = [self.values(node) for node in nodes]
        total = 1
        for choices in each:
            total *= len(choices)
        return [(UNKNOWN,) * len(each)] if total > MOST else itertools.product(*each)


def _is_dynamic(value: Any) -> bool:
    """Return whether AWS replaces a text when it deploys, also one that functions put together."""
    return isinstance(value, str) and "{{resolve:" in value


def _distinct(values: Iterable[Any]) -> Values:
    found: list[Any] = []
    for value in values:
        if not any(
            value is kept or (type(value) is type(kept) and value == kept) for kept in found
        ):
            found.append(value)
            if len(found) > MOST:
                return (*found, UNKNOWN)
    return tuple(found)


def _ref(scope: Scope, name: Any) -> Values:
    if name == "AWS::NoValue":
        return (ABSENT,)
    if not isinstance(name, str):
        return (UNKNOWN,)
    if name in scope.parameters:
        return _parameter(scope, name)
    return (Reference(name),) if name in scope.resources else (UNKNOWN,)


def _parameter(scope: Scope, name: str) -> Values:
    declared = scope.parameters[name]
    if not isinstance(declared, dict) or str(declared.get("Type")).startswith("AWS::SSM::"):
        return (UNKNOWN,)  # a parameter of the Systems Manager names a key, not the value
    if scope.given is not None:
        if name in scope.given:
            return scope.given[name]
        return _typed(declared, [declared["Default"]]) if "Default" in declared else (UNKNOWN,)
    allowed = declared.get("AllowedValues")
    return _typed(declared, allowed) if isinstance(allowed, list) and allowed else (UNKNOWN,)


def _typed(declared: Mapping[str, Any], texts: list[Any]) -> Values:
    if "List" not in str(declared.get("Type")):
        return tuple(texts)
    if "AllowedValues" in declared and "Default" not in declared:
        return (UNKNOWN,)
    return tuple([part.strip() for part in str(text).split(",")] for text in texts)


def _if(scope: Scope, arguments: Any) -> Values:
    if not isinstance(arguments, list) or len(arguments) != 3:
        return (UNKNOWN,)
    truth = scope.truth(arguments[0])
    return (
        *(scope.values(arguments[1]) if True in truth else ()),
        *(scope.values(arguments[2]) if False in truth else ()),
    )


def _find_in_map(scope: Scope, arguments: Any) -> Values:
    if not isinstance(arguments, list) or len(arguments) < 3:
        return (UNKNOWN,)
    found: list[Any] = []
    for first, second, third in scope.product(arguments[:3]):
        for table in _entries(scope.mappings, first):
            for row in _entries(table, second):
                found += [v for entry in _entries(row, third) for v in scope.values(entry)]
    for default in arguments[3:]:
        found += scope.get(default, "DefaultValue")
    return tuple(found) or (UNKNOWN,)


def _entries(table: Any, key: Any) -> list[Any]:
    """Return the entries of a mapping for a key: all of them where the key is not known."""
    if not isinstance(table, dict):
        return [UNKNOWN]
    if isinstance(key, (str, int)):
        return [value for name, value in table.items() if _same(name, key)]
    return list(table.values())


def _select(scope: Scope, arguments: Any) -> Values:
    if not isinstance(arguments, list) or len(arguments) != 2:
        return (UNKNOWN,)
    found: list[Any] = []
    for index, items in scope.product(arguments):
        if not isinstance(items, list):
            return (UNKNOWN,)
        known = str(index).isdecimal()
        chosen = items[int(index) : int(index) + 1] if known else items
        found += [v for item in chosen for v in scope.values(item)] or [UNKNOWN]
    return tuple(found)


def _join(scope: Scope, arguments: Any) -> Values:
    if not isinstance(arguments, list) or len(arguments) != 2:
        return (UNKNOWN,)
    found: list[Any] = []
    for separator, items in scope.product(arguments):
        if not isinstance(items, list):
            return (UNKNOWN,)
        found += [
            str(separator).join(map(str, texts)) if all(map(_is_text, texts)) else UNKNOWN
            for texts in scope.product(items)
        ]
    return tuple(found)


def _sub(scope: Scope, arguments: Any) -> Values:
    text, own = (arguments, {}) if isinstance(arguments, str) else _pair(arguments)
    if not isinstance(text, str) or not isinstance(own, dict):
        return (UNKNOWN,)
    names = _CONTINUED.findall(text)
    nodes = [own[name] if name in own else _named(name) for name in names]
    found: list[Any] = []
    for values in scope.product(nodes):
        if all(map(_is_text, values)):
            texts = iter(values)
            made = _CONTINUED.sub(lambda _, texts=texts: str(next(texts)), text)  # type: ignore[misc]
            found.append(made.replace("${!", "${"))
        elif len(names) == 1 and text == f"${{{names[0]}}}":
            found += values
        else:
            found.append(UNKNOWN)
    return tuple(found)


def _named(name: str) -> dict[str, Any]:
    return {"Fn::GetAtt": name.split(".", 1)} if "." in name else {"Ref": name}


def _pair(arguments: Any) -> tuple[Any, Any]:
    return tuple(arguments) if isinstance(arguments, list) and len(arguments) == 2 else (None, None)


def _split(scope: Scope, arguments: Any) -> Values:
    if not isinstance(arguments, list) or len(arguments) != 2:
        return (UNKNOWN,)
    return tuple(
        str(text).split(str(separator)) if _is_text(text) and _is_text(separator) else UNKNOWN
        for separator, text in scope.product(arguments)
    )


def _get_att(scope: Scope, arguments: Any) -> Values:
    parts = arguments.split(".", 1) if isinstance(arguments, str) else arguments
    if isinstance(parts, list) and len(parts) == 2 and parts[0] in scope.resources:
        return (Reference(parts[0], str(parts[1])),)
    return (UNKNOWN,)


def _is_text(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _same(a: Any, b: Any) -> bool:
    return _spelled(a) == _spelled(b)


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _equals(scope: Scope, arguments: list[Any]) -> frozenset[bool]:
    if len(arguments) != 2:
        return BOTH
    if isinstance(arguments[0], dict) and json.dumps(arguments[0]) == json.dumps(arguments[1]):
        return frozenset({True})  # the same expression, whatever its value
    return frozenset(answer for a, b in scope.product(arguments) for answer in _are_equal(a, b))


def _are_equal(a: Any, b: Any) -> frozenset[bool]:
    """Compare two texts or whole numbers; how AWS spells `true`, `1.0` or `010` is not certain."""
    if isinstance(a, str) and isinstance(b, str):
        return frozenset({a == b})
    return frozenset({False}) if type(a) is type(b) is int and a != b else BOTH


def _and(scope: Scope, arguments: list[Any]) -> frozenset[bool]:
    each = [scope.truth(argument) for argument in arguments]
    answers = {False} if any(False in truth for truth in each) else set()
    return frozenset(answers | ({True} if all(True in truth for truth in each) else set()))


def _or(scope: Scope, arguments: list[Any]) -> frozenset[bool]:
    each = [scope.truth(argument) for argument in arguments]
    answers = {True} if any(True in truth for truth in each) else set()
    return frozenset(answers | ({False} if all(False in truth for truth in each) else set()))


def _not(scope: Scope, arguments: list[Any]) -> frozenset[bool]:
    return frozenset(not answer for answer in scope.truth(arguments[0])) if arguments else BOTH


_FUNCTIONS: Final = {
    "Ref": _ref,
    "Fn::If": _if,
    "Fn::FindInMap": _find_in_map,
    "Fn::Select": _select,
    "Fn::Join": _join,
    "Fn::Sub": _sub,
    "Fn::Split": _split,
    "Fn::GetAtt": _get_att,
}
_LOGIC: Final = {"Fn::Equals": _equals, "Fn::And": _and, "Fn::Or": _or, "Fn::Not": _not}
