"""One file through the engine: header decoded, pixel bytes copied straight across.

The pixels never enter Python memory unless a region of them is blanked, so a file of any size
costs constant memory.
"""

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag
from pydicom.dataset import Dataset

from healthval.deid import marks
from healthval.deid.pixels import native_length
from healthval.deid.quiet import quiet
from healthval.deid.refuse import Reason, Refused
from healthval.deid.writer import encode_dataset

_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_UNDEFINED: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Span:
    """Where the pixel bytes stand in the source, with the element header to write before them."""

    header: bytes
    start: int
    length: int
    tail: bytes = b""

    @property
    def end(self) -> int:
        """Where the pixel bytes end."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Source:
    """A file read up to its pixels."""

    path: Path
    dataset: Dataset
    span: Span | None


def read_source(path: Path, *, whole: bool = False) -> Source:
    """Read a file's header, or all of it when its pixels must change or are deflated.

    Raises
    ------
    Refused
        If it is no DICOM file that can be read.
    """
    try:
        with quiet(), path.open("rb") as file:
            dataset = dcmread(file, stop_before_pixels=not whole, force=True)
            if not whole and _syntax(dataset) == _DEFLATED:
                file.seek(0)
                dataset, whole = dcmread(file, force=True), True
            _check_is_dicom(dataset)
            return Source(path, dataset, None if whole else _span(file, dataset))
    except (Refused, OSError):
        raise
    except Exception:
        raise Refused(Reason.UNPARSEABLE) from None


def _check_is_dicom(dataset: Dataset) -> None:
    # Without a preamble anything parses as something.
    known = sum(dictionary_has_tag(tag) for tag, _ in dataset.items())
    if not len(dataset) or (not dataset.preamble and known <= len(dataset) / 2):
        raise Refused(Reason.UNPARSEABLE)


def _syntax(dataset: Dataset) -> str:
    return str(dataset.file_meta.get("TransferSyntaxUID", ""))


def _span(file: BinaryIO, dataset: Dataset) -> Span | None:
    implicit, little = marks.encoding_of(dataset)
    order = "<" if little else ">"
    at = file.tell()
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
    syntax = marks.syntax_of(source.dataset)
    if syntax == _DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
        body += b"\0" * (len(body) % 2)
    return marks.meta_bytes(output, syntax) + body


def write_output(target: Path, header: bytes, source: Source) -> None:
    """Write the header and copy the pixel bytes after it."""
    with target.open("wb", buffering=0) as out:
        out.write(header if source.span is None else header + source.span.header)
        if source.span is not None:
            with source.path.open("rb", buffering=0) as file:
                _copy(file, out, source.span.start, source.span.length)
            out.write(source.span.tail)


def _copy(file: BinaryIO, out: BinaryIO, start: int, length: int) -> None:
    done = 0
    while done < length:
        sent = os.sendfile(out.fileno(), file.fileno(), start + done, length - done)
        if not sent:
            raise Refused(Reason.UNPARSEABLE)
        done += sent
