"""SQL-on-FHIR v2 views: only named columns exist, so a view is an allow-list by construction.

Source: https://build.fhir.org/ig/FHIR/sql-on-fhir-v2, "Processing Algorithm (Model)".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from healthval.cohort.fhirpath.compile import compile_path
from healthval.cohort.fhirpath.functions import Env, Path
from healthval.cohort.fhirpath.operators import Items
from healthval.cohort.fhirpath.syntax import Integer64, Moment, Variable, parse
from healthval.errors import ViewError, counted

if TYPE_CHECKING:
    import pandas as pd

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MOMENTS = frozenset({"valueDate", "valueDateTime", "valueInstant", "valueTime"})
Row = tuple[Any, ...]
Rows = Callable[[Any, Env], list[Row]]


@dataclass(frozen=True, slots=True)
class View:
    """A compiled ViewDefinition."""

    resource: str
    columns: tuple[str, ...]
    _where: tuple[Path, ...]
    _rows: Rows

    def rows(self, resource: Mapping[str, Any]) -> list[Row]:
        """Rows of one resource, in the order of `columns`; none if its type or filter differs."""
        if not isinstance(resource, dict):
            raise ViewError("a resource is not a JSON object; check the source")
        if resource.get("resourceType") != self.resource:
            return []
        env = Env(resource)
        for criterion in self._where:
            if not _holds(criterion([resource], env)):
                return []
        return self._rows(resource, env)


def run_view(view: Mapping[str, Any], resources: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Flatten resources by a ViewDefinition; `resources` is consumed as a stream.

    Returns
    -------
    DataFrame of dtype object, one column per column of the view, None where empty, a list where
    `collection` is true.

    Raises
    ------
    ViewError
        If the view is invalid, or if a path has several values in a column that takes one.

    Examples
    --------
    >>> view = {"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}
    >>> run_view(view, [{"resourceType": "Patient", "id": "p1"}]).to_dict("records")
    [{'id': 'p1'}]
    """
    return run_views({"view": view}, resources)["view"]


def run_views(
    views: Mapping[str, Mapping[str, Any]], resources: Iterable[Mapping[str, Any]]
) -> dict[str, pd.DataFrame]:
    """Run several views, by name, in one pass over the resources; see `run_view`."""
    compiled = {name: compile_view(view) for name, view in views.items()}
    rows: dict[str, list[Row]] = {name: [] for name in compiled}
    todo = [(view.rows, rows[name].extend) for name, view in compiled.items()]
    for resource in resources:
        for flatten, keep in todo:
            keep(flatten(resource))
    return {name: _frame(view.columns, rows[name]) for name, view in compiled.items()}


def _frame(names: tuple[str, ...], rows: list[Row]) -> pd.DataFrame:
    import pandas as pd

    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pd.DataFrame(
        {
            name: pd.Series(list(values), dtype=object)
            for name, values in zip(names, columns, strict=True)
        }
    )


def compile_view(view: Mapping[str, Any]) -> View:
    """Check and compile a ViewDefinition.

    Raises
    ------
    ViewError
        If it is invalid; names the part and the expected form.
    """
    if not isinstance(view, Mapping):
        raise ViewError("a view is not a JSON object; write a ViewDefinition")
    resource = view.get("resource")
    if not isinstance(resource, str) or not _NAME.fullmatch(resource):
        raise ViewError("the view names no resource type; set 'resource', for example to 'Patient'")
    constants = _constants(view)
    where = tuple(
        compile_path(_part(w, "where").get("path"), constants) for w in _list(view, "where")
    )
    selects = _list(view, "select")
    if not selects:
        raise ViewError("the 'select' of the view is empty; give it at least one entry")
    root = _Select({"select": selects}, constants)
    n_repeated = len(root.columns) - len(set(root.columns))
    if n_repeated:
        repeated = counted(n_repeated, "column name is", "column names are")
        raise ViewError(f"{repeated} repeated in the view; give each column its own name")
    return View(resource, root.columns, where, root.rows)


def _list(part: Mapping[str, Any], key: str) -> list[Any]:
    value = part.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ViewError(f"'{key}' of the view is not a list; write it in brackets")
    return value


