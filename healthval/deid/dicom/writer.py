"""Writer: encodes data sets and file meta, and writes output files.

Elements that are still raw are written in their encoded form. Pixel bytes are copied from the
source file by the operating system, so that a file of any size needs constant memory.
"""

import errno
import mmap
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from io import FileIO
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR, repeater_has_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from healthval.deid.dicom.reader import PixelSpan, Source
from healthval.deid.dicom_values import (
    KNOWN_VRS,
    LONG_VRS,
    UNDEFINED_LENGTH,
    Element,
    Encoding,
    charsets,
    encoding_of,
    raw_element,
    text_of,
    transfer_syntax_of,
)
from healthval.deid.pixels.fragments import CleanFrames, clean_frames
from healthval.deid.pixels.risk import layout_of
from healthval.deid.pixels.streams.pieces import Buffer
from healthval.deid.refuse import Reason, Refused
from healthval.pydicom_internals import elements_of

IMPLEMENTATION_CLASS: Final = "2.25.231814790462375211283049530211738125073"
_IMPLEMENTATION_VERSION: Final = "HEALTHVAL"
_META_ENCODING: Final = (False, True)
_META_LENGTH: Final = 0x00020000
_SYNTAX: Final = 0x00020010
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_DATA_SET: Final = 0x00030000  # lower groups are commands and file meta
_PREAMBLE: Final = bytes(128)
_BUFFER: Final = 1 << 20  # bytes
# macOS has `sendfile` for sockets only, Windows has none.
_sendfile = os.sendfile if sys.platform == "linux" else None

_Head = Callable[[int, str, int], bytes]
_first = itemgetter(0)


# --- data sets --------------------------------------------------------------------------------


def encode_dataset(dataset: Dataset, *, implicit: bool, little: bool) -> bytes:
    """Encode a data set; sequences get defined lengths."""
    return b"".join(encoded_parts(dataset, implicit=implicit, little=little))


def encoded_parts(dataset: Dataset, *, implicit: bool, little: bool) -> list[bytes]:
    """Encode a data set in parts, which spares a file with large pixels one copy of them."""
    encoding = implicit, little
    return _parts(dataset.items(), _element_head(encoding), encoding, charsets(dataset))


def _parts(
    elements: Iterable[tuple[int, Element]], head: _Head, encoding: Encoding, codecs: list[str]
) -> list[bytes]:
    parts: list[bytes] = []
    element: Element
    # Sorted as plain numbers: BaseTag compares in Python.
    for tag, element in sorted([(int(tag), element) for tag, element in elements], key=_first):
        if not element.is_raw:
            parts.append(_encoded(element, head, encoding, codecs))
            continue
        value = element.value or b""
        if element.length == UNDEFINED_LENGTH:
            vr = element.VR if element.VR in LONG_VRS else "OB"
            parts += (head(tag, vr, UNDEFINED_LENGTH), value, _delimiter(encoding[1]))
            continue
        size = len(value)
        if size % 2:
            value, size = value + b"\0", size + 1
        parts += (head(tag, element.VR if element.VR in KNOWN_VRS else _vr_of(tag), size), value)
    return parts


def _encoded(element: Element, head: _Head, encoding: Encoding, codecs: list[str]) -> bytes:
    if element.VR != "SQ":
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = encoding
        write_data_element(buffer, element, codecs)
        return bytes(buffer.getvalue())
    item_head = struct.Struct("<HHL" if encoding[1] else ">HHL")
    parts: list[bytes] = []
    for item in element.value:
        body = b"".join(_parts(item.items(), head, encoding, codecs))
        parts += (item_head.pack(0xFFFE, 0xE000, len(body)), body)
    body = b"".join(parts)
    return head(element.tag, "SQ", len(body)) + body


def _delimiter(little: bool) -> bytes:
    return struct.pack("<HHL" if little else ">HHL", 0xFFFE, 0xE0DD, 0)


@lru_cache(maxsize=4)
def _element_head(encoding: Encoding) -> _Head:
    """Function that encodes tag, VR and length of an element."""
    implicit, little = encoding
    order = "<" if little else ">"
    short, long, plain = (struct.Struct(order + f) for f in ("HH2sH", "HH2sHL", "HHL"))

    def explicit_head(tag: int, vr: str, size: int) -> bytes:
        if vr in LONG_VRS:
            return long.pack(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, size)
        if size > 0xFFFF:  # PS3.5, 6.2.2
            return long.pack(tag >> 16, tag & 0xFFFF, b"UN", 0, size)
        return short.pack(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), size)

    def implicit_head(tag: int, vr: str, size: int) -> bytes:
        return plain.pack(tag >> 16, tag & 0xFFFF, size)

    return lru_cache(maxsize=1 << 14)(implicit_head if implicit else explicit_head)


