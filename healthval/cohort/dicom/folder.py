"""DICOM from a folder: which file belongs to which patient, study and series.

A PACS is read into a folder first (`dicom_web`, `dicom_dimse`), so everything after it is the same.
Keys are the site's own identifiers; they stay inside the hospital and are silent in `repr`.
"""

import hashlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from healthval.errors import CohortError

# SOP Class, SOP Instance, Modality, Patient ID, Study, Series, Accession Number
_KEYS: Final = (0x00080016, 0x00080018, 0x00080060, 0x00100020, 0x0020000D, 0x0020000E, 0x00080050)
_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_NEVER: Final = logging.CRITICAL + 1
_TALKATIVE: Final = ("pydicom", "pynetdicom", "dicomweb_client", "urllib3")


@dataclass(frozen=True, slots=True)
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
        with silenced():
            return dcmread(self.path, force=True)


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder holds: readable instances, and counts of what is no instance."""

    instances: tuple[Instance, ...] = field(repr=False)
    n_unreadable: int
    n_directories: int

    def by_study(self) -> dict[tuple[str, str], tuple[Instance, ...]]:
        """Group by (patient, study), in order of first appearance."""
        groups: dict[tuple[str, str], list[Instance]] = {}
        for one in self.instances:
            groups.setdefault((one.patient, one.study), []).append(one)
        return {key: tuple(group) for key, group in groups.items()}


def read_folder(folder: str | Path) -> Folder:
    """Index all DICOM files below a folder, reading headers only.

    Raises
    ------
    CohortError
        If the folder does not exist or holds no DICOM instance.
    """
    if not Path(folder).is_dir():
        raise CohortError("the DICOM folder does not exist; check its path")
    found, unreadable, directories = [], 0, 0
    with silenced():
        for path in _files(Path(folder)):
            one = index_file(path)
            if one is None:
                unreadable += 1
            elif one == _DIRECTORY:
                directories += 1
            elif isinstance(one, Instance):
                found.append(one)
    if not found:
        raise CohortError(
            f"the DICOM folder holds no DICOM instance ({unreadable} files cannot be read, "
            f"{directories} are DICOMDIR); give the folder with the images"
        )
    return Folder(tuple(found), unreadable, directories)


def _files(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(base, name) for name in sorted(names))


def index_file(path: Path) -> Instance | str | None:
    """Return a file's keys; its SOP class when it is an index, None when it is not readable."""
    try:
        header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_KEYS))
        meta_class = str(header.file_meta.get("MediaStorageSOPClassUID", ""))
        if meta_class == _DIRECTORY:
            return _DIRECTORY
        if not header.get("SOPInstanceUID"):
            return None
        words = [str(header.get(tag).value or "") if tag in header else "" for tag in _KEYS[1:]]
    except Exception:
        return None
    instance, modality, patient, study, series, accession = words
    return Instance(path, patient, study, series, instance, modality, accession)


def staged_path(folder: Path, instance_uid: str) -> Path:
    """Return where a retrieved instance is kept: a name that repeats no identifier."""
    return folder / f"{hashlib.sha256(instance_uid.encode()).hexdigest()[:32]}.dcm"


def stage(folder: Path, instance_uid: str, data: bytes) -> Path:
    """Write a retrieved file so that it is there whole or not at all."""
    target = staged_path(folder, instance_uid)
    partial = target.with_suffix(".partial")
    partial.write_bytes(data)
    partial.chmod(0o600)
    partial.replace(target)
    return target


@contextmanager
def silenced() -> Iterator[None]:
    """Keep the DICOM libraries from printing what they read or ask for."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    were = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(_NEVER)  # unlike `disabled`, children inherit it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was in zip(loggers, were, strict=True):
            logger.setLevel(was)
