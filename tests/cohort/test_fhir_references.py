"""References, files and modifier elements: resolved or counted, whatever the order."""

import bz2
import gzip
import itertools
import json
import lzma
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.cohort import (
    FhirInputs,
    TableSchema,
    propose_views,
    read_cohort,
    read_resources,
    run_view,
)
from healthval.cohort.fhir.references import Entry, References
from healthval.errors import CohortError

SCHEMA = TableSchema.model_validate(
    {"columns": {"patient": {"kind": "id"}, "crp": {"kind": "number"}, "drawn": {"kind": "date"}}}
)
FHIR = FhirInputs.model_validate(
    {
        "on": "patient",
        "views": {
            "patients": {
                "resource": "Patient",
                "select": [{"column": [{"name": "patient", "path": "getResourceKey()"}]}],
            },
            "labs": {
                "resource": "Observation",
                "select": [
                    {
                        "column": [
                            {"name": "patient", "path": "subject.getReferenceKey(Patient)"},
                            {"name": "crp", "path": "value.ofType(Quantity).value"},
                            {"name": "drawn", "path": "effective.ofType(dateTime)"},
                        ]
                    }
                ],
            },
        },
        "links": {
            "labs": {
                "on": {"patient": "patient"},
                "date": "drawn",
                "choose": "last",
                "required": False,
            }
        },
    }
)


def patient(n, **more):
    identifier = [{"system": "urn:oid:2.999", "value": f"M{n}"}]
    return {"resourceType": "Patient", "id": f"p{n}", "identifier": identifier} | more


def lab(n, subject, value=None, **more):
    named = subject if isinstance(subject, dict) else {"reference": subject}
    return {
        "resourceType": "Observation",
        "id": f"o{n}",
        "status": "final",
        "subject": named,
        "effectiveDateTime": f"2024-01-{n + 1:02d}",
        "valueQuantity": {"value": float(n if value is None else value)},
    } | more


def read(resources):
    cohort = read_cohort(SCHEMA, resources=resources, fhir=FHIR)
    return dict(zip(cohort.cases, cohort.frame["crp"], strict=True)), dict(cohort.counts)


def urn(n):
    return f"urn:uuid:00000000-0000-4000-8000-{n:012d}"


def entries(number, items):
    return [
        Entry(resource=json.loads(json.dumps(r)), address=address, bundle=number)
        for address, r in items
    ]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n_files=st.integers(1, 3))
def test_references_are_resolved_in_any_order_of_entries_and_bundles(seed, n_files):
    shuffle = random.Random(seed)
    items = [(urn(n), patient(n)) for n in range(4)]
    items += [(urn(100 + n), lab(n, urn(n))) for n in range(4)]
    shuffle.shuffle(items)
    files = [items[at::n_files] for at in range(n_files)]
    stream = itertools.chain.from_iterable(entries(at, file) for at, file in enumerate(files))
    found = {r["id"]: r for r in References().resolved(stream)}
    assert len(found) == 8
    assert {found[f"o{n}"]["subject"]["reference"] for n in range(4)} == {
        f"Patient/p{n}" for n in range(4)
    }


def test_an_address_counts_first_within_its_own_bundle():
    first = [("urn:uuid:1", patient(1)), ("urn:uuid:2", lab(1, "urn:uuid:1"))]
    second = [("urn:uuid:2", lab(2, "urn:uuid:1")), ("urn:uuid:1", patient(2))]
    stream = [*entries(0, first), *entries(1, second)]
    found = {r["id"]: r for r in References().resolved(stream)}
    assert found["o1"]["subject"]["reference"] == "Patient/p1"
    assert found["o2"]["subject"]["reference"] == "Patient/p2"


@pytest.mark.parametrize(
    "subject",
    [
        {"identifier": {"system": "urn:oid:2.999", "value": "M1"}},
        {"reference": "Patient?identifier=urn:oid:2.999|M1"},
        {"reference": "urn:uuid:p1"},
        {"reference": "https://ehr.example.org/fhir/Patient/p1/_history/2"},
        {"reference": "Patient?identifier=M1"},
    ],
)
def test_a_patient_is_found_by_what_names_one(subject):
    assert read([lab(1, subject), patient(1)]) == ({"p1": 1.0}, {})


