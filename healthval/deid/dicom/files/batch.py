"""Batch: files through engine and audit into an output folder, on all processors, resumable."""

import gc
import os
import pickle
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
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
from healthval.deid.dicom.files.journal import Journal, batch_key, source_key
from healthval.deid.dicom.files.manifest import SIGNATURE, SUMMARY, Manifest, policy_summary
from healthval.deid.dicom.files.one_file import UNFINISHED, Task, group_records
from healthval.deid.dicom.files.records import Named, Record, Records, Remaining, Status
from healthval.deid.dicom.files.refused_list import write_refused
from healthval.deid.dicom.files.removal import tags_of
from healthval.deid.dicom.files.withdrawal import (
    delete_outputs,
    delete_undescribed,
    outputs_in,
    refuse_conflicting,
    withdraw_outdated,
)
from healthval.deid.dicom.profile import read_table
from healthval.deid.policy import Policy
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
    records = Records()
    with _full_disk_explained():
        records.add_files((source_key(secret, file), file) for file in files)
        records.add_outputs(outputs_in(folder))
        task = _task_of(folder, policy, secret, tuple(known))
        records.add(task.journal.lines(), is_earlier=True)
        withdraw_outdated(records, task.journal)
        with _manual_collection(), interrupted_once():
            _run(task, records, workers, scheduler)
            refuse_conflicting(records, task.journal)
        shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
        write_refused(folder, records)
        if not skip_leaking:
            _check_no_leak(folder, records)
        return _written_manifest(task, records)


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
        journal.start()
        for name in (SUMMARY, EVIDENCE, SIGNATURE):  # they describe the folder as it was
            (out / name).unlink(missing_ok=True)
    except OSError as failed:
        raise UsageError(
            f"the output folder cannot be made or written ({failed.strerror}); "
            "check its path and rights, or give another folder"
        ) from None
    return Task(out=out, policy=policy, secret=secret, known=known, journal=journal)


def _check_no_leak(out: Path, records: Records) -> None:
    """Delete all outputs if the audit found an identifier in one of them."""
    leaking, places = records.leaks()
    if not leaking:
        return
    delete_outputs(out)
    named = ", ".join(f"{place}: {counted(n, 'file')}" for place, n in places.most_common(5))
    raise LeakFound(
        f"the audit found identifiers of a source in {counted(leaking, 'output')} ({named}); "
        "the batch was withdrawn, nothing may be sent; the local list refused.csv has the files; "
        "remove the attribute (--remove TAG), leave the files out (--skip-leaking) or tighten the "
        "policy"
    )


@contextmanager
def _full_disk_explained() -> Iterator[None]:
    """Explain an error of the temporary database of the records."""
    try:
        yield
    except sqlite3.Error:
        raise DeidentificationError(
            "the folder for temporary files is full or cannot be written "
            f"(SQLITE_TMPDIR names another one); {_RESUME}"
        ) from None


# --- end ----------------------------------------------------------------------------------------


def _written_manifest(task: Task, records: Records) -> Manifest:
    """Write the manifest of a finished batch; files that it does not describe are deleted."""
    delete_undescribed(task.out, records.is_output)
    withdrawn, replaced = records.withdrawn_and_replaced()
    manifest = Manifest(
        folder=task.out,
        records=records,
        policy=policy_summary(task.policy),
        applied=task.policy,
        withdrawn=withdrawn,
        replaced=replaced,
    )
    manifest.write()
    return manifest


# --- division among processes -----------------------------------------------------------------


def _run(task: Task, records: Records, workers: int, scheduler: str | None) -> None:
    """Process the files that an earlier run has not finished, and add their records."""
    files = records.remaining()
    try:
        with _progress(len(records)) as bar:
            bar.update(len(records) - len(files))
            if scheduler is not None:
                _run_on_cluster(task, files, scheduler, bar)
            elif workers == 1:
                _work(task, files, bar)
            else:
                _run_shared(task, files, workers, bar)
            records.add(task.journal.lines(), is_earlier=False)
            _repeat_raced(task, records)
    except KeyboardInterrupt:
        _delete_unrecorded(task, records)
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


def _delete_unrecorded(task: Task, records: Records) -> None:
    """Delete unfinished outputs, so that the journal describes the folder."""
    shutil.rmtree(task.out / UNFINISHED, ignore_errors=True)
    records.add(task.journal.lines(only_new=False), is_earlier=False)
    delete_undescribed(task.out, records.is_output)


def _run_shared(task: Task, files: Remaining, workers: int, bar: "tqdm[Any]") -> None:
    read_table()  # before workers are forked, so that they share it
    with pool_of(workers - 1, _start, task) as pool:
        shared = Shared[Named, Status](pool, workers - 1, bar)
        shared.run(files, _share, partial(_work, task, bar=bar))


def _run_on_cluster(task: Task, files: Remaining, scheduler: str, bar: "tqdm[Any]") -> None:
    """Do the files on a cluster; only this process appends to the journal.

    Appending from several machines is not atomic in a network file system.
    """
    jobs = _shares(replace(task, out=task.out.absolute()), files)
    with task.journal.appending() as journal:
        for _, done in outcomes(scheduler, _share_there, jobs):
            if done is None:
                raise BrokenProcessPool
            for record in done:
                journal.add(record)
            bar.update(len(done))


def _shares(task: Task, files: Remaining) -> Iterator[tuple[str, tuple[Task, list[Named]]]]:
    batch = uuid.uuid4().hex[:12]
    for i, at in enumerate(shares_of(len(files), _FAR_WORKERS)):
        share = files[at.start : at.stop]
        whole = [(key, os.path.abspath(file)) for key, file in share]  # noqa: PTH100  `resolve` follows links
        yield f"{batch}-{i}", (task, whole)


# A Dask worker may have several threads, and pydicom's settings are global.
_one_share = threading.Lock()


def _share_there(given: tuple[Task, list[Named]]) -> list[Record]:
    """Process a share on a Dask worker."""
    task, files = given
    try:
        with _one_share, quiet():
            os.makedirs(task.unfinished, exist_ok=True)  # noqa: PTH103
            return list(group_records(task, files))
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


def _share(files: list[Named]) -> list[Status]:
    assert _task is not None  # noqa: S101
    return _work(_task, files)


def _work(task: Task, files: Sequence[Named], bar: "tqdm[Any] | None" = None) -> list[Status]:
    """Process files; their records are in the journal."""
    done = list[Status]()
    os.makedirs(task.unfinished, exist_ok=True)  # noqa: PTH103
    with quiet(), task.journal.appending() as journal:
        for start in range(0, len(files), _GROUP):
            for record in group_records(task, list(files[start : start + _GROUP])):
                journal.add(record)
                done.append(record.status)
                if bar is not None:
                    bar.update()
            gc.collect(1)
    return done


@contextmanager
def _manual_collection() -> Iterator[None]:
    """Disable automatic garbage collection, a tenth of the time; `_work` collects per group."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


# --- consistency of the whole batch -----------------------------------------------------------


def _repeat_raced(task: Task, records: Records) -> None:
    """Repeat, one after the other, files that two workers wrote to one place at the same time.

    Also those whose lines in the journal two workers overwrote, which happens on Windows only.
    """
    raced = records.raced()
    for _, output in raced:
        (task.out / output).unlink(missing_ok=True)
    records.forget(source for source, _ in raced)
    again = records.remaining()
    if len(again):
        _work(task, again)
        records.add(task.journal.lines(), is_earlier=False)
