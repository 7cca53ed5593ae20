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
}
REGISTRATION = "registration.yaml"


def start_model_folder(folder: Path, source: Path | None, kind: str | None) -> list[str]:
    """Write the folder `folder/artefact` and the registration beside it; nothing is overwritten.

    Parameters
    ----------
    source : file of the trained model, or a folder of MLflow; it is copied
    kind : library of the model, by default from the name of `source`

    Raises
    ------
    UsageError
        If the folder exists and is not empty, or the kind is unknown.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder.name} exists and is not empty; choose a new folder")
    found = kind or _kind_of(source)
    artefact = folder / "artefact"
    artefact.mkdir(parents=True)
    name = "model" if source is None else source.name
    if source is not None:
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, artefact / name)
    text = _CODE[found].replace("MODEL_FILE", name)
    write_durably(artefact / "inference.py", text.encode(), mode=0o644)
    write_durably(folder / REGISTRATION, _REGISTRATION.encode(), mode=0o644)
    return [
        f"written  {artefact / 'inference.py'} ({found}), {folder / REGISTRATION}",
        f"next     fill in {folder / REGISTRATION}: card and inputs, in the order that the model reads",
        *(
            [f"         and INPUTS in {artefact / 'inference.py'}: the same names"]
            if _NAMES in text
            else []
        ),
        f"then     healthval model check {artefact} --sample sample.csv",
        "and      send the folder to the hub's operator, who provisions it",
    ]


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

def load(model_dir: Path):
    return onnxruntime.InferenceSession(str(model_dir / "MODEL_FILE"))


def predict(model, instances):
    rows, known = _complete(instances)
    if not rows:
        return _with_none((), known)
    found = model.run(None, {model.get_inputs()[0].name: np.array(rows, np.float32)})[-1]
    scores = [row[1] for row in found]  # probability of the class 1
    return _with_none(scores, known)
""",
    "torch": _HEAD.format(imports="\nimport torch\n")
    + _NAMES
    + """

def load(model_dir: Path):
    return torch.jit.load(model_dir / "MODEL_FILE").eval()  # exported by torch.jit.save


def predict(model, instances):
    rows, known = _complete(instances)
    if not rows:
        return _with_none((), known)
    with torch.no_grad():
        scores = torch.sigmoid(model(torch.tensor(rows))).flatten().tolist()
    return _with_none(scores, known)
""",
    "mlflow": _HEAD.format(imports="\nimport mlflow.pyfunc\nimport pandas as pd\n")
    + _NAMES
    + """

def load(model_dir: Path):
    return mlflow.pyfunc.load_model(str(model_dir / "MODEL_FILE"))


def predict(model, instances):
    rows, known = _complete(instances)
    scores = model.predict(pd.DataFrame(rows, columns=list(INPUTS))) if rows else ()
    return _with_none(scores, known)
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
