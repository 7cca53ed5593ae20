"""FHIRPath compiled to closures over plain JSON; fhirpathpy compiles expressions beyond the subset.

The subset contains all that SQL on FHIR v2 requires of view runners, and most of the rest. A closure
takes the context (``$this``, a list) and returns a list; an empty list is FHIRPath's empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from healthval.cohort.fhirpath.dates import DATE_ELEMENTS, boundary
from healthval.cohort.fhirpath.functions import (
    CHOICES,
    FUNCTIONS,
    Env,
    Path,
    any_choice,
    has_type,
    reference_keys,
    type_name,
)
from healthval.cohort.fhirpath.operators import OPERATORS, Items, arithmetic_sign
from healthval.cohort.fhirpath.syntax import (
    Call,
    Literal,
    Member,
    Node,
    Operation,
    Quantity,
    Variable,
    parse,
)
from healthval.errors import ViewError

_LAMBDAS = frozenset({"where", "exists", "all", "select", "repeat", "iif"})


class _OutsideSubset(Exception):
    """The expression needs fhirpathpy."""


def compile_path(text: object, constants: Mapping[str, Any], kind: str | None = None) -> Path:
    """Compile one expression.

    Parameters
    ----------
    constants : values of ``%name``, by name
    kind : declared FHIR type of the result; distinguishes a date from a dateTime

    Raises
    ------
    ViewError
        If the expression is invalid, or uses an undefined constant or an unknown function.
    """
    tree = parse(text)
    try:
        return _Compiler(constants, kind).compile(tree)
    except _OutsideSubset:
        return _compile_by_library(str(text), constants)


class _Compiler:
    def __init__(self, constants: Mapping[str, Any], kind: str | None) -> None:
        self._constants = constants
        self._kind = kind

    def compile(self, node: Node) -> Path:
        match node:
            case Literal(value=value):
                constant: Items = [] if value is None else [_json(value)]
                return lambda _this, _env: constant
            case Variable():
                return self._variable(node.name)
            case Member():
                return self._member(node)
            case Call():
                return self._call(node)
            case Operation():
                return self._operation(node)

    def _variable(self, name: str) -> Path:
        match name:
            case "$this":
                return lambda this, _env: this
            case "$index":
                return lambda _this, env: [env.index]
            case "%rowIndex":
                return lambda _this, env: [env.row]
            case "%resource" | "%context" | "%rootResource":
                return lambda _this, env: [env.resource]
            case "%ucum":
                return lambda _this, _env: ["http://unitsofmeasure.org"]
        if name == "$total":
            raise _OutsideSubset
        if name[1:] not in self._constants:
            raise ViewError("a path uses a constant that the view does not define; define it")
        constant = [self._constants[name[1:]]]
        return lambda _this, _env: constant

    def _member(self, node: Member) -> Path:
        names = [node.name]
        base = node.base
        while isinstance(base, Member):
            names.append(base.name)
            base = base.base
        names.reverse()
        if isinstance(node.base, Member) and node.name == "extension":
            return self._extensions(node.base)
        if base is not None:
            return _walk_from(self.compile(base), tuple(names))
        if names[0][:1].isupper():
            return _walk_from(_of_resource(names[0]), tuple(names[1:]))
        return _walk(tuple(names))

    def _call(self, node: Call) -> Path:
        name, args = node.name, node.args
        base = self.compile(node.base) if node.base is not None else _this
        if name in {"ofType", "as", "is"} and len(args) == 1:
            return self._typed(node.base, type_name(args[0]), test=name == "is")
        if name in {"lowBoundary", "highBoundary"} and not args:
            return _bounded(base, self._moment_kind(node.base), high=name == "highBoundary")
        if name == "getReferenceKey" and len(args) == 1:
            wanted = type_name(args[0])
            return lambda this, env: reference_keys(base(this, env), wanted)
        if name == "getReferenceKey" and not args:
            return lambda this, env: reference_keys(base(this, env), None)
        if name == "extension" and len(args) == 1 and isinstance(node.base, Member):
            base, name = self._extensions(node.base), "where_url"
        return self._function(name, base, args)

    def _function(self, name: str, base: Path, args: tuple[Node, ...]) -> Path:
        if name not in FUNCTIONS or len(args) not in FUNCTIONS[name][0]:
            raise _OutsideSubset
        function: Callable[..., Items] = FUNCTIONS[name][1]
        compiled = [self.compile(arg) for arg in args]
        if name in _LAMBDAS:
            return lambda this, env: function(base(this, env), env, *compiled)
        if not compiled:
            return lambda this, env: function(base(this, env), env)
        return lambda this, env: function(base(this, env), env, *[c(this, env) for c in compiled])

    def _operation(self, node: Operation) -> Path:
        if node.name in {"is", "as"}:
            left, wanted = node.operands
            return self._typed(left, str(getattr(wanted, "value", "")), test=node.name == "is")
        operands = [self.compile(operand) for operand in node.operands]
        if node.name in {"+unary", "-unary"}:
            (operand,) = operands
            sign = -1 if node.name == "-unary" else 1
            return lambda this, env: arithmetic_sign(operand(this, env), sign)
        if node.name not in OPERATORS:
            raise _OutsideSubset
        operator = OPERATORS[node.name]
        first, second = operands
        return lambda this, env: operator(first(this, env), second(this, env))

    def _typed(self, base: Node | None, wanted: str, *, test: bool) -> Path:
        name = wanted.rsplit(".", maxsplit=1)[-1]
        if not isinstance(base, Member) or base.name not in CHOICES:
            items = self.compile(base) if base is not None else _this
            found: Path = lambda this, env: [i for i in items(this, env) if has_type(i, name)]  # noqa: E731
        else:
            parents = self.compile(base.base) if base.base is not None else _this
            found = _choice(parents, base.name, name)
        if not test:
            return found
        everything = self.compile(base) if base is not None else _this
        return lambda this, env: [bool(found(this, env))] if everything(this, env) else []

    def _extensions(self, element: Member) -> Path:
        """Extensions of an element; those of a primitive are in its sibling `_element`."""
        parents = self.compile(element.base) if element.base is not None else _this
        values, siblings = _walk((element.name,)), _walk((f"_{element.name}",))

        def read(this: Items, env: Env) -> Items:
            owners = parents(this, env)
            found = [*values(owners, env), *siblings(owners, env)]
            return [e for o in found if isinstance(o, dict) for e in _as_list(o.get("extension"))]

        return read

    def _moment_kind(self, base: Node | None) -> str | None:
        match base:
            case Call(name="ofType" | "as", args=(wanted,)):
                return type_name(wanted)
            case Operation(name="as", operands=(_, Literal(value=wanted))):
                return str(wanted).split(".")[-1]
            case Member(name=name) if name in DATE_ELEMENTS:
                return "date"
        return self._kind


def _json(value: Any) -> Any:
    """Convert a quantity literal to FHIR's JSON; the library handles calendar durations."""
    if not isinstance(value, Quantity):
        return value
    number, _, unit = value.partition(" ")
    if not unit.startswith("'"):
        raise _OutsideSubset
    return {"value": float(number), "code": unit.strip("'")}


