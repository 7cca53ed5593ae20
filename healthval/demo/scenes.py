"""The demo's tracks: who is judged, by which model, and what the newcomer is told of them.

`table` splits real patients into three sites (see `demo_inputs`). `fhir` and `imaging` invent
patients, with FHIR R4 resources, chest films and a label table that has mistakes in it; the
vendor's model is trained on invented patients of another hospital.
"""

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from healthval.demo import inputs as demo_inputs
from healthval.demo import synthetic
from healthval.errors import UsageError
from healthval.evaluation import Sources, cohort_of
from healthval.plan import Plan
from healthval.plan_file import load_plan
from healthval.runner.execute import shared

N_TRAINING, TRAINING_SEED, TRAINING_PREVALENCE = 300, 99, 0.4


@dataclass(frozen=True)
class InventedSite:
    """One invented hospital with invented patients."""

    folder: str
    label: str
    n_patients: int
    prevalence: float


INVENTED = (
    InventedSite("north", "North (referral centre)", 200, 0.45),
    InventedSite("harbour", "Harbour (emergency unit)", 150, 0.4),
    InventedSite("valley", "Valley (small hospital)", 70, 0.4),
)


@dataclass(frozen=True)
class Scene:
    """What differs between tracks: sites, recorded inputs, and the words of the summary."""

    sites: tuple[Any, ...]
    record: Callable[[Path], None]
    told: str
    condition: str
    memory_mb: int = 1024
    megabytes: float = 0.001  # a case, there and back

    def sources(self, inputs: Path, site: Any) -> dict[str, Any]:
        """Files of one site, by the evaluation notebook's parameters."""
        home = inputs / site.folder
        parts = {
            "table": "labels.csv",
            "resources": "bundles",
            "images": "images",
        }
        found = {name: home / part for name, part in parts.items() if (home / part).exists()}
        return found or {"table": home / "cohort.csv"}


def scene(track: str) -> Scene:
    """Return what a track plays.

    Raises
    ------
    UsageError
        If there is no such track.
    """
    if track not in _SCENES:
        raise UsageError(f"there is no such track; choose one of {', '.join(_SCENES)}")
    return _SCENES[track]


def _record_fhir(folder: Path) -> None:
    _record(folder, "fhir")


def _record_imaging(folder: Path) -> None:
    _record(folder, "imaging")


def _record(folder: Path, track: str) -> None:
    """Write plan, vendor's model and three invented sites once; a finished folder is left as is."""
    if (folder / "plan.yaml").exists():
        return
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(shared("examples") / track, draft, ignore=shutil.ignore_patterns("__pycache__"))
    plan = load_plan(draft / "plan.yaml")
    for number, site in enumerate(INVENTED):
        home = draft / site.folder
        synthetic.write_site(home, n=site.n_patients, seed=number, prevalence=site.prevalence)
        if plan.images is None:
            shutil.rmtree(home / "images")
    _train(plan, draft / "vendor" / "artefact")
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def _train(plan: Plan, artefact: Path) -> None:
    """Fit the vendor's model on patients whom no site has."""
    from sklearn.linear_model import LogisticRegression

    with tempfile.TemporaryDirectory() as place:
        training = synthetic.write_site(
            Path(place), n=N_TRAINING, seed=TRAINING_SEED, prevalence=TRAINING_PREVALENCE
        )
        cohort = cohort_of(plan, Sources(training.labels, training.bundles))
        values = cohort.frame[list(plan.inputs)].astype(float)
        if plan.images is not None:
            values["opacity"] = _opacities(cohort.cases, training.images, artefact)
    known = (cohort.reference.notna() & values.notna().all(axis=1)).to_numpy()
    seen, ill = values[known], cohort.reference[known].to_numpy(dtype=bool)
    mean, sd = seen.mean(), seen.std()
    fitted = LogisticRegression().fit(((seen - mean) / sd).to_numpy(), ill)
    weights = {
        "features": list(seen.columns),
        "mean": [round(float(v), 8) for v in mean],
        "sd": [round(float(v), 8) for v in sd],
        "coefficients": [round(float(v), 8) for v in fitted.coef_[0]],
        "intercept": round(float(fitted.intercept_[0]), 8),
    }
    (artefact / "weights.json").write_text(json.dumps(weights, indent=1), encoding="utf-8")


def _opacities(accessions: Any, films: Path, artefact: Path) -> Any:
    """Measure the films as the vendor's own code does."""
    from pydicom import dcmread

    spec = importlib.util.spec_from_file_location("vendor_inference", artefact / "inference.py")
    assert spec is not None  # noqa: S101 - our own example
    assert spec.loader is not None  # noqa: S101
    vendor = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(vendor)
    found = {
        str(dcmread(film, stop_before_pixels=True).AccessionNumber): vendor.opacity(
            film.read_bytes()
        )
        for film in films.glob("*.dcm")
    }
    return [found.get(accession, np.nan) for accession in accessions]


_INVENTED = "Invented patients at three invented hospitals; names, numbers and dates are there to be removed."
_SCENES: dict[str, Scene] = {
    "table": Scene(
        demo_inputs.SITES,
        demo_inputs.record_inputs,
        "Real patients (Wisconsin breast cancer, 569); the three sites are a split of them, names and dates invented.",
        "malignant",
    ),
    "fhir": Scene(INVENTED, _record_fhir, f"{_INVENTED} Inputs come from FHIR.", "with pneumonia"),
    "imaging": Scene(
        INVENTED,
        _record_imaging,
        f"{_INVENTED} Inputs are films and FHIR.",
        "with pneumonia",
        memory_mb=2048,
        megabytes=0.01,
    ),
}
