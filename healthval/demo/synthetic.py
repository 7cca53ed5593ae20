"""Invented patients for demo and tests: FHIR R4 Bundles, chest films and a label table of the same.

Nobody is behind these data. Vital signs, laboratory and film depend on whether the patient has
pneumonia, so that a model has something to find; names, numbers, dates and remarks are there to be
removed. The label table has the mistakes that such tables have.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from healthval.cohort import FhirInputs, TableSchema

if TYPE_CHECKING:
    import pandas as pd

GIVEN = "Ada Bela Chidi Dana Emre Farah Goro Hilma Inez Jonas Kaya Leon".split()  # noqa: SIM905
FAMILY = "Abara Brandt Castell Dvorak Eriks Fontane Grau Hollis Ibsen Jansen".split()  # noqa: SIM905
PLACES = (("Cambridge", "MA", "02139"), ("Rutland", "VT", "05701"), ("Ely", "NV", "89301"))
# LOINC code, UCUM unit, mean without and with pneumonia, SD, decimals.
MEASUREMENTS: Mapping[str, tuple[str, str, float, float, float, int]] = {
    "lactate": ("2524-7", "mmol/L", 1.4, 2.1, 0.6, 1),
    "heart_rate": ("8867-4", "/min", 82.0, 94.0, 13.0, 0),
    "crp": ("1988-5", "mg/L", 22.0, 61.0, 34.0, 0),
}
SIDE = 32  # pixels
FEATURES = ("age", "lactate", "heart_rate", "crp", "opacity")
# The vendor's logistic regression on standardised features, in the layout of examples/vendor.
VENDOR_WEIGHTS: dict[str, Any] = {
    "features": list(FEATURES),
    "mean": [61.0, 1.7, 87.0, 38.0, 430.0],
    "sd": [19.0, 0.7, 14.0, 38.0, 75.0],
    "coefficients": [0.15, 0.6, 0.5, 0.6, 0.8],
    "intercept": -0.7,
}
SCHEMA = TableSchema.model_validate(
    {
        "columns": {
            "accession": {"kind": "id"},
            "mrn": {"kind": "cluster"},
            "admitted": {"kind": "date"},
            "age": {"kind": "age", "at": "admitted", "bands": [40, 65]},
            "sex": {"kind": "category", "levels": ["female", "male", "other", "unknown"]},
            **{
                name: {"kind": "number", "low": 0, "high": 500, "unit": m[1], "unit_column": f"{name}_unit"}
                for name, m in MEASUREMENTS.items()
            },
            "pneumonia": {
                "kind": "label",
                "positive": ["yes", 1],
                "negative": ["no", 0],
                "indeterminate": ["unclear"],
            },
        },
        "verification": "partial",
    }
)  # fmt: skip
OPACITY = TableSchema.model_validate(
    {
        "columns": {
            "accession_number": {"kind": "id"},
            "opacity": {"kind": "number", "low": 0, "high": 4095},
        }
    }
)


def _measurement_view(name: str, code: str) -> dict[str, Any]:
    column = [
        {"name": "mrn", "path": "subject.getReferenceKey(Patient)", "type": "string"},
        {"name": name, "path": "value.ofType(Quantity).value", "type": "decimal"},
        {"name": f"{name}_unit", "path": "value.ofType(Quantity).code", "type": "code"},
    ]
    is_wanted = f"code.coding.where(system = 'http://loinc.org' and code = '{code}').exists()"
    return {
        "resource": "Observation",
        "select": [{"column": column}],
        "where": [{"path": is_wanted}],
    }


VIEWS = FhirInputs.model_validate(
    {
        "on": "mrn",
        "views": {
            "patients": {
                "resource": "Patient",
                "select": [
                    {
                        "column": [
                            {"name": "mrn", "path": "getResourceKey()", "type": "string"},
                            {"name": "age", "path": "birthDate", "type": "date"},
                            {"name": "sex", "path": "gender", "type": "code"},
                        ]
                    }
                ],
            },
            **{name: _measurement_view(name, m[0]) for name, m in MEASUREMENTS.items()},
        },
    }
)


@dataclass(frozen=True)
class SyntheticSite:
    """Where one invented hospital's files lie.

    `labels` has mistakes that are counted; `labels_with_errors` such that must be refused.
    """

    bundles: Path
    images: Path
    labels: Path
    labels_with_errors: Path
    n_patients: int


def write_site(
    folder: Path, *, n: int = 120, seed: int = 0, prevalence: float = 0.4
) -> SyntheticSite:
    """Write one hospital's Bundles, films and label tables; the same seed gives the same files."""
    site = SyntheticSite(
        folder / "bundles", folder / "images", folder / "labels.csv", folder / "labels_with_errors.csv", n
    )  # fmt: skip
    for part in (site.bundles, site.images):
        part.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([2026, seed])
    patients = [_patient(i, seed, prevalence, rng) for i in range(n)]
    for i, patient in enumerate(patients):
        text = json.dumps(_bundle(patient), indent=1)
        (site.bundles / f"{i:04d}.json").write_text(text, encoding="utf-8")
        _write_film(patient, site.images / f"{i:04d}.dcm")
    rows = _label_rows(patients, rng)
    _write_csv(site.labels, rows)
    _write_csv(site.labels_with_errors, _with_errors(rows))
    return site


