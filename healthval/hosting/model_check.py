"""Trial of a vendor's model folder on a sample, with the traceback: on the vendor's own machine only."""

import csv
import io
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from healthval.contracts.model import InputContract, InputField
from healthval.errors import HostingError, UsageError, counted
from healthval.hosting.artefact import check_scores, import_model

SHOWN = 5
Row = dict[str, float | str | None]


@dataclass(frozen=True, slots=True)
class Tried:
    """Result of a trial: whether every case got a score or None, and lines to show."""

    ok: bool
    lines: tuple[str, ...]


def check_model(folder: Path, sample: Path, inputs: InputContract) -> Tried:
    """Load the model and score a sample, as the model server does; a failure has its traceback.

    Raises
    ------
    UsageError
        If the sample does not fit the input contract, or the contract is not of a table.
    HostingError
        If the folder has no ``inference.py``.
    """
    rows = read_sample(sample, inputs)
    try:
        scores = import_model(folder)(rows)
    except HostingError:
        raise
    except (Exception, SystemExit):  # the traceback is shown: a model may raise anything
        return Tried(ok=False, lines=tuple(traceback.format_exc().splitlines()))
    try:
        found = check_scores(scores, len(rows))
    except HostingError as problem:
        return Tried(ok=False, lines=(str(problem),))
    declined = sum(score is None for score in found)
    complete = sum(None not in row.values() for row in rows)
    if complete and declined == len(found):
        line = (
            f"the model declines all {counted(len(found), 'case')}, and {complete} had every input"
        )
        return Tried(ok=False, lines=(line,))
    shown = ", ".join("None" if s is None else f"{s:.3g}" for s in found[:SHOWN])
    return Tried(
        ok=True,
        lines=(
            f"ok       {counted(len(found), 'case')} scored, {declined} declined",
            f"scores   {shown}{', ...' if len(found) > SHOWN else ''}",
        ),
    )


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
        raise UsageError(f"the sample lacks {lacks} of the contract: {', '.join(missing)}")
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
