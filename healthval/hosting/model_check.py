"""Trial of a vendor's model folder on a sample and its probes, with the traceback: on the vendor's machine only."""

import csv
import io
import os
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healthval.contracts.model import (
    InputContract,
    InputField,
    ModelRegistration,
    is_same_score,
)
from healthval.errors import HostingError, UsageError, counted, part
from healthval.hosting.artefact import check_scores, import_model
from healthval.hosting.served_check import served_scores

SHOWN = 5
Row = dict[str, float | str | None]


@dataclass(frozen=True, slots=True)
class Tried:
    """Result of a trial: whether every case got a score or None, and lines to show."""

    ok: bool
    lines: tuple[str, ...]


def check_model(
    folder: Path,
    registration: ModelRegistration,
    *,
    sample: Path | None,
    probe_files: Sequence[bytes] = (),
) -> Tried:
    """Score a sample and the probes, first in this process, then by the container contract.

    A failure in this process has its traceback. The server is the one that runs on a hub and on AWS;
    it needs Linux or macOS.

    Parameters
    ----------
    sample : CSV file for a table model
    probe_files : the files of the registered probes, in their order

    Raises
    ------
    UsageError
        If there is neither a sample nor a probe, or the sample does not fit the input contract.
    HostingError
        If the folder has no ``inference.py``.
    """
    rows = read_sample(sample, registration.inputs) if sample else []
    probes = _probe_instances(registration, probe_files)
    if not rows and not probes:
        raise UsageError("give --sample with a CSV file, or add probes to the registration")
    try:
        predict = import_model(folder)
        of_rows, of_probes = predict(rows) if rows else (), predict(probes) if probes else ()
    except HostingError:
        raise
    except (Exception, SystemExit):  # the traceback is shown: a model may raise anything
        return Tried(ok=False, lines=tuple(traceback.format_exc().splitlines()))
    try:
        found, probed = check_scores(of_rows, len(rows)), check_scores(of_probes, len(probes))
    except HostingError as problem:
        return Tried(ok=False, lines=(str(problem),))
    parts = [_sample_lines(found, rows)] if rows else []
    parts += [_probe_lines(registration, probed)] if probes else []
    if all(part.ok for part in parts):
        expected = (*found, *probed)
        parts.append(
            _served_lines(folder, registration, rows, files=probe_files, expected=expected)
        )
    return Tried(
        ok=all(part.ok for part in parts), lines=tuple(x for part in parts for x in part.lines)
    )


def _served_lines(
    folder: Path,
    registration: ModelRegistration,
    rows: Sequence[Row],
    *,
    files: Sequence[bytes],
    expected: Sequence[float | None],
) -> Tried:
    """Ask the model's server for the same scores, and show them as a hospital receives them."""
    if os.name != "posix":
        return Tried(ok=True, lines=("served   not tried: the server needs Linux or macOS",))
    try:
        served = served_scores(folder, registration, rows, files)
    except HostingError as problem:
        return Tried(ok=False, lines=(f"served   {problem}",))
    pairs = list(zip(served, expected, strict=True))
    if other := sum(not is_same_score(*pair) for pair in pairs):
        line = (
            f"served   {part(other, len(pairs), 'case', 'have another score than above')}: the same"
            " case must always have the same score"
        )
        return Tried(ok=False, lines=(line,))
    seen = ["no score (model_declined)" if s is None else f"{s:.6g}" for s in served[:SHOWN]]
    answers = [f"         case {i}: {text}" for i, text in enumerate(seen[: len(rows)], start=1)]
    heading = (
        "served   by the container contract; a hospital receives"
        if answers
        else ("served   by the container contract, with the same scores")
    )
    return Tried(ok=True, lines=(heading, *answers))


def _sample_lines(found: Sequence[float | None], rows: Sequence[Row]) -> Tried:
    declined = sum(score is None for score in found)
    complete = sum(None not in row.values() for row in rows)
    if complete and declined == len(found):
        line = (
            f"the model declines all {counted(len(found), 'case')}, and {complete} had every input"
        )
        return Tried(ok=False, lines=(line,))
    line = f"ok       {counted(len(found), 'case')}: {len(found) - declined} scored, {declined} declined"
    return Tried(ok=True, lines=(line,))


def _probe_lines(registration: ModelRegistration, scores: Sequence[float | None]) -> Tried:
    wrong = registration.wrong_probes(scores)
    lines = [f"probes   {part(len(wrong), len(scores), 'probe', 'have another score')}"]
    lines += [f"         probe {i}: {scores[i - 1]}" for i in wrong[:SHOWN]]
    return Tried(
        ok=not wrong,
        lines=tuple(lines) if wrong else (f"probes   all {len(scores)} as registered",),
    )


def _probe_instances(
    registration: ModelRegistration, files: Sequence[bytes]
) -> list[dict[str, Any] | bytes]:
    """Return the probes as `predict` of the model takes them."""
    left, kind = iter(files), registration.inputs.kind
    found: list[dict[str, Any] | bytes] = []
    for probe in registration.probes:
        of_probe = [next(left) for _ in probe.files]
        row: dict[str, Any] = dict(probe.row)
        if kind == "combined":
            row["files"] = of_probe
        found.append(of_probe[0] if kind == "dicom" else row)
    return found


def read_sample(path: Path, inputs: InputContract) -> list[Row]:
    """Read a CSV file with a column for each input; an empty cell is a missing value.

    Raises
    ------
    UsageError
        If a column is missing, or a value does not fit the contract; quotes no value.
    """
    if inputs.kind != "table":
        raise UsageError(
            f"a model of the kind '{inputs.kind}' reads files and has no sample in CSV"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError("the sample cannot be read as UTF-8 text; export it as CSV") from None
    reader = csv.DictReader(io.StringIO(text))
    missing = [f.name for f in inputs.fields if f.name not in (reader.fieldnames or ())]
    if missing:
        lacks = counted(len(missing), "column")
        remedy = (
            "; separate columns by commas, and write decimal points"
            if ";" in text.partition("\n")[0]
            else ""
        )
        raise UsageError(f"the sample lacks {lacks} of the contract: {', '.join(missing)}{remedy}")
    rows = [_row(line, inputs, number) for number, line in enumerate(reader, start=2)]
    if not rows:
        raise UsageError("the sample has no rows; give at least one case")
    return rows


def _row(line: Mapping[str, str | None], inputs: InputContract, number: int) -> Row:
    return {
        entry.name: _value(line.get(entry.name) or "", entry, number) for entry in inputs.fields
    }


def _value(text: str, entry: InputField, number: int) -> float | str | None:
    if not text.strip():
        return None
    if entry.kind == "category":
        if text not in entry.levels:
            raise UsageError(f"line {number}: '{entry.name}' is none of the contract's levels")
        return text
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"line {number}: '{entry.name}' is not a number") from None
    if (entry.low is not None and value < entry.low) or (
        entry.high is not None and value > entry.high
    ):
        raise UsageError(f"line {number}: '{entry.name}' is outside the contract's limits")
    return value
