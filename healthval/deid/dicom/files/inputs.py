"""Inputs of a batch: files below the given paths, each once; a file that cannot be opened is an input too."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from healthval.cohort.dicom.folder import files_below, is_mark_folder
from healthval.errors import UsageError, counted


def input_files(given: Iterable[str | Path], out: Path) -> Iterator[str]:
    """Files of a batch, in no order; a path that is given twice has its files twice.

    A folder that cannot be opened is listed itself, and refused like such a file. A link to the
    output is not followed, and the marks that a copy from a PACS leaves are not inputs.

    Raises
    ------
    UsageError
        If a path is missing, the output is a file, or the output and an input overlap.
    """
    inputs = [Path(path) for path in given]
    missing = [position for position, path in enumerate(inputs) if not path.exists()]
    if missing:
        raise UsageError(
            f"{len(missing)} of {counted(len(inputs), 'input does', 'inputs do')} not exist "
            f"(first at position {missing[0]}); check the paths"
        )
    target = out.resolve()
    if target.exists() and not target.is_dir():
        raise UsageError("the output is a file; give a new or empty folder")
    if any(overlaps(path.resolve(), target) for path in inputs):
        raise UsageError("the output folder and the input overlap; choose one outside")
    return files_below(
        [str(path) for path in inputs],
        lambda folder: is_mark_folder(folder) or _is_inside(folder, target),
    )


def overlaps(one: Path, other: Path) -> bool:
    """Whether two resolved paths are the same or one contains the other."""
    return one == other or one in other.parents or other in one.parents


def _is_inside(folder: str, out: Path) -> bool:
    return os.path.islink(folder) and overlaps(Path(folder).resolve(), out)  # noqa: PTH114
