"""The files of a batch: found, named without their names, opened."""

import os
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from healthval.deid.dicom.refuse import Reason, Refused
from healthval.deid.secret import Secret, pseudonym
from healthval.errors import UsageError


def checked_inputs(given: list[str | Path], out: Path) -> list[Path]:
    """Check the files and folders of a batch, before anything is written.

    Raises
    ------
    UsageError
        If an input is missing, or `out` is a file or overlaps an input.
    """
    inputs = [Path(path) for path in given]
    missing = [position for position, path in enumerate(inputs) if not path.exists()]
    if missing:
        raise UsageError(
            f"{len(missing)} of {len(inputs)} inputs do not exist (first at position {missing[0]})"
        )
    target = out.resolve()
    if target.exists() and not target.is_dir():
        raise UsageError("the output is a file; give a new or empty folder")
    for path in (p.resolve() for p in inputs):
        if path == target or path in target.parents or target in path.parents:
            raise UsageError("the output folder and the input overlap; choose one outside")
    return inputs


def files_below(inputs: list[Path]) -> list[str]:
    """List the files of a batch, each once, in an order that does not depend on how they are named.

    Plain texts: paths take four times as long to sort and to tell apart.
    """
    return sorted({file for path in inputs for file in _below(path)})


def _below(path: Path) -> Iterator[str]:
    if not path.is_dir():
        yield str(path)
    for folder, _, names in os.walk(path):
        yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118


def key_of(secret: Secret, file: str) -> str:
    """Name a source file for the journal, in its present state, without telling its name."""
    try:
        found = os.stat(file)  # noqa: PTH116  as everywhere in the batch: plain texts
        state = f"{found.st_size}|{found.st_mtime_ns}"
    except OSError:  # refused when it is opened
        state = "gone"
    return pseudonym(secret, "file", f"{os.path.abspath(file)}|{state}")  # noqa: PTH100  resolving would follow links


def opened_file(path: str) -> FileIO:
    """Open a regular file; a pipe would keep the batch waiting for ever."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        raise Refused(Reason.UNREADABLE) from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise Refused(Reason.UNREADABLE)
    return FileIO(number, "rb")