@lru_cache(maxsize=4096)
def _vr_of(tag: int) -> str:
    if not (dictionary_has_tag(tag) or repeater_has_tag(tag)):
        return "UN"
    vr = dictionary_VR(tag)
    return vr if len(vr) == 2 else "OW" if "OW" in vr else "US"


# --- file meta --------------------------------------------------------------------------------


def file_meta(output: Dataset, source: Dataset) -> FileMetaDataset:
    """Build the file meta of an output; only the transfer syntax is copied from the source."""
    is_reencoded = getattr(output, "file_meta", None) is not None
    syntax = transfer_syntax_of(output if is_reencoded else source)
    # pydicom corrects the group length when it writes, provided that the element exists.
    values = [(_META_LENGTH, "UL", bytes(4)), *_meta_values(output, syntax)]
    elements = [raw_element(tag, vr, value, _META_ENCODING) for tag, vr, value in values]
    return FileMetaDataset({element.tag: element for element in elements})


def _meta_values(output: Dataset, syntax: str) -> list[tuple[int, str, bytes]]:
    texts = (
        (0x00020002, "UI", text_of(output, _SOP_CLASS)),
        (0x00020003, "UI", text_of(output, _SOP_INSTANCE)),
        (_SYNTAX, "UI", syntax),
        (0x00020012, "UI", IMPLEMENTATION_CLASS),
        (0x00020013, "SH", _IMPLEMENTATION_VERSION),
    )
    encoded = [(tag, vr, text.encode("ascii", "replace")) for tag, vr, text in texts]
    return [(0x00020001, "OB", b"\0\1"), *encoded]


def _encode_meta(elements: Iterable[tuple[int, Element]]) -> bytes:
    """Encode a file meta after the DICM prefix, with its group length."""
    body = b"".join(_parts(elements, _element_head(_META_ENCODING), _META_ENCODING, ["iso8859"]))
    return b"DICM\2\0\0\0UL\4\0" + struct.pack("<L", len(body)) + body


# --- output data sets that save themselves ----------------------------------------------------


class EncodedDataset(Dataset):
    """Output data set: its `save_as` writes elements in their encoded form.

    pydicom's writer decodes every element again, which costs more than engine and audit together.
    It is used only if the data set has been given another encoding.
    """

    def save_as(self, filename: Any, /, *args: Any, **kwargs: Any) -> None:
        """Save as `pydicom.Dataset.save_as` does."""
        is_path = not args and not kwargs and isinstance(filename, (str, os.PathLike))
        syntax = _syntax_of_file(self) if is_path else None
        if syntax is None or not _is_in(self, (syntax.is_implicit_VR, syntax.is_little_endian)):
            super().save_as(filename, *args, **kwargs)
            return
        parts = encoded_parts(self, implicit=syntax.is_implicit_VR, little=syntax.is_little_endian)
        meta = ((tag, element) for tag, element in self.file_meta.items() if tag != _META_LENGTH)
        with Path(filename).open("wb") as file:
            file.write(self.preamble + _encode_meta(meta))
            file.writelines(parts)

    def __eq__(self, other: object) -> bool:
        """Compare as a plain data set does, with any other."""
        return Dataset(self) == other

    __hash__ = None  # type: ignore[assignment]  # as of any data set


def _syntax_of_file(dataset: EncodedDataset) -> UID | None:
    """Transfer syntax of a data set that has all parts of a file; None if pydicom must decide."""
    meta, preamble = getattr(dataset, "file_meta", None), getattr(dataset, "preamble", None)
    if not meta or _META_LENGTH not in meta or not preamble or len(preamble) != len(_PREAMBLE):
        return None
    syntax = UID(text_of(meta, _SYNTAX))
    is_public = syntax.is_transfer_syntax and not syntax.is_private
    return syntax if is_public and syntax != DeflatedExplicitVRLittleEndian else None


def _is_in(dataset: Dataset, encoding: Encoding) -> bool:
    """Whether the encoded elements, at every depth, have this encoding.

    Reads no element through pydicom, which would decode it.
    """
    original = dataset.original_character_set
    return (
        dataset.original_encoding == encoding
        and ([original] if isinstance(original, str) else list(original)) == charsets(dataset)
        and min(map(int, dataset.keys()), default=_DATA_SET) >= _DATA_SET
        and all(_is_in(item, encoding) for item in _decoded_items(dataset))
    )


