"""FHIRPath parser: the whole grammar, from text to a small syntax tree; the first error ends it.

Source: FHIRPath N1 (HL7), grammar and operator precedence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from healthval.errors import ViewError


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the expression; an empty collection is None."""

    value: Any


@dataclass(frozen=True, slots=True)
class Variable:
    """A ``%constant``, ``$this``, ``$index`` or ``$total``."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """An element of the base; of the context if the base is None."""

    base: Node | None
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function call on the base; on the context if the base is None."""

    base: Node | None
    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with one or two operands."""

    name: str
    operands: tuple[Node, ...]


Node = Literal | Variable | Member | Call | Operation


class Moment(str):
    """A date, dateTime or time literal, without its ``@``."""

    __slots__ = ()


class Integer64(str):
    """A constant of type integer64, which is text in JSON so that all digits are kept."""

    __slots__ = ()


class Quantity(str):
    """A quantity literal as written."""

    __slots__ = ()


_TOKEN = re.compile(
    r"""(?:\s+|//[^\n]*|/\*.*?\*/)*(?:
      (?P<moment>@(?:T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?
        |\d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?(?:Z|[+-]\d\d:\d\d)?)?))
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<quoted>`(?:[^`\\]|\\.)*`)
    | (?P<variable>\$(?:this|index|total)\b)
    | (?P<constant>%(?:[A-Za-z_][A-Za-z0-9_-]*|`[^`]*`|'[^']*'))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<symbol><=|>=|!=|!~|[.,()\[\]{}+\-*/&|<>=~])
    | (?P<end>$))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f"}
# Binary operators, weakest first; sign, index and invocation bind more strongly.
_PRECEDENCE = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4,
    "=": 5, "~": 5, "!=": 5, "!~": 5, "<": 6, ">": 6, "<=": 6, ">=": 6, "|": 7,
    "is": 8, "as": 8, "+": 9, "-": 9, "&": 9, "*": 10, "/": 10, "div": 10, "mod": 10,
}  # fmt: skip
_CALENDAR = frozenset(
    f"{unit}{s}"
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for s in ("", "s")
)


def parse(text: object) -> Node:
    """Build the syntax tree of one expression.

    Raises
    ------
    ViewError
        If the text is not a FHIRPath expression; names the character.
    """
    if not isinstance(text, str):
        raise ViewError("a path is not text; write a FHIRPath expression")
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def whole(self) -> Node:
        node = self._expression(0)
        if self._kind != "end":
            self._fail()
        return node

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _text(self) -> str:
        return self._tokens[self._at][1]

    def _fail(self) -> None:
        place = self._tokens[self._at][2]
        raise ViewError(f"a path is not valid FHIRPath at character {place + 1}; correct the view")

    def _take(self, symbol: str | None = None) -> str:
        kind, text, _ = self._tokens[self._at]
        if symbol is not None and (kind != "symbol" or text != symbol):
            self._fail()
        self._at += 1
        return text

    def _is(self, symbol: str) -> bool:
        return self._kind == "symbol" and self._text == symbol

    def _expression(self, binding: int) -> Node:
        left = self._unary()
        while self._kind in {"symbol", "word"} and _PRECEDENCE.get(self._text, 0) > binding:
            operator = self._take()
            if operator in {"is", "as"}:
                right: Node = Literal(self._type_name())
            else:
                right = self._expression(_PRECEDENCE[operator])
            left = Operation(operator, (left, right))
        return left

    def _unary(self) -> Node:
        if self._is("-") or self._is("+"):
            return Operation(self._take() + "unary", (self._unary(),))
        return self._invocations()

    def _invocations(self) -> Node:
        node = self._term()
        while self._is(".") or self._is("["):
            if self._take() == "[":
                node = Operation("[]", (node, self._expression(0)))
                self._take("]")
            else:
                node = self._invocation(node)
        return node

    def _invocation(self, base: Node | None) -> Node:
        if self._kind == "variable":
            return Variable(self._take())
        if self._kind not in {"word", "quoted"}:
            self._fail()
        name = self._identifier()
        if not self._is("("):
            return Member(base, name)
        self._take("(")
        args: list[Node] = []
        while not self._is(")"):
            args.append(self._expression(0))
            if not self._is(")"):
                self._take(",")
                if self._is(")"):
                    self._fail()
        self._take(")")
        return Call(base, name, tuple(args))

    def _identifier(self) -> str:
        if self._kind not in {"word", "quoted"}:
            self._fail()
        quoted = self._kind == "quoted"
        text = self._take()
        return _unescape(text[1:-1]) if quoted else text

    def _type_name(self) -> str:
        name = self._identifier()
        if self._is("."):
            self._take(".")
            name = f"{name}.{self._identifier()}"
        return name

    def _term(self) -> Node:
        if self._is("("):
            self._take("(")
            inner = self._expression(0)
            self._take(")")
            return inner
        if self._is("{"):
            self._take("{")
            self._take("}")
            return Literal(None)
        return self._literal() or self._invocation(None)

    def _literal(self) -> Node | None:
        kind, text = self._kind, self._text
        if kind == "number":
            return self._number()
        if kind == "word" and text in {"true", "false"}:
            return Literal(self._take() == "true")
        read = _LITERALS.get(kind)
        return read(self._take()) if read else None

    def _number(self) -> Node:
        number = self._take()
        if self._kind == "string" or (self._kind == "word" and self._text in _CALENDAR):
            return Literal(Quantity(f"{number} {self._take()}"))
        return Literal(float(number) if "." in number else int(number))


def _tokens(text: str) -> list[tuple[str, str, int]]:
    tokens: list[tuple[str, str, int]] = []
    at = 0
    while not tokens or tokens[-1][0] != "end":
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise ViewError(f"a path is not valid FHIRPath at character {at + 1}; correct the view")
        kind = found.lastgroup
        tokens.append((kind, found[kind], found.start(kind)))
        at = found.end()
    return tokens


def _unescape(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", plain, text, flags=re.DOTALL)


_LITERALS: dict[str, Callable[[str], Node]] = {
    "string": lambda text: Literal(_unescape(text[1:-1])),
    "moment": lambda text: Literal(Moment(text[1:].removeprefix("T"))),
    "constant": lambda text: Variable("%" + text[1:].strip("`'")),
}
