"""`healthval init`: a commented plan and the notebooks, to begin a study with."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
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
from healthval.cohort.tables import read_source
from healthval.errors import UsageError
from healthval.plan import plan_schema_text
from healthval.runner.execute import shared
from healthval.runner.parameters import NOTEBOOKS

PLAN, SCHEMA = "plan.yaml", "plan.schema.json"
_FHIR_SUFFIXES = (".ndjson", ".ndjson.gz", ".json", ".json.gz")
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
    questions=("These columns are an example: replace them by yours.",),
)


def start_study(folder: Path, source: Path | None = None) -> list[str]:
    """Write plan, its schema for editors and the three notebooks into a study's folder.

    Parameters
    ----------
    source : table, or file or folder of FHIR resources, to propose columns from

    Returns
    -------
    Lines that say what was written and what to do next.

    Raises
    ------
    UsageError
        If the folder's name cannot name a study, or a file would be overwritten: nothing is
        written then.
    CohortError
        If nothing can be proposed from `source`.
    """
    study = folder.resolve().name
    if not _NAME.fullmatch(study):
        raise UsageError(
            "a study is named by its folder, with small letters, digits and hyphens, like my-study;"
            " choose such a name"
        )
    proposal = _EXAMPLE if source is None else _proposed(source)
    texts = {
        PLAN: plan_text(study, proposal),
        SCHEMA: plan_schema_text(),
        **{f"{name}.ipynb": _noted(name) for name in NOTEBOOKS},
    }
    there = [name for name in texts if os.path.lexists(folder / name)]
    if there:
        raise UsageError(
            f"{len(there)} files are there already ({', '.join(there)}), and nothing was written;"
            " choose another folder, or move them away"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        with (folder / name).open("x", encoding="utf-8") as file:
            file.write(text)
    return [*_told(folder, proposal, guessed=source is not None)]


def _told(folder: Path, proposal: Proposal, *, guessed: bool) -> Iterator[str]:
    yield f"written      {folder / PLAN}, {SCHEMA} and {len(NOTEBOOKS)} notebooks"
    if guessed:
        n = len(proposal.table.columns)
        yield f"proposed     {n} columns and {len(proposal.inputs)} inputs, from names and types only"
        yield from (f"confirm      {question}" for question in proposal.questions)
    yield f"next         fill in {folder / PLAN}, then open {folder / 'evaluate.ipynb'} in JupyterLab"
    yield "remember     the plan's hash is registered when you ask for access; later changes show as 'amended'"


def _proposed(source: Path) -> Proposal:
    try:
        if source.is_dir() or source.name.lower().endswith(_FHIR_SUFFIXES):
            return propose_views(read_resources(source))
        return propose_table(read_source(source))
    except ValidationError:
        raise UsageError(
            "a column's name is empty, longer than 128 characters or holds < or >; rename it in the"
            " table and try again"
        ) from None


def _noted(name: str) -> str:
    """Text of a notebook, with a line that says where it comes from."""
    notebook = json.loads((shared("notebooks") / f"{name}.ipynb").read_text(encoding="utf-8"))
    notebook["cells"][0]["source"] += [
        "\n",
        "\n",
        f"*Copied from healthval {__version__}. It is yours to change; `healthval run {name}` runs the original.*",
    ]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def plan_text(study: str, proposal: Proposal) -> str:
    """Write a plan with a comment at each part; what was proposed is marked to be confirmed."""
    table = proposal.table.model_dump(mode="json", exclude_defaults=True)["columns"]
    has_label = bool(proposal.table.of_kind("label"))
    inputs = [name for name in proposal.inputs if table[name]["kind"] != "label"]
    parts = [
        _HEAD.format(schema=SCHEMA, study=study, version=__version__),
        *(f"# CONFIRM: {question}\n" for question in proposal.questions),
        "table:\n  columns:\n",
        *(f"    {_flow(name)}: {_flow(column)}\n" for name, column in table.items()),
        "" if has_label else _NO_LABEL,
        _COHORT,
        _fhir(proposal.fhir),
        _ELIGIBILITY,
        "" if inputs else "# CONFIRM: No column looks like an input; name them, or add 'images'.\n",
        _listed("inputs", inputs),
        _IMAGES,
        _listed(
            "subgroups",
            [n for n in proposal.subgroups if n in table and table[n]["kind"] != "label"][:12],
        ),
        _TAIL,
    ]
    return "".join(parts)


def _listed(name: str, values: Iterable[str]) -> str:
    return f"{_COMMENTS[name]}{name}: {_flow(list(values))}\n"


def _fhir(proposed: FhirInputs | None) -> str:
    if proposed is None:
        return _NO_VIEWS
    lines = [_VIEWS, f'fhir:\n  "on": {_flow(proposed.on)}\n  views:\n']
    lines += [f"    {_flow(name)}: {_flow(view)}\n" for name, view in proposed.views.items()]
    if proposed.links:
        links = {
            name: link.model_dump(mode="json", exclude_unset=True)
            for name, link in proposed.links.items()
        }
        lines += ["  links:\n", *(f"    {_flow(name)}: {_flow(v)}\n" for name, v in links.items())]
    return "".join(lines)


def _flow(value: Any) -> str:
    """Give a value as YAML on one line."""
    text: str = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=10**9, allow_unicode=True
    )
    return text.strip().removesuffix("...").strip()


_HEAD = """\
# yaml-language-server: $schema=./{schema}
# The plan of study '{study}', begun with healthval {version}.
#
# It says once which patients, which reference standard and which inputs, and what counts as good
# enough. Agree on it before anyone sees a result: its hash is registered when you ask for access,
# and a plan that is changed later shows as "amended" in the report. It travels with the study, so
# nothing in it may identify a patient.

