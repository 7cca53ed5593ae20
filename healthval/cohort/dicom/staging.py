"""Staging of files from a PACS: a folder of the site, with a mark for each complete study."""

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from healthval.cohort.dicom.folder import COMPLETE, Instance, index_file
from healthval.errors import CohortError, counted
from healthval.files import write_durably
from healthval.pydicom_internals import quiet

_SILENT: Final = logging.CRITICAL + 1
_DATES: Final = re.compile(r"\d{8}|\d{8}-(\d{8})?|-\d{8}")  # PS3.4 C.2.2.2.5
_UNDEFINED: Final = 0xFFFFFFFF
_ROWS: Final = 0x00280010
_PIXELS: Final = (0x7FE00010, 0x7FE00008, 0x7FE00009)
# End of a value of undefined length, in both byte orders; four zeros follow
_DELIMITERS: Final = (b"\xfe\xff\xdd\xe0", b"\xff\xfe\xe0\xdd")
_DELIMITER_SIZE: Final = 8
_NETWORK_LOGGERS: Final = ("pynetdicom", "dicomweb_client", "urllib3")


class RetrieveError(CohortError):
    """A study was not retrieved completely; `reason` is the same for all studies that fail in this way."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def check_filters(filters: Mapping[str, str]) -> None:
    """Refuse what a PACS would not report as an error: unknown keywords and dates of another form.

    It ignores such a keyword and returns every study, or finds none for such a date.

    Raises
    ------
    CohortError
        If a filter is not a DICOM keyword, or the study date is neither a date nor a range.
    """
    n_unknown = sum(tag_for_keyword(keyword) is None for keyword in filters)
    if n_unknown:
        raise CohortError(
            f"{counted(n_unknown, 'filter is not a DICOM keyword', 'filters are not DICOM keywords')}; "
            "use for example StudyDate or Modality"
        )
    date = filters.get("StudyDate", "")
    if date and not _DATES.fullmatch(date):
        raise CohortError(
            "the study date is neither a date nor a range; write it like 20230131, "
            "20230101-20230131 or 20230101-"
        )


def staging_folder(folder: str | Path) -> Path:
    """Make the folder for files of a PACS, and delete unfinished files of an interrupted run."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for unfinished in target.glob(".*.dcm.*"):
        unfinished.unlink()
    return target


def staged_path(folder: Path, instance_uid: str) -> Path:
    """Return the path of a file from a PACS; its name is a hash, so it repeats no identifier."""
    return folder / f"{hashlib.sha256(instance_uid.encode()).hexdigest()[:32]}.dcm"


def stage(folder: Path, instance_uid: str, data: bytes) -> Path:
    """Write a file from a PACS, readable by the owner only.

    Raises
    ------
    RetrieveError
        If the local disk refuses it.
    """
    target = staged_path(folder, instance_uid)
    with _local_disk():
        write_durably(target, data)
    return target


@contextmanager
def _local_disk() -> Iterator[None]:
    try:
        yield
    except OSError as failed:
        raise RetrieveError(
            "the local disk refused a file",
            f"{failed.strerror}; make room or correct its rights, and run again to continue",
        ) from None


def is_whole(dataset: Dataset, content: bytes) -> bool:
    """Whether every value has its declared length, and the pixels that the rows announce exist.

    `dataset` was read from `content`.
    """
    for tag in list(dataset.keys()):
        element: Any = dataset.get_item(tag)
        is_defined = element.is_raw and element.length != _UNDEFINED
        if is_defined and len(element.value or b"") != element.length:
            return False
    if len(content) - max(map(content.rfind, _DELIMITERS)) < _DELIMITER_SIZE:
        return False  # the last value of undefined length
    return _ROWS not in dataset or any(tag in dataset for tag in _PIXELS)


def mark_complete(folder: Path, study: str, instances: Iterable[Instance]) -> None:
    """Record that a study was retrieved with all its instances."""
    names = sorted({one.path.name for one in instances})
    with _local_disk():
        (folder / COMPLETE).mkdir(exist_ok=True, mode=0o700)
        write_durably(_mark(folder, study), json.dumps(names).encode("ascii"))


def complete_study(folder: Path, study: str, announced: int | None) -> list[Instance] | None:
    """Instances of a study that an earlier run retrieved; None if it must be retrieved.

    A study that has grown, or whose files are gone, is retrieved again.
    """
    try:
        names = json.loads(_mark(folder, study).read_bytes())
    except (OSError, ValueError):
        return None
    if len(names) < (announced or 0):
        return None
    with quiet():
        found = [index_file(folder / name) for name in names]
    instances = [one for one in found if isinstance(one, Instance)]
    return instances if len(instances) == len(names) else None


def _mark(folder: Path, study: str) -> Path:
    return folder / COMPLETE / hashlib.sha256(study.encode()).hexdigest()[:32]


@contextmanager
def quiet_pacs() -> Iterator[None]:
    """Silence pydicom and the network libraries, whose log lines quote identifiers."""
    loggers = [logging.getLogger(name) for name in _NETWORK_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(_SILENT)  # unlike `disabled`, children inherit it
    try:
        with quiet():
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
