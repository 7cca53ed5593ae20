"""The plan that `healthval init` writes: commented YAML with the places to fill in and to confirm."""

from collections.abc import Iterable
from dataclasses import replace

from healthval import __version__
from healthval.client import ModelContract
from healthval.cohort import FhirInputs, Proposal
from healthval.contracts.model import InputField
from healthval.contracts.table import CategoryColumn, ColumnSchema, NumberColumn
from healthval.files import yaml_line
from healthval.plan_checks import FILL_IN, UNNAMED_MODEL

SCHEMA = "plan.schema.json"


def with_inputs(proposal: Proposal, contract: ModelContract) -> tuple[Proposal, list[str]]:
    """Take the inputs of a model's contract; also return a line for each that the table lacks.

    A column that the contract names gets the contract's limits, unit or levels; one that is missing
    is declared too, so that the plan says what to map.
    """
    columns = dict(proposal.declared.columns)
    fields = contract.inputs.fields if contract.inputs else ()
    missing = []
    for entry in fields:
        if entry.name not in columns:
            missing.append(
                f"{entry.name}: the model takes it and the table has no column of this name; give its"
                f" own name under 'sources' in the plan's table, or add the column"
            )
        if entry.name not in columns or columns[entry.name].kind in {"number", "category", "drop"}:
            columns[entry.name] = _column_of(entry)
    table = proposal.declared.model_copy(update={"columns": columns})
    inputs = tuple(entry.name for entry in fields)
    questions = (*proposal.questions, *missing)
    return (
        replace(proposal, table=table, inputs=inputs, questions=questions, sources={}),
        missing,
    )


def _column_of(entry: InputField) -> ColumnSchema:
    if entry.kind == "category":
        return CategoryColumn(kind="category", levels=entry.levels)
    limits = {"low": entry.low, "high": entry.high, "unit": entry.unit}
    return NumberColumn.model_validate({"kind": "number", **limits})


def plan_text(study: str, proposal: Proposal, model: tuple[str, str] | None = None) -> str:
    """Write a plan with a comment at each part; proposals are marked CONFIRM.

    `model` is name and version, if they are known.
    """
    declared = proposal.declared
    table = declared.model_dump(mode="json", exclude_defaults=True)["columns"]
    has_label = bool(proposal.table.of_kind("label"))
    inputs = [name for name in proposal.inputs if table[name]["kind"] != "label"]
    subgroups = [
        name for name in proposal.subgroups if name in table and table[name]["kind"] != "label"
    ]
    parts = [
        _HEAD.format(
            schema=SCHEMA,
            study=study,
            version=__version__,
            fill=FILL_IN,
            model=yaml_line(
                dict(zip(("name", "version"), model or (UNNAMED_MODEL, "0"), strict=True))
            ),
        ),
        *(f"# CONFIRM: {question}\n" for question in proposal.questions),
        "table:\n  columns:\n",
        *(
            f"    {yaml_line(name)}: {yaml_line(column)}{_comment(proposal.dropped.get(name))}\n"
            for name, column in table.items()
        ),
        "" if has_label else _NO_LABEL,
        f"  sources: {yaml_line(declared.sources)}\n" if declared.sources else "",
        _COHORT,
        _fhir(proposal.fhir),
        _ELIGIBILITY,
        ""
        if inputs
        else "# CONFIRM: No column looks like an input; name the inputs, or add 'images'.\n",
        _listed("inputs", inputs),
        _IMAGES,
        _listed("subgroups", subgroups[:12]),
        _TAIL.format(fill=FILL_IN),
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
# Agree on it before anyone sees a result: its hash is registered when the hub has your access
# request, and a plan that is changed after the first predictions is reported as "amended". Other
# people read the plan: it must not identify a patient. Replace each {fill}, then run
# `healthval check plan.yaml --table cohort.csv`.

schema_version: 1
study: {study}
title: "{fill}: one line for the title of the report"
target_condition: "{fill}: the condition that the model detects"
reference_standard: "{fill}: the method that decides whether a patient has the condition"
model: {model}  # as `healthval models list` prints them

# Only the columns listed here are read. Kinds: id (the first one is the case), cluster (the
# patient, if a patient has several cases), date, age, zip, category, number, label (the reference
# standard; one column per reader), drop. Numbers: give low, high and unit, so that a wrong unit is
# noticed. 'bands' turn ages and numbers into subgroups. If the site's own name of a column differs,
# give it in the table under 'sources', for example sources: {{lactate: lab_lactate}}.
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
# Levels of subgroups with few cases are withheld by the gate, each with a further level. Fix a rule:
# 'exclude' does not analyse their cases, 'fold' makes them one level. See docs/plan.md.
# levels: {{rule: exclude, minimum: 50}}

# A score at or above a threshold is positive. Fix the thresholds before you see a result.
thresholds: [0.5]
# Acceptance criteria: the whole interval must be within low and high.
acceptance:
  - {{metric: auroc, low: 0.75}}
  - {{metric: sensitivity, threshold: 0.5, low: 0.8}}
# Counts below the preset's minimum cell are withheld; a larger minimum_cell is allowed.
disclosure: {{preset: cms}}
# Dates in images: removed, or shifted by one secret offset per patient (not HIPAA Safe Harbor).
dates: removed
sample_size:
  # planned_cases: 400
  rationale: "{fill}: the reason for this number of cases; healthval.metrics.required_sample_size helps"
"""
