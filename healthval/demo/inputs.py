"""The demo's recorded inputs: real patients, a split into three sites, invented identifiers.

The patients are scikit-learn's copy of the Wisconsin Diagnostic Breast Cancer set (Wolberg, Street
and Mangasarian 1995, 569 patients, CC BY 4.0). The vendor's model sees three weak features only, so
that it errs often enough for the report to have something to show.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from healthval.runner.execute import shared

SEED = 20260101
N_TRAINING = 149
FEATURES = ("mean_texture", "mean_smoothness", "mean_symmetry")
GIVEN = (
    "Ada",
    "Bela",
    "Chidi",
    "Dana",
    "Emre",
    "Farah",
    "Goro",
    "Hilma",
    "Inez",
    "Jonas",
    "Kaya",
    "Leon",
)
FAMILY = (
    "Abara",
    "Brandt",
    "Castell",
    "Dvorak",
    "Eriks",
    "Fontane",
    "Grau",
    "Hollis",
    "Ibsen",
    "Jansen",
)


@dataclass(frozen=True)
class DemoSite:
    """One invented hospital: its share of the held-out patients."""

    folder: str
    label: str
    n_malignant: int
    n_benign: int


SITES = (
    DemoSite("north", "North (referral centre)", 70, 104),
    DemoSite("harbour", "Harbour (screening unit)", 54, 104),
    DemoSite("valley", "Valley (small hospital)", 24, 50),
)


def record_inputs(folder: Path) -> None:
    """Write plan, vendor's model and three cohorts once; a finished folder is left as it is."""
    if (folder / "plan.yaml").exists():
        return
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    frame, malignant = _patients()
    order = np.random.default_rng(SEED).permutation(len(frame))
    training, rest = order[:N_TRAINING], order[N_TRAINING:]
    _train_vendor_model(frame.iloc[training], malignant[training], draft / "vendor")
    _deal(frame.iloc[rest], malignant[rest], draft)
    shutil.copy(shared("examples") / "plan.yaml", draft / "plan.yaml")
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def _patients() -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    frame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    return frame, (data.target == 0).to_numpy()


def _train_vendor_model(frame: pd.DataFrame, malignant: NDArray[np.bool_], folder: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    values = frame[list(FEATURES)]
    mean, sd = values.mean(), values.std()
    fitted = LogisticRegression().fit(((values - mean) / sd).to_numpy(), malignant)
    weights = {
        "features": list(FEATURES),
        "mean": [round(float(v), 8) for v in mean],
        "sd": [round(float(v), 8) for v in sd],
        "coefficients": [round(float(v), 8) for v in fitted.coef_[0]],
        "intercept": round(float(fitted.intercept_[0]), 8),
    }
    artefact = folder / "artefact"
    shutil.copytree(shared("examples") / "vendor" / "artefact", artefact)
    (artefact / "weights.json").write_text(json.dumps(weights, indent=1), encoding="utf-8")
    registration = yaml.safe_load((shared("examples") / "vendor" / "registration.yaml").read_text())
    (folder / "registration.yaml").write_text(
        yaml.safe_dump(registration, sort_keys=False), encoding="utf-8"
    )


def _deal(frame: pd.DataFrame, malignant: NDArray[np.bool_], folder: Path) -> None:
    cases = {True: np.flatnonzero(malignant), False: np.flatnonzero(~malignant)}
    used = {True: 0, False: 0}
    for number, site in enumerate(SITES):
        rows: list[int] = []
        for group, n in ((True, site.n_malignant), (False, site.n_benign)):
            rows += cases[group][used[group] : used[group] + n].tolist()
            used[group] += n
        rng = np.random.default_rng([SEED, number])
        chosen = rng.permutation(rows)
        (folder / site.folder).mkdir()
        table = _with_identifiers(frame.iloc[chosen], malignant[chosen], rng)
        table.to_csv(folder / site.folder / "cohort.csv", index=False)


def _with_identifiers(
    frame: pd.DataFrame, malignant: NDArray[np.bool_], rng: np.random.Generator
) -> pd.DataFrame:
    """Add invented names, record numbers and dates, so that there is something to remove."""
    n = len(frame)
    names = [f"{rng.choice(FAMILY)}^{rng.choice(GIVEN)}" for _ in range(n)]
    born = pd.Timestamp("1930-01-01") + pd.to_timedelta(rng.integers(0, 22_000, n), unit="D")
    examined = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, n), unit="D")
    return pd.DataFrame(
        {
            "mrn": [f"MRN{number:08d}" for number in rng.choice(10**8, n, replace=False)],
            "patient_name": names,
            "birth_date": born.strftime("%Y-%m-%d"),
            "exam_date": examined.strftime("%Y-%m-%d"),
            **{name: frame[name].round(6).to_numpy() for name in FEATURES},
            "outline": np.where(frame["mean_fractal_dimension"] >= 0.0615, "intricate", "plain"),
            "histology": np.where(malignant, "malignant", "benign"),
            "remark": [f"seen {name.split('^')[1]}" for name in names],
        }
    )
