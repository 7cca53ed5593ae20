"""Loops of CloudFormation's language extensions (``Fn::ForEach``), written out."""

import itertools
from typing import Any

from healthval.cloud.audit.template import MAX_NODES

LOOP = "Fn::ForEach"


def write_out(node: Any) -> Any:
    """Replace every loop over a literal list by its entries; other loops stay as they are."""
    if isinstance(node, list):
        return [write_out(child) for child in node]
    if not isinstance(node, dict):
        return node
    entries: dict[str, Any] = {}
    for key, child in node.items():
        made = _turns(child) if str(key).startswith(f"{LOOP}::") else None
        if made is None:
            entries[key] = write_out(child)
        elif set(made) & (set(node) | set(entries)):
            entries[key] = child  # it would replace another entry: left as it is, and reported
        else:
            entries.update(made)
    return entries


def _turns(loop: Any) -> dict[str, Any] | None:
    if not isinstance(loop, list) or len(loop) != 3:
        return None
    name, turns, body = loop
    literal = isinstance(turns, list) and all(isinstance(turn, (str, int)) for turn in turns)
    if not literal or not isinstance(body, dict):
        return None
    # The inner loops first: their names may contain the outer variable, their lists may not.
    if len(turns) * _size(inner := write_out(body)) > MAX_NODES:
        return None
    each = [write_out(_with(inner, str(name), str(turn))) for turn in turns]
    made = dict(itertools.chain.from_iterable(entry.items() for entry in each))
    return made if len(made) == sum(map(len, each)) else None


def _size(node: Any) -> int:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return 1 + sum(map(_size, children))


def _with(node: Any, name: str, turn: str) -> Any:
    if isinstance(node, str):
        return node.replace(f"${{{name}}}", turn).replace(f"&{{{name}}}", turn)
    if isinstance(node, list):
        return [_with(child, name, turn) for child in node]
    if not isinstance(node, dict):
        return node
    if node == {"Ref": name}:
        return turn
    return {_with(key, name, turn): _with(child, name, turn) for key, child in node.items()}
