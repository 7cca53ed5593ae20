"""One file of a batch: read, transformed, audited and written."""

import filecmp
import mmap
import os
import platform
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from healthval.deid.audit.audit import IDS, Leak, identifiers, search
from healthval.deid.audit.sources import EncodedDataset, of_file
from healthval.deid.dicom.deidentify import Deidentified, apply_policy
from healthval.deid.dicom.files.evidence import encoded_search
from healthval.deid.dicom.files.journal import Journal
from healthval.deid.dicom.files.manifest import refused_record, written_record
from healthval.deid.dicom.files.records import Named, Record
from healthval.deid.dicom.reader import Source, open_source, read_source
from healthval.deid.dicom.writer import cleaned_frames, encode_output, write_output
from healthval.deid.pixels.fragments import CleanFrames
from healthval.deid.pixels.risk import must_decode, set_offsets
from healthval.deid.policy import Policy
from healthval.deid.refuse import Reason, Refused
from healthval.deid.secret import Secret
from healthval.errors import HealthvalError

UNFINISHED: Final = ".partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Parameters of a batch, for every worker."""

    out: Path
    policy: Policy
    secret: Secret
    known: tuple[str, ...]
    journal: Journal

    @property
    def unfinished(self) -> str:
        """Folder in which this process writes files before they are complete."""
        process = f"{platform.node()}-{os.getpid()}"  # of one of several machines
        return os.path.join(self.out, UNFINISHED, process)  # noqa: PTH118


class _LeakingError(Exception):
    """The audit found identifiers in an output; `places` are kinds and attributes, no values."""

    def __init__(self, leaks: list[Leak]) -> None:
        super().__init__()
        places = Counter(f"{leak.kind} in {leak.place}" for leak in leaks)
        self.places = ", ".join(places)


@dataclass(frozen=True, slots=True)
class _Audited:
    """A file that passed the audit; it is written already if its frames were cleaned."""

    record: Record
    header: bytes
    source: Source
    is_written: bool = False


def group_records(task: Task, files: list[Named]) -> Iterator[Record]:
    """Transform all headers of a group, then copy their pixels: processor caches remain warm."""
    with ExitStack() as opened:
        waiting: list[_Audited] = []
        for key, path in files:
            try:
                one = _audited(task, key, path, opened)
            except Refused as refused:
                yield refused_record(key, refused.reason)
                continue
            except _LeakingError as leaking:
                yield refused_record(key, Reason.LEAK, leaking.places)
                continue
            if one.source.pixels is None or one.is_written:
                yield _written(task, one)
            else:
                waiting.append(one)
        for one in waiting:
            yield _written(task, one)


def _audited(task: Task, key: str, path: str, opened: ExitStack) -> _Audited:
    """Read, transform and audit one file."""
    file = opened.enter_context(open_source(path))
    source = read_source(file)
    if must_decode(source.dataset, task.policy.pixels):
        source = read_source(file, whole=True)
    result, header, frames = _transformed(source, task)
    unfinished = _unfinished(task, key)
    if frames is not None:
        write_output(unfinished, header, source, frames)
    searched = ""
    try:
        before, after = _to_search(source, header, unfinished if frames is not None else None)
        found = identifiers(before, task.known)
        leaks = search(before, after, found)
        searched = encoded_search(found.counts())
    except Exception:  # the audit cannot read the output
        leaks = None
    if frames is not None and leaks != []:
        os.unlink(unfinished)  # noqa: PTH108
    if leaks is None:
        raise Refused(Reason.STRUCTURE)
    if leaks:
        raise _LeakingError(leaks)
    record = written_record(key, result, searched)
    return _Audited(record, header, source, frames is not None)


def _transformed(source: Source, task: Task) -> tuple[Deidentified, bytes, CleanFrames | None]:
    try:
        result = apply_policy(source.dataset, task.policy, task.secret)
        frames = cleaned_frames(source)
        if frames is not None:
            set_offsets(result.dataset, frames)
        return result, encode_output(result.dataset, source), frames
    except HealthvalError:
        raise
    except Exception:
        raise Refused(Reason.STRUCTURE) from None


def _to_search(
    source: Source, header: bytes, written: str | None
) -> tuple[EncodedDataset, EncodedDataset]:
    """Source and output as the audit reads them; the pixels are the source's unless written."""
    before, after = of_file(source.head, only=IDS), of_file(header)
    pixels = source.pixels
    if pixels is not None and written is not None:
        with open(written, "rb") as file:  # noqa: PTH123  as plain text
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        after.pixels = (whole, len(header), len(whole))
    elif pixels is not None and not pixels.is_explained:  # compressed, or of unknown length
        whole = mmap.mmap(source.file.fileno(), 0, access=mmap.ACCESS_READ)
        after.pixels = (whole, pixels.start, pixels.end)
    return before, after


def _written(task: Task, audited: _Audited) -> Record:
    key = audited.record.source
    unfinished = _unfinished(task, key)
    if audited.is_written:
        return _moved(task.out, unfinished, audited.record)
    try:
        write_output(unfinished, audited.header, audited.source)
    except Refused as refused:
        os.unlink(unfinished)  # noqa: PTH108
        return refused_record(key, refused.reason)
    return _moved(task.out, unfinished, audited.record)


def _unfinished(task: Task, key: str) -> str:
    return os.path.join(task.unfinished, key)  # noqa: PTH118  pathlib costs more than the move


def _moved(out: Path, unfinished: str, record: Record) -> Record:
    """Move a complete file to its place; an existing file makes it a duplicate or a conflict."""
    target = os.path.join(out, record.output)  # noqa: PTH118
    if os.path.exists(target):  # noqa: PTH110
        same = filecmp.cmp(unfinished, target, shallow=False)
        os.unlink(unfinished)  # noqa: PTH108
        if same:
            return replace(record, status="duplicate")
        return replace(record, status="refused", reason=Reason.CONFLICT.value)
    try:
        os.replace(unfinished, target)  # noqa: PTH105
    except FileNotFoundError:
        Path(target).parent.mkdir(exist_ok=True)
        os.replace(unfinished, target)  # noqa: PTH105
    return record
