"""A new model folder for a vendor: the trained model, ``inference.py`` and ``registration.yaml``."""

import shutil
from pathlib import Path
from typing import Final

from healthval.errors import UsageError
from healthval.files import write_durably

KINDS: Final = {
    ".joblib": "sklearn",
    ".pkl": "sklearn",
    ".onnx": "onnx",
    ".pt": "torch",
    ".pth": "torch",
    ".pt2": "torch",
}
REGISTRATION = "registration.yaml"


def start_model_folder(folder: Path, source: str | None, kind: str | None) -> list[str]:
    """Write the folder `folder/artefact` and the registration beside it; nothing is overwritten.

    Parameters
    ----------
    source : file of the trained model, a folder of MLflow, or ``module:factory``, a function in the
        module or package of this name in the working folder; it is copied
    kind : library of the model, by default from the name of `source`

    Raises
    ------
    UsageError
        If the folder exists and is not empty, the source does not exist, or the kind is unknown.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder.name} exists and is not empty; choose a new folder")
    path, factory = _found(source)
    known = kind or ("factory" if factory else _kind_of(path))
    artefact = folder / "artefact"
    artefact.mkdir(parents=True)
    name = "model" if path is None else path.name
    if path is not None and path.is_dir():
        shutil.copytree(path, artefact / name, ignore=shutil.ignore_patterns("__pycache__"))
    elif path is not None:
        shutil.copy2(path, artefact / name)
    module = (source or "").partition(":")[0]
    text = _CODE[known].replace("MODEL_FILE", name)
    text = text.replace("MODULE", module).replace("FACTORY", factory)
    write_durably(artefact / "inference.py", text.encode(), mode=0o644)
    write_durably(folder / REGISTRATION, _REGISTRATION.encode(), mode=0o644)
    return [
        f"written  {artefact / 'inference.py'} ({known}), {folder / REGISTRATION}",
        f"next     fill in {folder / REGISTRATION}: card and inputs, in the order that the model reads",
        *(
            [f"         and INPUTS in {artefact / 'inference.py'}: the same names"]
            if _NAMES in text
            else []
        ),
        *(["         and OUTPUT there: logits or probabilities"] if "\nOUTPUT =" in text else []),
        f"then     healthval model check {folder} --sample sample.csv",
        "and      send the folder to the hub's operator, who provisions it",
    ]


def _found(source: str | None) -> tuple[Path | None, str]:
    """Return the file or folder to copy, and the factory's name of ``module:factory``."""
    if source is None:
        return None, ""
    if Path(source).exists():
        return Path(source), ""
    module, _, factory = source.partition(":")
    if not factory:
        raise UsageError(f"there is no file or folder {Path(source).name}")
    if not all(part.isidentifier() for part in (*module.split("."), factory)):
        raise UsageError("module:factory are names of Python, such as ward.model:build")
    top = module.split(".", maxsplit=1)[0]
    for place in (Path(top), Path(f"{top}.py")):
        if place.exists():
            return place, factory
    raise UsageError(f"there is no module {top}.py and no package {top} in this folder")


def _kind_of(source: Path | None) -> str:
    if source is None:
        return "plain"
    if source.is_dir() and (source / "MLmodel").is_file():
        return "mlflow"
    if source.suffix.lower() in KINDS:
        return KINDS[source.suffix.lower()]
    raise UsageError(f"the kind of {source.name} is not known from its name; give --kind")


