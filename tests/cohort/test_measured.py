"""Missing codes, results below a limit, units: as the plan declares them, and counted."""

import pandas as pd
import pytest
from pydantic import ValidationError

from healthval.cohort import FhirInputs, Link, TableSchema, link_rows, read_cohort, read_table
from healthval.cohort.propose.substances import MOLAR_MASS
from healthval.cohort.tables import check_frame
from healthval.cohort.units import conversion, read_unit, same_unit
from healthval.contracts.table import NumberColumn
from healthval.errors import CohortError


def read(values, **declared):
    frame = pd.DataFrame({"visit": [f"v{n}" for n in range(len(values))], "x": values})
    return read_table(frame, {"visit": "id", "x": declared})


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        ([".", "5", "-999.0"], {"kind": "number", "missing": [".", -999]}),
        ([-999.0, 5.0, -999.0], {"kind": "number", "missing": [-999]}),
        (["-", "66", "unknown"], {"kind": "age", "missing": ["-", "unknown"]}),
        (["1900-01-01", "2024-01-02", "."], {"kind": "date", "missing": [".", "1900-01-01"]}),
        (["9", "f", "-"], {"kind": "category", "levels": ["f"], "missing": [9, "-"]}),
        (["?", "1", "9"], {"kind": "label", "positive": [1], "negative": [0], "missing": ["?", 9]}),
    ],
)
def test_declared_codes_are_missing(values, declared):
    assert read(values, **declared).frame["x"].isna().tolist() == [
        v not in ("5", 5.0, "66", "2024-01-02", "f", "1") for v in values
    ]


def test_an_undeclared_code_is_refused_with_the_remedy():
    with pytest.raises(CohortError, match=r"1 of 2 values is not a number.*'missing'"):
        read([".", "5"], kind="number")


@pytest.mark.parametrize(
    "kind",
    [
        {"kind": "category", "levels": ["a"], "missing": ["a"]},
        {"kind": "label", "positive": [1], "negative": [0], "missing": [0]},
        {"kind": "category", "levels": {"1": "a", "1.0": "b"}},
    ],
)
def test_a_text_has_one_meaning(kind):
    with pytest.raises(CohortError, match="schema"):
        read(["a"], **kind)


@pytest.mark.parametrize("word", ["none", "None", "NONE", "na", "NA", "null"])
def test_a_declared_word_is_a_word_in_any_case(word):
    assert read([word], kind="category", levels={word.lower(): "no_finding"}).frame[
        "x"
    ].tolist() == ["no_finding"]
    assert read(
        [word, "1"], kind="label", positive=[1], negative=[word.upper()]
    ).verdicts.tolist() == ["negative", "positive"]


@pytest.mark.parametrize(
    ("how", "seen"), [("value", [0.5, 2.0]), ("half", [0.25, 2.0]), ("exclude", [None, 2.0])]
)
@pytest.mark.parametrize("text", ["<0.5", "< .5", "<=0.50", "<0,5", "≤ 0.5"])
def test_results_below_a_limit_are_read_as_declared_and_counted(text, how, seen):
    cohort = read([text, "2"], kind="number", below_limit=how)
    assert cohort.frame["x"].astype(object).where(cohort.frame["x"].notna(), None).tolist() == seen
    assert cohort.flow == (("x_below_limit", 1), ("rows_read", 2))
    assert cohort.steps == (("rows_read", 2),)


@pytest.mark.parametrize(
    ("text", "declared"),
    [("<0.5", {}), (">90", {"below_limit": "half"}), ("<b", {"below_limit": "value"})],
)
def test_other_limits_are_refused(text, declared):
    with pytest.raises(CohortError, match="below_limit"):
        read([text, "2"], kind="number", **declared)


def units(*found, comparators=None, **declared):
    frame = pd.DataFrame({"visit": range(len(found)), "x": [10.0] * len(found), "u": list(found)})
    frame["c"] = comparators or [None] * len(found)
    column = {"kind": "number", "unit": "mmol/L", "unit_column": "u", "comparator_column": "c"}
    return read_table(frame, {"visit": "id", "x": column | declared})


def test_units_are_converted_excluded_or_refused_as_declared():
    cohort = units(
        "mmol/l",
        "mg/dL",
        "umol/L",
        "g",
        convert={"mg/dL": 0.0555, "µmol/L": "ucum"},
        other_units="exclude",
    )
    assert cohort.frame["x"].round(6).tolist()[:3] == [10.0, 0.555, 0.01]
    assert cohort.counts == (("x_converted", 2), ("x_other_unit", 1))
    assert pd.isna(cohort.frame["x"][3])
    with pytest.raises(CohortError, match=r"1 of 2 values is not in the declared unit \(mmol/L\)"):
        units("mmol/L", "mg/dL")


