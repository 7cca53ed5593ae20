"""Batch: files through engine and audit into an output folder, on all processors, resumable."""

import gc
import os
import pickle
import shutil
import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from healthval.cluster import check_address, outcomes
from healthval.deid.dicom.deidentify import check_policy_and_secret
from healthval.deid.dicom.files.batch_workers import (
    Shared,
    check_can_start,
    interrupted_once,
    pool_of,
    shares_of,
)
from healthval.deid.dicom.files.evidence import EVIDENCE
from healthval.deid.dicom.files.inputs import input_files
from healthval.deid.dicom.files.manifest import (
    SIGNATURE,
    SUMMARY,
    Journal,
    Manifest,
    Record,
    batch_key,
    policy_summary,
    settled,
    source_key,
)
from healthval.deid.dicom.files.one_file import UNFINISHED, Named, Task, group_records
from healthval.deid.dicom.files.refused_list import write_refused
from healthval.deid.dicom.files.removal import tags_of
from healthval.deid.dicom.files.withdrawal import (
    delete_outputs,
    delete_undescribed,
    outputs_in,
    still_valid,
)
from healthval.deid.dicom.profile import read_table
from healthval.deid.policy import Policy
from healthval.deid.refuse import Reason
from healthval.deid.secret import Secret
from healthval.errors import DeidentificationError, LeakFound, UsageError, counted
from healthval.progress import tqdm
from healthval.pydicom_internals import quiet

_GROUP: Final = 50  # files whose headers are transformed before their pixels are copied
_FAR_WORKERS: Final = 16  # for the size of shares: the workers of a cluster come and go
_RESUME: Final = "finished files are recorded: run the same command again"


_task: Task | None = None  # of a worker process


