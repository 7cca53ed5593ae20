"""What the audit reads: a file, its bytes or a data set, as encoded bytes with their leaves.

Shares no code with the engine.
"""

import io
import mmap
import zlib
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Final, Protocol

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataset import Dataset

from healthval.deid.audit.memory_source import Gathered
from healthval.deid.audit.reader import CHARSET, Leaf, Reader
from healthval.errors import UsageError

_PIXEL_GROUP: Final = (b"\xe0\x7f", b"\x7f\xe0")
_SYNTAX: Final = b"\x02\x00\x10\x00UI"
_IMPLICIT, _BIG, _DEFLATED = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99"
_GE_BIG = b"1.2.840.113619.5.2"


class _Located(Protocol):
    """Locates the values of a data set, all or those of some tags."""

    def __call__(self, *, only: frozenset[int] | None) -> Reader | Gathered: ...


class Encoded:
    """Bytes before the data set (preamble, meta), and those of the data set but for its pixels.

    `pixels` is a buffer, where the bytes of the pixels start in it and where they end, None if
    there are none. Values are located when they are first asked for, all or those of `only`.
    """

    def __init__(
        self, data: Any, located: _Located, *, start: int = 0, only: frozenset[int] | None = None
    ) -> None:
        self.preamble = b""
        self.meta: Encoded | None = None
        self.pixels: tuple[Any, int, int] | None = None
        self._data, self._start = data, start
        self._locate, self._only = located, only

    @cached_property
    def _reader(self) -> Reader | Gathered:
        return self._locate(only=self._only)

    @cached_property
    def _outline(self) -> Reader | Gathered:
        """Where the pixels are; most outputs hold nothing that is worth locating every value."""
        return self._reader if self._only is not None else self._locate(only=frozenset())

    def find_pixels(self) -> None:
        """Locate the pixels within the bytes."""
        if self._outline.pixels is not None:
            self.pixels = (self._data, *self._outline.pixels[1:])

    @property
    def leaves(self) -> list[Leaf]:
        """Every value that is no sequence."""
        return self._reader.leaves

    @cached_property
    def header(self) -> bytes:
        """Everything but the pixels, to search in."""
        data, start = self._data, self._start
        if isinstance(data, bytes) and not any(group in data for group in _PIXEL_GROUP):
            return data[start:]
        if self._outline.pixels is None:
            return bytes(data[start:])
        at, _, end = self._outline.pixels
        return bytes(data[start:at]) + b"\xff" + bytes(data[end:])

    def rest(self) -> list[str]:
        """Bytes behind the point where they stopped making sense, in every likely reading."""
        at = self._reader.stopped
        return [] if at is None else _readings(bytes(self._data[at:]), b"")

    @property
    def codecs(self) -> tuple[str, ...]:
        """Python codecs of the character sets at every depth."""
        return _all_codecs(frozenset([leaf.charset for leaf in self.leaves]))

    def value(self, leaf: Leaf) -> bytes:
        """Return the bytes of a value."""
        return bytes(self._data[leaf.start : leaf.end])

    def text(self, leaf: Leaf) -> str:
        """Decode a value with the nearest character set; latin-1 where it fails."""
        return _decoded(self.value(leaf), leaf.charset)

    def readings(self, leaf: Leaf) -> list[str]:
        """Decode a value as `text` does, and in every other likely way."""
        return _readings(self.value(leaf), leaf.charset)


def _decoded(value: bytes, charset: bytes) -> str:
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    try:
        return decode_bytes(value, _codecs(charset), {0x5E, 0x3D, 0x5C})
    except (LookupError, ValueError):
        return value.decode("latin-1")


def _readings(value: bytes, charset: bytes) -> list[str]:
    """Decode as declared, as UTF-8, and without the escapes that a declared set demands."""
    declared = _decoded(value, charset)
    if value.isascii():
        return [declared]
    found = {declared: None}
    for codec in ("utf-8", *_codecs(charset)):
        with suppress(ValueError, LookupError):
            found[value.decode(codec)] = None
    return list(found)


