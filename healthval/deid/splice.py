"""One file through the engine: header decoded, pixel bytes copied straight across.

The pixels never enter Python memory unless a region of them is blanked, so a file of any size
costs constant memory.
"""

import io
import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag
from pydicom.dataset import Dataset

from healthval.deid import marks, values
from healthval.deid.pixels import native_length
from healthval.deid.refuse import Reason, Refused
from healthval.deid.writer import encode_dataset

_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
# Enough for the header of nearly every image; what is longer is read from the file.
_HEAD: Final = 1 << 16
_UNDEFINED: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Span:
    """Where the pixel bytes stand in the source, with the element header to write before them."""

    header: bytes
    start: int
    length: int
    tail: bytes = b""

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

    file: BinaryIO
    dataset: Dataset
    head: bytes
    span: Span | None


def read_source(file: BinaryIO, *, whole: bool = False) -> Source:
    """Read a file's header, or all of it when its pixels must change or are deflated.

    Raises
    ------
    Refused
        If it is no DICOM file that can be read.
    """
    try:
        dataset, at = _read(file, whole=whole)
        _check_is_dicom(dataset)
        file.seek(0)
        head = file.read(-1 if at is None else at)
        return Source(file, dataset, head, None if at is None else _span(file, dataset, at))
    except (Refused, OSError):
        raise
    except Exception:
        raise Refused(Reason.UNPARSEABLE) from None


def _read(file: BinaryIO, *, whole: bool) -> tuple[Dataset, int | None]:
    """Return the data set, and where its pixels start unless they were read with it."""
    if not whole:
        start = file.read(_HEAD)
        memory = io.BytesIO(start)
        with suppress(Exception):  # the header goes on behind these bytes
            dataset = dcmread(memory, stop_before_pixels=True, force=True)
            whole = _syntax(dataset) == _DEFLATED
            if not whole and memory.tell() + 12 < len(start):
                return dataset, memory.tell()
    file.seek(0)
    dataset = dcmread(file, stop_before_pixels=not whole, force=True)
    return dataset, None if whole else file.tell()


def _check_is_dicom(dataset: Dataset) -> None:
    # Without a preamble anything parses as something.
    known = (
        sum(dictionary_has_tag(tag) for tag, _ in dataset.items()) if not dataset.preamble else 0
    )
    if not len(dataset) or (not dataset.preamble and known <= len(dataset) / 2):
        raise Refused(Reason.UNPARSEABLE)


def _syntax(dataset: Dataset) -> str:
    return values.text_of(dataset.file_meta, 0x00020010)


def _span(file: BinaryIO, dataset: Dataset, at: int) -> Span | None:
    implicit, little = marks.encoding_of(dataset)
    order = "<" if little else ">"
    head = file.read(8)
    if len(head) < 8:
        return None
    size = struct.unpack(order + "L", head[4:])[0]
    if not implicit:
        extended = file.read(4)
        head, size = head + extended, struct.unpack(order + "L", extended)[0]
    start, available = at + len(head), os.fstat(file.fileno()).st_size - at - len(head)
    if size == _UNDEFINED:
        return _encapsulated(file, head, start, available)
    length = _trimmed(dataset, min(size, available))
    return Span(head[:-4] + struct.pack(order + "L", length + length % 2), start, length, b"\0" * (length % 2))  # fmt: skip


def _trimmed(dataset: Dataset, length: int) -> int:
    """Length of the pixels without trailing padding, where anything could hide."""
    needed = native_length(dataset)
    return length if needed is None else min(length, needed + needed % 2)


def _encapsulated(file: BinaryIO, head: bytes, start: int, available: int) -> Span:
    end = start + available
    at = start
    while at + 8 <= end:
        file.seek(at)
        tag, size = struct.unpack("<LL", file.read(8))
        if tag == 0xE0DDFFFE:
            return Span(head, start, at + 8 - start)
        if tag != 0xE000FFFE or at + 8 + size > end:
            break
        at += 8 + size
    raise Refused(Reason.UNPARSEABLE)


def encoded(output: Dataset, source: Source) -> bytes:
    """Encode everything that stands before the pixels, in the source's transfer syntax."""
    implicit, little = marks.encoding_of(source.dataset)
    body = encode_dataset(output, implicit=implicit, little=little)
    changed = getattr(output, "file_meta", None) is not None
    syntax = marks.syntax_of(output if changed else source.dataset)
    if syntax == _DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
        body += b"\0" * (len(body) % 2)
    return marks.meta_bytes(output, syntax) + body


def write_output(target: Path, header: bytes, source: Source) -> None:
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
