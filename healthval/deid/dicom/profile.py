"""The profile's table, read once: which action each attribute has under a policy.

`data/profile.csv` holds the facts of DICOM PS3.15 Table E.1-1 (editions 2024b and 2026c) and our
own additions for attributes the table forgets (edition "healthval"); `data/types.csv` the attribute
types of PS3.3 that decide between X, Z and D.
"""

import csv
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources
from typing import Literal

from healthval.deid.policy import Option, Policy

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


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: `tag` is 8 hexadecimal digits, where x stands for any, or "odd" for private."""

    tag: str
    keyword: str
    vr: str
    action: str
    options: tuple[tuple[Option, str], ...]
    edition: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happens to one attribute under a policy, and which option says so."""

    tag: str
    keyword: str
    action: str
    meaning: str
    because: str


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """All rows, sorted by tag; the private rule comes last."""
    text = resources.files("healthval.deid").joinpath("data/profile.csv").read_text("ascii")
    names, *rows = csv.reader(text.splitlines())
    assert names == [field.name for field in fields(Rule)]  # noqa: S101  our own file
    return tuple(
        Rule(tag, keyword, vr, action, _options(options), edition)
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
    """Read the table and the types now rather than with the first object."""
    rules_by_tag()
    _types()


@lru_cache(maxsize=1)
def _types() -> dict[tuple[str, str], tuple[tuple[int, frozenset[str]], ...]]:
    text = resources.files("healthval.deid").joinpath("data/types.csv").read_text("ascii")
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
    within : keyword of the sequence it stands in, "" at the root
    sop_class : SOP Class UID of the object; matters at the root only
    """
    for kind, classes in _types().get((keyword, within), ()):
        if not classes or sop_class in classes:
            return kind
    return 3


def choose(action: str, kind: int) -> str:
    """Settle X/Z, X/D, Z/D or X/Z/D: the most thorough that keeps the object conformant.

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
    """Settle the action of a row under a policy, and the option responsible ("profile" if none).

    Where two options speak, cleaning wins over keeping: a calibration date kept for the device is
    still shifted when dates are.
    """
    chosen = [(action, option) for option, action in rule.options if option in policy.options]
    if not chosen:
        return rule.action, "profile" if rule.edition != "healthval" else "healthval"
    action, option = min(chosen)
    return action, option.value


def explain(policy: Policy) -> list[Explanation]:
    """List what happens to each attribute under `policy`; the docs' table is made from this."""
    rows = []
    for rule in rules():
        action, because = resolve(rule, policy)
        rows.append(
            Explanation(_printed(rule.tag), rule.keyword, action, _meaning(rule, action), because)
        )
    return rows


def markdown() -> str:
    """Write the table of the documentation: the basic profile, and what each option changes."""
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
