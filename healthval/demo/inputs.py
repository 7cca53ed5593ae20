"""Recorded inputs of the demo: a plan, a vendor's trained model and the files of three sites.

The patients of the track `table` are scikit-learn's copy of the Wisconsin Diagnostic Breast Cancer
set (Wolberg, Street and Mangasarian 1995, 569 patients, CC BY 4.0), with invented identifiers. The
vendor's model uses three weak features only, so that it makes enough errors for a report. The
patients of the other tracks are synthetic; their model is trained on patients of another hospital.
"""

import importlib.util
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from healthval.demo.synthetic import FAMILY, GIVEN, write_site
from healthval.evaluation import Sources, cohort_of
from healthval.files import packaged
from healthval.plan import Plan
from healthval.plan_file import load_plan

SEED = 20260101
N_TRAINING = 149
FEATURES = ("mean_texture", "mean_smoothness", "mean_symmetry")
# Synthetic training patients of the tracks `fhir` and `imaging`.
N_INVENTED_TRAINING, TRAINING_SEED, TRAINING_PREVALENCE = 300, 99, 0.4


@dataclass(frozen=True)
class DemoSite:
    """One invented hospital: its share of the held-out real patients."""

    folder: str
    label: str
    n_malignant: int
    n_benign: int


@dataclass(frozen=True)
class InventedSite:
    """One invented hospital with synthetic patients."""

    folder: str
    label: str
    n_patients: int
    prevalence: float


SITES = (
    DemoSite("north", "North (referral centre)", 70, 104),
    DemoSite("harbour", "Harbour (screening unit)", 54, 104),
    DemoSite("valley", "Valley (small hospital)", 24, 50),
)
INVENTED = (
    InventedSite("north", "North (referral centre)", 200, 0.45),
    InventedSite("harbour", "Harbour (emergency unit)", 150, 0.4),
    InventedSite("valley", "Valley (small hospital)", 70, 0.4),
)


def record_inputs(folder: Path, track: str = "table") -> None:
    """Write plan, vendor's model and the sites' files once; a complete folder is kept as it is."""
    if (folder / "plan.yaml").exists():
        return
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    example = packaged("examples") / ("" if track == "table" else track)
    shutil.copytree(
        example / "vendor", draft / "vendor", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(example / "plan.yaml", draft / "plan.yaml")
    if track == "table":
        _split_real_patients(draft)
    else:
        _invent_patients(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def _train(values: pd.DataFrame, has_condition: NDArray[np.bool_], artefact: Path) -> None:
    """Fit the vendor's logistic regression and write its weights beside its code."""
    from sklearn.linear_model import LogisticRegression

    mean, sd = values.mean(), values.std()
    fitted = LogisticRegression().fit(((values - mean) / sd).to_numpy(), has_condition)
    weights = {
        "features": list(values.columns),
        "mean": [round(float(v), 8) for v in mean],
        "sd": [round(float(v), 8) for v in sd],
        "coefficients": [round(float(v), 8) for v in fitted.coef_[0]],
        "intercept": round(float(fitted.intercept_[0]), 8),
    }
    (artefact / "weights.json").write_text(json.dumps(weights, indent=1), encoding="utf-8")


# --- track `table`: real patients ------------------------------------------------------------------


def _split_real_patients(folder: Path) -> None:
    """Train on some patients and distribute the others over the sites."""
    frame, malignant = _real_patients()
    order = np.random.default_rng(SEED).permutation(len(frame))
    training, rest = order[:N_TRAINING], order[N_TRAINING:]
    values = frame.iloc[training][list(FEATURES)]
    _train(values, malignant[training], folder / "vendor" / "artefact")
    _write_cohorts(frame.iloc[rest], malignant[rest], folder)


def _real_patients() -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    frame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    return frame, (data.target == 0).to_numpy()


def _write_cohorts(frame: pd.DataFrame, malignant: NDArray[np.bool_], folder: Path) -> None:
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
    """Add invented names, record numbers and dates, which de-identification must remove."""
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


# --- tracks `fhir` and `imaging`: synthetic patients -----------------------------------------------


def _invent_patients(folder: Path) -> None:
    """Write three synthetic sites and train on the patients of a fourth."""
    plan = load_plan(folder / "plan.yaml")
    for number, site in enumerate(INVENTED):
        home = folder / site.folder
        write_site(home, n=site.n_patients, seed=number, prevalence=site.prevalence)
        if plan.images is None:
            shutil.rmtree(home / "images")
    artefact = folder / "vendor" / "artefact"
    values, has_condition = _training_cases(plan, artefact)
    _train(values, has_condition, artefact)


def _training_cases(plan: Plan, artefact: Path) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    with tempfile.TemporaryDirectory() as place:
        training = write_site(
            Path(place), n=N_INVENTED_TRAINING, seed=TRAINING_SEED, prevalence=TRAINING_PREVALENCE
        )
        cohort = cohort_of(plan, Sources(training.labels, training.bundles))
        values = cohort.frame[list(plan.inputs)].astype(float)
        if plan.images is not None:
            values["opacity"] = _opacities(cohort.cases, training.images, artefact)
    known = (cohort.reference.notna() & values.notna().all(axis=1)).to_numpy()
    return values[known], cohort.reference[known].to_numpy(dtype=bool)


def _opacities(accessions: Any, films: Path, artefact: Path) -> list[float]:
    """Measure the films with the vendor's own code."""
    from pydicom import dcmread

    spec = importlib.util.spec_from_file_location("vendor_inference", artefact / "inference.py")
    assert spec is not None  # noqa: S101 - our own example
    assert spec.loader is not None  # noqa: S101
    vendor = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(vendor)
    found: dict[str, float] = {}
    for film in films.glob("*.dcm"):
        accession = str(dcmread(film, stop_before_pixels=True).AccessionNumber)
        found[accession] = vendor.opacity(film.read_bytes())
    return [found.get(accession, np.nan) for accession in accessions]