def _patient(i: int, seed: int, prevalence: float, rng: np.random.Generator) -> dict[str, Any]:
    ill = bool(rng.random() < prevalence)
    admitted = date(2024, 1, 1) + timedelta(days=int(rng.integers(0, 360)))
    age = int(np.clip(rng.normal(66 if ill else 58, 18), 19, 101))
    values = {
        name: round(float(max(0.2, rng.normal(m[3] if ill else m[2], m[4]))), m[5])
        for name, m in MEASUREMENTS.items()
    }
    return {
        "mrn": f"{seed:02d}{int(rng.integers(10**5)):05d}{i:04d}",
        "accession": f"A{seed:02d}{i:06d}",
        "ill": ill,
        "admitted": admitted,
        "born": admitted - timedelta(days=int(age * 365.25 + rng.integers(1, 360))),
        "given": str(rng.choice(GIVEN)),
        "family": str(rng.choice(FAMILY)),
        "sex": str(rng.choice(["female", "male"])),
        "place": PLACES[int(rng.integers(len(PLACES)))],
        "values": values,
        "opacity": float(rng.normal(480 if ill else 400, 55)),
        "uid": f"1.2.826.0.1.3680043.10.{seed + 1}.{i + 1}",
        "noise": int(rng.integers(2**32)),
    }