_HEAD = '''"""Model of the vendor: `load` runs once, `predict` gives one score (0 to 1) or None for each case."""

from pathlib import Path
{imports}
'''
_NAMES = '''
# The names of the input contract, in the order that the model was trained with.
INPUTS = ("FILL_IN_first_input", "FILL_IN_second_input")


def _complete(instances):
    """Rows of inputs, and which cases have all inputs."""
    known = [all(row[name] is not None for name in INPUTS) for row in instances]
    rows = [[row[name] for name in INPUTS] for row, ok in zip(instances, known) if ok]
    return rows, known


def _with_none(scores, known):
    """Scores in the order of the cases; None where an input is missing."""
    left = iter(scores)
    return [float(next(left)) if ok else None for ok in known]
'''
_CODE: Final = {
    "plain": _HEAD.format(imports="")
    + """

def load(model_dir: Path):
    return None


def predict(model, instances):
    return [0.5 for row in instances]  # an instance is a dict of the named inputs
""",
    "sklearn": _HEAD.format(imports="\nimport joblib\nimport numpy as np\n")
    + _NAMES
    + """

def load(model_dir: Path):
    model = joblib.load(model_dir / "MODEL_FILE")
    names = getattr(model, "feature_names_in_", None)  # of a model that was trained on a table
    if names is not None and tuple(names) != INPUTS:
        raise ValueError(f"INPUTS must be those of the training, in their order: {tuple(names)}")
    return model


def predict(model, instances):
    rows, known = _complete(instances)
    if not rows:
        return _with_none((), known)
    scores = model.predict_proba(_table(model, rows))[:, 1]  # probability of model.classes_[1]
    return _with_none(scores, known)


def _table(model, rows):
    if not hasattr(model, "feature_names_in_"):
        return np.array(rows, float)
    import pandas as pd

    return pd.DataFrame(rows, columns=list(INPUTS))
""",
    "onnx": _HEAD.format(imports="\nimport numpy as np\nimport onnxruntime\n")
    + _NAMES
    + """
TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(string)": object,
}


def load(model_dir: Path):
    return onnxruntime.InferenceSession(str(model_dir / "MODEL_FILE"))


def predict(model, instances):
    rows, known = _complete(instances)
    if not rows:
        return _with_none((), known)
    found = model.run(None, _feeds(model, rows))[-1]  # for each case its classes' probabilities
    if any(len(row) != 2 for row in found):
        raise ValueError("the last output is not the probability of two classes: change this code")
    return _with_none([row[1] for row in found], known)  # probability of the class 1


def _feeds(model, rows):
    \"""One input of all columns, or an input for each column by its name.\"""
    wanted = model.get_inputs()
    if len(wanted) == 1:
        return {wanted[0].name: np.array(rows, TYPES[wanted[0].type])}
    columns = dict(zip(INPUTS, zip(*rows)))
    return {one.name: np.array(columns[one.name], TYPES[one.type])[:, None] for one in wanted}
""",
    "torch": _HEAD.format(imports="\nimport torch\n")
    + _NAMES
    + """
# What the model returns for a case: "logits", or "probabilities" if it ends with a sigmoid.
OUTPUT = "FILL_IN_logits_or_probabilities"


def load(model_dir: Path):
    if OUTPUT not in ("logits", "probabilities"):
        raise ValueError('OUTPUT must be "logits" or "probabilities"')
    path = model_dir / "MODEL_FILE"
    if path.suffix == ".pt2":
        return torch.export.load(path).module()  # saved by torch.export.save, any number of cases
    try:
        return torch.jit.load(path).eval()  # saved by torch.jit.save
    except RuntimeError:
        raise ValueError(f"{path.name} has no code: save it with torch.export.save") from None


def predict(model, instances):
    rows, known = _complete(instances)
    if not rows:
        return _with_none((), known)
    with torch.no_grad():
        found = model(torch.tensor(rows, dtype=torch.float32)).reshape(len(rows))
    scores = torch.sigmoid(found) if OUTPUT == "logits" else found
    return _with_none(scores.tolist(), known)
""",
    "mlflow": _HEAD.format(
        imports="\nimport mlflow.pyfunc\nimport numpy as np\nimport pandas as pd\n"
    )
    + _NAMES
    + """

def load(model_dir: Path):
    return mlflow.pyfunc.load_model(str(model_dir / "MODEL_FILE"))


def predict(model, instances):
    rows, known = _complete(instances)
    if not rows:
        return _with_none((), known)
    found = np.asarray(model.predict(_table(model, rows)))
    if found.dtype.kind != "f":
        raise TypeError(
            "the model returns classes, not probabilities: log it with"
            " pyfunc_predict_fn='predict_proba', or change this code"
        )
    scores = found[:, 1] if found.ndim == 2 and found.shape[1] == 2 else found.reshape(len(rows))
    return _with_none(scores, known)


def _table(model, rows):
    table = pd.DataFrame(rows, columns=list(INPUTS))
    schema = model.metadata.get_input_schema()
    if schema is None or not schema.has_input_names():
        return table
    return table.astype(dict(zip(schema.input_names(), schema.pandas_types())))
""",
    "factory": _HEAD.format(imports="\nfrom MODULE import FACTORY\n")
    + """

def load(model_dir: Path):
    return FACTORY()  # returns a function of the cases


def predict(model, instances):
    return model(instances)  # an instance is a dict of the named inputs
""",
}
_REGISTRATION = """\
# Registration of a model: the model card, the input contract and the resources for serving.
card:
  name: FILL-IN                       # small letters, digits and hyphens
  version: "1.0"
  title: "FILL IN: one line"
  developer: "FILL IN: the company"
  intended_use: "FILL IN: for whom, in which situation, what the score means"
  target_condition: "FILL IN: the condition that the score is the probability of"
  # population, out_of_scope, training_data, limitations: paragraphs; claimed_auroc: a number
inputs:
  kind: table                         # table, dicom (one file a case) or combined
  fields:                             # in the order that the model reads
    - {name: FILL_IN_first_input, kind: number, low: 0, high: 100, unit: ""}
    - {name: FILL_IN_second_input, kind: number}
# Synthetic cases with the scores of your model, which hub and hospitals compare; of a model that
# reads files also `files: [probes/phantom.dcm]`, in the folder of this file and de-identified.
# `healthval model check` prints the scores.
probes: []
#  - {row: {FILL_IN_first_input: 50, FILL_IN_second_input: 1}, score: 0.5}
memory_mb: 1024                       # 1024 to 6144
max_concurrency: 4
"""
