"""Pieces of a stream that are kept, and the error for a stream that cannot be parsed."""

from collections.abc import Iterable
from typing import Any, Final

Buffer = Any  # bytes, memoryview or mmap
Pieces = list[Buffer]
ZEROS: Final = bytes(1 << 16)


class BadStreamError(Exception):
    """Bytes of a frame that do not follow the standard of its transfer syntax."""


def check(fact: object) -> None:
    """Raise `BadStreamError` unless a fact is true."""
    if not fact:
        raise BadStreamError


def number(data: Buffer, at: int, size: int) -> int:
    """Return the big endian number at an offset."""
    check(at >= 0 and at + size <= len(data))
    return int.from_bytes(data[at : at + size], "big")


def is_zero(data: Buffer) -> bool:
    """Whether all bytes are zero."""
    return not any(data) if len(data) < 64 else bytes(data).count(0) == len(data)


def size_of(pieces: Iterable[Buffer]) -> int:
    """Bytes of all pieces."""
    return sum(map(len, pieces))


def zeros(size: int) -> Pieces:
    """Pieces of zeros, without an allocation of their whole size."""
    full, rest = divmod(size, len(ZEROS))
    return [*([ZEROS] * full), memoryview(ZEROS)[:rest]]
