"""Batch: files through engine and audit into an output folder, on all processors, resumable."""

import filecmp
import gc
import mmap
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from tqdm.auto import tqdm

from healthval.deid.audit.audit import IDS, Leak, identifiers, search
from healthval.deid.audit.sources import of_file
from healthval.deid.dicom.batch_workers import Shared, check_can_start, pool_of, shares_of
from healthval.deid.dicom.deidentify import Deidentified, apply_policy, check_policy_and_secret
from healthval.deid.dicom.manifest import (
    SUMMARY,
    Journal,
    Manifest,
    Record,
    batch_key,
    policy_summary,
    refused_record,
    settled,
    source_key,
    written_record,
)
from healthval.deid.dicom.profile import read_table
from healthval.deid.dicom.reader import Source, open_source, read_source
from healthval.deid.dicom.withdrawal import (
    delete_outputs,
    delete_undescribed,
    outputs_in,
    still_valid,
)
from healthval.deid.dicom.writer import cleaned_frames, encode_output, write_output
from healthval.deid.pixels.fragments import CleanFrames
from healthval.deid.pixels.risk import must_decode, set_offsets
from healthval.deid.policy import Policy
from healthval.deid.refuse import Reason, Refused
from healthval.deid.secret import Secret
from healthval.errors import DeidentificationError, HealthvalError, LeakFound, UsageError, counted
from healthval.pydicom_internals import quiet

_GROUP: Final = 50  # files whose headers are transformed before their pixels are copied
_UNFINISHED: Final = ".partial"
_RESUME: Final = "finished files are recorded: run the same command again"
_Named = tuple[str, str]  # key and path of a source file


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """Parameters of a batch, for every worker; `done` are records of an earlier run."""

    out: Path
    policy: Policy
    secret: Secret
    known: tuple[str, ...]
    journal: Journal
    done: Mapping[str, Record]

    @property
    def unfinished(self) -> str:
        """Folder in which this process writes files before they are complete."""
        return os.path.join(self.out, _UNFINISHED, str(os.getpid()))  # noqa: PTH118

    def finished(self, key: str) -> Record | None:
        """Record of a file that an earlier run finished and whose output still exists."""
        found = self.done.get(key)
        if found is None or found.status != "written" or (self.out / found.output).exists():
            return found
        return None


_task: _Task | None = None  # of a worker process


def deidentify_files(  # noqa: PLR0913  the last two are keyword-only
    paths: str | Path | Iterable[str | Path],
    out: str | Path,
    policy: Policy,
    secret: Secret,
    *,
    workers: int = 1,
    known: Iterable[str] = (),
) -> Manifest:
    """De-identify and audit files into `out`; the same call resumes an interrupted batch.

    Parameters
    ----------
    paths : files and folders
    out : a new or empty folder outside the input, or that of an earlier run; outputs whose source
        is not among `paths` any more, or was changed, are withdrawn or replaced
    policy, secret : as for `deidentify`
    workers : number of processes, including this one; more than one needs a secret from a file or
        an environment variable on systems other than Linux
    known : further identifiers for which the audit searches

    Returns
    -------
    Manifest, also written to `out` as manifest.json

    Raises
    ------
    UsageError
        If a path is missing, `out` and the input overlap, or `out` contains another batch.
    LeakFound
        If the audit found a source's identifier in an output. All outputs are deleted.
    DeidentificationError
        If a disk or a worker failed. Run again to finish.
    """
    check_policy_and_secret(policy, secret)
    if workers < 1:
        raise UsageError("workers must be at least 1")
    if workers > 1:
        check_can_start(secret)
    folder = Path(out)
    inputs = _checked_inputs([paths] if isinstance(paths, (str, Path)) else list(paths), folder)
    files = _files_below(inputs)
    before = outputs_in(folder)
    task = _task_of(folder, policy, secret, tuple(known))
    with _manual_collection():
        task = _without_outdated(task, files)
        records = settled(_run(task, files, workers), task.journal)
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)
    after = {record.output for record in records if record.status == "written"}
    delete_undescribed(folder, after)
    old = {r.output for r in records if r.source in task.done and r.status == "written"}
    manifest = Manifest(
        folder=folder,
        records=records,
        policy=policy_summary(policy),
        withdrawn=len(before - after),
        replaced=len((before & after) - old),
    )
    manifest.write()
    return manifest


