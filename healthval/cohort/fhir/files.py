"""Files of a FHIR export: which ones are read, in which order, and how they are opened."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from healthval.errors import CohortError, UsageError
from healthval.files import install_command

# A number at the end is that of a rotated file, as in Observation.ndjson.1.gz.
_READ = re.compile(
    r".*\.(?P<form>ndjson|jsonl|json)(?:\.\d{1,6})?(?:\.(?P<packed>gz|zst|bz2|xz))?", re.IGNORECASE
)
SUFFIXES = ".ndjson, .jsonl, .json, also with .gz, .zst, .bz2 or .xz"


def find_files(source: Path) -> tuple[list[Path], list[Path]]:
    """Files to read, in order of path, and other files; hidden files and folders belong to neither.

    A single file is read under any name.
    """
    if source.is_file():
        return [source], []
    visible = [
        (file.relative_to(source).as_posix(), file)
        for file in source.rglob("*")
        if file.is_file() and not _is_hidden(file.relative_to(source))
    ]
    # By path as text: paths alone are compared without regard to case on Windows.
    ordered = [file for _, file in sorted(visible)]
    read = [file for file in ordered if is_fhir_name(file.name)]
    return read, [file for file in ordered if not is_fhir_name(file.name)]


def is_fhir_name(name: str) -> bool:
    """Whether a file of this name is read as FHIR resources."""
    return _READ.fullmatch(name) is not None


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def has_lines(path: Path) -> bool:
    """Whether each line of the file is a resource, by its name."""
    found = _READ.fullmatch(path.name)
    return found is not None and found["form"].lower() != "json"


def opened(path: Path) -> Any:
    """Open a file as bytes, unpacked by its suffix."""
    return _OPENERS.get(path.suffix.lower(), _open_plain)(path)


def _open_plain(path: Path) -> Any:
    return path.open("rb")


def _open_zstd(path: Path) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise UsageError(
            f"reading .zst needs pyarrow: {install_command('tables')}, or unpack"
        ) from None
    try:
        return io.BufferedReader(_Zstd(pa.CompressedInputStream(str(path), "zstd")))
    except pa.ArrowException:
        raise CohortError("a .zst file cannot be read; unpack it") from None


class _Zstd(io.RawIOBase):
    """A stream of pyarrow as a raw file."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _open_zstd,
}
UNREADABLE = (OSError, EOFError, lzma.LZMAError)
