"""Scaffold of a model: an artefact and a registration from a model that a developer has.

Sources: scikit-learn (joblib or pickle), ONNX, TorchScript, an MLflow folder, or ``module:factory``.
A generated ``inference.py`` is plain Python that the developer reads and changes.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from healthval.errors import UsageError, counted
from healthval.files import write_durably
from healthval.hosting.artefact import ENTRY

REGISTRATION: Final = "registration.yaml"
TO_FILL_IN: Final = "FILL IN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A developer's model.

    Attributes
    ----------
    files : files or folders to copy into the artefact, by their name there
    code : content of ``inference.py``
    fields : names of the inputs, in the order of the model
    """

    files: dict[str, Path]
    code: str
    fields: tuple[str, ...]


def scaffold(source: str, out: Path, *, name: str, fields: Sequence[str] = ()) -> Source:
    """Write ``out/artefact`` and ``out/registration.yaml``.

    Parameters
    ----------
    source : path of a model, or ``module:factory`` of a Python file or package in this folder
    fields : names of the inputs, where the model itself has none

    Raises
    ------
    UsageError
        If the folder exists, the kind of the model is unknown, a package for it is missing, or
        its inputs have no names.
    """
    if out.exists():
        raise UsageError("the folder exists; choose a new one")
    found = _read(source, tuple(fields))
    artefact = out / "artefact"
    artefact.mkdir(parents=True)
    try:
        for target, path in found.files.items():
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, artefact / target)
        write_durably(artefact / ENTRY, found.code.encode(), mode=0o644)
        text = _registration(name, found.fields)
        write_durably(out / REGISTRATION, text.encode(), mode=0o644)
    except BaseException:
        shutil.rmtree(out)
        raise
    return found


def _read(source: str, fields: tuple[str, ...]) -> Source:
    path = Path(source)
    if path.is_dir() and (path / "MLmodel").is_file():
        return _mlflow(path, fields)
    if path.suffix in {".joblib", ".pkl", ".pickle"} and path.is_file():
        return _sklearn(path, fields)
    if path.suffix in {".onnx", ".pt", ".pth"} and path.is_file():
        code = _ONNX if path.suffix == ".onnx" else _TORCH
        _check_named(fields, None)
        return Source(files={path.name: path}, code=_filled(code, path.name, fields), fields=fields)
    if ":" in source:
        return _factory(source, fields)
    raise UsageError(
        "no model at this path; give a .joblib, .pkl, .onnx or .pt file, an MLflow folder, or "
        "module:factory"
    )


def _check_named(fields: tuple[str, ...], n: int | None) -> None:
    if not fields:
        many = "its inputs" if n is None else f"its {counted(n, 'input')}"
        raise UsageError(f"the model does not name {many}; give --fields, in the model's order")
    if n is not None and len(fields) != n:
        raise UsageError(
            f"the model has {counted(n, 'input')}, and {counted(len(fields), 'field is', 'fields are')} named"
        )


def _sklearn(path: Path, fields: tuple[str, ...]) -> Source:
    model = _loaded(path)
    if not hasattr(model, "predict_proba"):
        raise UsageError(
            "the model has no predict_proba, and a score is a probability; wrap it, for example in "
            "CalibratedClassifierCV"
        )
    classes = [getattr(one, "item", lambda one=one: one)() for one in model.classes_]
    if len(classes) != 2:
        raise UsageError(f"the model has {counted(len(classes), 'class')}; a score is for two")
    named = tuple(map(str, getattr(model, "feature_names_in_", ())))
    given = fields or named
    _check_named(given, getattr(model, "n_features_in_", None))
    code = _SKLEARN.replace("@POSITIVE@", repr(classes[1])).replace("@FRAME@", repr(bool(named)))
    return Source(
        files={path.name: path},
        code=_filled(code, path.name, given).replace("@COLUMNS@", repr(list(named or given))),
        fields=given,
    )


def _mlflow(path: Path, fields: tuple[str, ...]) -> Source:
    about: Any = yaml.safe_load((path / "MLmodel").read_text(encoding="utf-8"))
    inputs = yaml.safe_load((about.get("signature") or {}).get("inputs") or "[]")
    named = tuple(str(one["name"]) for one in inputs if isinstance(one, dict) and "name" in one)
    given = fields or named
    _check_named(given, len(named) or None)
    return Source(files={"model": path}, code=_filled(_MLFLOW, "model", given), fields=given)


def _factory(source: str, fields: tuple[str, ...]) -> Source:
    module, _, factory = source.partition(":")
    if not module.isidentifier() or not factory.isidentifier():
        raise UsageError("module:factory names a module of this folder and a function in it")
    _check_named(fields, None)
    path = next((p for p in (Path(f"{module}.py"), Path(module)) if p.exists()), None)
    if path is None:
        raise UsageError("this folder has no module or package of that name")
    code = _FACTORY.replace("@MODULE@", module).replace("@FACTORY@", factory)
    return Source(files={path.name: path}, code=_filled(code, path.name, fields), fields=fields)


def _loaded(path: Path) -> Any:
    """Load a pickled model; the file is the developer's own."""
    try:
        import joblib
    except ImportError:
        raise UsageError(
            "joblib is not installed; install scikit-learn to read this model"
        ) from None
    return joblib.load(path)


