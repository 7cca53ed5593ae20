"""Withdrawal of outputs whose source is gone, was changed or conflicts with another file."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from healthval.deid.dicom.files.evidence import EVIDENCE
from healthval.deid.dicom.files.journal import JOURNAL, Journal
from healthval.deid.dicom.files.manifest import SIGNATURE, SUMMARY
from healthval.deid.dicom.files.records import Records


def withdraw_outdated(records: Records, journal: Journal) -> None:
    """Delete the outputs of files that are gone or changed, and forget what does not count any more.

    A file with the content of a withdrawn one is processed again.
    """
    invalid = records.invalid()
    with journal.appending():
        for record in records.outdated():
            if record.status == "written":
                (journal.path.parent / record.output).unlink(missing_ok=True)
                records.add_deleted(record.output)
            journal.add(replace(record, status="withdrawn"))
    records.add(journal.lines(), is_earlier=True)
    records.forget(invalid)


def refuse_conflicting(records: Records, journal: Journal) -> None:
    """Settle a batch: files that conflict with others are refused, and their outputs deleted.

    An output that a killed run had moved to its place without a record counts as written.
    """
    with journal.appending():
        for source in records.orphaned_duplicates():
            journal.add(records.change(source, "written"))
        for source, reason in records.conflicting():
            refused = records.change(source, "refused", reason.value)
            (journal.path.parent / refused.output).unlink(missing_ok=True)
            journal.add(refused)


def delete_undescribed(out: Path, is_described: Callable[[str], bool]) -> None:
    """Delete output files that no record describes, and empty study folders."""
    for folder in out.iterdir():
        if not folder.is_dir():
            continue
        for file in folder.glob("*.dcm"):
            if not is_described(f"{folder.name}/{file.name}"):
                file.unlink()
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def outputs_in(out: Path) -> Iterator[str]:
    """Output files in a folder, as paths relative to it."""
    return (f"{file.parent.name}/{file.name}" for file in out.glob("*/*.dcm"))


def delete_outputs(out: Path) -> None:
    """Delete all outputs and records of a batch, also unfinished ones."""
    delete_undescribed(out, lambda _: False)
    for name in (JOURNAL, SUMMARY, EVIDENCE, SIGNATURE):
        (out / name).unlink(missing_ok=True)
