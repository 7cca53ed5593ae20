"""One file through the engine: header decoded, pixel bytes copied straight across.

The pixels never enter Python memory unless a region of them is blanked, so a file of any size
costs constant memory.
"""

import io
import os
import re
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from io import FileIO
from typing import BinaryIO, Final

from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag
from pydicom.uid import UID

from healthval.deid.dicom import marks, values
from healthval.deid.dicom.reader import plain_elements, plain_meta
from healthval.deid.dicom.refuse import Reason, Refused, check_not_signed
from healthval.deid.dicom.writer import (
    LONG_VRS,
    VRS,
    element_head,
    encode_dataset,
)
from healthval.deid.pixels.risk import PIXELS, native_length

_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
# Enough for the header of nearly every image; what is longer is read from the file.
_HEAD: Final = 1 << 16
_UNDEFINED: Final = 0xFFFFFFFF
_VR: Final = re.compile(rb"[A-Z][A-Z]")
_SIGNATURES: Final = 0xFFFAFFFA


@dataclass(frozen=True, slots=True)
class Span:
    """Where the pixel bytes stand in the source, with the element header to write before them.

    `is_explained` says that native pixels are just as long as the image's size demands.
    """

    header: bytes
    start: int
    length: int
    is_explained: bool = False

    @property
    def tail(self) -> bytes:
        """What makes the length even."""
        return b"\0" * (self.length % 2)

    @property
    def is_compressed(self) -> bool:
        """Whether the pixels are encapsulated frames."""
        return self.header[-4:] == b"\xff\xff\xff\xff"

    @property
    def end(self) -> int:
        """Where the pixel bytes end."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Source:
    """An open file, read up to its pixels; `head` holds the bytes before them."""

    file: FileIO
    dataset: Dataset
    head: bytes
    span: Span | None


def read_source(file: FileIO, *, whole: bool = False) -> Source:
    """Read a file's header, or all of it when its pixels must change or are deflated.

    Raises
    ------
    Refused
        If it is no DICOM file that can be read.
    """
    try:
        dataset, at = _read(file, whole=whole)
        _check_is_dicom(dataset)
        length = os.fstat(file.fileno()).st_size if at is None else at
        head = os.pread(file.fileno(), length, 0)
        return Source(file, dataset, head, None if at is None else _span(file, dataset, at))
    except Refused:
        raise
    except Exception as broken:
        is_disk = isinstance(broken, OSError) and broken.errno is not None
        raise Refused(Reason.UNREADABLE if is_disk else Reason.UNPARSEABLE) from None


def _read(file: FileIO, *, whole: bool) -> tuple[Dataset, int | None]:
    """Return the data set, and where its pixels start unless they were read with it."""
    if not whole:
        with suppress(Exception):  # what is not plain is read again, by pydicom from the start
            found = _read_plain(os.pread(file.fileno(), _HEAD, 0))
            if found is not None:
                return found
        buffered = _from_start(file)
        dataset = dcmread(buffered, stop_before_pixels=True, force=True)
        whole = _syntax(dataset) == _DEFLATED
        if not whole:
            return dataset, buffered.tell()
    return dcmread(_from_start(file), force=True), None


def _from_start(file: FileIO) -> BinaryIO:
    """Give a buffer of its own to a reader, which may close it with the data set."""
    copy = os.fdopen(os.dup(file.fileno()), "rb")
    copy.seek(0)
    return copy


def _read_plain(start: bytes) -> tuple[Dataset, int] | None:
    """Read an image with preamble and meta whose header ends within `start`; None for others."""
    if start[128:132] != b"DICM":
        return None
    meta, at = plain_meta(start, 132)
    syntax = _known_syntax(meta[BaseTag(0x00020010)].value)
    if syntax is None:
        return None
    implicit, little = syntax
    elements, pixels = plain_elements(start, at, len(start) - 12, syntax, until=PIXELS)
    if not pixels:
        memory = io.BytesIO(start)
        memory.seek(at)
        elements = {e.tag: e for e in data_element_generator(memory, implicit, little, _is_pixels)}
        pixels = memory.tell()
    if pixels + 12 >= len(start):
        return None
    dataset = values.dataset_of(Dataset, elements)
    dataset.set_original_encoding(implicit, little, values.charsets(dataset))
    file_meta = values.dataset_of(FileMetaDataset, meta)
    vars(dataset).update(file_meta=file_meta, preamble=start[:128])
    return dataset, pixels


@lru_cache(maxsize=64)
def _known_syntax(value: bytes) -> tuple[bool, bool] | None:
    """(implicit VR, little endian) of a public syntax that is not deflated."""
    syntax = UID(value.decode("ascii").rstrip("\0 "))
    if not syntax.is_transfer_syntax or syntax.is_private or syntax == _DEFLATED:
        return None
    return syntax.is_implicit_VR, syntax.is_little_endian


def _is_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag in PIXELS


def _check_is_dicom(dataset: Dataset) -> None:
    # Without a preamble anything parses as something.
    known = (
        sum(dictionary_has_tag(tag) for tag, _ in dataset.items()) if not dataset.preamble else 0
    )
    if not len(dataset) or (not dataset.preamble and known <= len(dataset) / 2):
        raise Refused(Reason.UNPARSEABLE)


def _syntax(dataset: Dataset) -> str:
    return values.text_of(dataset.file_meta, 0x00020010)


def _span(file: FileIO, dataset: Dataset, at: int) -> Span | None:
    found = _pixel_head(os.pread(file.fileno(), 12, at), *marks.encoding_of(dataset))
    if found is None:
        return None  # the data set ended early: what follows is no pixels, and is not copied
    tag, vr, size, width = found
    start, available = at + width, os.fstat(file.fileno()).st_size - at - width
    output = marks.encoding_of(dataset)
    if size == _UNDEFINED:
        return _encapsulated(file, element_head(tag, vr, _UNDEFINED, output), start, available)
    _check_signature(file, start + size)
    stored = min(size, available)
    needed = native_length(dataset, stored)
    length = min(stored, needed or stored)
    header = element_head(tag, vr, length + length % 2, output)
    return Span(header, start, length, needed == length)


def _pixel_head(head: bytes, implicit: bool, little: bool) -> tuple[int, str | None, int, int] | None:  # fmt: skip
    """Tag, VR, length and width of the header of the pixels, in whichever form they stand.

    Some writers change the form in the middle. No even length looks like the VR of pixels.
    """
    order = "<" if little else ">"
    if len(head) < 8:
        return None
    group, element, code, short = struct.unpack(order + "HH2sH", head[:8])
    tag, vr = group << 16 | element, VRS.get(code)
    if tag not in PIXELS:
        return None
    if vr in LONG_VRS:
        return (tag, vr, struct.unpack(order + "L", head[8:])[0], 12) if len(head) == 12 else None
    if implicit or not _VR.fullmatch(code):
        return tag, None, struct.unpack(order + "L", head[4:8])[0], 8
    return tag, None, short, 8


def _check_signature(file: FileIO, at: int) -> None:
    """Refuse a signed object; signatures stand behind the pixels."""
    if os.pread(file.fileno(), 4, at) in (b"\xfa\xff\xfa\xff", b"\xff\xfa\xff\xfa"):
        check_not_signed(dcmread(_from_start(file), specific_tags=[_SIGNATURES], force=True))


def _encapsulated(file: FileIO, head: bytes, start: int, available: int) -> Span:
    end = start + available
    at = start
    while at + 8 <= end:
        tag, size = struct.unpack("<LL", os.pread(file.fileno(), 8, at))
        if tag == 0xE0DDFFFE:
            return Span(head, start, at + 8 - start)
        if tag != 0xE000FFFE or at + 8 + size > end:
            break
        at += 8 + size
    raise Refused(Reason.UNPARSEABLE)


def encoded(output: Dataset, source: Source) -> bytes:
    """Encode everything that stands before the pixels, in the source's transfer syntax."""
    named = output if getattr(output, "file_meta", None) is not None else source.dataset
    implicit, little = marks.encoding_of(source.dataset)
    body = encode_dataset(output, implicit=implicit, little=little)
    syntax = marks.syntax_of(named)
    if syntax == _DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
        body += b"\0" * (len(body) % 2)
    return marks.meta_bytes(output, syntax) + body


def write_output(target: str, header: bytes, source: Source) -> None:
    """Write the header and copy the pixel bytes after it."""
    number = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write_all(number, header if source.span is None else header + source.span.header)
        if source.span is not None:
            _copy(source.file.fileno(), number, source.span)
            _write_all(number, source.span.tail)
    finally:
        os.close(number)


def _write_all(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]


def _copy(file: int, out: int, span: Span) -> None:
    done = 0
    while done < span.length:
        sent = os.sendfile(out, file, span.start + done, span.length - done)
        if not sent:
            raise Refused(Reason.UNPARSEABLE)
        done += sent
