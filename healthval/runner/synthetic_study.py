"""The study on invented patients: its plan, its vendor, and how a site's cohort is read.

The model takes the patient's age and laboratory from FHIR and the opacity of the chest film from
DICOM, so both paths feed one model.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from healthval.cohort import Cohort, Eligibility, Link, read_cohort
from healthval.cohort.tables import read_source
from healthval.runner.execute import shared
from healthval.runner.synthetic import (
    FEATURES,
    OPACITY,
    SCHEMA,
    VENDOR_WEIGHTS,
    VIEWS,
    SyntheticSite,
    read_opacities,
)

if TYPE_CHECKING:
    import pandas as pd

    from healthval.plan import Plan

TABLE = SCHEMA.model_copy(
    update={"columns": SCHEMA.columns | {"opacity": OPACITY.columns["opacity"]}}
)
ELIGIBILITY = (
    Eligibility(step="adults", column="age", low=18),
    Eligibility(step="with_lactate", column="lactate", present=True),
    Eligibility(step="with_film", column="opacity", present=True),
)
LIMITS = {
    "age": (0, 90),
    "lactate": (0, 500),
    "heart_rate": (0, 500),
    "crp": (0, 500),
    "opacity": (0, 4095),
}
PLAN: dict[str, Any] = {
    "study": "pneumonia-film-demo",
    "title": "Film Risk at three invented hospitals",
    "target_condition": "pneumonia",
    "reference_standard": "verdict of a radiologist on the chest film",
    "model": {"name": "film-risk", "version": "1.0"},
    "table": TABLE.model_dump(mode="json", exclude_defaults=True),
    "inputs": list(FEATURES),
    "thresholds": [0.4],
    "subgroups": ["sex"],
    "acceptance": [{"metric": "auroc", "low": 0.7}],
    "sample_size": {"planned_cases": 300, "rationale": "Invented patients; a demonstration."},
}
REGISTRATION: dict[str, Any] = {
    "card": {
        "name": "film-risk",
        "version": "1.0",
        "title": "Film Risk, probability of pneumonia",
        "developer": "Demo Vendor",
        "intended_use": "Shows the path of resources and films into one model; not for care.",
        "target_condition": "pneumonia",
        "population": "Invented adults with a chest film in an emergency department.",
        "training_data": "None: the weights were written down.",
        "limitations": "A demonstration, not a medical device.",
    },
    "inputs": {
        "kind": "table",
        "fields": [
            {"name": n, "kind": "number", "low": low, "high": high}
            for n, (low, high) in LIMITS.items()
        ],
    },
    "memory_mb": 1024,
    "max_concurrency": 4,
}


def write_study(folder: Path) -> None:
    """Write ``plan.yaml``, and the vendor's registration and artefact."""
    vendor = folder / "vendor"
    shutil.copytree(shared("examples") / "vendor" / "artefact", vendor / "artefact")
    (vendor / "artefact" / "weights.json").write_text(json.dumps(VENDOR_WEIGHTS), encoding="utf-8")
    for path, value in ((vendor / "registration.yaml", REGISTRATION), (folder / "plan.yaml", PLAN)):
        path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")


def read_site(site: SyntheticSite, plan: "Plan") -> Cohort:
    """Link label table, FHIR resources and films of one site by accession number and patient."""
    return read_cohort(
        plan.table,
        table=_with_films(site),
        resources=site.bundles,
        fhir=VIEWS,
        eligibility=ELIGIBILITY,
    )


def _with_films(site: SyntheticSite) -> "pd.DataFrame":
    labels = read_source(site.labels)
    films = read_opacities(site.images)
    key = Link(on={"accession": "accession_number"}).on
    return labels.merge(films, how="left", left_on=list(key), right_on=list(key.values()))
