"""A folder of DICOM files through engine and audit, on all processors, resumable."""

import filecmp
import gc
import mmap
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from tqdm.auto import tqdm

from healthval.deid import values
from healthval.deid.audit import IDS, Leak, identifiers, search
from healthval.deid.deidentified import Deidentified
from healthval.deid.encoded import of_file
from healthval.deid.engine import apply, check_means
from healthval.deid.inputs import files_below, key_of, opened_file
from healthval.deid.manifest import Journal, Manifest, Record, conflicts
from healthval.deid.pixels import must_decode
from healthval.deid.policy import Policy
from healthval.deid.profile import EDITION, read_table
from healthval.deid.quiet import quiet
from healthval.deid.refuse import Reason, Refused
from healthval.deid.secret import Secret, pseudonym
from healthval.deid.splice import Source, encoded, read_source, write_output
from healthval.errors import HealthvalError, LeakFound, UsageError

_CHUNK: Final = 25
_GROUP: Final = 50
# A UID becomes a file name; whatever else stands there could climb out of the folder.
_UID: Final = re.compile(r"(?=.{1,64}$)\d+(\.\d+)*")
_PARTIAL: Final = ".partial"


@dataclass(frozen=True, slots=True)
class _Task:
    """What every worker needs; the secret crosses by fork, never in a message."""

    out: Path
    policy: Policy
    secret: Secret
    known: tuple[str, ...]
    journal: Journal


_Named = tuple[str, Path]  # a source file and its key
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
    workers : processes
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
    """
    check_means(policy, secret)
    folder = Path(out)
    files = files_below([paths] if isinstance(paths, (str, Path)) else list(paths), folder)
    if workers < 1:
        raise UsageError("workers must be at least 1")
    batch = pseudonym(secret, "batch", _canonical(policy))
    task = _Task(folder, policy, secret, tuple(known), Journal(folder, batch))
    shutil.rmtree(folder / _PARTIAL, ignore_errors=True)
    (folder / _PARTIAL).mkdir(parents=True)
    done = task.journal.open()
    sources: dict[str, Path] = {}
    with _pool(task, workers) as pool:
        done |= _run(task, _named(task, files, done, sources), pool, (len(files), workers))
    manifest = _settled(task, _without_races(task, [done[key] for key in sources], sources))
    shutil.rmtree(folder / _PARTIAL, ignore_errors=True)
    manifest.write()
    return manifest


def _named(task: _Task, files: list[Path], done: dict[str, Record], sources: dict[str, Path]) -> Iterator[_Named]:  # fmt: skip
    """Give the files that are left to do with their keys; `sources` takes in all of them."""
    for file in files:
        key = key_of(task.secret, file)
        sources[key] = file
        if not _is_done(done.get(key), task.out):
            yield key, file


def _canonical(policy: Policy) -> str:
    return "|".join(
        (
            ",".join(sorted(policy.options)),
            repr(sorted(policy.private_allowlist)),
            repr(sorted(policy.public_allowlist)),
            repr(policy.pixels),
        )
    )


def _is_done(record: Record | None, folder: Path) -> bool:
    return record is not None and (record.status != "written" or (folder / record.output).exists())


@contextmanager
def _pool(task: _Task, workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """Start the workers before there is work: they read the table while the files are named."""
    if workers == 1:
        yield None
        return
    with ProcessPoolExecutor(workers, get_context("fork"), _start, (task,)) as pool:
        pool.submit(int)  # the first task of all makes the processes
        yield pool


def _run(task: _Task, todo: Iterator[_Named], pool: ProcessPoolExecutor | None, size: tuple[int, int]) -> dict[str, Record]:  # fmt: skip
    try:
        with _bar(size[0]) as bar:
            records = _work(task, list(todo), bar) if pool is None else _in_pool(pool, todo, bar, size)  # fmt: skip
    except LeakFound:
        _withdraw_all(task.out)
        raise
    return {record.source: record for record in records}


def _in_pool(pool: ProcessPoolExecutor, todo: Iterator[_Named], bar: "tqdm[Any]", size: tuple[int, int]) -> list[Record]:  # fmt: skip
    """Hand out shares while the rest is still being named."""
    files, workers = size
    share = min(_CHUNK, -(-files // (8 * workers)) or 1)
    futures = []
    while chunk := list(islice(todo, share)):
        futures.append(pool.submit(_chunk, chunk))
        futures[-1].add_done_callback(partial(_advance, bar, len(chunk)))
    finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
    failed = [f for f in finished if f.exception() is not None]
    if failed:
        pool.shutdown(wait=True, cancel_futures=True)
        failed[0].result()
    return [record for future in futures for record in future.result()]


def _bar(files: int) -> "tqdm[Any]":
    return tqdm(
        total=files,
        desc="deidentify",
        unit="file",
        mininterval=1,
        leave=False,
        disable=files < _GROUP,
    )


def _advance(bar: "tqdm[Any]", files: int, _: Any) -> None:
    bar.update(files)


def _start(task: _Task) -> None:
    global _task  # noqa: PLW0603  set once in each worker process, before its first chunk
    _task = task
    read_table()


def _chunk(files: list[_Named]) -> list[Record]:
    assert _task is not None  # noqa: S101
    return _work(_task, files)


def _work(task: _Task, files: list[_Named], bar: "tqdm[Any] | None" = None) -> list[Record]:  # fmt: skip
    records: list[Record] = []
    with quiet(), task.journal.appending() as journal:
        for start in range(0, len(files), _GROUP):
            with _uncollected():
                for record in _group(task, files[start : start + _GROUP]):
                    journal.add(record)
                    records.append(record)
                    if bar is not None:
                        bar.update()
    return records


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for garbage once per group of files: a tenth of the time went into looking."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
        gc.collect(1)


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


def _prepared(task: _Task, key: str, path: Path, opened: ExitStack) -> _Ready:
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
    own = task.out / _PARTIAL / str(os.getpid())
    own.mkdir(exist_ok=True)
    partial = own / ready.record.source
    try:
        write_output(partial, ready.header, ready.source)
    except Refused as refused:
        partial.unlink(missing_ok=True)
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


def _published(out: Path, partial: Path, record: Record) -> Record:
    target = os.path.join(out, record.output)  # noqa: PTH118  pathlib costs more than the moves
    if os.path.exists(target):  # noqa: PTH110
        same = filecmp.cmp(partial, target, shallow=False)
        partial.unlink()
        if same:
            return replace(record, status="duplicate")
        return replace(record, status="refused", reason=Reason.CONFLICT.value)
    try:
        os.rename(partial, target)  # noqa: PTH104
    except FileNotFoundError:
        Path(target).parent.mkdir(exist_ok=True)
        partial.rename(target)
    return record


def _without_races(task: _Task, records: list[Record], sources: dict[str, Path]) -> list[Record]:
    """Redo, one after the other, files that two workers wrote to one place at the same time."""
    written = Counter(r.output for r in records if r.status == "written")
    raced = {r.source for r in records if r.status == "written" and written[r.output] > 1}
    if not raced:
        return records
    for record in records:
        if record.source in raced:
            (task.out / record.output).unlink(missing_ok=True)
    again = {r.source: r for r in _work(task, [(key, sources[key]) for key in sorted(raced)])}
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
