"""Only listed elements of a resource stay; ids, dates and ages follow the policy everywhere."""

import copy
import json
import traceback
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.deid import Policy, Secret, date_offset, deidentify_resource, pseudonym, uid
from healthval.errors import DeidentificationError

SECRET = Secret(b"k" * 32)
TODAY = date(2026, 1, 1)
SAFE = Policy()
CANARY = "Zyxwolf-Qargh-7719"

PATIENT = {
    "resourceType": "Patient",
    "id": "mrn-4711",
    "meta": {"source": CANARY, "lastUpdated": "2024-03-01T10:00:00Z", "tag": [{"display": CANARY}]},
    "implicitRules": f"http://{CANARY}",
    "text": {"status": "generated", "div": f"<div>{CANARY}</div>"},
    "contained": [{"resourceType": "Practitioner", "id": "c1", "name": [{"family": CANARY}]}],
    "extension": [{"url": "http://e/mothers-maiden-name", "valueString": CANARY}],
    "identifier": [{"system": f"http://{CANARY}/mrn", "value": CANARY, "assigner": {"display": CANARY}}],
    "active": True,
    "name": [{"family": CANARY, "given": [CANARY], "text": CANARY}],
    "_name": [{"extension": [{"valueString": CANARY}]}],
    "telecom": [{"system": "phone", "value": CANARY}, {"system": "email", "value": CANARY}],
    "gender": "female",
    "_gender": {"extension": [{"url": "x", "valueString": CANARY}]},
    "birthDate": "1950-04-30",
    "_birthDate": {"extension": [{"url": "birthTime", "valueDateTime": "1950-04-30T10:00:00Z"}]},
    "deceasedDateTime": "2024-02-11T03:00:00Z",
    "address": [
        {
            "use": "home", "text": CANARY, "line": [CANARY], "city": CANARY, "district": CANARY,
            "state": "MA", "postalCode": "02139-4307", "country": "US",
            "extension": [{"url": "geolocation", "valueDecimal": 42.3}],
        },
        {"state": "VT", "postalCode": "03601"},
        {"state": CANARY, "postalCode": CANARY, "country": CANARY},
        {"state": "Bavaria", "postalCode": "80331", "country": "DE"},
    ],
    "maritalStatus": {"text": CANARY, "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M", "display": CANARY}]},
    "photo": [{"data": CANARY, "url": CANARY}],
    "contact": [{"name": {"family": CANARY}, "telecom": [{"value": CANARY}]}],
    "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]}}],
    "generalPractitioner": [{"reference": "Practitioner/dr-1", "display": CANARY}, {"reference": "#c1"}],
    "managingOrganization": {"identifier": {"value": CANARY}, "display": CANARY},
    "link": [{"other": {"reference": "https://ehr.example.org/fhir/Patient/mrn-4712/_history/2"}, "type": "seealso"}],
}  # fmt: skip
LACTATE = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "category": [{"coding": [{"system": f"http://{CANARY}/local", "code": "lab"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "version": "2.74", "code": "2524-7"}], "text": CANARY},
    "subject": {"reference": "Patient/mrn-4711", "display": CANARY, "identifier": {"value": CANARY}},
    "effectiveDateTime": "2024-02-10T10:15:00.000+01:00",
    "effectivePeriod": {"start": "2024-02", "end": "2024"},
    "issued": "not a date",
    "valueQuantity": {"value": 2.4, "unit": CANARY, "system": "http://unitsofmeasure.org", "code": "mmol/L"},
    "valueString": CANARY,
    "note": [{"text": CANARY}],
    "performer": [{"display": CANARY}],
    "component": [{"code": {"text": CANARY}, "valueString": CANARY},
                  {"code": {"coding": [{"system": "http://loinc.org", "code": "30525-0"}]}, "valueInteger": 93}],
}  # fmt: skip


def clean(resource, policy=SAFE):
    return deidentify_resource(resource, policy, SECRET, today=TODAY)


def alias(value):
    return pseudonym(SECRET, "patient", value)


