"""FHIR resources read from files: NDJSON and Bundles, both also packed, one resource at a time.

One line, or one entry of a Bundle, is in memory at a time. Error messages name a file by its number
in order of name, because exports often name files after patients.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from healthval.cohort.fhir.files import SUFFIXES, UNREADABLE, find_files, has_lines, opened
from healthval.cohort.fhir.r4 import check_r4
from healthval.cohort.fhir.references import Entry, References
from healthval.errors import CohortError, counted

MAX_RESOURCE_BYTES = 16 * 1024 * 1024
_CHUNK = 1 << 16
_SPACE = re.compile(r"[\ufeff \t\r\n]*")


class Resources:
    """Resources of files, one at a time.

    Attributes
    ----------
    files_not_read : files of the folder whose names are not those of FHIR files
    """

    def __init__(self, files: list[Path], files_not_read: tuple[Path, ...]) -> None:
        self.files_not_read = files_not_read
        self._stream = References().resolved(_entries(files))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._stream

    def __next__(self) -> dict[str, Any]:
        return next(self._stream)


def read_resources(source: str | Path) -> Resources:
    """Read the R4 resources of a file, or of a folder and its subfolders in order of path.

    References to an address of a Bundle's entry, or to a patient by an identifier that only one
    patient has, are rewritten to type and id, whatever the order of entries and files. Bundles
    inside Bundles and in lines are unpacked.

    Raises
    ------
    CohortError
        If a file is absent, empty, truncated or not JSON, or if a resource is too large, is not R4,
        or has contained resources that refer to each other in a circle. Names file and line, and
        quotes no content.
    """
    files, others = find_files(Path(source))
    if not files:
        raise CohortError(
            f"no FHIR file found; give a file, or a folder with files that end in {SUFFIXES}"
        )
    return Resources(files, tuple(others))


def resolved_resources(resources: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Unpack Bundles of a stream and resolve references, as `read_resources` does."""
    bundles = count()
    entries = (
        entry
        for n, resource in enumerate(resources)
        for entry in _unpacked(Entry(resource=dict(resource)), bundles, f"resource {n}")
    )
    return References().resolved(entries)


def _entries(files: list[Path]) -> Iterator[Entry]:
    bundles = count()
    for number, file in enumerate(files, 1):
        yield from _read_file(file, f"file {number} of {len(files)}", bundles)


def _read_file(path: Path, place: str, bundles: Iterator[int]) -> Iterator[Entry]:
    try:
        with opened(path) as file:
            yield from (
                _lines(file, place, bundles) if has_lines(path) else _document(file, place, bundles)
            )
    except UNREADABLE:
        raise CohortError(f"{place} is truncated or cannot be read; export it again") from None


def _unpacked(entry: Entry, bundles: Iterator[int], place: str) -> Iterator[Entry]:
    """Yield the entry, or the entries of the Bundle that it contains."""
    if entry.resource.get("resourceType") != "Bundle":
        yield entry
        return
    bundle = next(bundles)
    entries = entry.resource.get("entry") or []
    if not isinstance(entries, list):
        raise CohortError(f"{place}: 'entry' of a Bundle is not a list; export it again")
    for number, value in enumerate(entries, 1):
        yield from _unpacked(_entry(value, bundle, f"{place}, entry {number}"), bundles, place)


def _entry(value: Any, bundle: int, place: str) -> Entry:
    resource = value.get("resource") if isinstance(value, dict) else None
    if resource is None:
        raise CohortError(f"{place} of the Bundle has no resource; remove it")
    checked = check_r4(resource, place)
    return Entry(resource=checked, address=value.get("fullUrl"), bundle=bundle)


def _lines(file: Any, place: str, bundles: Iterator[int]) -> Iterator[Entry]:
    number = 0
    while line := file.readline(MAX_RESOURCE_BYTES + 1):
        number += 1
        if len(line) > MAX_RESOURCE_BYTES:
            raise CohortError(_too_large(f"{place}, line {number}"))
        if not line.strip():
            continue
        try:
            resource = json.loads(line)
        except (ValueError, RecursionError):
            n_broken = 1 + sum(1 for rest in file if not _is_json(rest))
            raise CohortError(
                f"{place}: {counted(n_broken, 'line is', 'lines are')} not JSON (first at line "
                f"{number}); export it again"
            ) from None
        checked = check_r4(resource, f"{place}, line {number}")
        entry = Entry(resource=checked, deep=b'"urn:' in line)
        yield from _unpacked(entry, bundles, f"{place}, line {number}")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line or b"null")
    except (ValueError, RecursionError):
        return not line.strip()
    return True


