"""`init`: names are read word by word, dropped columns have reasons, codes and limits are counted."""

import numpy as np
import pandas as pd
import pytest

from healthval.cohort import propose_table, read_table
from healthval.cohort.propose.words import words_of

N = 200
RNG = np.random.default_rng(3)
NUMBER = RNG.normal(50, 9, N).round(1)
YES = ["yes", "no"] * (N // 2)


def propose(**columns):
    return propose_table(pd.DataFrame({"visit_id": [f"V{n:04d}" for n in range(N)], **columns}))


def kind(name, values):
    return propose(**{name: values}).table.columns[name].kind


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("number_of_nodes", ("number", "of", "nodes")),
        ("HbA1c", ("hb", "a", "1", "c")),
        ("PatientID", ("patient", "id")),
        ("Geschäftsführung", ("geschaeftsfuehrung",)),
        ("Prénom", ("prenom",)),
    ],
)
def test_names_are_split_in_any_spelling(name, words):
    assert words_of(name) == words


@pytest.mark.parametrize(
    "name", ["texture", "platelets", "ethnicityScore", "no_of_stents", "Laktat", "reportedPain"]
)
def test_measurements_are_numbers(name):
    assert kind(name, NUMBER) == "number"


@pytest.mark.parametrize(
    "name",
    [
        "Vorname",
        "nombre",
        "telefono",
        "Krankenkasse",
        "NHS",
        "handyNr",
        "surgeon",
        "Arzt",
        "initials",
        "e_mail",
    ],
)
def test_personal_columns_are_dropped_with_a_reason(name):
    proposal = propose(**{name: RNG.integers(10**9, 10**10, N)})
    assert proposal.table.columns[name].kind == "drop"
    assert len(proposal.dropped[name]) > 20
    assert name not in proposal.inputs


@pytest.mark.parametrize(
    "name", ["age", "Alter", "edad", "AgeYears", "age_at_admission", "Lebensalter", "years"]
)
def test_ages_are_found_under_any_name(name):
    assert kind(name, RNG.integers(18, 100, N)) == "age"


def test_an_age_in_months_is_dropped_because_it_is_not_capped():
    proposal = propose(age_months=RNG.integers(18, 1200, N))
    assert "not capped" in proposal.dropped["age_months"]


def test_codes_and_limits_are_proposed_with_counts_and_read():
    crp = ["-999", "-999", ".", "<0.5", "<0.5", "<0.5", *map(str, abs(NUMBER[6:]))]
    proposal = propose(crp=crp, smoking=["none", "former"] * (N // 2))
    text = " ".join(proposal.questions)
    assert "'-999' 2 times" in text
    assert "'.' 1 time:" in text
    assert "3 results below a limit" in text
    frame = pd.DataFrame(
        {"visit_id": range(N), "crp": crp, "smoking": ["none", "former"] * (N // 2)}
    )
    cohort = read_table(frame, proposal.table)
    assert cohort.counts == (("crp_below_limit", 3),)
    assert cohort.frame["crp"].isna().sum() == 6
    assert set(cohort.frame["smoking"]) == {"none", "former"}


def test_negative_numbers_are_no_codes():
    assert (
        not propose(base_excess=[-9, *RNG.integers(-20, 20, N - 1)])
        .table.columns["base_excess"]
        .missing
    )


def test_other_outcomes_are_no_inputs_and_are_asked_about():
    proposal = propose(
        sepsis=YES, prior_cancer=YES, reader_1=["B", "M"] * (N // 2), died=YES, model_score=NUMBER
    )
    assert proposal.table.of_kind("label") == ("died",)
    assert proposal.inputs == ("prior_cancer",)
    assert any("'sepsis' instead" in question for question in proposal.questions)
    assert set(proposal.dropped) == {"sepsis", "reader_1", "model_score"}


def test_long_whole_numbers_are_dropped_by_their_values():
    assert "long whole numbers" in propose(x=[10**6 + n // 2 for n in range(N)]).dropped["x"]
