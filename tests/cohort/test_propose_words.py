"""`init`: names are read word by word, dropped columns have reasons, codes and limits are counted."""

import numpy as np
import pandas as pd
import pytest

from healthval.cohort import propose_table, read_table
from healthval.cohort.propose.words import words_of
from healthval.errors import CohortError

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


@pytest.mark.parametrize("limit", ["<1", "> 89", "90+"])
def test_an_age_with_a_limit_is_dropped_and_refused_with_its_remedy(limit):
    age = [limit, *map(str, RNG.integers(18, 89, N - 1))]
    assert "write whole years" in propose(age=age).dropped["age"]
    frame = pd.DataFrame({"visit_id": range(N), "age": age})
    with pytest.raises(CohortError, match="column 'age': 1 of 200 values") as refused:
        read_table(frame, {"visit_id": "id", "age": "age"})
    assert "below_limit" not in str(refused.value)


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


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("enrolled_by", ["jsmith", "mlee"], "staff"),
        ("erfasst_von", ["meier", "kuhn"], "staff"),
        ("adjudicator", ["a1", "a2"], "reader"),
        ("r2_score", ["3", "4"], "reader"),
        ("consensus_read", ["suspicious", "clear"], "reader"),
        ("BI-RADS", ["3", "4"], "reader"),
        ("cad_flag", ["0", "1"], "model"),
        ("commune", ["Lyon", "Bron"], "personal data"),
        ("KV_Nr", [f"A{n}" for n in range(N)], "personal data"),
        ("code_postal", ["69001", "69500"], "postal code"),
        ("PLZ", ["10115", "20095"], "postal code"),
        ("labs_complete", ["0", "2"], "form"),
        ("labs_complete", ["Incomplete", "Complete"], "form"),
        ("Zuweiser", ["Praxis Nord", "Klinik Süd"], "staff"),
        ("medReferent", ["PETIT", "GRAND"], "staff"),
        ("interne", ["LB", "MC"], "staff"),
        ("attgNpi", [str(10**9 + n) for n in range(N)], "staff"),
        ("praxis", ["Praxis Dr. Huber", "Praxis Meier"], "titles of people"),
        ("betreut", ["Lena K.", "Maria S."], "names of people"),
        ("consenso", ["Sí", "No"], "reader"),
        ("lecture_radiologue_1", ["EP", "pas EP"], "reader"),
        ("derm1_call", ["benign", "malignant"], "reader"),
        ("KI_Score", ["0.1", "0.7"], "model"),
        ("IA_probabilite", ["0.1", "0.7"], "model"),
        ("vendorRiskScr", ["0.1", "0.7"], "model"),
        ("KI-Wert", ["0.1", "0.7"], "model"),
        ("nn_prob_v2", ["0.1", "0.7"], "model"),
        ("dischDispo", ["home", "ama"], "ends"),
        ("dureeVM", NUMBER, "ends"),
        ("DIAS_UCI", NUMBER, "ends"),
        ("Beatmungsdauer", NUMBER, "ends"),
        ("90d mRS", ["0", "1", "2", "6"], "ends"),
        ("KrankenkassenNr", [str(10**8 + n) for n in range(N)], "personal data"),
        ("tarjetaSanitaria", [f"BBBB{n}" for n in range(N)], "personal data"),
        ("N_SEG_SOCIAL", [str(10**11 + n) for n in range(N)], "personal data"),
        ("CP", ["69001", "38000"], "postal code"),
        ("CAMA", ["1", "2", "3", "4"], "number or key"),
        ("bedNo", ["12A", "12B"], "number or key"),
    ],
)
def test_roles_that_are_no_inputs_are_named(name, values, reason):
    proposal = propose(**{name: (values * N)[:N]})
    assert reason in proposal.dropped[name]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("vaccination_complete", ["0", "1"]),
        ("hx_cad", ["0", "1"]),
        ("emergency_admission", ["yes", "no"]),
        ("delayed_recall_score", [str(n) for n in range(15)]),
        ("ki67_score", NUMBER),
        ("symptom_duration", NUMBER),
        ("mRS_pre_stroke", ["0", "1", "2", "3"]),
        ("hr_max_24h", NUMBER),
        ("no_of_beds", NUMBER),
        ("transfer_from", ["yes", "no"]),
        ("hemorragie_interne", ["oui", "non"]),
        ("crp", [f"{n}.0" for n in range(40)]),
    ],
)
def test_names_that_resemble_those_stay_inputs(name, values):
    assert name in propose(**{name: (values * N)[:N]}).inputs


@pytest.mark.parametrize(
    ("name", "values", "positive"),
    [
        ("followup_outcome_12m", ["cancer", "no cancer"], "cancer"),
        ("histology", ["ohne Befall", "mit Befall"], "mit Befall"),
        ("outcome", ["PE absent", "PE present"], "PE present"),
        ("discharge_status", ["Alive", "Expired"], "Expired"),
        ("adjudicated_mace", ["0", "1"], "1"),
    ],
)
def test_a_later_outcome_is_the_label_and_not_an_earlier_result(name, values, positive):
    proposal = propose(admitted_to_icu=YES, **{name: (values * N)[:N]})
    assert proposal.table.of_kind("label") == (name,)
    assert proposal.table.columns[name].positive == (positive,)
    assert "admitted_to_icu" in proposal.dropped


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (("Sepsis3", "ICU_Verlegung"), "Sepsis3"),
        (("sepsis", "Blutkultur_pos"), "sepsis"),
        (("path_malig", "panel_majority"), "path_malig"),
        (("EP_confirmee", "reAdm30"), "EP_confirmee"),
    ],
)
def test_a_transfer_a_culture_or_a_verdict_is_not_the_reference_beside_a_condition(names, label):
    proposal = propose(**{name: ["0", "1"] * (N // 2) for name in names})
    assert proposal.table.of_kind("label") == (label,)
    assert proposal.inputs == ()


def test_a_transfer_alone_is_asked_about_where_another_outcome_is_possible():
    proposal = propose(Verlegung_Kinderklinik=YES, Asphyxie=YES)
    assert any("'Asphyxie' has two opposite values" in question for question in proposal.questions)


@pytest.mark.parametrize("patient", ["Hospital Number", "IPP", "Mutter ID"])
def test_record_numbers_that_a_spreadsheet_made_decimals_are_keys(patient):
    frame = pd.DataFrame(
        {
            "IEP": [f"{10**7 + n}.0" for n in RNG.permutation(N)],
            patient: [f"{10**6 + n // 2}.0" for n in range(N)],
            "crp": NUMBER,
        }
    )
    proposal = propose_table(frame)
    assert proposal.table.of_kind("id", "cluster") == ("IEP", patient)
    assert not any("." in case for case in read_table(frame, proposal.table).cases)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Hb_g_dL", "g/dL"),
        ("crp (mg/L)", "mg/L"),
        ("glucose_mmolL", "mmol/L"),
        ("krea µmol/l", "umol/L"),
    ],
)
def test_units_at_the_end_of_a_name_are_proposed(name, unit):
    assert propose(**{name: NUMBER}).table.columns[name].unit == unit