@pytest.mark.parametrize(
    "subject",
    [
        {"identifier": {"system": "urn:oid:2.999", "value": "M404"}},
        {"identifier": {"system": "urn:oid:2.999", "value": "M7"}},
        {"reference": urn(404)},
        {"reference": "Patient/p404"},
        {"display": "somebody"},
        {"reference": "#contained"},
        {"reference": "p1"},
        {"reference": "#somebody"},
        {"type": "Group", "reference": "Patient/p404"},
        {"identifier": {"value": "M1"}},
        {"reference": "Patient?identifier=M7"},
    ],
)
def test_what_stays_unresolved_is_counted(subject):
    twins = [patient(8, identifier=patient(7)["identifier"]), patient(7)]
    inside = [{"resourceType": "Patient", "id": "somebody"}]
    named = lab(1, subject, contained=inside)
    values, counts = read([*twins, patient(1), named, lab(2, "Patient/p1")])
    assert values["p1"] == 2.0
    assert counts == {"references_unresolved": 1}


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "#herd"},
        {"reference": "Group/g1"},
        {"reference": "https://ehr.example.org/fhir/Group/g1"},
        {"type": "Group", "reference": urn(404)},
        {"type": "Group", "identifier": {"system": "urn:oid:2.999", "value": "M1"}},
        {"type": "http://hl7.org/fhir/StructureDefinition/Group", "display": "a ward"},
    ],
)
def test_a_group_is_no_patient_and_no_unresolved_one(subject):
    inside = [{"resourceType": "Group", "id": "herd", "type": "person", "actual": True}]
    group = lab(2, subject, contained=inside)
    assert read([patient(1), lab(1, "Patient/p1"), group]) == ({"p1": 1.0}, {})


def test_bundles_in_lines_and_in_bundles_are_unpacked(tmp_path):
    inner = {"resourceType": "Bundle", "entry": [{"resource": lab(1, "Patient/p1")}]}
    outer = {"resourceType": "Bundle", "entry": [{"resource": patient(1)}, {"resource": inner}]}
    (tmp_path / "a.ndjson").write_text(
        json.dumps(outer) + "\n" + json.dumps(patient(2)), encoding="utf-8"
    )
    (tmp_path / "b.json").write_text(
        json.dumps({"resourceType": "Bundle", "entry": [{"resource": outer}]}),
        encoding="utf-8",
    )
    assert [r["id"] for r in read_resources(tmp_path)] == ["p1", "o1", "p2", "p1", "o1"]