def _too_large(place: str) -> str:
    limit = MAX_RESOURCE_BYTES // 2**20
    return f"{place}: a resource is larger than {limit} MB; remove its attachments and export again"


def _document(file: Any, place: str, bundles: Iterator[int]) -> Iterator[Entry]:
    """Yield one resource, or the entries of one Bundle as they are read."""
    whole: dict[str, Any] = {}
    number, bundle = 0, next(bundles)
    for key, value in _Members(file, place):
        if key != "entry":
            whole[key] = value
            continue
        number += 1
        entry = _entry(value, bundle, f"{place}: entry {number}")
        yield from _unpacked(entry, bundles, place)
    if not number and whole.get("resourceType") != "Bundle":
        yield Entry(resource=check_r4(whole, place))


class _Members:
    """Members of a JSON object in a stream; the items of the array ``entry`` one by one."""

    def __init__(self, file: Any, place: str) -> None:
        self._text = (c for c in iter(lambda: file.read(_CHUNK), b""))
        self._place = place
        self._buffer = ""
        self._at = 0
        self._decode = json.JSONDecoder().raw_decode
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        if self._next() == "[":
            raise CohortError(
                f"{self._place} is a JSON list; write a Bundle, or NDJSON with one resource a line"
            )
        self._take("{")
        if self._next() == "}":
            return
        while True:
            key = self._value()
            self._take(":")
            if key == "entry" and self._next() == "[":
                yield from (("entry", item) for item in self._items())
            else:
                yield key, self._value()
            if self._separator("}"):
                break
        if self._next():
            raise self._broken()

    def _items(self) -> Iterator[Any]:
        self._take("[")
        if self._next() == "]":
            self._take("]")
            return
        while True:
            yield self._value()
            if self._separator("]"):
                return

    def _separator(self, end: str) -> bool:
        found = self._next()
        self._take(found if found in {",", end} and found else ",")
        return found == end

    def _more(self, size: int = 1) -> bool:
        """Read at least `size` more characters, or up to the end; False at the end of the file."""
        parts = [self._buffer[self._at :]]
        self._at, added = 0, 0
        chunk: bytes | None = b""
        while added < size and chunk is not None:
            chunk = next(self._text, None)
            try:
                parts.append(self._utf8.decode(chunk or b"", final=chunk is None))
            except UnicodeDecodeError:
                raise self._broken() from None
            added += len(parts[-1])
        self._buffer = "".join(parts)
        return added > 0

    def _next(self) -> str:
        while True:
            self._at = _SPACE.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._buffer) or not self._more():
                return self._buffer[self._at : self._at + 1]

    def _take(self, symbol: str) -> None:
        if self._next() != symbol:
            raise self._broken()
        self._at += 1

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = self._decode(self._buffer, self._at)
            except (ValueError, RecursionError):
                if len(self._buffer) - self._at > MAX_RESOURCE_BYTES:
                    raise CohortError(_too_large(self._place)) from None
                # Parse again only after the text has doubled, which keeps the time linear.
                if not self._more(len(self._buffer) - self._at):
                    raise self._broken() from None
            else:
                if end == len(self._buffer) and self._more():  # a number may continue
                    continue
                self._at = end
                return value

    def _broken(self) -> CohortError:
        return CohortError(f"{self._place} is truncated or not JSON; export it again")


def refuse_conflicts(
    resources: Iterable[Mapping[str, Any]], types: Collection[str] | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield each resource once; skip exact repetitions. Needs 32 bytes of memory per resource.

    Parameters
    ----------
    types : resource types that are compared, all by default

    Raises
    ------
    CohortError
        At the end of the stream, if an id has different contents; reports the number of such ids.
    """
    seen: dict[bytes, bytes] = {}
    conflicts: set[bytes] = set()
    first = 0
    for position, resource in enumerate(resources):
        if types is not None and resource.get("resourceType") not in types:
            yield resource
            continue
        name = f"{resource.get('resourceType')}/{resource.get('id')}"
        key = hashlib.blake2b(name.encode(), digest_size=16).digest()
        body = json.dumps(resource, sort_keys=True).encode()
        content = hashlib.blake2b(body, digest_size=16).digest()
        if resource.get("id") is None or seen.setdefault(key, content) is content:
            yield resource
        elif seen[key] != content:
            first = first if conflicts else position
            conflicts.add(key)
    if conflicts:
        raise CohortError(
            f"{counted(len(conflicts), 'resource id has', 'resource ids have')} different contents "
            f"(first at resource {first}); export again, or keep one version of each"
        )
