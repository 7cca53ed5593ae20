"""New study folder: a commented plan, its JSON Schema and copies of the notebooks."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from healthval import __version__
from healthval.cohort import (
    FhirInputs,
    Proposal,
    TableSchema,
    propose_table,
    propose_views,
    read_resources,
)
from healthval.cohort.fhir.files import find_files, is_fhir_name
from healthval.cohort.tables import read_source
from healthval.errors import UsageError, counted
from healthval.files import packaged, write_durably, yaml_line
from healthval.plan import plan_schema_text
from healthval.runner.parameters import NOTEBOOKS

PLAN, SCHEMA = "plan.yaml", "plan.schema.json"
_NAME = re.compile(r"[a-z][a-z0-9-]{1,62}")
_EXAMPLE = Proposal(
    table=TableSchema.model_validate(
        {
            "columns": {
                "visit": {"kind": "id"},
                "patient": {"kind": "cluster"},
                "admitted": {"kind": "date"},
                "age": {"kind": "age", "bands": [40, 65]},
                "sex": {"kind": "category", "levels": ["female", "male"]},
                "lactate": {"kind": "number", "low": 0, "high": 30, "unit": "mmol/L"},
                "sepsis": {"kind": "label", "positive": ["yes"], "negative": ["no"]},
            }
        }
    ),
    inputs=("age", "sex", "lactate"),
    subgroups=("sex", "age"),
    questions=("These columns are an example: replace them with yours.",),
)


def start_study(folder: Path, source: Path | None = None) -> list[str]:
    """Write the plan, its schema for editors and the three notebooks into a study's folder.

    Parameters
    ----------
    source : table, or file or folder of FHIR resources, from which the columns are proposed

    Returns
    -------
    list of str
        Lines for the user: the files written, the proposals to confirm, the next step.

    Raises
    ------
    UsageError
        If the folder's name is not a valid study name, or a file exists already; no file is written.
    CohortError
        If `source` gives no proposal.
    """
    study = folder.resolve().name
    if not _NAME.fullmatch(study):
        raise UsageError(
            "the folder's name becomes the study's name; use 2 to 63 small letters, digits and"
            " hyphens with a letter first, for example my-study"
        )
    proposal = _EXAMPLE if source is None else _proposed(source)
    texts = {
        PLAN: plan_text(study, proposal),
        SCHEMA: plan_schema_text(),
        **{f"{name}.ipynb": _notebook_copy(name) for name in NOTEBOOKS},
    }
    _refuse([name for name in texts if os.path.lexists(folder / name)])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        if not write_durably(folder / name, text.encode(), mode=0o644, replace=False):
            _refuse([name])
    return [*_next_steps(folder, proposal, is_proposed=source is not None)]


def _refuse(existing: list[str]) -> None:
    if existing:
        raise UsageError(
            f"{counted(len(existing), 'file exists', 'files exist')} already"
            f" ({', '.join(existing)}); choose another folder, or move them away"
        )


def _next_steps(folder: Path, proposal: Proposal, *, is_proposed: bool) -> Iterator[str]:
    yield f"written      {folder / PLAN}, {SCHEMA} and {counted(len(NOTEBOOKS), 'notebook')}"
    if is_proposed:
        columns = counted(len(proposal.table.columns), "column")
        inputs = counted(len(proposal.inputs), "input")
        yield f"proposed     {columns} and {inputs}, from names and values"
        yield from (f"dropped      {name}: {reason}" for name, reason in proposal.dropped.items())
        yield from (f"confirm      {question}" for question in proposal.questions)
    yield f"next         fill in {folder / PLAN}, then open {folder / 'evaluate.ipynb'} in JupyterLab"
    yield "remember     the plan's hash is registered when you ask for access; a later change is reported as 'amended'"


def _is_parquet(folder: Path) -> bool:
    return any(folder.rglob("*.parquet")) and not find_files(folder)[0]


def _proposed(source: Path) -> Proposal:
    try:
        if (source.is_dir() and not _is_parquet(source)) or is_fhir_name(source.name):
            return propose_views(read_resources(source))
        return propose_table(read_source(source))
    except ValidationError:
        raise UsageError(
            "a column name is empty, longer than 128 characters or contains < or >; rename the"
            " column in the table and try again"
        ) from None


def _notebook_copy(name: str) -> str:
    """Text of a notebook, with a line about its origin in the first cell."""
    notebook = json.loads((packaged("notebooks") / f"{name}.ipynb").read_text(encoding="utf-8"))
    notebook["cells"][0]["source"] += [
        "\n",
        "\n",
        f"*Copied from healthval {__version__}. You may change it; `healthval run {name}` runs the original.*",
    ]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def plan_text(study: str, proposal: Proposal) -> str:
    """Write a plan with a comment at each part; proposals are marked CONFIRM."""
    table = proposal.table.model_dump(mode="json", exclude_defaults=True)["columns"]
    has_label = bool(proposal.table.of_kind("label"))
    inputs = [name for name in proposal.inputs if table[name]["kind"] != "label"]
    subgroups = [
        name for name in proposal.subgroups if name in table and table[name]["kind"] != "label"
    ]
    parts = [
        _HEAD.format(schema=SCHEMA, study=study, version=__version__),
        *(f"# CONFIRM: {question}\n" for question in proposal.questions),
        "table:\n  columns:\n",
        *(
            f"    {yaml_line(name)}: {yaml_line(column)}{_comment(proposal.dropped.get(name))}\n"
            for name, column in table.items()
        ),
        "" if has_label else _NO_LABEL,
        _COHORT,
        _fhir(proposal.fhir),
        _ELIGIBILITY,
        ""
        if inputs
        else "# CONFIRM: No column looks like an input; name the inputs, or add 'images'.\n",
        _listed("inputs", inputs),
        _IMAGES,
        _listed("subgroups", subgroups[:12]),
        _TAIL,
    ]
    return "".join(parts)


def _comment(reason: str | None) -> str:
    return f"  # dropped: {reason}" if reason else ""


def _listed(name: str, values: Iterable[str]) -> str:
    return f"{_COMMENTS[name]}{name}: {yaml_line(list(values))}\n"


def _fhir(proposed: FhirInputs | None) -> str:
    if proposed is None:
        return _NO_VIEWS
    lines = [_VIEWS, f'fhir:\n  "on": {yaml_line(proposed.on)}\n  views:\n']
    lines += [
        f"    {yaml_line(name)}: {yaml_line(view)}\n" for name, view in proposed.views.items()
    ]
    if proposed.links:
        links = {
            name: link.model_dump(mode="json", exclude_unset=True)
            for name, link in proposed.links.items()
        }
        lines += [
            "  links:\n",
            *(f"    {yaml_line(name)}: {yaml_line(v)}\n" for name, v in links.items()),
        ]
    return "".join(lines)


_HEAD = """\
# yaml-language-server: $schema=./{schema}
# Plan of the study '{study}', created with healthval {version}.
#
# The plan fixes the patients, the reference standard, the inputs and the acceptance criteria.
# Agree on it before anyone sees a result: its hash is registered when you ask for access, and a
# plan that is changed later is reported as "amended". Other people read the plan: it must not
# identify a patient.