def _part(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ViewError(f"an entry of '{name}' is not a JSON object; correct the view")
    return value


def _constants(view: Mapping[str, Any]) -> dict[str, Any]:
    constants: dict[str, Any] = {}
    for entry in _list(view, "constant"):
        constant = _part(entry, "constant")
        name = constant.get("name")
        values = [key for key in constant if key.startswith("value")]
        if not isinstance(name, str) or not _NAME.fullmatch(name) or len(values) != 1:
            raise ViewError("a constant needs a name and exactly one value[x]; correct the view")
        value = constant[values[0]]
        if isinstance(value, (dict, list)) or value is None:
            raise ViewError("a constant's value is not a primitive; correct the view")
        constants[name] = _typed(values[0], value)
    return constants


def _typed(key: str, value: Any) -> Any:
    if key in _MOMENTS:
        return Moment(value)
    if key == "valueInteger64":
        if not re.fullmatch(r"-?\d+", str(value)):
            raise ViewError("a constant of type integer64 is not a whole number; correct the view")
        return Integer64(value)
    return value


def _holds(verdict: Items) -> bool:
    if not verdict:
        return False
    if len(verdict) > 1 or not isinstance(verdict[0], bool):
        raise ViewError("a path in 'where' is not true or false; add a comparison or exists()")
    return verdict[0]


class _Select:
    """One selection structure: the nodes it iterates over, its columns and its nested parts."""

    columns: tuple[str, ...]

    def __init__(self, part: Any, constants: Mapping[str, Any]) -> None:
        spec = _part(part, "select")
        columns = [_part(c, "column") for c in _list(spec, "column")]
        self._cells = [_cell(c, constants) for c in columns]
        self._nested = [_Select(s, constants) for s in _list(spec, "select")]
        self._union = [_Select(u, constants) for u in _list(spec, "unionAll")]
        self._foci, self._or_null = _iteration(spec, constants)
        names = [_column_name(c) for c in columns]
        for inner in self._nested:
            names += inner.columns
        if self._union:
            if any(u.columns != self._union[0].columns for u in self._union):
                raise ViewError(
                    "the branches of 'unionAll' differ in their columns; name them alike"
                )
            names += self._union[0].columns
        if not names:
            raise ViewError(
                "a part of 'select' names no column; add 'column', 'select' or 'unionAll'"
            )
        self.columns = tuple(names)
        self._row_numbers = [_is_row_index(c.get("path")) for c in columns]

    def rows(self, node: Any, env: Env) -> list[Row]:
        """Rows of one node: the Cartesian product of the parts."""
        if self._foci is None:
            return self._of_focus(node, env)
        outer = env.row
        rows: list[Row] = []
        foci = self._foci([node], env)
        for env.row, focus in enumerate(foci):
            rows += self._of_focus(focus, env)
        env.row = outer
        if not foci and self._or_null:
            return [self._null_row()]
        return rows

    def _of_focus(self, focus: Any, env: Env) -> list[Row]:
        this = [focus]
        rows: list[Row] = [tuple([cell(this, env) for cell in self._cells])]
        for inner in self._nested:
            found = inner.rows(focus, env)
            rows = [row + more for row in rows for more in found]
        if self._union:
            every = [row for branch in self._union for row in branch.rows(focus, env)]
            rows = [row + more for row in rows for more in every]
        return rows

    def _null_row(self) -> Row:
        cells: Row = tuple(0 if is_number else None for is_number in self._row_numbers)
        for inner in self._nested:
            cells += inner._null_row()
        return cells + (self._union[0]._null_row() if self._union else ())


def _column_name(column: Mapping[str, Any]) -> str:
    name = column.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ViewError("a column's name is missing or not a database name; use letters, digits, _")
    return name


def _cell(column: Mapping[str, Any], constants: Mapping[str, Any]) -> Callable[[Items, Env], Any]:
    kind = column.get("type")
    path = compile_path(column.get("path"), constants, kind if isinstance(kind, str) else None)
    collection = column.get("collection")
    if not isinstance(collection, bool | None):
        raise ViewError("'collection' of a column is not true or false; correct the view")
    if collection:
        return path
    name = _column_name(column)

    def read(this: Items, env: Env) -> Any:
        found = path(this, env)
        if not found:
            return None
        if len(found) > 1:
            raise ViewError(
                f"column '{name}' has several values; use first(), forEach or 'collection: true'"
            )
        return found[0]

    return read


def _is_row_index(path: Any) -> bool:
    return parse(path) == Variable("%rowIndex")


def _iteration(spec: Mapping[str, Any], constants: Mapping[str, Any]) -> tuple[Path | None, bool]:
    given = [key for key in ("forEach", "forEachOrNull", "repeat") if spec.get(key) is not None]
    if not given:
        return None, False
    if len(given) > 1:
        raise ViewError("a select has two of forEach, forEachOrNull and repeat; keep one")
    if given == ["repeat"]:
        paths = [compile_path(p, constants) for p in _list(spec, "repeat")]
        if not paths:
            raise ViewError("'repeat' names no path; list at least one")
        return _repeated(paths), False
    return compile_path(spec[given[0]], constants), given == ["forEachOrNull"]


def _repeated(paths: list[Path]) -> Path:
    """Visit the nodes depth first, in the order of the specification's examples."""

    def visit(this: Items, env: Env) -> Items:
        found: Items = []
        for path in paths:
            for node in path(this, env):
                found.append(node)
                found += visit([node], env)
        return found

    return visit
