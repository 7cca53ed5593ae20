"""New study folder: a commented plan, its JSON Schema and copies of the notebooks."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from healthval import __version__
from healthval.client import ModelContract
from healthval.cohort import (
    Proposal,
    TableSchema,
    propose_table,
    propose_views,
    read_resources,
)
from healthval.cohort.fhir.files import find_files, is_fhir_name
from healthval.cohort.tables import read_source
from healthval.errors import UsageError, counted
from healthval.files import packaged, write_durably
from healthval.plan import plan_schema_text
from healthval.runner.parameters import NOTEBOOKS
from healthval.runner.plan_template import SCHEMA, plan_text, with_inputs

PLAN, IGNORE, SITE = "plan.yaml", ".gitignore", "site"
_IGNORE = """\
# Written by healthval init: keys, secrets, patient data and executed evaluations stay here.
/site/
*.key
*.secret
answers.sqlite*
ledger.jsonl*
identifiable/
evaluate.ipynb
.ipynb_checkpoints/
*.csv
*.parquet
*.ndjson
*.dcm
"""
_ADD_TO_IGNORE = (
    "remember     .gitignore exists already; add the lines site/, *.key, *.secret, identifiable/,"
    " .ipynb_checkpoints/ and the names of your data"
)
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
    questions=(
        "These columns are an example: replace them with yours, or use `healthval init --from TABLE`.",
    ),
)


def start_study(
    folder: Path, source: Path | None = None, contract: ModelContract | None = None
) -> list[str]:
    """Write the plan, its schema for editors and the three notebooks into a study's folder.

    Parameters
    ----------
    source : table, or file or folder of FHIR resources, from which the columns are proposed
    contract : model whose inputs the plan takes

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
    proposal, missing = (proposal, []) if contract is None else with_inputs(proposal, contract)
    defaults = {"site_folder": _path_from(folder, Path(SITE))}
    defaults |= {} if source is None else _data_parameters(folder, source)
    model = None if contract is None else (contract.name, contract.version)
    texts = {
        PLAN: plan_text(study, proposal, model),
        SCHEMA: plan_schema_text(),
        **{f"{name}.ipynb": _notebook_copy(name, defaults) for name in NOTEBOOKS},
    }
    _refuse([name for name in texts if os.path.lexists(folder / name)])
    folder.mkdir(parents=True, exist_ok=True)
    _write_all(folder, texts)
    ignores = write_durably(folder / IGNORE, _IGNORE.encode(), mode=0o644, replace=False)
    lines = [
        *(f"missing      {line}" for line in missing),
        *_next_steps(folder, proposal, source),
    ]
    return lines if ignores else [*lines, _ADD_TO_IGNORE]


def _write_all(folder: Path, texts: Mapping[str, str]) -> None:
    """Write new files; a full disk leaves none of them."""
    written: list[Path] = []
    try:
        for name, text in texts.items():
            if not write_durably(folder / name, text.encode(), mode=0o644, replace=False):
                _refuse([name])
            written.append(folder / name)
    except OSError:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _refuse(existing: list[str]) -> None:
    if existing:
        raise UsageError(
            f"{counted(len(existing), 'file exists', 'files exist')} already"
            f" ({', '.join(existing)}); choose another folder, or move them away"
        )


def _next_steps(folder: Path, proposal: Proposal, source: Path | None) -> Iterator[str]:
    yield f"written      {folder / PLAN}, {SCHEMA} and {counted(len(NOTEBOOKS), 'notebook')}"
    if source is not None:
        columns = counted(len(proposal.table.columns), "column")
        inputs = counted(len(proposal.inputs), "input")
        yield f"proposed     {columns} and {inputs}, from names and values"
        yield from (f"dropped      {name}: {reason}" for name, reason in proposal.dropped.items())
        yield from (f"confirm      {question}" for question in proposal.questions)
    plan = folder / PLAN
    option = "--resources" if source is not None and _is_fhir(source) else "--table"
    data = f"{option} {source or 'TABLE'}"
    yield f"next         fill in {plan}, then run: healthval check {plan} {data}"
    yield (
        f"then         healthval access request --hub URL --site {SITE} --new-site --plan {plan} --label"
        " NAME (a hospital keeps one site folder for all studies)"
    )
    yield f"and then     open {folder / 'evaluate.ipynb'} in JupyterLab, or: healthval run evaluate"
    yield "remember     a plan that is changed after its first predictions is reported as 'amended'"


def _is_fhir(source: Path) -> bool:
    if not source.is_dir():
        return is_fhir_name(source.name)
    return bool(find_files(source)[0]) or not any(source.rglob("*.parquet"))


def _data_parameters(folder: Path, source: Path) -> dict[str, str]:
    """Parameters of the evaluation notebook that lead from the study's folder to the data."""
    path = _path_from(folder, source)
    return {"table": "", "resources": path} if _is_fhir(source) else {"table": path}


def _path_from(folder: Path, path: Path) -> str:
    """Path from the study's folder, in which JupyterLab runs the notebooks."""
    try:
        found = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive, on Windows
        found = path.absolute().as_posix()
    if not _is_text(found):
        raise UsageError("the path of the data is not valid UTF-8; rename the file or its folder")
    return found


def _is_text(path: str) -> bool:
    """Whether a path can be written into a notebook; bytes that are not UTF-8 are surrogates."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _proposed(source: Path) -> Proposal:
    try:
        if _is_fhir(source):
            return propose_views(read_resources(source))
        return propose_table(read_source(source))
    except ValidationError:
        raise UsageError(
            "a column name is empty, longer than 128 characters or contains < or >; rename the"
            " column in the table and try again"
        ) from None


def _notebook_copy(name: str, defaults: Mapping[str, str]) -> str:
    """Text of a notebook, with a line about its origin in the first cell and these defaults."""
    notebook = json.loads((packaged("notebooks") / f"{name}.ipynb").read_text(encoding="utf-8"))
    notebook["cells"][0]["source"] += [
        "\n",
        "\n",
        f"*Copied from healthval {__version__}. You may change it; `healthval run {name}` runs the original.*",
    ]
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", ()):
            cell["source"] = [_with_default(line, defaults) for line in cell["source"]]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _with_default(line: str, defaults: Mapping[str, str]) -> str:
    name = line.partition(":")[0]
    if name not in defaults:
        return line
    declared, _, comment = line.partition("  # ")
    value = json.dumps(defaults[name], ensure_ascii=False)
    return f"{declared.partition(' = ')[0]} = {value}  # {comment}"
