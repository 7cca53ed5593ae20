"""Multipart messages (RFC 2046, 5.1) of a DICOMweb server, read in chunks."""

from collections.abc import Iterable, Iterator
from email.message import Message
from typing import Final

_BREAK: Final = b"\r\n"


class CutError(Exception):
    """The message ends before its closing boundary."""


def boundary_of(content_type: str) -> bytes | None:
    """Boundary of a multipart message; None for a message of a single part."""
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_maintype() != "multipart":
        return None
    return str(message.get_param("boundary", "")).encode("latin-1")


def parts_of(chunks: Iterable[bytes], boundary: bytes) -> Iterator[bytes]:
    """Contents of each part; memory is that of one part.

    Raises
    ------
    CutError
        If the closing boundary is missing.
    """
    if not boundary:
        raise CutError
    delimiter = _BREAK + b"--" + boundary
    data, start, is_first = bytearray(_BREAK), 0, True
    for chunk in chunks:
        data += chunk
        while (found := data.find(delimiter, start)) >= 0:
            after = bytes(data[found + len(delimiter) : found + len(delimiter) + 2])
            if len(after) < 2:
                break  # of the next chunk
            if not is_first:
                yield _content(bytes(data[:found]))
            if after == b"--":
                return
            del data[: found + len(delimiter)]
            start, is_first = 0, False
        else:
            start = max(0, len(data) - len(delimiter))
            continue
        start = found
    raise CutError


def _content(part: bytes) -> bytes:
    """Content of a part after its headers, which end with an empty line."""
    _, empty, content = part.partition(_BREAK + _BREAK)
    if not empty:
        raise CutError
    return content
