"""Inputs of the audit: a file, its bytes or a data set in memory, as bytes with located elements.

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
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from healthval.deid.audit.reader import (
    CHARSET,
    ITEMS,
    NAMES_AND_DATES,
    PIXELS,
    Element,
    Level,
    Reader,
    items_of_unknown,
    vr_of,
)
from healthval.errors import UsageError

_PIXEL_GROUP: Final = (b"\xe0\x7f", b"\x7f\xe0")
_SYNTAX: Final = b"\x02\x00\x10\x00UI"
_IMPLICIT: Final = b"1.2.840.10008.1.2"
_BIG: Final = b"1.2.840.10008.1.2.2"
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_GE_BIG: Final = b"1.2.840.113619.5.2"
_SEPARATOR: Final = b"\xff"
_HEAD: Final = 8  # bytes of tag and length in implicit VR


class DatasetReader:
    """Reader of one data set in memory; results are in `data`, `elements` and `frames`.

    Parameters
    ----------
    only : tags to read besides names, dates and values of unknown VR; by default all are read

    Attributes
    ----------
    data : all values, with a separator between them
    frames : bytes of the pixels, b"" if there are none
    """

    pixels: None = None
    stopped: None = None

    def __init__(self, dataset: Dataset, only: frozenset[int] | None = None) -> None:
        self.frames = b""
        self._only = only
        self._values: list[tuple[tuple[int, ...], str, bytes, bytes]] = []
        self._little = dataset.original_encoding[1] is not False
        self._add_dataset(dataset, (), "iso8859", b"")
        self.data = _SEPARATOR.join([value for _, _, value, _ in self._values])

    @cached_property
    def elements(self) -> list[Element]:
        """Position in `data` of each value."""
        elements, at = list[Element](), 0
        for path, vr, value, charset in self._values:
            elements.append(Element(path, vr, at, at + len(value), charset=charset))
            at += len(value) + len(_SEPARATOR)
        return elements

    def _add_dataset(
        self, dataset: Dataset, path: tuple[int, ...], parent: Any, around: bytes
    ) -> None:
        element: Any
        characters = dataset.get("SpecificCharacterSet", parent)
        charset = _terms(characters) if CHARSET in dataset else around
        only = self._only
        for tag, element in list(dataset.items()):
            if element.is_raw and element.value is None and element.length:
                element = dataset.get_item(tag)  # noqa: PLW2901  deferred when the file was read
            where = (*path, int(tag))
            if tag in PIXELS and not path:
                self.frames += _pixels(element, characters)
            elif element.is_raw:
                vr, value = element.VR or vr_of(tag), element.value or b""
                if vr in ("SQ", "UN"):
                    self._add(value, vr, Level(where, element.is_implicit_VR, charset))
                elif only is None or vr in NAMES_AND_DATES or tag in only:
                    self._values.append((where, vr, value, charset))
            elif element.VR == "SQ":
                for item in element.value:
                    self._add_dataset(item, where, characters, charset)
            else:
                value = _encoded(element, characters, little=self._little)[_HEAD:]
                self._add(value, element.VR, Level(where, implicit=True, charset=charset))

    def _add(self, value: bytes, vr: str, level: Level) -> None:
        if vr == "UN" and value[:4] in ITEMS:
            self._add_items(items_of_unknown(value, level, self._only), level)
        elif vr == "SQ":
            little = value[:2] != ITEMS[1][:2]
            self._add_items(Reader(value, level, little=little, only=self._only), level)
        elif self._only is None or vr in NAMES_AND_DATES or level.path[-1] in self._only:
            self._values.append((level.path, vr, value, level.charset))

    def _add_items(self, read: Reader, level: Level) -> None:
        data = read.data
        for path, vr, start, end, charset in read.elements:
            self._values.append((path, vr, data[start:end], charset))
        if read.stopped is not None:
            self._values.append((level.path, "UN", data[read.stopped :], level.charset))


def _terms(charset: Any) -> bytes:
    terms = [charset] if isinstance(charset, str) else list(charset or ())
    return "\\".join(terms).encode("ascii", "replace")


def _pixels(element: Any, charset: Any) -> bytes:
    value = element.value or b""
    return value if isinstance(value, bytes) else _encoded(element, charset, little=True)


def _encoded(element: Any, charset: Any, *, little: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, little
    write_data_element(buffer, element, charset)
    return bytes(buffer.getvalue())


class _Locate(Protocol):
    """Reads a data set and locates its values, all or those of some tags."""

    def __call__(self, *, only: frozenset[int] | None) -> Reader | DatasetReader: ...


class EncodedDataset:
    """Bytes and elements of one data set, with its preamble and file meta.

    Elements are located at their first use.

    Parameters
    ----------
    data : buffer
    locate : reads the buffer
    start : offset of the data set in the buffer
    only : tags to locate besides names, dates and values of unknown VR; by default all

    Attributes
    ----------
    pixels : a buffer, and the offsets of the first pixel byte and of the end; None without pixels
    """

    def __init__(
        self, data: Any, locate: _Locate, *, start: int = 0, only: frozenset[int] | None = None
    ) -> None:
        self.preamble = b""
        self.meta: EncodedDataset | None = None
        self.pixels: tuple[Any, int, int] | None = None
        self._data, self._start = data, start
        self._locate, self._only = locate, only

    @cached_property
    def _reader(self) -> Reader | DatasetReader:
        return self._locate(only=self._only)

    @cached_property
    def _outline(self) -> Reader | DatasetReader:
        """Reader that locates little but the pixels; most outputs need no other elements."""
        return self._reader if self._only is not None else self._locate(only=frozenset())

    def find_pixels(self) -> None:
        """Locate the pixels in the buffer."""
        if self._outline.pixels is not None:
            self.pixels = (self._data, *self._outline.pixels[1:])

    @property
    def elements(self) -> list[Element]:
        """All located values that are not sequences."""
        return self._reader.elements

    @cached_property
    def header(self) -> bytes:
        """Bytes of the data set without its pixels, for the quick search."""
        data, start = self._data, self._start
        if isinstance(data, bytes) and not any(group in data for group in _PIXEL_GROUP):
            return data[start:]
        if self._outline.pixels is None:
            return bytes(data[start:])
        at, _, end = self._outline.pixels
        return bytes(data[start:at]) + _SEPARATOR + bytes(data[end:])

    def unparsed(self) -> list[str]:
        """Bytes after the offset where the reader stopped, in each likely decoding."""
        at = self._reader.stopped
        return [] if at is None else _readings(bytes(self._data[at:]), b"")

    @property
    def codecs(self) -> tuple[str, ...]:
        """Python codecs of the character sets at every depth."""
        return _all_codecs(frozenset([element.charset for element in self.elements]))

    def value(self, element: Element) -> bytes:
        """Return the bytes of a value."""
        return bytes(self._data[element.start : element.end])

    def text(self, element: Element) -> str:
        """Decode a value with its character set, or with latin-1 where that fails."""
        return _decoded(self.value(element), element.charset)

    def readings(self, element: Element) -> list[str]:
        """Decode a value as `text` does, and in each other likely way."""
        return _readings(self.value(element), element.charset)


def _decoded(value: bytes, charset: bytes) -> str:
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    try:
        return decode_bytes(value, _codecs(charset), {0x5E, 0x3D, 0x5C})
    except (LookupError, ValueError):
        return value.decode("latin-1")


def _readings(value: bytes, charset: bytes) -> list[str]:
    """Decode with the declared sets, as UTF-8, and without the escapes that the sets require."""
    declared = _decoded(value, charset)
    if value.isascii():
        return [declared]
    found = {declared: None}
    for codec in ("utf-8", *_codecs(charset)):
        with suppress(ValueError, LookupError):
            found[value.decode(codec)] = None
    return list(found)


def encode(source: Any, only: frozenset[int] | None = None) -> EncodedDataset:
    """Read a path, bytes, a data set, or an object with a `dataset`.

    Raises
    ------
    UsageError
        If the file cannot be read or the data set cannot be encoded.
    """
    source = getattr(source, "dataset", source)
    if isinstance(source, Dataset):
        try:
            return _of_dataset(source, only)
        except Exception:
            raise UsageError("a data set to audit cannot be encoded; write it first") from None
    if isinstance(source, (bytes, bytearray, memoryview)):
        found = of_file(bytes(source), only)
        found.find_pixels()
        return found
    try:
        with Path(source).open("rb") as file:
            if not file.seek(0, io.SEEK_END):
                return of_file(b"")
            found = of_file(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), only)
    except OSError:
        raise UsageError("a file to audit cannot be read; check its path and rights") from None
    found.find_pixels()
    return found


def _of_dataset(dataset: Dataset, only: frozenset[int] | None) -> EncodedDataset:
    found = _of_values(DatasetReader(dataset, _with_charset(only)))
    found.preamble = bytes(getattr(dataset, "preamble", None) or b"")
    meta = getattr(dataset, "file_meta", None)
    if meta is not None:
        found.meta = _of_values(DatasetReader(meta))
    return found


def _of_values(read: DatasetReader) -> EncodedDataset:
    found = EncodedDataset(read.data, lambda *, only: read)
    if read.frames:
        found.pixels = (read.frames, 0, len(read.frames))
    return found


def _with_charset(only: frozenset[int] | None) -> frozenset[int] | None:
    return None if only is None else only | {CHARSET}


def of_file(data: Any, only: frozenset[int] | None = None) -> EncodedDataset:
    """Read an encoded file, with or without preamble and file meta, in any transfer syntax.

    With `only`, no other values than these tags, names and dates are located; a source needs no
    more.
    """
    start = 132 if data[128:132] == b"DICM" else 0
    body, syntax = _after_meta(data, start)
    implicit, little = _encoding(data, body, syntax)
    preamble, meta = bytes(data[:start]), bytes(data[start:body])
    if syntax == _DEFLATED:
        data, body = _inflated(data[body:]), 0
    locate = partial(Reader, data, Level(implicit=implicit), little=little, start=body)
    found = EncodedDataset(data, locate, start=body, only=_with_charset(only))
    found.preamble = preamble
    found.meta = EncodedDataset(meta, partial(Reader, meta, Level(), little=True))
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
    """Offset of the first byte after the file meta, and the transfer syntax."""
    syntax = b""
    while data[at : at + 2] == b"\2\0" and at + 8 <= len(data):
        is_long = data[at + 4 : at + 6] in (b"OB", b"UN", b"UT", b"OW", b"SQ")
        length = data[at + 8 : at + 12] if is_long else data[at + 6 : at + 8]
        size = int.from_bytes(length, "little")
        value = at + (12 if is_long else 8)
        if data[at : at + 6] == _SYNTAX:
            syntax = bytes(data[value : value + size]).strip(b" \0")
        at = value + size
    return min(at, len(data)), syntax


def _encoding(data: Any, at: int, syntax: bytes) -> tuple[bool, bool]:
    """Whether the data set is in implicit VR and little endian; guessed without a syntax."""
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