@pytest.mark.parametrize("resource", [PATIENT, LACTATE], ids=["patient", "observation"])
@pytest.mark.parametrize("dates", ["remove", "shift", "keep"])
def test_no_identifier_text_or_unlisted_element_survives(resource, dates):
    before = copy.deepcopy(resource)
    text = json.dumps(clean(resource, Policy(dates=dates)))
    for leaked in (CANARY, "4711", "4712", "dr-1", "ehr.example.org", "02139", "80331", "Bavaria"):
        assert leaked not in text
    for removed in (
        '"text"',
        "contained",
        "extension",
        "identifier",
        "display",
        '"_',
        "note",
        "photo",
    ):
        assert removed not in text
    assert resource == before


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"multipleBirthInteger": 1}, {"multipleBirthInteger": 1}),
        ({"multipleBirthInteger": 3}, {"multipleBirthInteger": 3}),
        ({"multipleBirthInteger": 4}, {"multipleBirthBoolean": True}),
        ({"multipleBirthInteger": 10}, {"multipleBirthBoolean": True}),
        ({"multipleBirthInteger": 11}, {}),
        ({"multipleBirthInteger": 0}, {}),
        ({"multipleBirthInteger": 471147114}, {}),
        ({"multipleBirthInteger": "2"}, {}),
        ({"multipleBirthInteger": True}, {}),
        ({"multipleBirthBoolean": False}, {"multipleBirthBoolean": False}),
    ],
    ids=str,
)
def test_an_order_of_birth_stays_only_where_it_is_common(given, kept):
    out = clean({"resourceType": "Patient", "id": "a"} | given)
    assert {n: v for n, v in out.items() if n.startswith("multipleBirth")} == kept
    codes = {mark["code"] for mark in out["meta"]["security"]}
    assert ("ABSTRED" in codes) == (kept == {"multipleBirthBoolean": True})


def test_what_a_model_needs_stays():
    out = clean(LACTATE)
    assert out["code"]["coding"] == [
        {"system": "http://loinc.org", "code": "2524-7", "version": "2.74"}
    ]
    assert out["valueQuantity"] == {
        "value": 2.4,
        "system": "http://unitsofmeasure.org",
        "code": "mmol/L",
    }
    assert out["status"] == "final"
    assert "category" not in out  # a code of the hospital's own system
    patient = clean(PATIENT)
    assert (patient["gender"], patient["active"]) == ("female", True)
    assert patient["deceasedBoolean"] is True


def test_ids_and_references_of_all_spellings_are_one_pseudonym():
    assert clean(PATIENT)["id"] == alias("mrn-4711")
    assert clean(LACTATE)["subject"] == {"reference": f"Patient/{alias('mrn-4711')}"}
    assert clean(PATIENT)["link"][0]["other"] == {"reference": f"Patient/{alias('mrn-4712')}"}
    assert clean(PATIENT)["generalPractitioner"] == [{"reference": f"Practitioner/{alias('dr-1')}"}]


@pytest.mark.parametrize(
    "name", ["Zyxwolf/4711", "http://x/Zyxwolf/4711", "Patient?id=4711", "#4711", "4711"]
)
def test_what_is_no_reference_to_a_known_type_is_removed(name):
    assert "subject" not in clean(LACTATE | {"subject": {"reference": name}})
    bundle = {"resourceType": "Bundle", "entry": [{"fullUrl": name, "resource": LACTATE}]}
    assert "fullUrl" not in clean(bundle)["entry"][0]


def test_addresses_keep_state_and_zip3_at_most():
    assert clean(PATIENT)["address"] == [
        {"country": "US", "state": "MA", "postalCode": "021"},
        {"state": "VT", "postalCode": "000"},
        {"country": "DE"},
    ]


def test_dates_are_removed_by_default():
    text = json.dumps([clean(PATIENT), clean(LACTATE)])
    assert "2024" not in text
    assert "1950" not in text


def test_shifted_dates_move_by_the_patients_offset_and_keep_their_precision():
    days = date_offset(SECRET, "mrn-4711")
    out = clean(LACTATE, Policy(dates="shift"))
    moved = date.fromordinal(date(2024, 2, 10).toordinal() + days)
    assert out["effectiveDateTime"] == f"{moved}T10:15:00.000+01:00"
    assert [len(out["effectivePeriod"][e]) for e in ("start", "end")] == [7, 4]
    assert "issued" not in out
    patient = clean(PATIENT, Policy(dates="shift"))
    assert patient["birthDate"] == str(date.fromordinal(date(1950, 4, 30).toordinal() + days))


