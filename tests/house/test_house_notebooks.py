"""The committed notebooks are thin, typed and empty of outputs."""

import ast
from pathlib import Path

import nbformat
import papermill
import pytest

from healthval.runner.parameters import NOTEBOOKS

FOLDER = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
FORBIDDEN = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.Try, ast.TryStar,
    ast.For, ast.While, ast.With, ast.ListComp, ast.DictComp, ast.GeneratorExp, ast.If,
)  # fmt: skip


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def test_there_are_three_notebooks_one_for_each_role():
    assert {p.stem for p in PATHS} == {"provision", "evaluate", "report"} == set(NOTEBOOKS)


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_a_committed_notebook_has_no_outputs_and_no_run_metadata(path):
    notebook = nbformat.read(path, as_version=4)
    assert "papermill" not in notebook.metadata
    for cell in code_cells(path):
        assert not cell.outputs
        assert cell.execution_count is None
        assert not {"papermill", "execution"} & set(cell.metadata)


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_a_notebook_is_thin(path):
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= 12, cell.id
        found = [
            type(node).__name__
            for node in ast.walk(ast.parse(cell.source))
            if isinstance(node, FORBIDDEN)
        ]
        assert not found, f"{path.name} {cell.id}: {found}"


def test_the_thinness_check_sees_a_planted_loop():
    assert any(
        isinstance(node, FORBIDDEN)
        for node in ast.walk(ast.parse("for row in rows:\n    print(row)"))
    )


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_a_notebook_declares_exactly_the_typed_parameters(path):
    declared = papermill.inspect_notebook(str(path))
    fields = NOTEBOOKS[path.stem].model_fields
    assert set(declared) == set(fields)
    for name, parameter in declared.items():
        assert parameter["inferred_type_name"] != "None", f"{name} has no type"
        assert parameter["help"] == fields[name].description, (
            f"{name}: comment and description differ"
        )


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_no_parameter_can_hold_a_secret(path):
    for name in papermill.inspect_notebook(str(path)):
        assert not {"secret", "password", "token", "private"} & set(name.split("_"))
