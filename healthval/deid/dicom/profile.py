"""Table of the confidentiality profile: the action of each attribute under a policy.

`data/profile.csv` contains DICOM PS3.15 Table E.1-1 (editions 2024b and 2026c) and healthval's
additions for identifying attributes that the table does not list (edition "healthval").
`data/types.csv` contains the attribute types of PS3.3, which decide between X, Z and D.
"""

import csv
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Literal

from healthval.deid.policy import Option, Policy
from healthval.files import packaged_text

EDITION = "2026c"
Action = Literal["X", "Z", "D", "U", "K", "C"]
_STORAGE = "1.2.840.10008.5.1.4."
_DATE_VRS = frozenset({"DA", "TM", "DT"})
_MEANING = {
    "X": "removed",
    "Z": "emptied",
    "D": "replaced by a dummy",
    "U": "replaced by a keyed UID",
    "K": "kept",
    "C": "cleaned",
    "X/Z/U*": "kept with its UIDs replaced",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Row of the table: `tag` has 8 hexadecimal digits, x for any digit, or is "odd" (private)."""

    tag: str
    keyword: str
    vr: str
    action: str
    options: tuple[tuple[Option, str], ...]
    edition: str

    @property
    def is_longitudinal(self) -> bool:
        """Whether the option to modify dates changes this attribute."""
        return any(option is Option.RETAIN_MODIFIED_DATES for option, _ in self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Action of one attribute under a policy, and the option that decides it."""

    tag: str
    keyword: str
    action: str
    meaning: str
    because: str


def read_data(name: str) -> str:
    """Text of a file in `healthval/deid/data`."""
    return packaged_text(f"deid/data/{name}", encoding="ascii")


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """All rows, sorted by tag; the rule of private attributes is last."""
    text = read_data("profile.csv")
    names, *rows = csv.reader(text.splitlines())
    assert names == [field.name for field in fields(Rule)]  # noqa: S101  our own file
    return tuple(
        Rule(
            tag=tag,
            keyword=keyword,
            vr=vr,
            action=action,
            options=_options(options),
            edition=edition,
        )
        for tag, keyword, vr, action, options, edition in rows
    )


@lru_cache(maxsize=128)
def _options(text: str) -> tuple[tuple[Option, str], ...]:
    return tuple((Option(o), a) for o, a in (p.split("=") for p in text.split()))


@lru_cache(maxsize=1)
def rules_by_tag() -> dict[int, Rule]:
    """Rows of single attributes by tag."""
    return {int(r.tag, 16): r for r in rules() if "x" not in r.tag and r.tag != "odd"}


def read_table() -> None:
    """Read the table and the types now, so that forked workers share them."""
    rules_by_tag()
    _types()


@lru_cache(maxsize=1)
def _types() -> dict[tuple[str, str], tuple[tuple[int, frozenset[str]], ...]]:
    text = read_data("types.csv")
    table: dict[tuple[str, str], tuple[tuple[int, frozenset[str]], ...]] = {}
    for row in csv.DictReader(text.splitlines()):
        key = (row["keyword"], row["within"])
        classes = frozenset(_STORAGE + suffix for suffix in row["sop_classes"].split())
        table[key] = (*table.get(key, ()), (int(row["type"]), classes))
    return table


def attribute_type(keyword: str, within: str, sop_class: str) -> int:
    """Type of an attribute: 1 (value needed), 2 (may be empty) or 3 (optional or not in the IOD).

    Parameters
    ----------
    keyword : the attribute
    within : keyword of the enclosing sequence, "" at the root
    sop_class : SOP Class UID of the object; used at the root only
    """
    for kind, classes in _types().get((keyword, within), ()):
        if not classes or sop_class in classes:
            return kind
    return 3


def choose(action: str, kind: int) -> str:
    """Choose one of X/Z, X/D, Z/D or X/Z/D: the most thorough that keeps the object conformant.

    Examples
    --------
    >>> choose("X/Z/D", 3), choose("X/Z/D", 2), choose("X/D", 2), choose("X/Z", 1)
    ('X', 'Z', 'D', 'Z')
    """
    if "/" not in action or "U*" in action:
        return action
    enough = {1: ("D",), 2: ("Z", "D"), 3: ("X", "Z", "D")}[kind]
    possible = action.split("/")
    return next((a for a in enough if a in possible), possible[-1])


def resolve(rule: Rule, policy: Policy) -> tuple[str, str]:
    """Return the action of a row under a policy, and the option responsible ("profile" if none).

    If two options apply, cleaning has priority over keeping: a calibration date that is kept with
    the device identity is still shifted when dates are shifted.
    """
    chosen = [(action, option) for option, action in rule.options if option in policy.options]
    if not chosen:
        return rule.action, "profile" if rule.edition != "healthval" else "healthval"
    action, option = min(chosen)
    return action, option.value


def explain(policy: Policy) -> list[Explanation]:
    """List the action of each attribute under `policy`; the table of the docs is made from it."""
    rows = []
    for rule in rules():
        action, because = resolve(rule, policy)
        row = Explanation(
            tag=_printed(rule.tag),
            keyword=rule.keyword,
            action=action,
            meaning=_meaning(rule, action),
            because=because,
        )
        rows.append(row)
    return rows


def markdown() -> str:
    """Table of the documentation: the basic profile, and the changes by each option."""
    head = "| tag | attribute | basic profile | with an option |\n| --- | --- | --- | --- |\n"
    lines = []
    for row, rule in zip(explain(Policy()), rules(), strict=True):
        changes = ", ".join(
            f"{option}: {_meaning(rule, action)}" for option, action in rule.options
        )
        ours = " (ours)" if rule.edition == "healthval" else ""
        lines.append(f"| {row.tag} | {row.keyword}{ours} | {row.meaning} | {changes} |\n")
    return head + "".join(lines)


def _printed(tag: str) -> str:
    return "(odd,any)" if tag == "odd" else f"({tag[:4]},{tag[4:]})"


def _meaning(rule: Rule, action: str) -> str:
    if rule.keyword == "PatientID":
        return "replaced by a keyed pseudonym"
    if action == "C" and (rule.vr in _DATE_VRS):
        return "shifted by the patient's offset"
    if "/" in action and action not in _MEANING:
        words = {"X": "removed", "Z": "emptied", "D": "replaced by a dummy"}
        return ", ".join(words[a] for a in action.split("/")) + ": by its type in the IOD"
    return _MEANING[action]
