"""Files of a bulk export: decompressed while they arrive, checked and counted line by line."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_GZIP = b"\x1f\x8b"


class TruncatedGzipError(Exception):
    """A compressed file that ends too early, or is broken."""


@dataclass(kw_only=True)
class Content:
    """Counts of one NDJSON file.

    Attributes
    ----------
    types : resources by type
    remarks : issues of OperationOutcomes by severity and code
    deletions : deletions in Bundles
    """

    types: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    deletions: int = 0


def read_content(path: Path) -> Content | None:
    """Count the resources of a file; None if a line is not a whole JSON object."""
    found = Content()
    with path.open("rb") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                resource = json.loads(line)
            except ValueError:
                return None
            if not isinstance(resource, dict):
                return None
            kind = resource.get("resourceType")
            found.types[kind if isinstance(kind, str) else "unknown"] += 1
            if kind == "OperationOutcome":
                found.remarks.update(_severities(resource))
            elif kind == "Bundle":
                found.deletions += sum(map(_deletes, _list(resource.get("entry"))))
    return found


def unpacked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress a stream that begins like gzip; yield any other one as it is.

    Raises
    ------
    TruncatedGzipError
        If the compressed stream is broken, or ends before its last member does.
    """
    start = b""
    for block in blocks:
        start += block
        if len(start) >= len(_GZIP):
            break
    if not start.startswith(_GZIP):
        yield start
        yield from blocks
        return
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for block in _again(start, blocks):
        rest = block
        while rest:
            if reader.eof:
                reader = zlib.decompressobj(16 + zlib.MAX_WBITS)  # the next member
            try:
                yield reader.decompress(rest)
            except zlib.error:
                raise TruncatedGzipError from None
            rest = reader.unused_data
    if not reader.eof:
        raise TruncatedGzipError


def _again(start: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from blocks


def _severities(outcome: dict[str, Any]) -> list[str]:
    known = [issue for issue in _list(outcome.get("issue")) if isinstance(issue, dict)]
    return [f"{_word(i.get('severity'))} {_word(i.get('code'))}" for i in known] or [
        "error unknown"
    ]


def _word(value: object) -> str:
    return value if isinstance(value, str) and value.replace("-", "").isalpha() else "unknown"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _deletes(entry: object) -> bool:
    request = entry.get("request") if isinstance(entry, dict) else None
    return isinstance(request, dict) and request.get("method") == "DELETE"