def _decoded_items(dataset: Dataset) -> Iterator[Dataset]:
    element: Element
    for element in elements_of(dataset).values():
        if not element.is_raw and element.VR == "SQ":
            yield from element.value


# --- output files -----------------------------------------------------------------------------


def encode_output(output: Dataset, source: Source) -> bytes:
    """Encode preamble, file meta and all elements before the pixels, in the source's syntax."""
    is_reencoded = getattr(output, "file_meta", None) is not None
    syntax = transfer_syntax_of(output if is_reencoded else source.dataset)
    implicit, little = encoding_of(source.dataset)
    body = encode_dataset(output, implicit=implicit, little=little)
    if syntax == DeflatedExplicitVRLittleEndian:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
        body += b"\0" * (len(body) % 2)
    values = _meta_values(output, syntax)
    meta = ((tag, raw_element(tag, vr, value, _META_ENCODING)) for tag, vr, value in values)
    return _PREAMBLE + _encode_meta(meta) + body


def cleaned_frames(source: Source) -> CleanFrames | None:
    """Clean the compressed frames of a source; None if nothing must be removed.

    Raises
    ------
    Refused
        If frames are missing or cannot be parsed.
    """
    span = source.pixels
    if span is None or not span.is_compressed:
        return None
    whole = mmap.mmap(source.file.fileno(), 0, access=mmap.ACCESS_READ)
    value = memoryview(whole)[span.start : span.end]
    frames = clean_frames(value, transfer_syntax_of(source.dataset), layout_of(source.dataset))
    return frames if frames.is_changed else None


def write_output(
    target: str, header: bytes, source: Source, frames: CleanFrames | None = None
) -> None:
    """Write an output file: the header, then the cleaned frames or the source's pixel bytes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    number = os.open(target, flags, 0o600)
    try:
        span = source.pixels
        if span is None:
            _write_all(number, header)
        elif frames is not None:
            _write_all(number, header + _pixel_head(span, encoding_of(source.dataset)))
            _write_pieces(number, frames.pieces)
        else:
            _write_all(number, header + _pixel_head(span, encoding_of(source.dataset)))
            _copy(source.file, number, span)
            _write_all(number, b"\0" * (span.length % 2))  # padding byte of an odd length
    finally:
        os.close(number)


def _pixel_head(span: PixelSpan, encoding: Encoding) -> bytes:
    """Encode tag, VR and length of the pixels; compressed ones are always OB."""
    if span.is_compressed:
        return _element_head(encoding)(span.tag, span.vr or "OB", UNDEFINED_LENGTH)
    size = span.length + span.length % 2
    return _element_head(encoding)(span.tag, span.vr or _vr_of(span.tag), size)


def _write_all(number: int, data: bytes | memoryview) -> None:
    while data:
        data = data[os.write(number, data) :]


def _write_pieces(number: int, pieces: Iterable[Buffer]) -> None:
    """Write many small pieces in few calls."""
    waiting, size = list[Buffer](), 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _BUFFER:
            _write_all(number, waiting[0] if len(waiting) == 1 else b"".join(waiting))
            waiting, size = [], 0
    _write_all(number, b"".join(waiting))


def _copy(source: FileIO, target: int, span: PixelSpan) -> None:
    """Copy the pixel bytes; refuse a file that has become shorter."""
    done = 0
    while done < span.length:
        sent = _send(source, target, span.start + done, span.length - done)
        if sent is None:
            _copy_by_buffer(source, target, span.start + done, span.length - done)
            return
        if not sent:
            raise Refused(Reason.UNPARSEABLE)
        done += sent


def _send(source: FileIO, target: int, at: int, length: int) -> int | None:
    """Copy bytes inside the operating system; None if the system or a file system cannot."""
    if _sendfile is None:
        return None
    try:
        return _sendfile(target, source.fileno(), at, length)
    except OSError as failed:
        if failed.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            return None
        raise


def _copy_by_buffer(source: FileIO, target: int, at: int, length: int) -> None:
    source.seek(at)
    buffer = memoryview(bytearray(min(_BUFFER, length)))
    while length:
        size = source.readinto(buffer[: min(_BUFFER, length)])
        if not size:
            raise Refused(Reason.UNPARSEABLE)
        _write_all(target, buffer[:size])
        length -= size