@pytest.mark.parametrize(
    ("born", "stays"), [("1935-01-01", False), ("1936-12-01", True), ("1890", False)]
)
def test_a_birth_date_that_means_an_age_above_89_is_removed(born, stays):
    for dates in ("keep", "shift"):
        out = clean(PATIENT | {"birthDate": born}, Policy(dates=dates))
        assert ("birthDate" in out) == stays


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ({"value": 89, "code": "a"}, 89),
        ({"value": 90, "code": "a"}, 90),
        ({"value": 97, "code": "a"}, 90),
        ({"value": 97, "unit": "a{age}"}, 90),
        ({"value": 0.97, "code": "10*2.a"}, 0.9),
        ({"value": 97, "unit": "years"}, 90),
        ({"value": 97}, 90),
        ({"value": 1068, "code": "mo"}, 1068),
        ({"value": 1200, "code": "mo"}, 1080),
        ({"value": 36000, "code": "d"}, 32873),
    ],
)
def test_ages_above_89_are_90(quantity, value):
    condition = {"resourceType": "Condition", "onsetAge": quantity}
    assert clean(condition)["onsetAge"]["value"] == value


def test_an_age_given_as_a_plain_count_is_capped_too():
    assert clean(LACTATE)["component"][-1]["valueInteger"] == 90


