"""Inputs of a batch: files below the given paths, each once; a file that cannot be opened is an input too."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from healthval.errors import UsageError, counted


def checked_inputs(given: Iterable[str | Path], out: Path) -> list[Path]:
    """Paths of a batch that exist and do not overlap with its output.

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
    return inputs


def overlaps(one: Path, other: Path) -> bool:
    """Whether two resolved paths are the same or one contains the other."""
    return one == other or one in other.parents or other in one.parents


def files_below(inputs: list[Path], out: Path) -> list[str]:
    """Files of a batch, each once, sorted; plain texts sort four times as fast as paths.

    Folders behind links are read, each folder once, so that a cycle ends; a link to the output is
    not followed. A folder that cannot be opened is listed itself, and refused like such a file.
    """
    seen: set[tuple[int, int]] = set()
    return sorted({file for path in inputs for file in _walked(str(path), out.resolve(), seen)})


def _walked(path: str, out: Path, seen: set[tuple[int, int]]) -> Iterator[str]:
    if not os.path.isdir(path):  # noqa: PTH112
        yield path
        return
    folders = [path]
    while folders:
        folder = folders.pop()
        try:
            state = os.stat(folder)  # noqa: PTH116
            if (state.st_dev, state.st_ino) in seen or _is_inside(folder, out):
                continue
            seen.add((state.st_dev, state.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir():
                        folders.append(entry.path)
                    else:
                        yield entry.path
        except OSError:
            yield folder


def _is_inside(folder: str, out: Path) -> bool:
    return os.path.islink(folder) and overlaps(Path(folder).resolve(), out)  # noqa: PTH114