# --- inputs -----------------------------------------------------------------------------------


def _checked_inputs(given: list[str | Path], out: Path) -> list[Path]:
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
    for path in (p.resolve() for p in inputs):
        if path == target or path in target.parents or target in path.parents:
            raise UsageError("the output folder and the input overlap; choose one outside")
    return inputs


def _files_below(inputs: list[Path]) -> list[str]:
    """Files of a batch, each once, sorted; plain texts sort four times as fast as paths."""
    return sorted({file for path in inputs for file in _walked(path)})


def _walked(path: Path) -> Iterator[str]:
    if not path.is_dir():
        yield str(path)
    for folder, _, names in os.walk(path):
        yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118


def _task_of(out: Path, policy: Policy, secret: Secret, known: tuple[str, ...]) -> _Task:
    """Create the output folder and its journal, or continue those of an earlier run."""
    journal = Journal(out, batch_key(policy, secret, known))
    shutil.rmtree(out / _UNFINISHED, ignore_errors=True)
    (out / _UNFINISHED).mkdir(parents=True)
    done = journal.open()
    (out / SUMMARY).unlink(missing_ok=True)  # it describes the folder as it was
    return _Task(out=out, policy=policy, secret=secret, known=known, journal=journal, done=done)


def _without_outdated(task: _Task, files: list[str]) -> _Task:
    """Withdraw the outputs of sources that are gone or changed since an earlier run."""
    if not task.done:
        return task
    keys = [source_key(task.secret, file) for file in files]
    return replace(task, done=still_valid(task.done, keys, task.journal))


# --- division among processes -----------------------------------------------------------------


def _run(task: _Task, files: list[str], workers: int) -> list[Record]:
    """Records of all files, in their order."""
    try:
        with _progress(len(files)) as bar:
            here = partial(_work, task, bar=bar)
            records = here(files) if workers == 1 else _run_shared(task, files, workers, bar)
            return _without_races(task, records, files)
    except LeakFound:
        shutil.rmtree(task.out / _UNFINISHED, ignore_errors=True)
        delete_outputs(task.out)
        raise
    except BrokenProcessPool:
        raise DeidentificationError(
            "a worker process was ended from outside, often for lack of memory; "
            f"{_RESUME}, with fewer workers"
        ) from None
    except OSError as broken:
        raise DeidentificationError(
            f"reading or writing failed ({broken.strerror}); {_RESUME} when the disk works"
        ) from None


def _run_shared(task: _Task, files: list[str], workers: int, bar: "tqdm[Any]") -> list[Record]:
    read_table()  # before workers are forked, so that they share it
    with pool_of(workers - 1, _start, task) as pool:
        shared = Shared[Record](pool, workers - 1, bar)
        return shared.run(shares_of(files, workers), _share, partial(_work, task, bar=bar))


def _progress(files: int) -> "tqdm[Any]":
    return tqdm(
        total=files,
        desc="deidentify",
        unit="file",
        mininterval=1,
        leave=False,
        disable=files < _GROUP,
    )


def _start(task: _Task) -> None:
    global _task  # noqa: PLW0603  set once in each worker process, before its first share
    _task = task


def _share(files: list[str]) -> list[Record]:
    assert _task is not None  # noqa: S101
    return _work(_task, files)


def _work(task: _Task, files: list[str], bar: "tqdm[Any] | None" = None) -> list[Record]:
    return _records(task, [(source_key(task.secret, file), file) for file in files], bar)