def test_images_and_resources_share_uids():
    study = {
        "resourceType": "ImagingStudy",
        "id": "s1",
        "identifier": [
            {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.4"},
            {"type": {"coding": [{"code": "ACSN"}]}, "value": CANARY},
        ],
        "subject": {"reference": "Patient/mrn-4711"},
        "description": CANARY,
        "series": [
            {
                "uid": "1.2.3.4.5",
                "description": CANARY,
                "instance": [{"uid": "1.2.3.4.5.6", "title": CANARY}],
            }
        ],
    }
    out = clean(study)
    assert out["identifier"] == [
        {"system": "urn:dicom:uid", "value": "urn:oid:" + uid(SECRET, "1.2.3.4")}
    ]
    assert out["series"][0]["uid"] == uid(SECRET, "1.2.3.4.5")
    assert out["series"][0]["instance"] == [{"uid": uid(SECRET, "1.2.3.4.5.6")}]
    assert CANARY not in json.dumps(out)


def test_a_bundle_is_mapped_consistently():
    bundle = {
        "resourceType": "Bundle",
        "id": CANARY,
        "type": "transaction",
        "identifier": {"value": CANARY},
        "link": [{"relation": "self", "url": f"http://{CANARY}"}],
        "entry": [
            {"fullUrl": "urn:uuid:mrn-4711", "resource": PATIENT, "request": {"url": f"Patient?x={CANARY}"}},
            {"fullUrl": "http://ehr/fhir/Observation/o1", "resource": LACTATE | {"subject": {"reference": "urn:uuid:mrn-4711"}}},
        ],
    }  # fmt: skip
    out = clean(bundle)
    first, second = out["entry"]
    assert first["fullUrl"] == second["resource"]["subject"]["reference"]
    assert second["fullUrl"] == f"https://deidentified.invalid/Observation/{alias('o1')}"
    assert first["resource"]["id"] == alias("mrn-4711")
    assert CANARY not in json.dumps(out)


def test_the_output_records_the_method_in_the_standards_codes():
    marks = {m["code"] for m in clean(PATIENT)["meta"]["security"]}
    assert marks == {"PSEUDED", "REDACTED", "ABSTRED"}
    systems = {m["system"] for m in clean(PATIENT)["meta"]["security"]}
    assert systems == {"http://terminology.hl7.org/CodeSystem/v3-ObservationValue"}
    plain = {"resourceType": "Medication", "id": "m", "status": "active"}
    assert [m["code"] for m in clean(plain)["meta"]["security"]] == ["PSEUDED"]


REFUSED = {
    "type": {"resourceType": "Communication", "payload": [{"contentString": CANARY}]},
    "no type": {"id": CANARY},
    "made-up type": {"resourceType": CANARY},
    "modifier": LACTATE | {"modifierExtension": [{"url": CANARY, "valueBoolean": True}]},
    "deep modifier": LACTATE | {"component": [{"modifierExtension": [{"url": CANARY}]}]},
    "contained modifier": PATIENT | {"contained": [{"modifierExtension": [{"url": CANARY}]}]},
    "bundle in bundle": {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Bundle"}}],
    },
    "empty entry": {"resourceType": "Bundle", "entry": [{"fullUrl": CANARY}]},
    "text": CANARY,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_unknown_is_refused_without_quoting(name):
    with pytest.raises(DeidentificationError) as caught:
        clean(REFUSED[name])
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_shifting_without_a_patient_is_refused():
    orphan = {"resourceType": "Observation", "effectiveDateTime": "2024-01-01"}
    with pytest.raises(DeidentificationError, match="references no patient"):
        clean(orphan, Policy(dates="shift"))
    assert "effectiveDateTime" not in clean(orphan)


@pytest.mark.parametrize("name", ["contained", "extension", "component"])
def test_a_resource_that_contains_itself_is_refused(name):
    cyclic = dict(PATIENT)
    cyclic[name] = [cyclic]
    with pytest.raises(DeidentificationError, match="contains itself"):
        clean(cyclic)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(CANARY) | st.just([CANARY]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "value",
                    "unit",
                    "display",
                    "text",
                    "start",
                    "end",
                    "reference",
                    "line",
                    "city",
                    "id",
                    "url",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from([PATIENT, LACTATE]), st.data())
@settings(max_examples=150)
def test_no_shape_of_a_broken_element_crashes_or_leaks(resource, data):
    name = data.draw(st.sampled_from(sorted(resource.keys() - {"resourceType"})))
    broken = resource | {name: data.draw(JSON)}
    for dates in ("remove", "keep"):
        assert CANARY not in json.dumps(clean(broken, Policy(dates=dates)))


OPEN = [
    {"system": "http://loinc.org", "code": "2524-8"},  # a wrong check digit
    {"system": "http://loinc.org", "code": CANARY},
    {"system": "http://snomed.info/sct", "code": "271649007"},
    {"system": f"http://snomed.info/{CANARY}", "code": "271649006"},
    {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "QARGH"},
    {"system": f"http://terminology.hl7.org/CodeSystem/{CANARY}", "code": "A"},
    {"system": "http://hl7.org/fhir/sid/us-ssn", "code": "219-09-9999"},
    {"system": "http://unitsofmeasure.org", "code": "{QARGH}"},
    {"system": "urn:x", "code": "A"},
    {"code": "A"},
]
SHUT = [
    {"system": "http://loinc.org", "code": "2345-7"},
    {"system": "http://loinc.org", "code": "LA6576-8"},
    {"system": "http://snomed.info/sct", "code": "271649006"},
    {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J18.9"},
    {"system": "http://www.whocc.no/atc", "code": "J01CA04"},
    {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "HH"},
    {"system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
]


@pytest.mark.parametrize("coding", OPEN, ids=str)
def test_a_code_outside_a_published_list_or_shape_is_removed(coding):
    out = clean(LACTATE | {"valueCodeableConcept": {"coding": [coding]}})
    assert "valueCodeableConcept" not in out


@pytest.mark.parametrize("coding", SHUT, ids=str)
def test_a_code_of_a_published_system_stays(coding):
    out = clean(LACTATE | {"valueCodeableConcept": {"coding": [coding | {"version": CANARY}]}})
    assert out["valueCodeableConcept"] == {"coding": [coding]}


@pytest.mark.parametrize(
    ("quantity", "kept"),
    [
        ({"value": 1, "unit": "QARGH"}, {"value": 1}),
        ({"value": 1, "unit": "MRN4471"}, {"value": 1}),
        ({"value": 1, "unit": "{beats}/min"}, {"value": 1, "unit": "{beats}/min"}),
        ({"value": 1, "unit": "mg/{QARGH}"}, {"value": 1, "unit": "mg/1"}),
        ({"value": 4471120}, None),
        ({"value": 219099999, "unit": "mg"}, None),
        ({"value": 254000, "unit": "/uL"}, {"value": 254000, "unit": "/uL"}),
        ({"value": 44711}, {"value": 44711}),
    ],
)
def test_units_and_long_numbers_are_closed(quantity, kept):
    assert clean(LACTATE | {"valueQuantity": quantity}).get("valueQuantity") == kept


AGE = {"coding": [{"system": "http://loinc.org", "code": "30525-0"}]}


def age_that_leaves(**value):
    out = clean({**LACTATE, "code": AGE, "valueQuantity": None, **value})
    found = out[next(iter(value))]
    if isinstance(found, dict):
        found = found.get("low", found)["value"]
    return found


@pytest.mark.parametrize("age", [89, 90, 97])
@pytest.mark.parametrize(
    "unit", ["", "yrs", "yr.", "Jahre", "años", "y.o.", "a_j", "{years}", "odd"]
)
def test_an_age_is_capped_in_any_unit_of_years(age, unit):
    quantity = {"value": age, "unit": unit}
    assert age_that_leaves(valueQuantity=quantity) == min(age, 90)
    assert age_that_leaves(valueRange={"low": quantity}) == min(age, 90)
    assert age_that_leaves(valueInteger=age) == min(age, 90)


@pytest.mark.parametrize(
    ("value", "unit", "limit"),
    [(1170, "mos", 1080), (5100, "weeks", 4696), (35500, "Tage", 32873), (8, "months", 8)],
)
def test_an_age_in_other_units_of_time_is_capped(value, unit, limit):
    out = clean({**LACTATE, "code": AGE, "valueQuantity": {"value": value, "unit": unit}})
    assert out["valueQuantity"]["value"] == limit


def test_only_old_years_of_birth_are_removed():
    birth = {"coding": [{"system": "http://loinc.org", "code": "80904-6"}]}
    for year, kept in ((1931, None), (2001, 2001)):
        out = clean({**LACTATE, "code": birth, "valueQuantity": None, "valueInteger": year})
        assert out.get("valueInteger") == kept


@pytest.mark.parametrize("age", [45, 89])
@pytest.mark.parametrize("code", ["397669002", "424144002", "397659008"])
def test_an_age_below_90_stays_under_every_code_of_an_age(code, age):
    coded = {"coding": [{"system": "http://snomed.info/sct", "code": code}]}
    out = clean({**LACTATE, "code": coded, "valueQuantity": None, "valueInteger": age})
    assert out["valueInteger"] == age


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("http://loinc.org", "57722-1"),  # birth plurality
        ("http://loinc.org", "85477-8"),  # influenza virus A
        ("http://snomed.info/sct", "406543005"),  # date of visit
    ],
)
def test_a_number_under_another_code_is_not_capped(system, code):
    coded = {"coding": [{"system": system, "code": code}]}
    assert clean({**LACTATE, "code": coded, "valueQuantity": {"value": 120}})["valueQuantity"] == {
        "value": 120
    }


@pytest.mark.parametrize(
    "concept",
    [
        {"text": "Age"},
        {"text": "Lebensalter (Jahre)"},
        {"coding": [{"system": "urn:ward", "code": "patientAge"}]},
        {"coding": [{"system": "urn:ward", "code": "A1", "display": "Edad del paciente"}]},
    ],
    ids=str,
)
def test_an_age_under_a_local_name_is_capped_where_it_has_no_unit(concept):
    for age in (45, 89, 97):
        out = clean({**LACTATE, "code": concept, "valueQuantity": None, "valueInteger": age})
        assert out["valueInteger"] == min(age, 90)
    rate = {"value": 110, "unit": "mL/min", "system": "http://unitsofmeasure.org", "code": "mL/min"}
    assert (
        clean({**LACTATE, "code": concept, "valueQuantity": rate})["valueQuantity"]["value"] == 110
    )


def test_a_published_code_is_no_age_by_its_display():
    coded = {"system": "http://loinc.org", "code": "62238-1", "display": "GFR adjusted for age"}
    out = clean({**LACTATE, "code": {"coding": [coded]}, "valueQuantity": {"value": 110}})
    assert out["valueQuantity"]["value"] == 110


def test_seconds_have_prefixes_whose_case_counts():
    def limited(value, unit):
        quantity = {"value": value, "unit": unit}
        return clean({**LACTATE, "code": AGE, "valueQuantity": quantity})["valueQuantity"]["value"]

    assert limited(3061, "Ms") == pytest.approx(2840.2, abs=0.1)
    assert limited(800, "ms") == 800
    assert limited(2, "Gy") == 2