schema_version: 1
study: {study}
title: {study}, one line for the title of the report
target_condition: the condition that the model detects
reference_standard: the method that decides whether a patient has the condition
model: {{name: the-model, version: "1.0"}}  # as the hub lists it

# Only the columns listed here are read. Kinds: id (the first one is the case), cluster (the
# patient, if a patient has several cases), date, age, zip, category, number, label (the reference
# standard; one column per reader), drop. Numbers: give low, high and unit, so that a wrong unit is
# noticed. 'bands' turn ages and numbers into subgroups.
"""
_NO_LABEL = """\
    # The reference standard: a column of your table, or of a table under 'linkage'.
    # outcome: {kind: label, positive: [yes, 1], negative: [no, 0], indeterminate: [unclear]}
"""
_COHORT = """\
  # Several label columns, one per reader: 'majority' or 'unanimous'.
  # readers: majority
  # Did only some patients get the reference standard? Declare it here and give the reason below;
  # otherwise the cohort is refused.
  # verification: partial

"""
_NO_VIEWS = """\
# Columns from FHIR: SQL-on-FHIR views by name; each has the column 'on'. Without a table the rows
# of the first view are the cases. See docs/fhir.md.
# fhir:
#   "on": patient
#   views: {patients: {resource: Patient, select: [{column: [{name: patient, path: getResourceKey()}]}]}}

"""
_VIEWS = """\
# SQL-on-FHIR views by name; each has the column 'on'. The cases are the rows of the table, or of
# the first view if there is no table. A view has one row per key: if there are several, 'links'
# selects one by date. See docs/fhir.md.
"""
_ELIGIBILITY = """
# A second table with at most one row per case; its file is given by this name.
# linkage:
#   - name: lactate_at_admission
#     table: {columns: {patient: {kind: id}, drawn: {kind: date}, lactate: {kind: number, low: 0, high: 30}}}
#     link: {"on": {patient: patient}, anchor: admitted, date: drawn, days_before: 1, choose: nearest}

# Eligibility: steps of the flow diagram in this order; the cases left are counted at each step.
# eligibility:
#   - {step: adults, column: age, low: 18}

"""
_IMAGES = """
# Images: column 'on' identifies them by accession, study, series, instance or patient; one case is
# one study, series or image. Images that may contain burned-in text are refused unless 'pixels'
# allows them. See docs/plan.md.
# images: {modalities: [CT], case: study, "on": accession, by: accession}

"""
_COMMENTS = {
    "inputs": "# Inputs of the model, by the names of its input contract.\n",
    "subgroups": "# Subgroups that are evaluated separately: categories, or ages and numbers with bands.\n",
}
_TAIL = """\
# A score at or above a threshold is positive. Fix the thresholds before you see a result.
thresholds: [0.5]
# Acceptance criteria: the whole interval must be within low and high.
acceptance:
  - {metric: auroc, low: 0.75}
  - {metric: sensitivity, threshold: 0.5, low: 0.8}
# Counts below the preset's minimum cell are withheld; a larger minimum_cell is allowed.
disclosure: {preset: cms}
# Dates in images: removed, or shifted by one secret offset per patient (not HIPAA Safe Harbor).
dates: removed
sample_size:
  planned_cases: 400
  rationale: Reason for this number of cases; healthval.metrics.required_sample_size helps.
"""