schema_version: 1
study: {study}
title: {study}, one line for the title of the report
target_condition: what the model is to find
reference_standard: how it is known whether a patient has it
model: {{name: the-model, version: "1.0"}}  # as the hub lists it

# Every column that may be read, and nothing else is. Kinds: id (the first one is the scored unit),
# cluster (the patient, where one owns several cases), date, age, zip, category, number, label
# (the reference standard; one column a reader), drop. Numbers: give low, high and unit, so that a
# wrong unit is noticed. Ages and numbers become subgroups by 'bands'.
"""
_NO_LABEL = """\
    # The reference standard: a column of your table, or of a table under 'linkage'.
    # outcome: {kind: label, positive: [yes, 1], negative: [no, 0], indeterminate: [unclear]}
"""
_COHORT = """\
  # Several label columns, one a reader: 'majority' or 'unanimous'.
  # readers: majority
  # Only some patients got the reference standard? Say so here and why below; else it is refused.
  # verification: partial

"""
_NO_VIEWS = """\
# Columns from FHIR: SQL-on-FHIR views by name, which all give the column 'on'. Without a table the
# rows of the first view are the cases. See docs/fhir.md.
# fhir:
#   "on": patient
#   views: {patients: {resource: Patient, select: [{column: [{name: patient, path: getResourceKey()}]}]}}

"""
_VIEWS = """\
# SQL-on-FHIR views by name, which all give the column 'on'. With a table beside them, its rows are
# the cases; without one, the rows of the first view. Each gives one row a key: where there are
# several, 'links' says by date which one counts. See docs/fhir.md.
"""
_ELIGIBILITY = """
# A second table, one row a case at most; its file is given by this name.
# linkage:
#   - name: lactate_at_admission
#     table: {columns: {patient: {kind: id}, drawn: {kind: date}, lactate: {kind: number, low: 0, high: 30}}}
#     link: {"on": {patient: patient}, anchor: admitted, date: drawn, days_before: 1, choose: nearest}

# Who is judged: steps of the flow diagram, in this order, each counted.
# eligibility:
#   - {step: adults, column: age, low: 18}

"""
_IMAGES = """
# Images: column 'on' names them by accession, study, series, instance or patient; one case is one
# study, series or image. Images that may carry burned-in text are refused unless 'pixels' says
# otherwise. See docs/plan.md.
# images: {modalities: [CT], case: study, "on": accession, by: accession}

"""
_COMMENTS = {
    "inputs": "# What the model takes, by the names of its input contract.\n",
    "subgroups": "# For whom it is judged apart: categories, or ages and numbers with bands.\n",
}
_TAIL = """\
# Scores at or above a threshold are positive. Fix them now; a threshold chosen later is not one.
thresholds: [0.5]
# What counts as good enough: the whole interval has to lie within low and high.
acceptance:
  - {metric: auroc, low: 0.75}
  - {metric: sensitivity, threshold: 0.5, low: 0.8}
# Counts below the preset's smallest cell stay at home; a larger minimum_cell is allowed.
disclosure: {preset: cms}
# Dates in images: removed, or shifted by one secret offset a patient (not HIPAA Safe Harbor).
dates: removed
sample_size:
  planned_cases: 400
  rationale: Why this many cases; healthval.metrics.required_sample_size helps.
"""