def _this(this: Items, _env: Env) -> Items:
    return this


def _walk(names: tuple[str, ...]) -> Path:
    def walk(this: Items, _env: Env) -> Items:
        items = this
        for name in names:
            found: Items = []
            for item in items:
                if isinstance(item, dict):
                    value = item.get(name)
                    if value is None:
                        if name not in CHOICES:
                            continue
                        value = any_choice(item, name)
                    if isinstance(value, list):
                        found.extend(v for v in value if v is not None)
                    elif value is not None:
                        found.append(value)
            items = found
        return items

    return walk


def _walk_from(base: Path, names: tuple[str, ...]) -> Path:
    if not names:
        return base
    walk = _walk(names)
    return lambda this, env: walk(base(this, env), env)


def _of_resource(name: str) -> Path:
    """Path of a leading type name, as in ``Patient.name``: items of that resource type."""

    def own(this: Items, _env: Env) -> Items:
        if name in {"Resource", "DomainResource"}:
            return this
        return [i for i in this if isinstance(i, dict) and i.get("resourceType") == name]

    return own


def _choice(parents: Path, name: str, wanted: str) -> Path:
    key = name + wanted[:1].upper() + wanted[1:]

    def read(this: Items, env: Env) -> Items:
        found: Items = []
        for parent in parents(this, env):
            if isinstance(parent, dict):
                value = parent.get(key)
                if value is None:
                    found += [v for v in _as_list(parent.get(name)) if has_type(v, wanted)]
                else:
                    found += _as_list(value)
        return found

    return read


def _as_list(value: Any) -> Items:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _bounded(base: Path, kind: str | None, *, high: bool) -> Path:
    def read(this: Items, env: Env) -> Items:
        items = base(this, env)
        if len(items) > 1:
            raise ViewError("a boundary function has several values; use first() or forEach")
        if items and isinstance(items[0], dict):  # a Period
            items = _as_list(items[0].get("end" if high else "start"))
        found = [boundary(item, kind, high=high) for item in items]
        return [f for f in found if f is not None]

    return read


def _compile_by_library(text: str, constants: Mapping[str, Any]) -> Path:
    """Compile an expression beyond the subset (calendar arithmetic ...) with fhirpathpy and R4.

    Raises
    ------
    ViewError
        If fhirpathpy is not installed, or if a function does not exist; fhirpathpy's own messages
        quote data.
    """
    try:
        import fhirpathpy
        from fhirpathpy.models import models
    except ImportError:
        raise ViewError(
            "a path uses FHIRPath beyond the SQL on FHIR subset: pip install fhirpathpy"
        ) from None
    try:
        evaluate = fhirpathpy.compile(text, model=models["r4"])
        evaluate({}, {**constants, "rowIndex": 0})
    except Exception as problem:  # all errors of fhirpathpy are plain exceptions
        if str(problem).startswith("Not implemented"):
            raise ViewError(
                "a path calls a function that does not exist; correct the view"
            ) from None
        evaluate = fhirpathpy.compile(text, model=models["r4"])

    def read(this: Items, env: Env) -> Items:
        try:
            focus: Any = this[0] if len(this) == 1 else this
            found = evaluate(focus, {**constants, "rowIndex": env.row})
        except Exception:
            raise ViewError("a path cannot be evaluated on a resource; correct the view") from None
        return [_plain(value) for value in found]

    return read


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if isinstance(value, (str, int, float, bool, dict, list)) else str(value)
