"""A folder of DICOM files through engine and audit, on all processors, resumable."""

import filecmp
import gc
import mmap
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from tqdm.auto import tqdm

from healthval.deid.audit.audit import IDS, Leak, identifiers, search
from healthval.deid.audit.sources import of_file
from healthval.deid.dicom import values
from healthval.deid.dicom.batch_inputs import checked_inputs, files_below, key_of, opened_file
from healthval.deid.dicom.batch_workers import Shared, pool_of, shares_of
from healthval.deid.dicom.deidentified import Deidentified
from healthval.deid.dicom.engine import apply, check_means
from healthval.deid.dicom.files import Source, encoded, read_source, write_output
from healthval.deid.dicom.manifest import Journal, Manifest, Record, conflicts
from healthval.deid.dicom.profile import EDITION, read_table
from healthval.deid.dicom.refuse import Reason, Refused
from healthval.deid.pixels.risk import must_decode
from healthval.deid.policy import Policy
from healthval.deid.quiet import quiet
from healthval.deid.secret import Secret, pseudonym
from healthval.errors import DeidentificationError, HealthvalError, LeakFound, UsageError

_GROUP: Final = 50
# A UID becomes a file name; whatever else stands there could climb out of the folder.
_UID: Final = re.compile(r"(?=.{1,64}$)\d+(\.\d+)*")
_PARTIAL: Final = ".partial"
_AGAIN: Final = "what is done is recorded: run the same again"


@dataclass(frozen=True, slots=True)
class _Task:
    """What every worker needs; the secret crosses by fork, never in a message."""

    out: Path
    policy: Policy
    secret: Secret
    known: tuple[str, ...]
    journal: Journal
    done: Mapping[str, Record]  # by an earlier run

    @property
    def own(self) -> str:
        """Folder in which this process writes what is not yet whole."""
        return os.path.join(self.out, _PARTIAL, str(os.getpid()))  # noqa: PTH118

    def finished(self, key: str) -> Record | None:
        """Record of a file that needs no more work."""
        found = self.done.get(key)
        is_there = found is None or found.status != "written" or (self.out / found.output).exists()
        return found if is_there else None


_Named = tuple[str, str]  # a source file's key, and where it is
_task: _Task | None = None


def deidentify_files(  # noqa: PLR0913  the two last are by keyword
    paths: str | Path | Iterable[str | Path],
    out: str | Path,
    policy: Policy,
    secret: Secret,
    *,
    workers: int = 1,
    known: Iterable[str] = (),
) -> Manifest:
    """De-identify and audit files into `out`; run again after an interruption to finish.

    Parameters
    ----------
    paths : files and folders
    out : a new or empty folder outside the input, or the one of an interrupted run
    workers : processes, this one among them
    known : further identifiers that the audit looks for

    Returns
    -------
    Manifest, also written to `out` as manifest.json

    Raises
    ------
    UsageError
        If a path is missing, `out` and the input overlap, or `out` holds another batch.
    LeakFound
        If the audit found a source's identifier in an output. The batch is withdrawn.
    DeidentificationError
        If a disk or a worker failed. Run again to finish.
    """
    check_means(policy, secret)
    if workers < 1:
        raise UsageError("workers must be at least 1")
    folder = Path(out)
    inputs = checked_inputs([paths] if isinstance(paths, (str, Path)) else list(paths), folder)
    task = _task_of(folder, policy, secret, tuple(known))
    with _uncollected():
        files = files_below(inputs)
        read_table()  # once, for all workers
        with pool_of(workers, _start, task) as pool:
            records = _without_races(task, _run(task, files, pool, workers), files)
        manifest = _settled(task, records)
    shutil.rmtree(folder / _PARTIAL, ignore_errors=True)
    manifest.write()
    return manifest


def _task_of(out: Path, policy: Policy, secret: Secret, known: tuple[str, ...]) -> _Task:
    """Make room for a batch, or find what an earlier run of it did."""
    journal = Journal(out, pseudonym(secret, "batch", _canonical(policy)))
    shutil.rmtree(out / _PARTIAL, ignore_errors=True)
    (out / _PARTIAL).mkdir(parents=True)
    return _Task(out, policy, secret, known, journal, journal.open())


