"""Parameters of any notebook: read from its `parameters` cell, checked before a kernel starts."""

import ast
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from healthval.contracts.base import explain
from healthval.errors import UsageError
from healthval.runner.parameters import NOTEBOOKS, describe

_TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list": list[Any],
    "dict": dict[str, Any],
}
# Names of secrets: the value must be in a file of the user's, because papermill writes parameters out.
_SECRET = re.compile(r"(pass(word|phrase|wd)|secret|token|api_?key|credential)s?$", re.IGNORECASE)

_ADDRESS = re.compile(r"://[^\s/:@]*:[^\s/@]+@")  # user and password before the host


def is_own(notebook: str) -> bool:
    """Return whether this is the path of a notebook rather than the name of one of ours."""
    return notebook not in NOTEBOOKS


def checked_values(notebook: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Check parameters of a notebook, by name or path, and return them complete and as JSON.

    Raises
    ------
    UsageError
        If a parameter is unknown, missing or invalid, has a secret as its value, or is the path of
        no file; or if there is no such notebook.
    """
    if not is_own(notebook):
        return NOTEBOOKS[notebook].check(values).check_places().model_dump(mode="json")
    model = _model_of(Path(notebook))
    unknown = sorted(set(values) - set(model.model_fields))
    if unknown:
        near = difflib.get_close_matches(unknown[0], model.model_fields, n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        raise UsageError(f"{Path(notebook).name} has no parameter '{unknown[0]}'{hint}")
    secret = next((name for name, value in values.items() if _has_secret(name, value)), None)
    if secret is not None:
        raise UsageError(
            f"parameter '{secret}' would write a secret into the executed notebook; "
            "give the path of a file instead, in a parameter whose name ends in _file"
        )
    try:
        return model.model_validate(dict(values)).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        raise UsageError(
            f"parameters of {Path(notebook).name} are not valid: {explain(error)}"
        ) from None


def _has_secret(name: str, value: Any) -> bool:
    """Whether a value is a secret by its name, has one inside, or is an address with a password."""
    if isinstance(value, Mapping):
        return any(_has_secret(str(key), part) for key, part in value.items())
    if isinstance(value, list):
        return any(_has_secret(name, part) for part in value)
    is_named = bool(_SECRET.search(name)) and bool(value)
    return is_named or (isinstance(value, str) and bool(_ADDRESS.search(value)))


def _model_of(notebook: Path) -> type[BaseModel]:
    """Return the model of a notebook's parameters, from the annotations of its `parameters` cell."""
    fields: dict[str, Any] = {}
    for name, kind, default in _declared(_parameters_cell(notebook)):
        fields[name] = (kind, default)
    config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=False)
    return create_model("Parameters", __config__=config, **fields)


def _parameters_cell(notebook: Path) -> str:
    import nbformat

    if notebook.suffix != ".ipynb" or not notebook.is_file():
        raise UsageError(
            f"no notebook of this name or path; choose one of {', '.join(NOTEBOOKS)}, "
            "or give the path of an .ipynb file"
        )
    try:
        read: Any = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    except Exception:
        raise UsageError(f"{notebook.name} is not a notebook that nbformat can read") from None
    tagged = (c for c in read.cells if "parameters" in c.metadata.get("tags", ()))
    return str(next(tagged, {"source": ""})["source"])


def _declared(source: str) -> list[tuple[str, Any, Any]]:
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        raise UsageError("the parameters cell of the notebook is not Python; correct it") from None
    found = []
    for statement in statements:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind = _TYPES.get(ast.unparse(statement.annotation), Any)
            found.append((statement.target.id, kind, _literal(statement.value)))
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            default = _literal(statement.value)
            found.append((statement.targets[0].id, _kind_of(default), default))
    return found


def _kind_of(default: Any) -> Any:
    """Type of a parameter without annotation: that of its value; a whole number may get decimals."""
    name = type(default).__name__
    return float | int if name == "int" else _TYPES.get(name, Any)


def _literal(value: ast.expr | None) -> Any:
    try:
        return None if value is None else ast.literal_eval(value)
    except ValueError:
        return None


def describe_any(notebook: str) -> list[str]:
    """One line per parameter of a notebook, by name or path: name, type, default."""
    if not is_own(notebook):
        return describe(notebook)
    return [
        f"{name:<14} {getattr(kind, '__name__', 'any'):<6} [{default}]"
        for name, kind, default in _declared(_parameters_cell(Path(notebook)))
    ]


def schema_of(notebook: str) -> dict[str, Any]:
    """Return the JSON Schema of a notebook's parameters."""
    model = _model_of(Path(notebook)) if is_own(notebook) else NOTEBOOKS[notebook]
    return model.model_json_schema()