def encode(thing: Any, only: frozenset[int] | None = None) -> Encoded:
    """Bring a path, bytes, a data set or an object with `.dataset` into encoded form."""
    thing = getattr(thing, "dataset", thing)
    if isinstance(thing, Dataset):
        try:
            return _of_dataset(thing, only)
        except Exception:
            raise UsageError("a data set to audit cannot be encoded; write it first") from None
    if isinstance(thing, (bytes, bytearray, memoryview)):
        found = of_file(bytes(thing), only)
        found.find_pixels()
        return found
    try:
        with Path(thing).open("rb") as file:
            if not file.seek(0, io.SEEK_END):
                return of_file(b"")
            found = of_file(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), only)
    except OSError:
        raise UsageError("a file to audit cannot be read") from None
    found.find_pixels()
    return found


def _of_dataset(dataset: Dataset, only: frozenset[int] | None) -> Encoded:
    found = _of_values(Gathered(dataset, _with_charset(only)))
    found.preamble = bytes(getattr(dataset, "preamble", None) or b"")
    meta = getattr(dataset, "file_meta", None)
    if meta is not None:
        found.meta = _of_values(Gathered(meta))
    return found


def _of_values(values: Gathered) -> Encoded:
    found = Encoded(values.data, lambda *, only: values)
    if values.frames:
        found.pixels = (values.frames, 0, len(values.frames))
    return found


def _with_charset(only: frozenset[int] | None) -> frozenset[int] | None:
    return None if only is None else only | {CHARSET}


def of_file(data: Any, only: frozenset[int] | None = None) -> Encoded:
    """Read an encoded file, with or without preamble and meta, in any transfer syntax.

    With `only`, just names, dates and these tags are located: enough for a source.
    """
    start = 132 if data[128:132] == b"DICM" else 0
    body, syntax = _after_meta(data, start)
    implicit, little = _encoding(data, body, syntax)
    preamble, meta = bytes(data[:start]), bytes(data[start:body])
    if syntax == _DEFLATED:
        data, body = _inflated(data[body:]), 0
    wanted = _with_charset(only)
    read = partial(Reader, data, implicit=implicit, little=little, start=body)
    found = Encoded(data, read, start=body, only=wanted)
    found.preamble = preamble
    found.meta = Encoded(meta, partial(Reader, meta, implicit=False, little=True))
    return found


@lru_cache(maxsize=256)
def _all_codecs(charsets: frozenset[bytes]) -> tuple[str, ...]:
    return tuple(sorted({codec for charset in charsets for codec in _codecs(charset)}))


@lru_cache(maxsize=256)
def _codecs(charset: bytes) -> list[str]:
    terms = [term.strip(" \0") for term in charset.decode("latin-1").split("\\")]
    try:
        return convert_encodings(terms) if any(terms) else ["iso8859"]
    except (LookupError, ValueError):
        return ["iso8859"]


def _after_meta(data: Any, at: int) -> tuple[int, bytes]:
    syntax = b""
    while data[at : at + 2] == b"\2\0" and at + 8 <= len(data):
        long = data[at + 4 : at + 6] in (b"OB", b"UN", b"UT", b"OW", b"SQ")
        size = int.from_bytes(data[at + 8 : at + 12] if long else data[at + 6 : at + 8], "little")
        value = at + (12 if long else 8)
        if data[at : at + 6] == _SYNTAX:
            syntax = bytes(data[value : value + size]).strip(b" \0")
        at = value + size
    return min(at, len(data)), syntax


def _encoding(data: Any, at: int, syntax: bytes) -> tuple[bool, bool]:
    if syntax:
        return syntax in (_IMPLICIT, _GE_BIG), syntax != _BIG
    vr = bytes(data[at + 4 : at + 6])
    explicit = vr.isalpha() and vr.isupper()
    return not explicit, not (explicit and int.from_bytes(data[at : at + 2], "little") >= 1024)


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data, -zlib.MAX_WBITS)
    except zlib.error:
        return b""
