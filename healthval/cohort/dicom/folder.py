"""Folder of DICOM files: index by patient, study and series.

`web` and `dimse` copy a PACS into a folder first, so every later step reads a folder. The keys are
the site's own identifiers; they stay inside the hospital and are left out of `repr`.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from healthval.errors import CohortError, counted
from healthval.pydicom_internals import quiet

# SOP Class, SOP Instance, Modality, Patient ID, Study, Series, Accession Number
_KEYS: Final = (0x00080016, 0x00080018, 0x00080060, 0x00100020, 0x0020000D, 0x0020000E, 0x00080050)
_DIRECTORY: Final = "1.2.840.10008.1.3.10"
COMPLETE: Final = ".complete"  # folder of the marks of `staging`


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One DICOM file of the site and the keys it is grouped by."""

    path: Path = field(repr=False)
    patient: str = field(repr=False)
    study: str = field(repr=False)
    series: str = field(repr=False)
    instance: str = field(repr=False)
    modality: str
    accession: str = field(default="", repr=False)

    def read(self) -> Dataset:
        """Read the whole data set."""
        with quiet():
            return dcmread(self.path, force=True)


@dataclass(frozen=True, slots=True)
class Folder:
    """Instances of a folder, and counts of its other files; unreadable folders count as files."""

    instances: tuple[Instance, ...] = field(repr=False)
    n_unreadable: int
    n_directories: int

    def by_study(self) -> dict[tuple[str, str], tuple[Instance, ...]]:
        """Group by (patient, study), in order of first appearance."""
        groups: dict[tuple[str, str], list[Instance]] = {}
        for one in self.instances:
            groups.setdefault((one.patient, one.study), []).append(one)
        return {key: tuple(group) for key, group in groups.items()}


@dataclass(frozen=True, slots=True)
class Study:
    """A study in a PACS."""

    patient: str = field(repr=False)
    study: str = field(repr=False)
    n_instances: int | None
    accession: str = field(default="", repr=False)


def read_folder(folder: str | Path) -> Folder:
    """Index all DICOM files below a folder, also behind links; only their headers are read.

    Raises
    ------
    CohortError
        If the folder does not exist or contains no DICOM instance.
    """
    if not Path(folder).is_dir():
        raise CohortError("the DICOM folder does not exist; check its path")
    found: list[Instance] = []
    n_unreadable = n_directories = 0
    with quiet():
        for path in sorted(files_below([str(folder)], is_mark_folder)):
            one = index_file(Path(path))
            if isinstance(one, Instance):
                found.append(one)
            elif one == _DIRECTORY:
                n_directories += 1
            else:
                n_unreadable += 1
    if not found:
        raise CohortError(
            "the DICOM folder contains no DICOM instance "
            f"({counted(n_unreadable, 'file')} cannot be read, "
            f"{counted(n_directories, 'file is', 'files are')} DICOMDIR); "
            "give the folder with the images"
        )
    return Folder(tuple(found), n_unreadable, n_directories)


def files_below(paths: list[str], is_left_out: Callable[[str], bool]) -> Iterator[str]:
    """Files below folders, and the given files themselves, in no order.

    Folders behind links are read, each folder once, so that a cycle ends. A folder that cannot be
    opened, and a link to itself, are listed like files: whoever opens them counts the failure.

    Parameters
    ----------
    paths : folders and files; plain texts are four times as fast as paths
    is_left_out : whether a folder is not read
    """
    yield from (path for path in paths if not os.path.isdir(path))  # noqa: PTH112
    folders = [path for path in paths[::-1] if os.path.isdir(path)]  # noqa: PTH112
    seen = set[tuple[int, int]]()
    while folders:
        folder = folders.pop()
        try:
            state = os.stat(folder)  # noqa: PTH116
            if (state.st_dev, state.st_ino) in seen or is_left_out(folder):
                continue
            seen.add((state.st_dev, state.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if _is_folder(entry):
                        folders.append(entry.path)
                    else:
                        yield entry.path
        except OSError:
            yield folder


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_mark_folder(folder: str) -> bool:
    """Whether a folder has the marks of studies that were copied from a PACS, and no file of them."""
    return Path(folder).name == COMPLETE


def index_file(path: Path) -> Instance | str | None:
    """Return the keys of a file; the SOP class of a DICOMDIR; None if the file cannot be read.

    The caller holds `quiet` or `quiet_pacs`: pydicom's warnings quote values.
    """
    try:
        if not path.is_file():  # a pipe or a device could block
            return None
        header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_KEYS))
        if str(header.file_meta.get("MediaStorageSOPClassUID", "")) == _DIRECTORY:
            return _DIRECTORY
        if not header.get("SOPInstanceUID"):
            return None
        keys = [str(header.get(tag).value or "") if tag in header else "" for tag in _KEYS[1:]]
    except Exception:
        return None
    instance, modality, patient, study, series, accession = keys
    return Instance(
        path=path,
        patient=patient,
        study=study,
        series=series,
        instance=instance,
        modality=modality,
        accession=accession,
    )
