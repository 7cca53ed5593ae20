"""Batches and probes against the input contract of a model: misfits are named, values are not quoted."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from healthval.contracts.model import InputContract, InputField, ModelCard, ModelRegistration, Probe
from healthval.contracts.prediction import (
    PredictionRequest,
    ProbeInstances,
    TableInstances,
    check_instances,
    out_of_range,
)

INPUTS = InputContract(
    fields=(
        InputField(name="age", low=0, high=120),
        InputField(name="sex", kind="category", levels=("F", "M")),
    )
)


def asked(columns, *rows, cases=None):
    ids = tuple(f"case-{i:016x}" for i in range(len(rows))) if cases is None else cases
    return PredictionRequest(
        model="tumour",
        version="1.0",
        plan_hash="a" * 64,
        cases=ids,
        instances=TableInstances(columns=columns, rows=rows),
    )


ONE = ("case-" + "0" * 16,)

CARD = dict.fromkeys(("title", "developer", "intended_use", "target_condition"), "invented")
REGISTERED = ModelRegistration(
    card=ModelCard(name="invented", version="1.0", **CARD), inputs=INPUTS, artefact_sha256="0" * 64
)
BOTH = ("age", "sex")
MISFITS = [
    (asked(("age",), (1,)), "1 field is missing", "first 'sex'"),
    (asked(("Zebulon",), (1,)), "2 fields are missing", "first 'age'"),
    (asked((*BOTH, "Zebulon"), (1, "F", 1)), "1 column is unknown", "column 2"),
    (asked((*BOTH, "age"), (1, "F", 1)), "1 column repeated", ""),
    (asked(BOTH, (1, "F"), (1,), (1, "F", 2)), "2 rows do not have one", "row 1"),
    (asked(BOTH, (1, "F"), ("Zebulon", "F")), "'age'", "1 of 2 values is not a number (first at row 1)"),
    (asked(BOTH, (1, "Zebulon"), (1, 7)), "'sex'", "2 of 2 values are not among the listed levels (first at row 0)"),
    (asked(BOTH, (1, "F"), (1, "F"), cases=ONE * 2), "1 case id repeated", ""),
    (asked(BOTH, (1, "F"), (1, "F"), cases=ONE), "2 instances for 1 case", ""),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "title", "detail"), MISFITS, ids=range(9))
def test_a_batch_outside_the_contract_is_refused_with_field_count_and_row(request_, title, detail):
    with pytest.raises(ValueError, match=re.escape(title)) as refused:
        check_instances(REGISTERED, request_)
    assert detail in str(refused.value)
    assert "Zebulon" not in str(refused.value)


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-10, 200) | st.floats(-10, 200),
            st.none() | st.sampled_from("FM"),
        ),
        min_size=1,
        max_size=20,
    )
)
@settings(deadline=None)
def test_missing_values_pass_and_numbers_outside_the_limits_are_found(rows):
    request_ = asked(("sex", "age"), *((sex, age) for age, sex in rows))
    check_instances(REGISTERED, request_)
    outside = out_of_range(INPUTS, request_.instances)
    expected = {i for i, (age, _) in enumerate(rows) if age is not None and not 0 <= age <= 120}
    assert outside == expected


AGE = (InputField(name="age", low=0, high=100),)
CONTRACTS = {
    "table": InputContract(fields=AGE),
    "dicom": InputContract(kind="dicom"),
    "combined": InputContract(kind="combined", fields=AGE),
}


@pytest.mark.parametrize(
    ("kind", "probe", "reason"),
    [
        ("table", {"row": {}}, "probe 1: 1 field is missing"),
        ("table", {"row": {"age": "old"}}, "probe 1: field 'age'"),
        ("table", {"row": {"age": 101}}, "probe 1: a number is outside"),
        (
            "table",
            {"row": {"age": 1}, "files": ("0" * 64,)},
            "probe 1: a table model takes no file",
        ),
        ("dicom", {}, "probe 1: a dicom model takes one file"),
        ("dicom", {"files": ("0" * 64, "1" * 64)}, "probe 1: a dicom model takes one file"),
        ("combined", {"row": {"age": 1}}, "probe 1: a combined model takes one file or more"),
    ],
)
def test_a_probe_that_does_not_fit_the_contract_is_refused(kind, probe, reason):
    values = REGISTERED.model_dump() | {
        "inputs": CONTRACTS[kind].model_dump(),
        "probes": (probe | {"score": 0.5},),
    }
    with pytest.raises(ValidationError, match=reason):
        ModelRegistration.model_validate(values)


def test_wrong_probes_are_named_by_their_number():
    probes = tuple(Probe(row={"age": 1, "sex": "F"}, score=score) for score in (0.5, None, 0.25))
    shape = ModelRegistration(**(dict(REGISTERED) | {"probes": probes}))
    assert shape.wrong_probes([0.5 + 9e-5, None, 0.25]) == []
    assert shape.wrong_probes([0.5 + 2e-4, 0.1, None]) == [1, 2, 3]
    asked_for = asked(BOTH, (1, "F"), (1, "F")).model_copy(update={"instances": ProbeInstances()})
    with pytest.raises(ValueError, match="2 cases for 3 probes"):
        check_instances(shape, asked_for)
    with pytest.raises(ValueError, match="2 cases for 0 probes"):
        check_instances(REGISTERED, asked_for)