def _filled(code: str, file: str, fields: tuple[str, ...]) -> str:
    return code.replace("@FILE@", repr(file)).replace("@FIELDS@", repr(list(fields)))


def _registration(name: str, fields: tuple[str, ...]) -> str:
    card = {"name": name, "version": "1.0", "title": TO_FILL_IN, "developer": TO_FILL_IN}
    card |= dict.fromkeys(("intended_use", "target_condition", "population"), TO_FILL_IN)
    card |= dict.fromkeys(("out_of_scope", "training_data", "limitations"), TO_FILL_IN)
    inputs = {"kind": "table", "fields": [{"name": field, "kind": "number"} for field in fields]}
    values = {"card": card, "inputs": inputs, "memory_mb": 1024, "max_concurrency": 4}
    return _HEAD + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


_HEAD: Final = """\
# Registration of a model. Replace each FILL IN; hospitals read the card before they decide.
# A field may have `unit`, `low` and `high`: a value outside has no score. For a category write
# `kind: category` and its `levels`.
"""
_COMMON: Final = '''

def complete(instances):
    """Rows that have all inputs, with their position; a case with a missing input has no score."""
    found = [(i, [row.get(name) for name in FIELDS]) for i, row in enumerate(instances)]
    return [(i, values) for i, values in found if None not in values]


def scored(instances, rows, scores):
    """Put scores at the position of their rows; None elsewhere."""
    found = [None] * len(instances)
    for (i, _), score in zip(rows, scores, strict=True):
        found[i] = float(score)
    return found
'''
_SKLEARN: Final = (
    '''"""Serves a scikit-learn classifier."""

import joblib
import pandas as pd

FIELDS = @FIELDS@
COLUMNS = @COLUMNS@  # names that the model was fitted with
IS_FITTED_WITH_NAMES = @FRAME@
POSITIVE = @POSITIVE@  # class of the target condition
'''
    + _COMMON
    + '''

def load(model_dir):
    """Load the model, once."""
    return joblib.load(model_dir / @FILE@)


def predict(model, instances):
    """Return one score from 0 to 1, or None, for each instance."""
    rows = complete(instances)
    if not rows:
        return [None] * len(instances)
    table = pd.DataFrame([values for _, values in rows], columns=COLUMNS)
    found = model.predict_proba(table if IS_FITTED_WITH_NAMES else table.to_numpy())
    return scored(instances, rows, found[:, list(model.classes_).index(POSITIVE)])
'''
)
_ONNX: Final = (
    '''"""Serves an ONNX classifier whose last output has the probabilities."""

import numpy as np
import onnxruntime

FIELDS = @FIELDS@
POSITIVE = 1  # column, or key, of the target condition's probability
'''
    + _COMMON
    + '''

def load(model_dir):
    """Load the model, once; one thread, so that scores repeat."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model_dir / @FILE@), options)


def predict(model, instances):
    """Return one score from 0 to 1, or None, for each instance."""
    rows = complete(instances)
    if not rows:
        return [None] * len(instances)
    table = np.array([values for _, values in rows], dtype=np.float32)
    found = model.run(None, {model.get_inputs()[0].name: table})[-1]
    if isinstance(found, list):
        return scored(instances, rows, [one[POSITIVE] for one in found])
    found = np.asarray(found).reshape(len(rows), -1)
    return scored(instances, rows, found[:, POSITIVE if found.shape[1] > 1 else 0])
'''
)
_TORCH: Final = (
    '''"""Serves a TorchScript model that returns one probability for each row."""

import torch

FIELDS = @FIELDS@
'''
    + _COMMON
    + '''

def load(model_dir):
    """Load the model, once; one thread, so that scores repeat."""
    torch.set_num_threads(1)
    return torch.jit.load(str(model_dir / @FILE@), map_location="cpu").eval()


def predict(model, instances):
    """Return one score from 0 to 1, or None, for each instance."""
    rows = complete(instances)
    if not rows:
        return [None] * len(instances)
    with torch.no_grad():
        found = model(torch.tensor([values for _, values in rows], dtype=torch.float32))
    return scored(instances, rows, found.reshape(len(rows)).tolist())
'''
)
_MLFLOW: Final = (
    '''"""Serves an MLflow model (pyfunc) that returns one probability for each row."""

import mlflow.pyfunc
import pandas as pd

FIELDS = @FIELDS@
'''
    + _COMMON
    + '''

def load(model_dir):
    """Load the model, once."""
    return mlflow.pyfunc.load_model(str(model_dir / @FILE@))


def predict(model, instances):
    """Return one score from 0 to 1, or None, for each instance."""
    rows = complete(instances)
    if not rows:
        return [None] * len(instances)
    found = model.predict(pd.DataFrame([values for _, values in rows], columns=FIELDS))
    return scored(instances, rows, list(getattr(found, "to_numpy", lambda: found)()))
'''
)
_FACTORY: Final = '''"""Serves a function made by @MODULE@.@FACTORY@."""

from @MODULE@ import @FACTORY@

FIELDS = @FIELDS@


def load(model_dir):
    """Make the function, once: it takes a list of rows and returns a list of scores."""
    return @FACTORY@(model_dir)


def predict(model, instances):
    """Return one score from 0 to 1, or None, for each instance."""
    return model(instances)
'''
