"""Invented tables of hospitals with different habits, and the roles a person would declare."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

N = 200
_RNG = np.random.default_rng(11)
_PATIENT = _RNG.integers(0, 120, N)
_AGE = np.clip(_RNG.normal(68, 15, N).round(), 19, 101).astype(int)
_DAY = pd.Timestamp("2023-01-01") + pd.to_timedelta(_RNG.integers(0, 700, N), unit="D")
_BORN = _DAY - pd.to_timedelta(_AGE * 365.25 + 40, unit="D")


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """A table, its roles, and the columns that are no inputs because of what they are."""

    frame: pd.DataFrame
    case: str
    patient: str
    age: str
    label: tuple[str, str]
    inputs: tuple[str, ...]
    dropped: tuple[str, ...]


def _pick(*values, p=None):
    return _RNG.choice(values, N, p=p)


def _text(form, values):
    return [form.format(value) for value in values]


def _measured(scale=1.0, below=None, missing=None):
    values = _text("{:.1f}", _RNG.lognormal(1, 0.4, N) * scale)
    for at in range(0, N, 10):
        values[at] = below or values[at]
        values[at + 1] = missing or values[at + 1]
    return values


def english():
    """snake_case with abbreviations glued together."""
    frame = {
        "ptid": _text("{:06d}", _PATIENT),
        "encno": _RNG.permutation(N) + 10**7,
        "dob": _BORN.strftime("%Y%m%d"),
        "admdt": _DAY.strftime("%Y%m%d"),
        "ageyr": _AGE,
        "sx": _pick(1, 2),
        "lact_mmol_l": _measured(below="<0.5", missing="hemolyzed"),
        "k": _measured(missing="-9"),
        "hx_dm": _pick(0, 1),
        "dx": _pick("sepsis", "pneumonia", "other"),
        "icd10": _pick("A41.9", "J18.9", "I50.0"),
        "los": _RNG.integers(1, 30, N),
        "dc_stat": _pick("home", "hospice", "expired"),
        "md": _pick("ABR", "XKL"),
        "inits": _pick("AB", "CD", "EF"),
        "mort30": _pick(0, 1, p=[0.8, 0.2]),
        "readmit_30d": _pick("Y", "N"),
    }
    return Hospital(
        frame=pd.DataFrame(frame),
        case="encno",
        patient="ptid",
        age="ageyr",
        label=("mort30", "1"),
        inputs=("ageyr", "sx", "lact_mmol_l", "k", "hx_dm"),
        dropped=("dx", "icd10", "los", "dc_stat", "md", "inits", "readmit_30d"),
    )


def camel():
    """camelCase, a result of pathology as outcome, units beside the numbers."""
    frame = {
        "mrnNumber": _PATIENT + 10**6,
        "visitNumber": _RNG.permutation(N) + 10**7,
        "accountId": _RNG.permutation(N) + 10**8,
        "yearsOld": _AGE,
        "genderCode": _pick("1", "2", "9"),
        "crp": _measured(),
        "crpUnit": _pick("mg/L", "mg/dL", p=[0.9, 0.1]),
        "cea": _measured(),
        "ceaComparator": _pick("", "<", "=", p=[0.8, 0.1, 0.1]),
        "contactNo": _text("+49 171 {:07d}", _RNG.integers(0, 10**6, N)),
        "createdBy": _pick("jdoe", "asmith"),
        "readerOneScore": _pick(0, 1),
        "aiProbability": _RNG.random(N).round(3),
        "biopsyResult": _pick("benign", "malignant"),
    }
    return Hospital(
        frame=pd.DataFrame(frame),
        case="visitNumber",
        patient="mrnNumber",
        age="yearsOld",
        label=("biopsyResult", "malignant"),
        inputs=("yearsOld", "genderCode", "crp", "cea"),
        dropped=(
            *("accountId", "crpUnit", "ceaComparator", "contactNo", "createdBy"),
            *("readerOneScore", "aiProbability"),
        ),
    )


def german():
    """German compounds, decimal commas, a year of birth, an age under an ambiguous name."""
    frame = {
        "FALLNR": _RNG.permutation(N) + 10**7,
        "PatientenID": _PATIENT + 300000,
        "GEBJ": 2024 - _AGE,
        "Aufnahmezeitpunkt": _DAY.strftime("%Y-%m-%d %H:%M"),
        "ALT": _AGE,
        "Geschlecht": _pick("m", "w"),
        "Gewicht": [text.replace(".", ",") for text in _measured(20)],
        "PCT": _measured(below="<0.1", missing="n.b."),
        "Vorerkrankung_Diabetes": _pick("ja", "nein"),
        "Versichertennr": _text("A{}", _RNG.integers(10**8, 10**9, N)),
        "Telefonnummer": _text("0{}", _RNG.integers(10**9, 9 * 10**9, N)),
        "Stationsarzt": _pick("Maier", "Huber"),
        "Entlassart": _pick("regulär", "verlegt", "verstorben"),
        "Hauptdiagnose": _pick("A41", "J18"),
        "Befundtext": _text("Text {}", range(N)),
        "VERST": _pick(0, 1, p=[0.8, 0.2]),
    }
    return Hospital(
        frame=pd.DataFrame(frame),
        case="FALLNR",
        patient="PatientenID",
        age="ALT",
        label=("VERST", "1"),
        inputs=("ALT", "Geschlecht", "Gewicht", "PCT", "Vorerkrankung_Diabetes"),
        dropped=(
            *("GEBJ", "Versichertennr", "Telefonnummer", "Stationsarzt", "Entlassart"),
            *("Hauptdiagnose", "Befundtext"),
        ),
    )


def french():
    """French names, the hospital's permanent identifier, a length of stay."""
    frame = {
        "num_sejour": _RNG.permutation(N) + 4 * 10**7,
        "ipp": _PATIENT + 8 * 10**8,
        "nom_patient": _pick("DUPONT", "DURAND"),
        "date_naissance": _BORN.strftime("%Y-%m-%d"),
        "age_entree": _AGE,
        "sexe": _pick("H", "F"),
        "nir": _RNG.integers(10**12, 2 * 10**12, N),
        "mutuelle": _pick("A", "B"),
        "medecin_traitant": _pick("Petit", "Grand"),
        "glycemie": _measured(missing="NR"),
        "antecedent_cancer": _pick("oui", "non"),
        "tabac": _pick("oui", "non", "ND"),
        "diagnostic_principal": _pick("A", "B"),
        "duree_sejour": _RNG.integers(1, 40, N),
        "deces_hospitalier": _pick("oui", "non", p=[0.2, 0.8]),
    }
    return Hospital(
        frame=pd.DataFrame(frame),
        case="num_sejour",
        patient="ipp",
        age="age_entree",
        label=("deces_hospitalier", "oui"),
        inputs=("age_entree", "sexe", "glycemie", "antecedent_cancer", "tabac"),
        dropped=(
            *("nom_patient", "nir", "mutuelle", "medecin_traitant", "diagnostic_principal"),
            "duree_sejour",
        ),
    )