def test_a_comparator_beside_the_value_counts():
    cohort = units("mmol/L", "mmol/L", comparators=["<", None], below_limit="half")
    assert cohort.frame["x"].tolist() == [5.0, 10.0]
    with pytest.raises(CohortError, match="1 of 1 value has a comparator"):
        units("mmol/L", comparators=[">"], below_limit="half")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("mmol/l", "mmol/L"), ("µmol/L", "umol/L"), ("μmol/l", "umol/L"), ("°C", "Cel"), ("K/uL", "10*9/L"),
        ("x10^9/L", "10*3/uL"), ("{beats}/min", "/min"), ("bpm", "/min"), ("mmHg", "mm[Hg]"), ("mcg/mL", "mg/L"),
        ("mg/(24.h)", "mg/d"), ("mL/min/(1.73.m2)", "mL/min/1.73m2"), ("mL/(24.h)/kg", "mL/kg/d"),
        ("G/L", "10*9/L"), ("T/l", "10*12/L"), ("Giga/l", "10*9/L"), ("x10E9/L", "K/uL"), ("Tsd/µl", "10*3/uL"),
        ("cells/uL", "/uL"), ("IE/l", "[IU]/L"), ("mIU/L", "m[IU]/L"), ("mm/hr", "mm/h"), ("mmol/24h", "mmol/d"),
        ("mOsmol/kg", "mosm/kg"), ("Torr", "mm[Hg]"), ("g%", "g/dL"), ("INR", "{INR}"), ("mmol/mol", "umol/mmol"),
        ("mEq/L", "meq/L"), ("IU/L", "[IU]/L"), ("mL/min/{1.73_m2}", "mL/min/1.73m2"), ("U/l", "u/L".upper()),
    ],
)  # fmt: skip
def test_spellings_of_one_unit_are_the_same(a, b):
    assert same_unit(a, b)
    assert same_unit(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("mg/dL", "mmol/L"),
        ("mg", "Mg"),
        ("g/L", "mg/L"),
        ("U/L", "[IU]/L"),
        ("mL/min", "mL/min/{1.73_m2}"),
        ("mol", "molar"),
        ("Cel", "[degF]"),
        ("g/L", "G/L"),
        ("G/DL", "10*9/dL"),
        ("%", "mmol/mol"),
    ],
)
def test_other_units_are_not(a, b):
    assert not same_unit(a, b)


@pytest.mark.parametrize("text", ["mg//dL", "(mg", "mg)", "mg(dL)", "/", "()", "mg/", "." * 40])
def test_a_text_outside_the_syntax_of_units_is_no_unit(text):
    assert read_unit(text) is None


@pytest.mark.parametrize(
    ("code", "given", "wanted", "factor"),
    [  # conversion.tsv of miracum/loinc-conversion; haemoglobin: IFCC, 0.6206
        ("2345-7", "mmol/L", "mg/dL", 18.02),
        ("2160-0", "umol/L", "mg/dL", 0.01131),
        ("3091-6", "mmol/L", "mg/dL", 6.006),
        ("3094-0", "mmol/L", "mg/dL", 2.801),
        ("2524-7", "mg/dL", "mmol/L", 0.111),
        ("2093-3", "mmol/L", "mg/dL", 38.67),
        ("2571-8", "mmol/L", "mg/dL", 88.5),
        ("1975-2", "umol/L", "mg/dL", 0.05847),
        ("17861-6", "mg/dL", "mmol/L", 0.2495),
        ("2601-3", "mg/dL", "mmol/L", 0.41135),
        ("2777-1", "mmol/L", "mg/dL", 3.097),
        ("3084-1", "umol/L", "mg/dL", 0.01681),
        ("2498-4", "umol/L", "ug/dL", 5.585),
        ("718-7", "g/dL", "mmol/L", 0.6206),
        ("6298-4", "mg/dL", "mmol/L", 0.256),
        ("22763-7", "ug/dL", "umol/L", 0.5872),
        ("5640-8", "mmol/L", "mg/dL", 4.607),
        ("2143-6", "ug/dL", "nmol/L", 27.586),
        ("2986-8", "nmol/L", "ng/dL", 28.84),
        ("1989-3", "nmol/L", "ng/mL", 0.4006),
        ("3024-7", "pmol/L", "ng/dL", 0.07769),
    ],
)
def test_molar_masses_give_the_published_factors(code, given, wanted, factor):
    found = conversion(given, wanted, MOLAR_MASS[code])
    assert found == (pytest.approx(factor, rel=2e-3), 0.0)


def test_conversions_by_definition_and_molar_mass():
    assert conversion("[degF]", "Cel") == pytest.approx((5 / 9, -160 / 9))
    assert conversion("g/dL", "mg/L") == (10000.0, 0.0)
    # Glucose, C6H12O6: 180.156 g/mol, so 18.0156 mg/dL is 1 mmol/L.
    assert conversion("mg/dL", "mmol/L", 180.156) == (pytest.approx(1 / 18.0156), 0.0)
    assert conversion("mmol/L", "mg/dL", 180.156) == (pytest.approx(18.0156), 0.0)
    assert conversion("mg/dL", "mmol/L") is None
    assert read_unit("no unit") is None


