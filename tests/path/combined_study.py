"""A study whose model takes record values and a measurement of the film: tables, views, weights."""

import numpy as np
import pandas as pd
from pydicom import dcmread

from healthval.cohort import FhirInputs, TableSchema
from healthval.demo.synthetic import MEASUREMENTS

FEATURES = ("age", "lactate", "heart_rate", "crp", "opacity")
# The vendor's logistic regression on standardised features, in the layout of examples/vendor.
VENDOR_WEIGHTS = {
    "features": list(FEATURES),
    "mean": [61.0, 1.7, 87.0, 38.0, 430.0],
    "sd": [19.0, 0.7, 14.0, 38.0, 75.0],
    "coefficients": [0.15, 0.6, 0.5, 0.6, 0.8],
    "intercept": -0.7,
}


def number(name, unit):
    return {"kind": "number", "low": 0, "high": 500, "unit": unit, "unit_column": f"{name}_unit"}


SCHEMA = TableSchema.model_validate(
    {
        "columns": {
            "accession": {"kind": "id"},
            "mrn": {"kind": "cluster"},
            "admitted": {"kind": "date"},
            "age": {"kind": "age", "at": "admitted", "bands": [40, 65]},
            "sex": {"kind": "category", "levels": ["female", "male", "other", "unknown"]},
            **{name: number(name, m.unit) for name, m in MEASUREMENTS.items()},
            "pneumonia": {
                "kind": "label",
                "positive": ["yes", 1],
                "negative": ["no", 0],
                "indeterminate": ["unclear"],
            },
        },
        "verification": "partial",
    }
)
OPACITY = TableSchema.model_validate(
    {
        "columns": {
            "accession_number": {"kind": "id"},
            "opacity": {"kind": "number", "low": 0, "high": 4095},
        }
    }
)


def measurement_view(name, loinc):
    column = [
        {"name": "mrn", "path": "subject.getReferenceKey(Patient)", "type": "string"},
        {"name": name, "path": "value.ofType(Quantity).value", "type": "decimal"},
        {"name": f"{name}_unit", "path": "value.ofType(Quantity).code", "type": "code"},
    ]
    is_wanted = f"code.coding.where(system = 'http://loinc.org' and code = '{loinc}').exists()"
    return {
        "resource": "Observation",
        "select": [{"column": column}],
        "where": [{"path": is_wanted}],
    }


PATIENT_COLUMNS = [
    {"name": "mrn", "path": "getResourceKey()", "type": "string"},
    {"name": "age", "path": "birthDate", "type": "date"},
    {"name": "sex", "path": "gender", "type": "code"},
]
VIEWS = FhirInputs.model_validate(
    {
        "on": "mrn",
        "views": {
            "patients": {"resource": "Patient", "select": [{"column": PATIENT_COLUMNS}]},
            **{name: measurement_view(name, m.loinc) for name, m in MEASUREMENTS.items()},
        },
    }
)


def read_opacities(folder):
    """Mean pixel of each film, as a table."""
    films = [dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    return pd.DataFrame(
        {
            "accession_number": [str(film.AccessionNumber) for film in films],
            "opacity": [float(np.mean(film.pixel_array)) for film in films],
        }
    )