def spanish():
    """Spanish names with accents in the values, dates as day/month/year."""
    frame = {
        "NHC": _PATIENT + 500000,
        "IdEpisodio": _RNG.permutation(N) + 6 * 10**7,
        "FechaNacimiento": _BORN.strftime("%d/%m/%Y"),
        "FechaIngreso": _DAY.strftime("%d/%m/%Y"),
        "Edad": _AGE,
        "Sexo": _pick("Hombre", "Mujer"),
        "DNI": _text("{}X", _RNG.integers(10**7, 10**8, N)),
        "NSS": _RNG.permutation(N) + 10**11,
        "Movil": _RNG.integers(6 * 10**8, 7 * 10**8, N),
        "Creatinina": _measured(missing="s/d"),
        "HTA": _pick("Sí", "No"),
        "MotivoAlta": _pick("Domicilio", "Traslado", "Exitus"),
        "Exitus": _pick("Sí", "No", p=[0.2, 0.8]),
    }
    return Hospital(
        frame=pd.DataFrame(frame),
        case="IdEpisodio",
        patient="NHC",
        age="Edad",
        label=("Exitus", "Sí"),
        inputs=("Edad", "Sexo", "Creatinina", "HTA"),
        dropped=("FechaNacimiento", "FechaIngreso", "DNI", "NSS", "Movil", "MotivoAlta"),
    )


def evidence():
    """Names that mean nothing: case, patient and age follow from the values."""
    frame = {
        "nr": range(1, N + 1),
        "kennz": 10**6 + _PATIENT,
        "sex": np.where(_PATIENT % 2, "F", "M"),
        "dob": [f"{1930 + p // 3}-03-0{p % 9 + 1}" for p in _PATIENT],
        "lj": [94 - p // 3 for p in _PATIENT],
        "v1": _RNG.normal(0, 1, N).round(2),
        "v2": _pick("none", "some"),
        "dose": _text("{} mg", _RNG.integers(1, 90, N)),
        "alive_1y": _pick("yes", "no", p=[0.9, 0.1]),
    }
    return Hospital(
        frame=pd.DataFrame(frame),
        case="nr",
        patient="kennz",
        age="lj",
        label=("alive_1y", "no"),
        inputs=("sex", "lj", "v1", "v2"),
        dropped=("dose",),
    )


HOSPITALS = {maker.__name__: maker for maker in (english, camel, german, french, spanish, evidence)}