def _records(task: _Task, files: list[_Named], bar: "tqdm[Any] | None" = None) -> list[Record]:
    """Process the files that an earlier run has not finished; return the records of all."""
    found = {key: record for key, _ in files if (record := task.finished(key)) is not None}
    todo = [one for one in files if one[0] not in found]
    os.makedirs(task.unfinished, exist_ok=True)  # noqa: PTH103
    if bar is not None:
        bar.update(len(found))
    with quiet(), task.journal.appending() as journal:
        for start in range(0, len(todo), _GROUP):
            for record in _group(task, todo[start : start + _GROUP]):
                journal.add(record)
                found[record.source] = record
                if bar is not None:
                    bar.update()
            gc.collect(1)
    return [found[key] for key, _ in files]


@contextmanager
def _manual_collection() -> Iterator[None]:
    """Disable automatic garbage collection, a tenth of the time; `_records` collects per group."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


# --- one file ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Audited:
    """A file that passed the audit; it is written already if its frames were cleaned."""

    record: Record
    header: bytes
    source: Source
    is_written: bool = False


def _group(task: _Task, files: list[_Named]) -> Iterator[Record]:
    """Transform all headers of a group, then copy their pixels: processor caches remain warm."""
    with ExitStack() as opened:
        waiting: list[_Audited] = []
        for key, path in files:
            try:
                one = _audited(task, key, path, opened)
            except Refused as refused:
                yield refused_record(key, refused.reason)
                continue
            if one.source.pixels is None or one.is_written:
                yield _written(task, one)
            else:
                waiting.append(one)
        for one in waiting:
            yield _written(task, one)


def _audited(task: _Task, key: str, path: str, opened: ExitStack) -> _Audited:
    """Read, transform and audit one file."""
    file = opened.enter_context(open_source(path))
    source = read_source(file)
    if must_decode(source.dataset, task.policy.pixels):
        source = read_source(file, whole=True)
    result, header, frames = _transformed(source, task)
    unfinished = _unfinished(task, key)
    if frames is not None:
        write_output(unfinished, header, source, frames)
    try:
        leaks = _leaks(source, header, task.known, unfinished if frames is not None else None)
    except Exception:  # the audit cannot read the output
        raise Refused(Reason.STRUCTURE) from None
    if leaks:
        raise LeakFound(_leak_message(leaks))
    return _Audited(written_record(key, result), header, source, frames is not None)


def _transformed(source: Source, task: _Task) -> tuple[Deidentified, bytes, CleanFrames | None]:
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


def _leaks(
    source: Source, header: bytes, known: tuple[str, ...], written: str | None
) -> list[Leak]:
    """Search an output, whose pixels are those of the source unless its file is given."""
    before, after = of_file(source.head, only=IDS), of_file(header)
    pixels = source.pixels
    if pixels is not None and written is not None:
        with open(written, "rb") as file:  # noqa: PTH123  as plain text
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        after.pixels = (whole, len(header), len(whole))
    elif pixels is not None and not pixels.is_explained:  # compressed, or of unknown length
        whole = mmap.mmap(source.file.fileno(), 0, access=mmap.ACCESS_READ)
        after.pixels = (whole, pixels.start, pixels.end)
    return search(before, after, identifiers(before, known))


def _leak_message(leaks: list[Leak]) -> str:
    places = Counter(f"{leak.kind} in {leak.place}" for leak in leaks)
    many = counted(len(leaks), "identifier")
    return (
        f"the audit found {many} of a source in its output ({', '.join(places)}); "
        "the batch was withdrawn, nothing may be sent; remove the attribute or tighten the policy"
    )


def _written(task: _Task, audited: _Audited) -> Record:
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


def _unfinished(task: _Task, key: str) -> str:
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


# --- consistency of the whole batch -----------------------------------------------------------


def _without_races(task: _Task, records: list[Record], files: list[str]) -> list[Record]:
    """Repeat, one after the other, files that two workers wrote to one place at the same time."""
    written = Counter(r.output for r in records if r.status == "written")
    raced = {
        record.source: file
        for record, file in zip(records, files, strict=True)
        if record.status == "written" and written[record.output] > 1
    }
    if not raced:
        return records
    for record in records:
        if record.source in raced:
            (task.out / record.output).unlink(missing_ok=True)
    again = {r.source: r for r in _records(task, sorted(raced.items()))}
    return [again.get(record.source, record) for record in records]
