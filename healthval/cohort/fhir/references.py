"""References between resources of an export, resolved in any order of entries and files.

Sources: FHIR R4, Bundle, "Resolving references in Bundles"; References, "Logical references".
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Resource = dict[str, Any]
_OWNERS = ("subject", "patient")
_CONDITIONAL = "Patient?identifier="


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A resource, with its address and the number of its Bundle, if it is in one.

    `deep` is False if the text of the resource contains no ``urn:`` reference.
    """

    resource: Resource
    address: object = None
    bundle: int | None = None
    deep: bool = True


@dataclass
class References:
    """Addresses and patients of a stream of entries.

    A resource whose references cannot be resolved yet is kept until the end of its Bundle, and then,
    compressed, until the end of the stream. An address or identifier that names two resources
    resolves nothing.
    """

    _addresses: dict[str, str | None] = field(default_factory=dict)
    _own: dict[str, str | None] = field(default_factory=dict)
    _identifiers: dict[tuple[str | None, str], str | None] = field(default_factory=dict)
    _patients: set[str] = field(default_factory=set)

    def resolved(self, entries: Iterable[Entry]) -> Iterator[Resource]:
        """Yield the resources with references of the form ``Type/id`` where they can be resolved."""
        waiting: list[Resource] = []
        later: list[bytes] = []
        bundle: int | None = None
        for entry in entries:
            if entry.bundle != bundle:
                yield from self._after_bundle(waiting, later)
                waiting, bundle, self._own = [], entry.bundle, {}
            self._note(entry)
            if self._is_settled(entry.resource, self._own, deep=entry.deep):
                yield entry.resource
            else:
                waiting.append(entry.resource)
        yield from self._after_bundle(waiting, later)
        for packed in later:
            resource = json.loads(zlib.decompress(packed))
            self._is_settled(resource, self._addresses, deep=True, last=True)
            yield resource

    def _after_bundle(self, waiting: list[Resource], later: list[bytes]) -> Iterator[Resource]:
        for resource in waiting:
            if self._is_settled(resource, self._own, deep=True):
                yield resource
            else:
                later.append(zlib.compress(json.dumps(resource).encode(), 1))

    def _note(self, entry: Entry) -> None:
        resource, address = entry.resource, entry.address
        if isinstance(address, str) and resource.get("id") is None and address.startswith("urn:"):
            resource["id"] = address.rpartition(":")[2]
        if not isinstance(resource.get("id"), str):
            return
        target = f"{resource['resourceType']}/{resource['id']}"
        if isinstance(address, str) and not f"/{address}".endswith(f"/{target}"):
            _name_once(self._own, address, target)
            _name_once(self._addresses, address, target)
        if resource["resourceType"] == "Patient":
            self._patients.add(resource["id"])
            for identifier in _list(resource.get("identifier")):
                if (key := _identifier(identifier)) is not None:
                    _name_once(self._identifiers, key, target)
                    _name_once(self._identifiers, (None, key[1]), target)

    def _is_settled(
        self,
        resource: Resource,
        addresses: Mapping[str, str | None],
        *,
        deep: bool,
        last: bool = False,
    ) -> bool:
        """Rewrite the open references of a resource in place; False if one is still open."""
        settled = True
        for node in _open_references(resource, deep=deep):
            target = addresses.get(str(node.get("reference")))
            if target is None and last:
                target = self._patient(node)
            if target is None:
                settled = False
            else:
                node["reference"] = target
        return settled

    def _patient(self, node: Mapping[str, Any]) -> str | None:
        """Patient named by a logical identifier, or by an id that is written as an address."""
        reference = node.get("reference")
        key: tuple[str | None, str] | None
        if node.get("type") not in (None, "Patient"):
            return None
        if not isinstance(reference, str):
            key = _identifier(node.get("identifier"))
        elif reference.startswith(_CONDITIONAL):
            system, bar, value = unquote(reference.removeprefix(_CONDITIONAL)).partition("|")
            key = (system if bar else None, value if bar else system)  # without "|": any system
        else:
            key, name = None, reference.rpartition(":")[2]
            if name in self._patients:
                return f"Patient/{name}"
        return self._identifiers.get(key) if key else None


def is_open(node: object) -> bool:
    """Whether a reference names its target by other means than ``Type/id``."""
    if not isinstance(node, dict):
        return False
    reference = node.get("reference")
    if not isinstance(reference, str):
        return reference is None and isinstance(node.get("identifier"), dict)
    return reference.startswith(("urn:", _CONDITIONAL))


def owner(resource: Mapping[str, Any]) -> dict[str, Any] | None:
    """Reference to the patient of a resource, or None."""
    for name in _OWNERS:
        if isinstance(found := resource.get(name), dict):
            return found
    return None


def _open_references(resource: Resource, *, deep: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        resource[name] for name in _OWNERS if is_open(resource.get(name))
    ]
    todo: list[Any] = [resource] if deep else []
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            reference = node.get("reference")
            if isinstance(reference, str) and reference.startswith("urn:"):
                found.append(node)
            todo += [value for value in node.values() if isinstance(value, (dict, list))]
        else:
            todo += [value for value in node if isinstance(value, (dict, list))]
    return found


def _name_once(names: dict[Any, str | None], key: Any, target: str) -> None:
    if names.setdefault(key, target) != target:
        names[key] = None


def _identifier(value: object) -> tuple[str, str] | None:
    if not isinstance(value, dict) or not isinstance(value.get("value"), str):
        return None
    return str(value.get("system") or ""), value["value"]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