def _bundle(p: Mapping[str, Any]) -> dict[str, Any]:
    subject = {"reference": f"Patient/{p['mrn']}", "display": f"{p['given']} {p['family']}"}
    when = f"{p['admitted']}T08:30:00+01:00"
    resources = [
        _fhir_patient(p),
        {
            "resourceType": "Encounter",
            "id": f"enc-{p['accession']}",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "EMER"},
            "subject": subject,
            "period": {"start": when},
        },
        *(_observation(p, name, subject, when) for name in MEASUREMENTS),
        {
            "resourceType": "ImagingStudy",
            "id": f"img-{p['accession']}",
            "status": "available",
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{p['uid']}"}],
            "subject": subject,
            "started": when,
            "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CR"}],
            "series": [{"uid": f"{p['uid']}.1", "instance": [{"uid": f"{p['uid']}.1.1"}]}],
        },
    ]
    entries = [
        {"fullUrl": f"https://ehr.example.org/fhir/{r['resourceType']}/{r['id']}", "resource": r}
        for r in resources
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _fhir_patient(p: Mapping[str, Any]) -> dict[str, Any]:
    city, state, code = p["place"]
    name = f"{p['given']} {p['family']}"
    return {
        "resourceType": "Patient",
        "id": p["mrn"],
        "text": {"status": "generated", "div": f"<div>{name}, {city}</div>"},
        "identifier": [{"system": "https://ehr.example.org/mrn", "value": p["mrn"]}],
        "name": [{"use": "official", "family": p["family"], "given": [p["given"]]}],
        "telecom": [{"system": "phone", "value": f"555-{p['mrn'][-4:]}"}],
        "gender": p["sex"],
        "birthDate": str(p["born"]),
        "address": [{"line": ["3 Main Street"], "city": city, "state": state, "postalCode": code}],
    }


def _observation(
    p: Mapping[str, Any], name: str, subject: dict[str, str], when: str
) -> dict[str, Any]:
    code, unit, *_ = MEASUREMENTS[name]
    return {
        "resourceType": "Observation",
        "id": f"{name.replace('_', '-')}-{p['accession']}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": subject,
        "encounter": {"reference": f"Encounter/enc-{p['accession']}"},
        "effectiveDateTime": when,
        "valueQuantity": {
            "value": p["values"][name],
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
        "note": [{"text": f"called to the ward of {p['family']}"}],
    }


def _write_film(p: Mapping[str, Any], path: Path) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

    rng = np.random.default_rng(p["noise"])
    pixels = rng.normal(300, 30, (SIDE, SIDE))
    pixels[SIDE // 2 :] += 2 * (p["opacity"] - 300)  # a lower lobe that is more or less opaque
    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    film.SOPInstanceUID = f"{p['uid']}.1.1"
    film.StudyInstanceUID, film.SeriesInstanceUID = p["uid"], f"{p['uid']}.1"
    film.Modality, film.AccessionNumber = "CR", p["accession"]
    film.PatientName, film.PatientID = f"{p['family']}^{p['given']}", p["mrn"]
    film.PatientBirthDate, film.StudyDate = (
        d.strftime("%Y%m%d") for d in (p["born"], p["admitted"])
    )
    film.StudyTime, film.PatientSex = "083000", p["sex"][0].upper()
    film.BurnedInAnnotation = "NO"
    film.Rows = film.Columns = SIDE
    film.SamplesPerPixel, film.PixelRepresentation = 1, 0
    film.PhotometricInterpretation = "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PixelData = np.clip(pixels, 0, 4095).astype("<u2").tobytes()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.save_as(path, enforce_file_format=True)


def read_opacities(folder: Path) -> "pd.DataFrame":
    """Measure the mean pixel of each film: the images' path into the table model."""
    import pandas as pd
    from pydicom import dcmread

    films = [dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    return pd.DataFrame(
        {
            "accession_number": [str(film.AccessionNumber) for film in films],
            "opacity": [float(np.mean(film.pixel_array)) for film in films],
        }
    )


def _label_rows(patients: list[dict[str, Any]], rng: np.random.Generator) -> list[dict[str, str]]:
    """One row a film; verdicts are spelled in several ways, and some are unclear or missing."""
    rows = []
    for p in patients:
        spelled = rng.choice(
            ["yes", "YES", " yes ", "1"] if p["ill"] else ["no", "no ", "0", "0.0"]
        )
        fate = rng.random()
        rows.append(
            {
                "accession": p["accession"],
                "mrn": p["mrn"],
                "admitted": str(p["admitted"]),
                "pneumonia": "unclear" if fate < 0.04 else "" if fate < 0.08 else str(spelled),
                "radiologist": f"Dr {rng.choice(FAMILY)}",
                "comment": f"{p['given']} {p['family']}, see old film",
            }
        )
    # Two patients of another hospital's export: they have no resources here.
    rows += [rows[0] | {"accession": f"X{i}", "mrn": f"9{i:08d}"} for i in range(2)]
    return rows


def _with_errors(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    broken = [dict(row) for row in rows]
    broken[0]["pneumonia"] = "maybe"
    broken[1]["admitted"] = "03/04/2024"
    broken[2]["accession"] = broken[1]["accession"]
    return broken


def _write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
