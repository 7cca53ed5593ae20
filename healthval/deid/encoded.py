"""What the audit reads: a file, its bytes or a data set, as encoded bytes with their leaves.

Shares no code with the engine.
"""

import io
import mmap
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from healthval.deid.wire import Leaf, Reader
from healthval.errors import UsageError

_CHARSET: Final = 0x00080005
_SYNTAX: Final = b"\x02\x00\x10\x00UI"
_IMPLICIT, _BIG, _DEFLATED = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99"
_GE_BIG = b"1.2.840.113619.5.2"


@dataclass(slots=True)
class Encoded:
    """Bytes before the data set (preamble, meta), its bytes up to the pixels, and its leaves.

    `stopped` is where the bytes stopped making sense; `pixels` the buffer with the pixel data
    and where they start and end.
    """

    prefix: bytes = field(repr=False)
    header: bytes = field(repr=False)
    leaves: list[Leaf] = field(repr=False)
    charsets: list[str]
    stopped: int | None
    pixels: tuple[Any, int, int] = field(repr=False)
    compressed: bool

    def text(self, leaf: Leaf) -> str:
        """Decode a value with the file's character sets; latin-1 where they fail."""
        value = bytes(self.header[leaf.start : leaf.end])
        try:
            return decode_bytes(value, self.charsets, {0x5E, 0x3D, 0x5C})
        except (LookupError, ValueError):
            return value.decode("latin-1")


def encode(thing: Any) -> Encoded:
    """Bring a path, bytes, a data set or an object with `.dataset` into encoded form."""
    thing = getattr(thing, "dataset", thing)
    if isinstance(thing, Dataset):
        return _of_dataset(thing)
    if isinstance(thing, (bytes, bytearray, memoryview)):
        return of_file(bytes(thing))
    try:
        with Path(thing).open("rb") as file:
            if not file.seek(0, io.SEEK_END):
                return of_file(b"")
            return of_file(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError:
        raise UsageError("a file to audit cannot be read") from None


def _of_dataset(dataset: Dataset) -> Encoded:
    implicit, little = dataset.original_encoding
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = bool(implicit), little is not False
    body = Dataset({tag: element for tag, element in dataset.items() if tag >> 16 > 2})
    body.set_original_encoding(implicit, little, dataset.original_character_set)
    write_dataset(buffer, body)
    found = of_body(
        buffer.getvalue(), implicit=buffer.is_implicit_VR, little=buffer.is_little_endian
    )
    found.prefix = bytes(getattr(dataset, "preamble", None) or b"") + _meta_of(dataset)
    return found


def _meta_of(dataset: Dataset) -> bytes:
    meta = getattr(dataset, "file_meta", None)
    if meta is None:
        return b""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, meta)
    return buffer.getvalue()


def of_file(data: Any) -> Encoded:
    """Read an encoded file, with or without preamble and meta, in any transfer syntax."""
    start = 132 if data[128:132] == b"DICM" else 0
    body, syntax = _after_meta(data, start)
    implicit, little = _encoding(data, body, syntax)
    prefix = bytes(data[:body])
    if syntax == _DEFLATED:
        data, body = _inflated(data[body:]), 0
    found = of_body(data, implicit=implicit, little=little, start=body)
    found.prefix = prefix
    return found


def of_body(data: Any, *, implicit: bool, little: bool, start: int = 0) -> Encoded:
    """Read the bytes of a data set."""
    reader = Reader(data, implicit=implicit, little=little, start=start)
    at, value = reader.pixels or (len(data), len(data))
    header = bytes(data[start:at])
    leaves = [Leaf(one.path, one.vr, one.start - start, one.end - start) for one in reader.leaves]
    terms = next((header[one.start : one.end] for one in leaves if one.path == (_CHARSET,)), b"")
    stopped = None if reader.stopped is None else reader.stopped - start
    compressed = bytes(data[value - 4 : value]) == b"\xff\xff\xff\xff" and value < len(data)
    return Encoded(
        b"", header, leaves, _charsets(terms), stopped, (data, value, len(data)), compressed
    )


def _charsets(value: bytes) -> list[str]:
    terms = [term.strip(" \0") for term in value.decode("latin-1").split("\\")]
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