PACKED = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress,
    ".zst": None,
}  # fmt: skip


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize(
    "name", ["a.ndjson", "a.JSONL", "a.ndjson.12", "Observation/2024/a.NDJSON"]
)
def test_files_of_an_export_are_read_by_any_of_their_names(tmp_path, name, packed):
    if packed == ".zst":
        with pa.CompressedOutputStream(str(tmp_path / "x"), "zstd") as out:
            out.write(json.dumps(patient(1)).encode())
        data = (tmp_path / "x").read_bytes()
        (tmp_path / "x").unlink()
    else:
        data = PACKED[packed](json.dumps(patient(1)).encode())
    path = tmp_path / (name + packed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    assert [r["id"] for r in read_resources(tmp_path)] == ["p1"]


def test_files_with_other_names_are_counted_and_hidden_ones_are_not(tmp_path):
    (tmp_path / "a.ndjson").write_text(
        "\n".join(map(json.dumps, [patient(1), lab(1, "Patient/p1")])),
        encoding="utf-8",
    )
    (tmp_path / "b.xml").write_text("<Patient/>", encoding="utf-8")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/c.txt").write_text("x", encoding="utf-8")
    (tmp_path / ".DS_Store").write_text("x", encoding="utf-8")
    assert read(tmp_path) == ({"p1": 1.0}, {"files_not_read": 1})


def test_errors_and_replaced_patients_do_not_count_and_are_counted():
    old = patient(9, link=[{"other": {"reference": "Patient/p1"}, "type": "replaced-by"}])
    wrong = lab(20, "Patient/p1", status="entered-in-error")
    values, counts = read([lab(5, "Patient/p9"), old, patient(1), lab(2, "Patient/p1"), wrong])
    assert values == {"p1": 5.0}
    assert counts == {"resources_superseded": 2}


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_a_patient_whom_another_one_replaces_does_not_count(order):
    new = patient(1, link=[{"other": {"reference": "Patient/p9"}, "type": "replaces"}])
    stream = [patient(9), new, lab(5, "Patient/p9")]
    values, counts = read([stream[at] for at in order])
    assert values == {"p1": 5.0}
    assert counts == {"resources_superseded": 1}


@pytest.mark.parametrize("kind", ["replaces", "replaced-by"])
def test_one_of_patients_who_replace_each_other_stays(kind):
    ring = [
        patient(a, link=[{"other": {"reference": f"Patient/p{b}"}, "type": kind}])
        for a, b in ((1, 2), (2, 1))
    ]
    assert read([*ring, lab(5, "Patient/p2")]) == ({"p1": 5.0}, {"resources_superseded": 1})


def test_a_replacement_outside_the_export_keeps_the_patient():
    old = patient(9, link=[{"other": {"reference": "Patient/p404"}, "type": "replaced-by"}])
    assert read([old, lab(5, "Patient/p9")]) == ({"p9": 5.0}, {})


def test_conflicts_stop_the_reading_only_where_a_view_reads_the_type():
    staff = [{"resourceType": "Practitioner", "id": "x", "active": a} for a in (True, False)]
    assert read([patient(1), lab(1, "Patient/p1"), *staff])[0] == {"p1": 1.0}
    with pytest.raises(CohortError, match="1 resource id has different contents"):
        read([patient(1), patient(1, active=True)])


def measured(n, **quantity):
    code = {"coding": [{"system": "http://loinc.org", "code": "2345-7"}]}
    value = {"value": 5.0, "code": "mmol/L"} | quantity
    return lab(n, "Patient/p1", code=code, valueQuantity=value)


@pytest.mark.parametrize(
    ("odd", "value", "counts"),
    [
        (
            measured(20, value=99.0) | {"status": "entered-in-error"},
            5.0,
            {"resources_superseded": 1},
        ),
        (measured(20, value=99.0) | {"status": "preliminary"}, 5.0, {}),
        (measured(20, comparator="<"), None, {"loinc_2345_7_below_limit": 1}),
        (measured(20, code="mg/dL"), None, {"loinc_2345_7_other_unit": 1}),
        (measured(20, code="mmol/l", value=6.0), 6.0, {}),
        (measured(20) | {"code": {"coding": [{"system": "urn:x", "code": "2345-7"}]}}, 5.0, {}),
    ],
)
def test_proposed_views_honour_status_system_unit_and_comparator(odd, value, counts):
    stream = [patient(1), *(measured(n) for n in range(1, 7)), odd]
    proposal = propose_views(stream)
    cohort = read_cohort(proposal.table, resources=stream, fhir=proposal.fhir)
    found = cohort.frame["loinc_2345_7"].iloc[0]
    assert (None if found != found else found) == value
    assert dict(cohort.counts) == counts
    assert cohort.frame["deceased"].tolist() == ["not_known"]


def test_a_known_conversion_is_proposed_as_a_question():
    stream = [
        patient(1),
        *(measured(n) for n in range(1, 8)),
        *(measured(n, code="mg/dL") for n in range(8, 14)),
    ]
    assert any("mg/dL: 0.0555074" in q for q in propose_views(stream).questions)


def test_percentages_of_hba1c_are_never_multiplied_by_ten():
    code = {"code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}}
    stream = [
        patient(1),
        *(measured(n, code="mmol/mol", value=48) | code for n in range(1, 8)),
        *(measured(n, code="%", value=6.5) | code for n in range(8, 14)),
    ]
    assert any("'convert: {\"%\": hba1c}'" in q for q in propose_views(stream).questions)


def test_a_list_of_resources_is_refused_by_its_name(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([patient(1)]), encoding="utf-8")
    with pytest.raises(CohortError, match="file 1 of 1 is a JSON list"):
        list(read_resources(tmp_path))


@pytest.mark.parametrize(
    ("effective", "path", "expected"),
    [
        ("2024-01-05T20:00:00-05:00", "effective.ofType(dateTime) > issued", True),
        ("2024-01-05T23:30:00Z", "effective.ofType(dateTime) = issued", True),
        ("2024-01-06T08:30:00+09:00", "effective.ofType(dateTime) != issued", False),
        ("2024-01", "effective.ofType(dateTime) <= issued", None),
        ("2024-02-31T23:30:00+01:00", "effective.ofType(dateTime) <= issued", None),
        ("2023", "effective.ofType(dateTime) < issued", True),
        ("2024-01-06T00:30:00+01:00", "effective.ofType(dateTime) ~ issued", True),
        ("2024-01-06T00:30:00+01:00", "effective.ofType(dateTime) !~ issued", False),
        ("2024-01-05", "effective.ofType(dateTime) ~ issued", False),
    ],
)
def test_two_elements_are_compared_as_dates(effective, path, expected):
    resource = {
        "resourceType": "Observation",
        "effectiveDateTime": effective,
        "issued": "2024-01-05T23:30:00.000+00:00",
    }
    view = {"resource": "Observation", "select": [{"column": [{"name": "x", "path": path}]}]}
    assert run_view(view, [resource])["x"].tolist() == [expected]
