"""Pieces of a stream that are kept, and the error for a stream that cannot be parsed."""

from collections.abc import Iterable
from typing import Any, Final

Buffer = Any  # bytes, memoryview or mmap
Pieces = list[Buffer]
Shape = tuple[int, int, int]  # rows, columns and samples per pixel of an image
ZEROS: Final = bytes(1 << 16)


class BadStreamError(Exception):
    """Bytes of a frame that do not follow the standard of its transfer syntax."""


class WrongSizeError(Exception):
    """A frame with other rows, columns or components than the attributes of its image."""


def check_size(found: tuple[int, int, int], shape: Shape | None, *, unknown: int = -1) -> None:
    """Refuse rows, columns and components that are not those of the image.

    A number equal to `unknown` is defined elsewhere in the frame.

    Raises
    ------
    WrongSizeError
        If a number differs.
    """
    if shape and any(a not in (b, unknown) for a, b in zip(found, shape, strict=True)):
        raise WrongSizeError


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