def test_hba1c_is_converted_by_its_own_equation_and_never_by_ten():
    # IFCC and NGSP of the same samples: 48 mmol/mol is 6.5 %, 42 is 6.0 %, 75 is 9.0 %.
    frame = pd.DataFrame(
        {"visit": ["a", "b", "c"], "x": [6.5, 42, 9.0], "u": ["%", "mmol/mol", "%"]}
    )
    number = {"kind": "number", "unit": "mmol/mol", "unit_column": "u", "convert": {"%": "hba1c"}}
    cohort = read_table(frame, {"visit": "id", "x": number})
    assert cohort.frame["x"].round().tolist() == [48, 42, 75]
    assert cohort.counts == (("x_converted", 2),)
    back = {**number, "unit": "%", "convert": {"mmol/mol": "hba1c"}}
    assert read_table(frame, {"visit": "id", "x": back}).frame["x"].round(1).tolist() == [
        6.5,
        6.0,
        9.0,
    ]
    assert conversion("%", "mmol/mol") is None


@pytest.mark.parametrize("kind", ["float32", "Float32", "float[pyarrow]"])
def test_record_numbers_of_short_decimals_are_refused(kind):
    numbers = pd.Series([16777216.0, 16777220.0]).astype(kind)
    with pytest.raises(CohortError, match=r"'visit': 2 of 2 values have lost digits"):
        read_table(pd.DataFrame({"visit": numbers, "x": [1, 2]}), {"visit": "id"})


def test_a_key_that_lost_digits_joins_no_resources():
    patients = [{"resourceType": "Patient", "id": str(n)} for n in (2**53, 7)]
    path = [{"column": [{"name": "mrn", "path": "id"}, {"name": "sex", "path": "gender"}]}]
    fhir = {"on": "mrn", "views": {"p": {"resource": "Patient", "select": path}}}
    table = pd.DataFrame({"mrn": [float(2**53 + 1), 7.0]})
    with pytest.raises(CohortError, match=r"'mrn': 1 of 2 values has lost digits"):
        read_cohort(
            TableSchema.model_validate({"columns": {"mrn": {"kind": "id"}}}),
            table=table,
            resources=patients,
            fhir=FhirInputs.model_validate(fhir),
        )


def test_conversions_need_a_unit_column():
    with pytest.raises(ValidationError, match="need 'unit_column'"):
        NumberColumn.model_validate({"kind": "number", "unit": "g", "convert": {"mg": "ucum"}})


@pytest.mark.parametrize(
    "values", [[9007199254740993.0, 1.0], ["1.2E+10", "x"], ["9007199254740993.0", "12.0"]]
)
def test_record_numbers_that_lost_digits_are_refused(values):
    with pytest.raises(CohortError, match="1 of 2 values has lost digits"):
        read_table(pd.DataFrame({"visit": values}), {"visit": "id"})


def test_one_number_in_two_spellings_is_refused_and_a_decimal_export_is_not():
    with pytest.raises(CohortError, match="1 of 3 values has a decimal point"):
        read_table(pd.DataFrame({"visit": ["1.0", "1", "007"]}), {"visit": "id"})
    assert read_table(pd.DataFrame({"visit": ["1.0", "2.0"]}), {"visit": "id"}).cases.tolist() == [
        "1",
        "2",
    ]
    assert read_table(pd.DataFrame({"visit": ["007", "7"]}), {"visit": "id"}).cases.tolist() == [
        "007",
        "7",
    ]


def test_a_missing_key_links_to_nothing():
    bed = {"kind": "category", "levels": ["b1", "b2"]}
    frame = pd.DataFrame({"visit": ["a", "b"], "bed": [None, "b1"]})
    cohort = read_table(frame, {"visit": "id", "bed": bed})
    schema = TableSchema.model_validate({"columns": {"bed": bed, "crp": {"kind": "number"}}})
    rows = check_frame(pd.DataFrame({"bed": [None, "b1"], "crp": [9, 5]}), schema)
    link = Link.model_validate({"on": {"bed": "bed"}})
    assert link_rows(cohort, rows, schema, link, step="lab").cases.tolist() == ["b"]


@pytest.mark.parametrize("cell", [[1], {"a": 1}, b"x"])
def test_a_cell_that_is_no_single_value_is_refused(cell):
    with pytest.raises(CohortError, match="1 of 2 values is more than one number or text"):
        read([cell, 1], kind="number")


@pytest.mark.parametrize("declared", [(2, 1), ("M", "B")])
def test_yes_is_no_verdict_where_only_other_words_are_declared(declared):
    with pytest.raises(CohortError, match="1 of 2 values is outside the declared label values"):
        read(
            ["yes", str(declared[0])], kind="label", positive=[declared[0]], negative=[declared[1]]
        )
