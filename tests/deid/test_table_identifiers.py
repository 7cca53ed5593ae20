"""Limits of a number do not switch the search for identifiers off."""

import numpy as np
import pandas as pd
import pytest

from healthval.cohort import read_table
from healthval.deid import Policy, Secret, cohort_digest, deidentify_cases
from healthval.errors import DeidentificationError

SECRET = Secret(bytes(range(1, 41)))
N = 80
BIRTHS = pd.Series(pd.to_datetime("1931-02-03") + pd.to_timedelta(np.arange(N) * 311, unit="D"))
LIMITS = {"kind": "number", "low": 0, "high": 10**10}


def sent(column, values, declared=LIMITS, own=()):
    frame = pd.DataFrame({"mrn": [f"H{50_000_000 + 13 * i}" for i in range(N)]})
    frame[column] = [str(v) for v in values]
    frame["ill"] = np.where(np.arange(N) % 3, "yes", "no")
    columns = {"mrn": {"kind": "id"}, column: declared}
    columns["ill"] = {"kind": "label", "positive": ["yes"], "negative": ["no"]}
    for name, kind, cells in own:
        columns[name], frame[name] = {"kind": kind}, cells
    cohort = read_table(frame, {"columns": columns})
    return [row[0] for row in deidentify_cases(cohort, [column], Policy(), SECRET).rows]


DIGITS = [50_000_000 + 13 * i for i in range(N)]
DATED = ("birth", "date", BIRTHS.dt.strftime("%Y-%m-%d"))
IDENTIFIERS = {
    "birth dates": (BIRTHS.dt.strftime("%Y%m%d"), ()),
    "birth dates, day first": (BIRTHS.dt.strftime("%d%m%Y"), ()),
    "birth dates of two-digit years": (BIRTHS.dt.strftime("%y%m%d"), (DATED,)),
    "days since 1970": ((BIRTHS - pd.Timestamp("1970-01-01")).dt.days.abs(), (DATED,)),
    "days of a spreadsheet": ((BIRTHS - pd.Timestamp("1899-12-30")).dt.days, (DATED,)),
    "digits of the record number": (DIGITS, ()),
    "digits of the patient": (
        [4100 + i for i in range(N)],
        (("patient", "cluster", [f"P-{4100 + i:06d}" for i in range(N)]),),
    ),
    "national numbers": ([100_000_000 + 7919 * i for i in range(N)], ()),
    "phone numbers": ([3_055_501_000 + 917 * i for i in range(N)], ()),
}


@pytest.mark.parametrize("what", IDENTIFIERS)
def test_identifiers_with_limits_do_not_leave(what):
    values, own = IDENTIFIERS[what]
    with pytest.raises(DeidentificationError, match="declare it") as refused:
        sent("code", values, own=own)
    assert not any(str(v) in str(refused.value) for v in list(values)[1:])


MEASUREMENTS = {
    "creatinine": [round(60 + 1.5 * i, 1) for i in range(N)],
    "platelets": [120_000 + 3000 * (i % 50) for i in range(N)],
    "viral_load": [int(10 ** (2 + i / 12)) + 3 for i in range(N)],
    "red_cells": [3_900_000 + 20_000 * (i % 60) for i in range(N)],
    "spo2": [100 - i % 12 for i in range(N)],
    "ferritin": [1000 + 17 * i for i in range(N)],
}


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_measurements_with_limits_leave_unchanged(name):
    assert sent(name, MEASUREMENTS[name]) == MEASUREMENTS[name]


@pytest.mark.parametrize("name", ["years", "age_at_admission", "patientAge", "Alter", "edad"])
def test_ages_under_any_name_are_capped(name):
    assert max(sent(name, [30 + i for i in range(N)])) == 90


def test_years_that_are_no_ages_stay():
    values = [40 + i for i in range(N)]
    assert sent("pack_years", values) == values


def test_a_record_number_among_the_levels_is_refused():
    declared = {"kind": "category", "levels": ["H50000026", "other"]}
    values = ["H50000026", *["other"] * (N - 1)]
    with pytest.raises(DeidentificationError, match="1 level equals an id") as refused:
        sent("bed", values, declared)
    assert "50000026" not in str(refused.value)


def test_secrets_of_two_plans_give_unrelated_names_and_one_identity():
    frame = pd.DataFrame(
        {"mrn": [f"H{i}" for i in range(20)], "x": ["1"] * 20, "ill": ["yes"] * 20}
    )
    label = {"kind": "label", "positive": ["yes"], "negative": ["no"]}
    columns = {"mrn": {"kind": "id"}, "x": {"kind": "number"}, "ill": label}
    cohort = read_table(frame, {"columns": columns})
    one, two = (
        set(deidentify_cases(cohort, ["x"], Policy(), SECRET.scoped(plan)).cases)
        for plan in ("a" * 64, "b" * 64)
    )
    assert len(one) == len(two) == 20
    assert not one & two
    spelled = [" h7 ", "H7", "h-007", "H 7", "\uff287"]
    assert len({cohort_digest(SECRET, text, text) for text in spelled}) == 1
    assert cohort_digest(SECRET, "H7", "H7") != cohort_digest(SECRET, "H70", "H70")
