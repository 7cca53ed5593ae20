"""Data that several test files share."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent / "data"


def read_columns(name):
    with (HERE / name).open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        key: np.array(values, dtype=str if key == "group" else float)
        for key, values in columns.items()
    }


@pytest.fixture(scope="session")
def breast():
    """scikit-learn's breast cancer data: three models' out-of-fold scores."""
    return read_columns("breast_cancer_oof.csv")


@pytest.fixture(scope="session")
def wine():
    return read_columns("wine_oof.csv")


@pytest.fixture(scope="session")
def diabetes():
    return read_columns("diabetes_oof.csv")


@pytest.fixture(scope="session")
def r_values():
    """Value by id; each id names its R function in the file."""
    table = json.loads((HERE / "r_values.json").read_text(encoding="utf-8"))
    return {key: entry["value"] for key, entry in table.items() if "value" in entry}


@pytest.fixture
def close():
    """Agreement with R at a relative 1e-8, digit noise aside."""

    def check(ours, theirs, rel=1e-8):
        np.testing.assert_allclose(ours, theirs, rtol=rel, atol=1e-14)

    return check