def _canonical(policy: Policy) -> str:
    return "|".join(
        (
            ",".join(sorted(policy.options)),
            repr(sorted(policy.private_allowlist)),
            repr(sorted(policy.public_allowlist)),
            repr(policy.pixels),
        )
    )


def _run(task: _Task, files: list[str], pool: ProcessPoolExecutor | None, workers: int) -> list[Record]:  # fmt: skip
    try:
        with _bar(len(files)) as bar:
            here = partial(_work, task, bar=bar)
            if pool is None:
                return here(files)
            shared = Shared[Record](pool, workers - 1, bar)
            return shared.run(shares_of(files, workers), _share, here)
    except LeakFound:
        _withdraw_all(task.out)
        raise
    except BrokenProcessPool:
        raise DeidentificationError(f"a worker process was ended from outside, often for lack of memory; {_AGAIN}, with fewer workers") from None  # fmt: skip
    except OSError as broken:
        raise DeidentificationError(f"reading or writing failed ({broken.strerror}); {_AGAIN} when it works") from None  # fmt: skip


def _bar(files: int) -> "tqdm[Any]":
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
    return _records(task, [(key_of(task.secret, file), file) for file in files], bar)


def _records(task: _Task, files: list[_Named], bar: "tqdm[Any] | None" = None) -> list[Record]:
    """Do files that an earlier run has not finished; give the records of all, in their order."""
    found = {key: record for key, _ in files if (record := task.finished(key)) is not None}
    todo = [one for one in files if one[0] not in found]
    os.makedirs(task.own, exist_ok=True)  # noqa: PTH103
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
def _uncollected() -> Iterator[None]:
    """Leave garbage to `_work`, once per group of files: a tenth of the time went into looking."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _group(task: _Task, files: list[_Named]) -> Iterator[Record]:
    """Transform some headers, then copy their pixels: the processor's caches stay warm."""
    with ExitStack() as opened:
        ready: list[_Ready] = []
        for key, path in files:
            try:
                one = _prepared(task, key, path, opened)
            except Refused as refused:
                yield Record(key, "refused", refused.reason.value)
                continue
            if one.source.span is None:  # all of it is in memory: do not hold many of these
                yield _finished(task, one)
            else:
                ready.append(one)
        for one in ready:
            yield _finished(task, one)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A file that passed the audit and waits to be written."""

    record: Record
    header: bytes
    source: Source


def _prepared(task: _Task, key: str, path: str, opened: ExitStack) -> _Ready:
    file = opened.enter_context(opened_file(path))
    source = read_source(file)
    if must_decode(source.dataset, task.policy.pixels):
        source = read_source(file, whole=True)
    result, header = _transformed(source, task)
    leaks = _audited(source, header, task.known)
    if leaks:
        raise LeakFound(_leak_message(leaks))
    return _Ready(_record(key, result), header, source)


def _finished(task: _Task, ready: _Ready) -> Record:
    partial = os.path.join(task.own, ready.record.source)  # noqa: PTH118  pathlib costs more than the moves
    try:
        write_output(partial, ready.header, ready.source)
    except Refused as refused:
        os.unlink(partial)  # noqa: PTH108
        return Record(ready.record.source, "refused", refused.reason.value)
    return _published(task.out, partial, ready.record)


def _transformed(source: Source, task: _Task) -> tuple[Deidentified, bytes]:
    try:
        result = apply(source.dataset, task.policy, task.secret)
        return result, encoded(result.dataset, source)
    except HealthvalError:
        raise
    except Exception:
        raise Refused(Reason.STRUCTURE) from None


def _audited(source: Source, header: bytes, known: tuple[str, ...]) -> list[Leak]:
    """Audit an output; what the audit cannot read is not let through."""
    try:
        return _leaks(source, header, known)
    except Exception:
        raise Refused(Reason.STRUCTURE) from None


def _leaks(source: Source, header: bytes, known: tuple[str, ...]) -> list[Leak]:
    before, after = of_file(source.head, only=IDS), of_file(header)
    span = source.span
    if (
        span is not None and not span.is_explained
    ):  # compressed, or of another size than the image's
        whole = mmap.mmap(source.file.fileno(), 0, access=mmap.ACCESS_READ)
        after.pixels = (whole, span.start, span.end)
    return search(before, after, identifiers(before, known))


def _leak_message(leaks: list[Leak]) -> str:
    places = Counter(f"{leak.kind} in {leak.place}" for leak in leaks)
    return (
        f"the audit found {len(leaks)} identifiers of a source in its output ({', '.join(places)}); "
        "the batch was withdrawn, nothing may be sent; remove the attribute or tighten the policy"
    )


def _record(key: str, result: Deidentified) -> Record:
    dataset = result.dataset
    patient, study, instance = (values.text_of(dataset, t) for t in (0x00100020, 0x0020000D, 0x00080018))  # fmt: skip
    folder, name = (u if _UID.fullmatch(u) else "" for u in (study, instance))
    output = f"{folder or 'no-study'}/{name or key}.dcm"
    flags = tuple(flag.value for flag in result.flags)
    return Record(key, "written", "", output, patient, study, instance, dict(result.actions), flags)


def _published(out: Path, partial: str, record: Record) -> Record:
    target = os.path.join(out, record.output)  # noqa: PTH118
    if os.path.exists(target):  # noqa: PTH110
        same = filecmp.cmp(partial, target, shallow=False)
        os.unlink(partial)  # noqa: PTH108
        if same:
            return replace(record, status="duplicate")
        return replace(record, status="refused", reason=Reason.CONFLICT.value)
    try:
        os.rename(partial, target)  # noqa: PTH104
    except FileNotFoundError:
        Path(target).parent.mkdir(exist_ok=True)
        os.rename(partial, target)  # noqa: PTH104
    return record


def _without_races(task: _Task, records: list[Record], files: list[str]) -> list[Record]:
    """Redo, one after the other, files that two workers wrote to one place at the same time."""
    written = Counter(r.output for r in records if r.status == "written")
    raced = {r.source: file for r, file in zip(records, files, strict=True) if r.status == "written" and written[r.output] > 1}  # fmt: skip
    if not raced:
        return records
    for record in records:
        if record.source in raced:
            (task.out / record.output).unlink(missing_ok=True)
    again = {r.source: r for r in _records(task, sorted(raced.items()))}
    return [again.get(record.source, record) for record in records]


def _settled(task: _Task, records: list[Record]) -> Manifest:
    """Withdraw what contradicts itself, now that every file is known."""
    _adopt(task, records)
    withdrawn = conflicts(records)
    for position, record in enumerate(records):
        reason = withdrawn.get(record.source)
        if reason is None or record.status == "refused":
            continue
        (task.out / record.output).unlink(missing_ok=True)
        records[position] = replace(record, status="refused", reason=reason.value)
        with task.journal.appending() as journal:
            journal.add(records[position])
    return Manifest(task.out, tuple(records), described(task.policy))


def _adopt(task: _Task, records: list[Record]) -> None:
    """Count an output as written that a killed run had moved into place but not yet recorded."""
    written = {r.output for r in records if r.status == "written"}
    for position, record in enumerate(records):
        if record.status == "duplicate" and record.output not in written:
            written.add(record.output)
            records[position] = replace(record, status="written")
            with task.journal.appending() as journal:
                journal.add(records[position])


def _withdraw_all(out: Path) -> None:
    for file in (*out.glob("*/*.dcm"), *out.glob("manifest.json*")):
        file.unlink()


def described(policy: Policy) -> dict[str, Any]:
    """Say the policy's choices, as the manifest and the report state them."""
    return {
        "table": f"DICOM PS3.15 E.1-1, {EDITION}",
        "options": sorted(policy.options),
        "dates": policy.dates,
        "region_rules": [rule.name for rule in policy.pixels.rules],
        "text_detection": policy.pixels.text,
        "sign_off": policy.pixels.sign_off,
    }