def deidentify_files(  # noqa: PLR0913  the last ones are keyword-only
    paths: str | Path | Iterable[str | Path],
    out: str | Path,
    policy: Policy,
    secret: Secret,
    *,
    workers: int = 1,
    known: Iterable[str] = (),
    remove: Iterable[str | int] = (),
    skip_leaking: bool = False,
    scheduler: str | None = None,
) -> Manifest:
    """De-identify and audit files into `out`; the same call resumes an interrupted batch.

    The list of refused files, with reason and remedy, is `refused.csv` in a folder beside `out`
    whose name ends in "-identifiable"; it stays in the hospital.

    Parameters
    ----------
    paths : files and folders
    out : a new or empty folder outside the input, or that of an earlier run; outputs whose source
        is not among `paths` any more, or was changed, are withdrawn or replaced
    policy, secret : as for `deidentify`
    workers : number of processes, including this one; more than one needs a secret from a file or
        an environment variable on systems other than Linux
    known : further identifiers for which the audit searches
    remove : further attributes to remove, as keywords or tags
    skip_leaking : refuse a file in whose output the audit finds an identifier, and write the others
    scheduler : address of a Dask scheduler, whose workers do the work instead of processes of this
        machine; they see the same folders and the file of the secret. Outputs and manifest are
        the same

    Returns
    -------
    Manifest, also written to `out` as manifest.json, with evidence.json beside it

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
    _check_workers(workers, secret, scheduler)
    folder, policy = Path(out), replace(policy, remove=policy.remove | tags_of(remove))
    files = input_files([paths] if isinstance(paths, (str, Path)) else paths, folder)
    before = outputs_in(folder)
    task = _without_outdated(_task_of(folder, policy, secret, tuple(known)), files)
    outdated = before - outputs_in(folder)
    with _manual_collection(), interrupted_once():
        records = settled(_run(task, files, workers, scheduler), task.journal)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    write_refused(folder, files, records)
    if not skip_leaking:
        _check_no_leak(folder, records)
    return _written_manifest(task, records, before, outdated)


# --- start ------------------------------------------------------------------------------------


def _check_workers(workers: int, secret: Secret, scheduler: str | None) -> None:
    if workers < 1:
        raise UsageError("workers must be at least 1")
    if scheduler is not None:
        check_address(scheduler)
        pickle.dumps(secret)  # refuses one that other machines could not read
    elif workers > 1:
        check_can_start(secret)


def _task_of(out: Path, policy: Policy, secret: Secret, known: tuple[str, ...]) -> Task:
    """Create the output folder and its journal, or continue those of an earlier run."""
    journal = Journal(out, batch_key(policy, secret, known))
    try:
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
        (out / UNFINISHED).mkdir(parents=True)
        done = journal.open()
        for name in (SUMMARY, EVIDENCE, SIGNATURE):  # they describe the folder as it was
            (out / name).unlink(missing_ok=True)
    except OSError as failed:
        raise UsageError(
            f"the output folder cannot be made or written ({failed.strerror}); "
            "check its path and rights, or give another folder"
        ) from None
    return Task(out=out, policy=policy, secret=secret, known=known, journal=journal, done=done)


def _check_no_leak(out: Path, records: tuple[Record, ...]) -> None:
    """Delete all outputs if the audit found an identifier in one of them."""
    leaking = [record for record in records if record.reason == Reason.LEAK.value]
    if not leaking:
        return
    delete_outputs(out)
    places = Counter(place for record in leaking for place in record.places.split(", "))
    named = ", ".join(f"{place}: {counted(n, 'file')}" for place, n in places.most_common(5))
    raise LeakFound(
        f"the audit found identifiers of a source in {counted(len(leaking), 'output')} ({named}); "
        "the batch was withdrawn, nothing may be sent; the local list refused.csv has the files; "
        "remove the attribute (--remove TAG), leave the files out (--skip-leaking) or tighten the "
        "policy"
    )


def _without_outdated(task: Task, files: list[str]) -> Task:
    """Withdraw the outputs of sources that are gone or changed since an earlier run."""
    if not task.done:
        return task
    keys = [source_key(task.secret, file) for file in files]
    return replace(task, done=still_valid(task.done, keys, task.journal))


# --- end ----------------------------------------------------------------------------------------


def _written(records: Iterable[Record]) -> set[str]:
    """Outputs of the batch."""
    return {record.output for record in records if record.status == "written"}


def _written_manifest(
    task: Task,
    records: tuple[Record, ...],
    before: AbstractSet[str],
    outdated: AbstractSet[str],
) -> Manifest:
    """Write the manifest of a finished batch.

    `before` are the outputs at its start, `outdated` those of them whose source had changed. Files
    that it does not describe are deleted.
    """
    after = _written(records)
    delete_undescribed(task.out, after)
    manifest = Manifest(
        folder=task.out,
        records=records,
        policy=policy_summary(task.policy),
        applied=task.policy,
        withdrawn=len(before - after),
        replaced=len(outdated & after),
    )
    manifest.write()
    return manifest


# --- division among processes -----------------------------------------------------------------


def _run(task: Task, files: list[str], workers: int, scheduler: str | None) -> list[Record]:
    """Records of all files, in their order."""
    try:
        with _progress(len(files)) as bar:
            here = partial(_work, task, bar=bar)
            if scheduler is not None:
                records = _run_on_cluster(task, files, scheduler, bar)
            else:
                records = here(files) if workers == 1 else _run_shared(task, files, workers, bar)
            return _without_races(task, records, files)
    except KeyboardInterrupt:
        _delete_unrecorded(task)
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


def _delete_unrecorded(task: Task) -> None:
    """Delete unfinished outputs, so that the journal describes the folder."""
    shutil.rmtree(task.out / UNFINISHED, ignore_errors=True)
    journal = task.journal
    delete_undescribed(task.out, _written(journal.open().values()))


def _run_shared(task: Task, files: list[str], workers: int, bar: "tqdm[Any]") -> list[Record]:
    read_table()  # before workers are forked, so that they share it
    with pool_of(workers - 1, _start, task) as pool:
        shared = Shared[Record](pool, workers - 1, bar)
        return shared.run(shares_of(files, workers), _share, partial(_work, task, bar=bar))


def _run_on_cluster(task: Task, files: list[str], scheduler: str, bar: "tqdm[Any]") -> list[Record]:
    """Do the unfinished files on a cluster; only this process appends to the journal.

    Appending from several machines is not atomic in a network file system.
    """
    files = [os.path.abspath(file) for file in files]  # noqa: PTH100  `resolve` follows links
    keys = {file: source_key(task.secret, file) for file in files}
    found = {key: record for key in keys.values() if (record := task.finished(key)) is not None}
    bar.update(len(found))
    shares = shares_of([file for file in files if keys[file] not in found], _FAR_WORKERS)
    far = replace(task, out=task.out.absolute(), done={})
    batch = uuid.uuid4().hex[:12]
    jobs = ((f"{batch}-{i}", (far, share)) for i, share in enumerate(shares))
    with task.journal.appending() as journal:
        for _, records in outcomes(scheduler, _share_there, jobs):
            if records is None:
                raise BrokenProcessPool
            for record in records:
                journal.add(record)
                found[record.source] = record
            bar.update(len(records))
    return [found[keys[file]] for file in files]


_one_share = (
    threading.Lock()
)  # a Dask worker may have several threads, and pydicom's settings are global


def _share_there(given: tuple[Task, list[str]]) -> list[Record]:
    """Process a share on a Dask worker."""
    task, files = given
    try:
        with _one_share, quiet():
            os.makedirs(task.unfinished, exist_ok=True)  # noqa: PTH103
            return list(group_records(task, [(source_key(task.secret, f), f) for f in files]))
    except OSError as broken:
        raise DeidentificationError(
            f"reading or writing failed on a Dask worker ({broken.strerror}); {_RESUME} when all "
            "machines see the folders"
        ) from None


def _progress(files: int) -> "tqdm[Any]":
    return tqdm(
        total=files,
        desc="deidentify",
        unit="file",
        mininterval=1,
        leave=False,
        disable=files < _GROUP,
    )


def _start(task: Task) -> None:
    global _task  # noqa: PLW0603  set once in each worker process, before its first share
    _task = task


def _share(files: list[str]) -> list[Record]:
    assert _task is not None  # noqa: S101
    return _work(_task, files)


def _work(task: Task, files: list[str], bar: "tqdm[Any] | None" = None) -> list[Record]:
    return _records(task, [(source_key(task.secret, file), file) for file in files], bar)


def _records(task: Task, files: list[Named], bar: "tqdm[Any] | None" = None) -> list[Record]:
    """Process the files that an earlier run has not finished; return the records of all."""
    found = {key: record for key, _ in files if (record := task.finished(key)) is not None}
    todo = [one for one in files if one[0] not in found]
    os.makedirs(task.unfinished, exist_ok=True)  # noqa: PTH103
    if bar is not None:
        bar.update(len(found))
    with quiet(), task.journal.appending() as journal:
        for start in range(0, len(todo), _GROUP):
            for record in group_records(task, todo[start : start + _GROUP]):
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


# --- consistency of the whole batch -----------------------------------------------------------


def _without_races(task: Task, records: list[Record], files: list[str]) -> list[Record]:
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
