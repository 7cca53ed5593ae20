"""Synthetic patients for demo and tests: FHIR R4 Bundles, chest films and a label table.

Vital signs, laboratory values and the film depend on whether the patient has pneumonia, so that a
model can find it. Names, numbers, dates and remarks are there to be removed. The label table has
the mistakes that such tables usually have.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

GIVEN = "Ada Bela Chidi Dana Emre Farah Goro Hilma Inez Jonas Kaya Leon".split()  # noqa: SIM905
FAMILY = "Abara Brandt Castell Dvorak Eriks Fontane Grau Hollis Ibsen Jansen".split()  # noqa: SIM905
PLACES = (("Cambridge", "MA", "02139"), ("Rutland", "VT", "05701"), ("Ely", "NV", "89301"))
SIDE = 32  # pixels


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Code, unit and distribution of one measurement."""

    loinc: str
    unit: str  # UCUM
    mean_without: float  # without pneumonia
    mean_with: float
    sd: float
    decimals: int


MEASUREMENTS: Mapping[str, Measurement] = {
    "lactate": Measurement(
        loinc="2524-7", unit="mmol/L", mean_without=1.4, mean_with=2.1, sd=0.6, decimals=1
    ),
    "heart_rate": Measurement(
        loinc="8867-4", unit="/min", mean_without=82.0, mean_with=94.0, sd=13.0, decimals=0
    ),
    "crp": Measurement(
        loinc="1988-5", unit="mg/L", mean_without=22.0, mean_with=61.0, sd=34.0, decimals=0
    ),
}


@dataclass(frozen=True, kw_only=True)
class SyntheticSite:
    """Files of one invented hospital.

    `labels` has mistakes that are counted, `labels_with_errors` has mistakes that are refused.
    """

    bundles: Path
    images: Path
    labels: Path
    labels_with_errors: Path
    n_patients: int


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One invented patient with one admission and one film."""

    mrn: str
    accession: str
    has_pneumonia: bool
    admitted: date
    born: date
    given: str
    family: str
    sex: str
    place: tuple[str, str, str]  # city, state, postal code
    values: Mapping[str, float]
    opacity: float
    uid: str
    film_seed: int

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.given} {self.family}"

    @property
    def admission_time(self) -> str:
        """Time of the admission as a FHIR dateTime."""
        return f"{self.admitted}T08:30:00+01:00"


def write_site(
    folder: Path, *, n: int = 120, seed: int = 0, prevalence: float = 0.4
) -> SyntheticSite:
    """Write one hospital's Bundles, films and label tables; the same seed gives the same files."""
    site = SyntheticSite(
        bundles=folder / "bundles",
        images=folder / "images",
        labels=folder / "labels.csv",
        labels_with_errors=folder / "labels_with_errors.csv",
        n_patients=n,
    )
    for part in (site.bundles, site.images):
        part.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([2026, seed])
    patients = [_patient(i, seed, prevalence, rng) for i in range(n)]
    for i, patient in enumerate(patients):
        text = json.dumps(_bundle(patient), indent=1)
        (site.bundles / f"{i:04d}.json").write_text(text, encoding="utf-8", newline="\n")
        _write_film(patient, site.images / f"{i:04d}.dcm")
    rows = _label_rows(patients, rng)
    _write_csv(site.labels, rows)
    _write_csv(site.labels_with_errors, _with_errors(rows))
    return site


def _patient(i: int, seed: int, prevalence: float, rng: np.random.Generator) -> Patient:
    # The order of the draws decides the files that a seed gives.
    ill = bool(rng.random() < prevalence)
    admitted = date(2024, 1, 1) + timedelta(days=int(rng.integers(0, 360)))
    age = int(np.clip(rng.normal(66 if ill else 58, 18), 19, 101))
    values = {name: _draw(m, rng, ill=ill) for name, m in MEASUREMENTS.items()}
    return Patient(
        mrn=f"{seed:02d}{int(rng.integers(10**5)):05d}{i:04d}",
        accession=f"A{seed:02d}{i:06d}",
        has_pneumonia=ill,
        admitted=admitted,
        born=admitted - timedelta(days=int(age * 365.25 + rng.integers(1, 360))),
        given=str(rng.choice(GIVEN)),
        family=str(rng.choice(FAMILY)),
        sex=str(rng.choice(["female", "male"])),
        place=PLACES[int(rng.integers(len(PLACES)))],
        values=values,
        opacity=float(rng.normal(480 if ill else 400, 55)),
        uid=f"1.2.826.0.1.3680043.10.{seed + 1}.{i + 1}",
        film_seed=int(rng.integers(2**32)),
    )


def _draw(m: Measurement, rng: np.random.Generator, *, ill: bool) -> float:
    mean = m.mean_with if ill else m.mean_without
    return round(float(max(0.2, rng.normal(mean, m.sd))), m.decimals)


