"""Withdrawal of outputs whose source is gone, was changed or conflicts with another file."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from healthval.deid.dicom.files.evidence import EVIDENCE
from healthval.deid.dicom.files.manifest import JOURNAL, SIGNATURE, SUMMARY, Journal, Record
from healthval.deid.refuse import Reason

# Reasons that depend on the other files of a batch: such a file is processed again.
_RELATIVE: Final = frozenset({Reason.CONFLICT.value, Reason.MIXED_STUDY.value})


def still_valid(
    done: Mapping[str, Record], keys: Collection[str], journal: Journal
) -> dict[str, Record]:
    """Records of an earlier run whose sources are unchanged; the other outputs are deleted.

    A file with the content of a withdrawn one is processed again.
    """
    current = set(keys)
    gone = [r for r in done.values() if r.source not in current and r.status != "withdrawn"]
    outputs = {record.output for record in gone if record.status == "written"}
    for output in outputs:
        (journal.path.parent / output).unlink(missing_ok=True)
    with journal.appending():
        for record in gone:
            journal.add(replace(record, status="withdrawn"))
    return {
        key: record
        for key, record in done.items()
        if key in current
        and record.status != "withdrawn"
        and record.reason not in _RELATIVE
        and record.output not in outputs
    }


def delete_undescribed(out: Path, outputs: Iterable[str]) -> None:
    """Delete output files that no record describes, and empty study folders."""
    known = set(outputs)
    for folder in out.iterdir():
        if not folder.is_dir():
            continue
        for file in folder.glob("*.dcm"):
            if f"{folder.name}/{file.name}" not in known:
                file.unlink()
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def outputs_in(out: Path) -> set[str]:
    """Output files in a folder, as paths relative to it."""
    return {f"{file.parent.name}/{file.name}" for file in out.glob("*/*.dcm")}


def delete_outputs(out: Path) -> None:
    """Delete all outputs and records of a batch, also unfinished ones."""
    delete_undescribed(out, ())
    for name in (JOURNAL, SUMMARY, EVIDENCE, SIGNATURE):
        (out / name).unlink(missing_ok=True)
