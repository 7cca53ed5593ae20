"""The file of a batch, and the runs that it describes."""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from healthval import __version__
from healthval.contracts.base import canonical_json, explain
from healthval.errors import UsageError, counted
from healthval.files import packaged, read_yaml
from healthval.runner.execute import IDENTIFIABLE
from healthval.runner.own_notebook import checked_values, is_own
from healthval.runner.parameters import NOTEBOOKS

Values = dict[str, JsonValue]
MOST_RUNS = 100_000


class Matrix(BaseModel):
    """Content of the file: what is run, and how often.

    The runs are all combinations of `matrix` without those that fit an entry of `exclude`, and one run
    for each entry of `include`; each is combined with `parameters`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    notebook: Annotated[str, Field(min_length=1, max_length=4096)]
    parameters: Values = Field(default_factory=dict)
    matrix: dict[str, Annotated[list[JsonValue], Field(min_length=1)]] = Field(default_factory=dict)
    include: list[Values] = Field(default_factory=list)
    exclude: list[Values] = Field(default_factory=list)
    output: Path = Path("runs")
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    timeout: Annotated[float, Field(gt=0)] | None = None
    calls: Annotated[int, Field(ge=1, le=1000)] | None = None
    pdf: bool = False
    scheduler: Annotated[str, Field(pattern=r"^(tcp|tls)://[^\s]+$")] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: its identity, and everything that a worker needs.

    Attributes
    ----------
    id : hash of notebook, parameters, data, and version of healthval
    varied : the parameters that differ between the runs of the batch
    folder : place of the finished run; `identifiable` if its outputs may show patients
    calls : most simultaneous calls of one model endpoint over all runs of the batch
    pdf : whether the page is also printed
    """

    id: str
    notebook: Path
    parameters: dict[str, Any]
    varied: dict[str, Any]
    folder: Path
    identifiable: bool
    timeout: float | None
    calls: int | None
    pdf: bool

    def __repr__(self) -> str:
        return f"Run({self.id})"  # parameters stay out of logs and dashboards


def read_matrix(path: Path) -> Matrix:
    """Read the file of a batch.

    Raises
    ------
    UsageError
        If the file cannot be read, or has an unknown or invalid entry.
    """
    remedy = "write notebook:, matrix: (name -> list) and parameters:, one entry per line"
    try:
        made = Matrix.model_validate(read_yaml(path, what=path.name, remedy=remedy))
    except ValidationError as error:
        raise UsageError(f"{path.name} is not valid: {explain(error)}; {remedy}") from None
    if re.match(r"[A-Za-z][\w+.-]*:/", str(made.output)):
        raise UsageError(
            f"{path.name}: 'output' is a folder of this machine, in which runs are locked and moved whole;"
            " copy it elsewhere afterwards"
        )
    return made


def runs_of(matrix: Matrix) -> list[Run]:
    """Return all runs, checked before any kernel starts.

    Raises
    ------
    UsageError
        If the parameters of a run are not valid, or two runs are the same.
    """
    combined = list(_combinations(matrix))
    if not combined:
        raise UsageError("the matrix has no run: every combination is excluded")
    hashes = _Fingerprints()
    notebook = _path_of(matrix.notebook)
    content = hashes.of(notebook)
    names = _varied(combined)
    make = _RunMaker(matrix=matrix, notebook=notebook, content=content, hashes=hashes, names=names)
    runs = [make.run(values) for values in combined]
    repeated = len(runs) - len({run.id for run in runs})
    if repeated:
        raise UsageError(f"{counted(repeated, 'run')} of the batch repeated; remove the repetition")
    return runs


def _combinations(matrix: Matrix) -> Iterator[Values]:
    size = len(matrix.include)
    for values in matrix.matrix.values():
        size = max(size, 1) * len(values)
    if size > MOST_RUNS:
        raise UsageError(f"the batch has more than {MOST_RUNS} runs; divide it")
    if matrix.matrix or not matrix.include:
        for combination in itertools.product(*matrix.matrix.values()):
            one = dict(zip(matrix.matrix, combination, strict=True))
            if not any(_fits(one, entry) for entry in matrix.exclude):
                yield {**matrix.parameters, **one}
    for entry in matrix.include:
        yield {**matrix.parameters, **entry}


def _fits(values: Values, entry: Values) -> bool:
    return all(name in values and values[name] == wanted for name, wanted in entry.items())


def _varied(combined: list[Values]) -> list[str]:
    names = dict.fromkeys(name for values in combined for name in values)
    return [n for n in names if len({canonical_json(values.get(n)) for values in combined}) > 1]


def _path_of(notebook: str) -> Path:
    if is_own(notebook):
        checked_values(notebook, {})
        return Path(notebook).absolute()
    return packaged("notebooks") / f"{notebook}.ipynb"


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunMaker:
    matrix: Matrix
    notebook: Path
    content: str
    hashes: "_Fingerprints"
    names: list[str]

    def run(self, values: Values) -> Run:
        """Check one combination and give it its identity and place."""
        named = self.matrix.notebook
        parameters = checked_values(named, values)
        identity = {
            "notebook": self.content,
            "parameters": parameters,
            "data": [self.hashes.of(place) for place in _places(parameters)],
            "healthval": __version__,
        }
        own_id = hashlib.sha256(canonical_json(identity)).hexdigest()[:16]
        identifiable = is_own(named) or NOTEBOOKS[named].identifiable
        output = self.matrix.output
        parent = output / IDENTIFIABLE if identifiable else output
        return Run(
            id=own_id,
            notebook=self.notebook,
            parameters=parameters,
            varied={name: values.get(name) for name in self.names},
            folder=(parent / own_id).absolute(),
            identifiable=identifiable,
            timeout=self.matrix.timeout,
            calls=self.matrix.calls,
            pdf=self.matrix.pdf,
        )


def _places(parameters: Mapping[str, Any]) -> list[Path]:
    """Files and folders that the run reads, by their parameters."""
    made = {"site_folder", "out", "operator_key"}
    found = []
    for name in sorted(set(parameters) - made):
        for text in _texts(parameters[name]):
            place = Path(text)
            if 0 < len(text) < 4096 and "\n" not in text and place.exists():
                found.append(place)
    return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    return [text for part in value for text in _texts(part)] if isinstance(value, list) else []


class _Fingerprints:
    """Hashes of files and folders; each is read once per batch."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of(self, place: Path) -> str:
        """Hash of a file's content; of a folder's names, sizes and times of change."""
        key = place.absolute()
        if key not in self._known:
            self._known[key] = _folder_hash(key) if key.is_dir() else _file_hash(key)
        return self._known[key]


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_hash(folder: Path) -> str:
    listed = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            known = path.stat()
            listed.append([path.relative_to(folder).as_posix(), known.st_size, known.st_mtime_ns])
    return hashlib.sha256(canonical_json(listed)).hexdigest()