def _bundle(p: Patient) -> dict[str, Any]:
    resources = [
        _fhir_patient(p),
        _encounter(p),
        *(_observation(p, name) for name in MEASUREMENTS),
        _imaging_study(p),
    ]
    entries = [
        {"fullUrl": f"https://ehr.example.org/fhir/{r['resourceType']}/{r['id']}", "resource": r}
        for r in resources
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _subject(p: Patient) -> dict[str, str]:
    return {"reference": f"Patient/{p.mrn}", "display": p.name}


def _fhir_patient(p: Patient) -> dict[str, Any]:
    city, state, code = p.place
    return {
        "resourceType": "Patient",
        "id": p.mrn,
        "text": {"status": "generated", "div": f"<div>{p.name}, {city}</div>"},
        "identifier": [{"system": "https://ehr.example.org/mrn", "value": p.mrn}],
        "name": [{"use": "official", "family": p.family, "given": [p.given]}],
        "telecom": [{"system": "phone", "value": f"555-{p.mrn[-4:]}"}],
        "gender": p.sex,
        "birthDate": str(p.born),
        "address": [{"line": ["3 Main Street"], "city": city, "state": state, "postalCode": code}],
    }


def _encounter(p: Patient) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": f"enc-{p.accession}",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "EMER"},
        "subject": _subject(p),
        "period": {"start": p.admission_time},
    }


def _observation(p: Patient, name: str) -> dict[str, Any]:
    measurement = MEASUREMENTS[name]
    return {
        "resourceType": "Observation",
        "id": f"{name.replace('_', '-')}-{p.accession}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": measurement.loinc}]},
        "subject": _subject(p),
        "encounter": {"reference": f"Encounter/enc-{p.accession}"},
        "effectiveDateTime": p.admission_time,
        "valueQuantity": {
            "value": p.values[name],
            "unit": measurement.unit,
            "system": "http://unitsofmeasure.org",
            "code": measurement.unit,
        },
        "note": [{"text": f"called to the ward of {p.family}"}],
    }


def _imaging_study(p: Patient) -> dict[str, Any]:
    return {
        "resourceType": "ImagingStudy",
        "id": f"img-{p.accession}",
        "status": "available",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{p.uid}"}],
        "subject": _subject(p),
        "started": p.admission_time,
        "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CR"}],
        "series": [{"uid": f"{p.uid}.1", "instance": [{"uid": f"{p.uid}.1.1"}]}],
    }


def _write_film(p: Patient, path: Path) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    film.SOPInstanceUID = f"{p.uid}.1.1"
    film.StudyInstanceUID, film.SeriesInstanceUID = p.uid, f"{p.uid}.1"
    film.Modality, film.AccessionNumber = "CR", p.accession
    film.PatientName, film.PatientID = f"{p.family}^{p.given}", p.mrn
    film.PatientBirthDate = p.born.strftime("%Y%m%d")
    film.StudyDate, film.StudyTime = p.admitted.strftime("%Y%m%d"), "083000"
    film.PatientSex = p.sex[0].upper()
    film.BurnedInAnnotation = "NO"
    film.Rows = film.Columns = SIDE
    film.SamplesPerPixel, film.PixelRepresentation = 1, 0
    film.PhotometricInterpretation = "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PixelData = _pixels(p).tobytes()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.save_as(path, enforce_file_format=True)


def _pixels(p: Patient) -> Any:
    """Noise, with a lower lobe that is more or less opaque."""
    rng = np.random.default_rng(p.film_seed)
    pixels = rng.normal(300, 30, (SIDE, SIDE))
    pixels[SIDE // 2 :] += 2 * (p.opacity - 300)
    return np.clip(pixels, 0, 4095).astype("<u2")


def _label_rows(patients: list[Patient], rng: np.random.Generator) -> list[dict[str, str]]:
    """One row per film; verdicts have several spellings, and some are unclear or missing."""
    rows = [_label_row(p, rng) for p in patients]
    # Two patients from the export of another hospital: they have no resources here.
    rows += [rows[0] | {"accession": f"X{i}", "mrn": f"9{i:08d}"} for i in range(2)]
    return rows


def _label_row(p: Patient, rng: np.random.Generator) -> dict[str, str]:
    spellings = ["yes", "YES", " yes ", "1"] if p.has_pneumonia else ["no", "no ", "0", "0.0"]
    spelled = str(rng.choice(spellings))
    fate = rng.random()
    return {
        "accession": p.accession,
        "mrn": p.mrn,
        "admitted": str(p.admitted),
        "pneumonia": "unclear" if fate < 0.04 else "" if fate < 0.08 else spelled,
        "radiologist": f"Dr {rng.choice(FAMILY)}",
        "comment": f"{p.name}, see old film",
    }


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
