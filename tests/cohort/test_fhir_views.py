"""Views follow the processing model of SQL on FHIR v2, and only named columns are in the result."""

import copy
import json
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.cohort import run_view
from healthval.cohort.fhirpath.compile import compile_path
from healthval.cohort.fhirpath.dates import boundary, compare_moments
from healthval.cohort.fhirpath.functions import Env
from healthval.errors import CohortError, ViewError

CANARY = "Zyxwolf-Qargh-7719"
ADA = {
    "resourceType": "Patient",
    "id": "ada",
    "active": True,
    "birthDate": "1980-06",
    "_birthDate": {"extension": [{"url": "http://e/precision", "valueCode": "month"}]},
    "deceasedBoolean": False,
    "multipleBirthInteger": 2,
    "name": [
        {"use": "official", "family": "Berg", "given": ["Ada", "B"]},
        {"use": "nickname", "given": ["Addie"]},
    ],
    "telecom": [{"system": "phone", "rank": 1}, {"system": "email", "rank": 2}],
    "extension": [
        {
            "url": "http://e/race",
            "extension": [
                {"url": "omb", "valueCoding": {"code": "2106-3"}},
                {"url": "text", "valueString": "a"},
            ],
        },
        {"url": "http://e/sex", "valueCode": "F"},
    ],
    "link": [{"other": {"reference": "Patient/bob"}}, {"other": {"reference": "RelatedPerson/r1"}}],
}
BOB = {"resourceType": "Patient", "id": "bob", "contact": [{"name": {"family": "Lee"}}]}
GLUCOSE = {
    "resourceType": "Observation",
    "id": "g1",
    "status": "final",
    "code": {"coding": [{"code": "2339-0"}]},
    "subject": {"reference": "http://fhir.example.org/base/Patient/ada/_history/3"},
    "effectiveDateTime": "2024-03-01T10:30:00+01:00",
    "valueQuantity": {"value": 1.50, "unit": "mmol/L", "code": "mmol/L"},
}
RESOURCES = [ADA, BOB, GLUCOSE]


def view(*select, resource="Patient", **more):
    return {"resource": resource, "select": list(select), **more}


def columns(**paths):
    return {"column": [{"name": n, "path": p} for n, p in paths.items()]}


def rows(definition, resources=RESOURCES):
    return [tuple(r.values()) for r in run_view(definition, resources).to_dict("records")]


def evaluate(path, resource=ADA, kind=None, **constants):
    return compile_path(path, constants, kind)([resource], Env(resource))


def test_a_view_has_its_columns_even_without_rows():
    frame = run_view(view(columns(id="id", b="birthDate")), [GLUCOSE])
    assert list(frame) == ["id", "b"]
    assert len(frame) == 0


def test_only_resources_of_the_views_type_give_rows():
    assert rows(view(columns(id="id"))) == [("ada",), ("bob",)]


def test_parts_combine_as_a_product_and_an_empty_part_leaves_nothing():
    names, telecoms = (
        {"forEach": "name"} | columns(use="use"),
        {"forEach": "telecom"} | columns(s="system"),
    )
    assert rows(view(columns(id="id"), names, telecoms)) == [
        ("ada", "official", "phone"),
        ("ada", "official", "email"),
        ("ada", "nickname", "phone"),
        ("ada", "nickname", "email"),
    ]


def test_for_each_or_null_keeps_the_row_with_nulls_whatever_the_paths():
    part = {"forEachOrNull": "contact"} | columns(
        family="name.family", fixed="'x'", row="%rowIndex"
    )
    assert rows(view(columns(id="id"), part)) == [("ada", None, None, 0), ("bob", "Lee", "x", 0)]


def test_nested_iterations_number_their_own_rows():
    inner = {"forEach": "given"} | columns(given="$this", inner="%rowIndex")
    outer = {"forEach": "name", **columns(outer="%rowIndex"), "select": [inner]}
    assert rows(view(outer)) == [(0, "Ada", 0), (0, "B", 1), (1, "Addie", 0)]
    beside = [{"forEach": "name"} | columns(use="use"), columns(row="%rowIndex")]
    assert rows(view(*beside)) == [("official", 0), ("nickname", 0)]


def test_union_stacks_branches_and_null_rows_cover_them():
    branches = [
        {"forEach": "telecom"} | columns(value="system"),
        {"forEachOrNull": "contact"} | columns(value="name.family"),
        {"unionAll": [columns(value="id"), columns(value="'end'")]},
    ]
    assert rows(view(columns(id="id"), {"unionAll": branches})) == [
        ("ada", "phone"),
        ("ada", "email"),
        ("ada", None),
        ("ada", "ada"),
        ("ada", "end"),
        ("bob", "Lee"),
        ("bob", "bob"),
        ("bob", "end"),
    ]


def test_repeat_visits_depth_first_and_numbers_the_visits():
    tree = {
        "resourceType": "QuestionnaireResponse",
        "item": [
            {"linkId": "1", "item": [{"linkId": "1.1"}], "answer": [{"item": [{"linkId": "1.a"}]}]},
            {"linkId": "2"},
        ],
    }
    part = {"repeat": ["item", "answer.item"]} | columns(link="linkId", row="%rowIndex")
    assert rows(view(part, resource="QuestionnaireResponse"), [tree]) == [
        ("1", 0),
        ("1.1", 1),
        ("1.a", 2),
        ("2", 3),
    ]


def test_where_keeps_what_is_true_and_drops_what_is_unknown():
    assert rows(view(columns(id="id"), where=[{"path": "active"}])) == [("ada",)]
    assert rows(view(columns(id="id"), where=[{"path": "active.not()"}])) == []
    assert rows(view(columns(id="id"), where=[{"path": "name.empty()"}])) == [("bob",)]


def test_collections_are_lists_only_where_declared():
    column = {"name": "given", "path": "name.given", "collection": True}
    assert rows(view({"column": [column]})) == [(["Ada", "B", "Addie"],), ([],)]
    with pytest.raises(ViewError, match="column 'given' has several values"):
        rows(view(columns(given="name.given")))


def test_keys_join_a_reference_to_its_resource():
    observation = view(columns(key="subject.getReferenceKey(Patient)"), resource="Observation")
    patients = view(columns(key="getResourceKey()"))
    assert rows(observation)[0] in rows(patients)
    assert evaluate("link.other.getReferenceKey()") == ["bob", "r1"]
    assert evaluate("link.other.getReferenceKey(RelatedPerson)") == ["r1"]
    assert evaluate("link.other.getReferenceKey('Patient')") == ["bob"]
    assert evaluate("link.other.getReferenceKey(Group)") == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("extension('http://e/sex').value.ofType(code)", ["F"]),
        (
            "extension('http://e/race').extension('omb').value.ofType(Coding).code.first()",
            ["2106-3"],
        ),
        ("birthDate.extension('http://e/precision').value", ["month"]),
        ("name.given.join(',')", ["Ada,B,Addie"]),
        ("name.given.join()", ["AdaBAddie"]),
        ("name.where(use = 'official').given.first()", ["Ada"]),
        ("name[1].given", ["Addie"]),
        ("name.where(given.where($this = 'B').exists()).family", ["Berg"]),
        ("deceased.ofType(boolean)", [False]),
        ("deceased", [False]),
        ("multipleBirth.ofType(boolean)", []),
        ("multipleBirth is integer", [True]),
        ("(multipleBirth as integer) + 1", [3]),
        ("Patient.name.family", ["Berg"]),
        ("Observation.status", []),
        ("birthDate.lowBoundary()", ["1980-06-01"]),
        ("birthDate.highBoundary()", ["1980-06-30"]),
        ("active and {}", []),
        ("active or {}", [True]),
        ("(active and {}).exists()", [False]),
        ("1 + 2 * 3 - -4", [11]),
        ("0.1 + 0.2", [0.3]),
        ("7 div 2", [3]),
        ("-7 mod 2", [-1]),
        ("1 / 0", []),
        ("1 = 1.0", [True]),
        ("true = 1", [False]),
        ("'a' != 'b'", [True]),
        ("telecom.rank = 1", [False]),
        ("telecom.rank.first() >= 1", [True]),
        ("name.exists(use = 'old')", [False]),
        ("iif(active, 'yes', 'no')", ["yes"]),
        ("'B' in name.given", [True]),
        ("name.given contains 'Z'", [False]),
        ("(name.given | name.family).count()", [4]),
        ("name.select(given.count())", [2, 1]),
        ("telecom.all(rank > 0)", [True]),
        ("name.select(given.where($this != '').count() + $index)", [2, 2]),
        ("name.first().family.upper().substring(1, 2)", ["ER"]),
        ("'it\\'s \\u0041'", ["it's A"]),
        ("`active` // a comment", [True]),
        ("%resource.id", ["ada"]),
        ("multipleBirth.ofType(integer).toString() & 'x'", ["2x"]),
    ],
)
def test_paths_mean_what_fhirpath_says(path, expected):
    assert evaluate(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("value.ofType(Quantity) > 1 'mmol/L'", [True]),
        ("value > 1.5 'mmol/L'", [False]),
        ("value = 1.5 'mmol/L'", [True]),
        ("value > 1 'mg/dL'", []),
    ],
)
def test_quantities_compare_in_one_unit_only(path, expected):
    assert evaluate(path, GLUCOSE) == expected


def test_what_lies_outside_the_subset_is_left_to_the_library():
    pytest.importorskip("fhirpathpy")
    assert evaluate("birthDate + 2 years") == ["1982-06"]
    assert evaluate("name.given.aggregate($total + 1, 0)") == [3]
    assert evaluate("telecom.rank.aggregate($total + %start, 0)", start=10) == [20]


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("valueBase64Binary", "QUJD", "%c = 'QUJD'"),
        ("valueBoolean", False, "deceased.ofType(boolean) = %c"),
        ("valueCode", "F", "extension('http://e/sex').value.ofType(code) = %c"),
        ("valueDate", "1980-06", "birthDate = %c"),
        ("valueDateTime", "2024-03-01T09:30:00Z", "@2024-03-01T10:30:00+01:00 = %c"),
        ("valueDecimal", 1.5, "3 / 2 = %c"),
        ("valueId", "ada", "id = %c"),
        ("valueInstant", "2024-03-01T09:30:00.000Z", "@2024-03-01T09:30:00Z = %c"),
        ("valueInteger", 2, "telecom[1].rank = %c"),
        ("valueInteger64", "2", "%c = '2'"),
        ("valueInteger64", "2", "%c = telecom[1].rank and %c > 1"),
        ("valueOid", "urn:oid:1.2.3", "%c = 'urn:oid:1.2.3'"),
        ("valueString", "Berg", "name.family = %c"),
        ("valuePositiveInt", 1, "telecom.first().rank = %c"),
        ("valueTime", "10:00", "@T09:59 < %c"),
        ("valueUnsignedInt", 0, "telecom.rank.first() > %c"),
        ("valueUri", "http://e/sex", "extension(%c).exists()"),
        ("valueUrl", "http://e", "%c = 'http://e'"),
        ("valueUuid", "urn:uuid:1", "%c = 'urn:uuid:1'"),
    ],
)
def test_constants_of_every_type_can_be_used(key, value, path):
    definition = view(columns(v=path), constant=[{"name": "c", key: value}])
    assert rows(definition, [ADA]) == [(True,)]


INVALID = {
    "no object": [],
    "empty": {},
    "no resource": {"select": [columns(id="id")]},
    "no select": {"resource": "Patient"},
    "select without columns": view({"forEach": "name"}),
    "path is a number": view({"column": [{"name": "id", "path": 1}]}),
    "no path": view({"column": [{"name": "id"}]}),
    "no name": view({"column": [{"path": "id"}]}),
    "no database name": view({"column": [{"name": "a b", "path": "id"}]}),
    "forEach is a number": view({"forEach": 1, **columns(id="id")}),
    "two iterations": view({"forEach": "name", "forEachOrNull": "name", **columns(f="family")}),
    "column is an object": view({"column": {"name": "id", "path": "id"}}),
    "same name twice": view(columns(id="id"), columns(id="id")),
    "union with other columns": view({"unionAll": [columns(a="id"), columns(b="id")]}),
    "union with other order": view(
        {"unionAll": [columns(a="id", b="id"), columns(b="id", a="id")]}
    ),
    "undefined constant": view(columns(id="%nope")),
    "integer64 of words": view(columns(v="%c"), constant=[{"name": "c", "valueInteger64": "x"}]),
    "constant without value": view(columns(id="id"), constant=[{"name": "c"}]),
    "unknown function": view(columns(id="id.frobnicate()")),
    "where not boolean": view(columns(id="id"), where=[{"path": "name.family"}]),
    "where of several": view(columns(id="id"), where=[{"path": "telecom.rank.select($this > 0)"}]),
    "where without path": view(columns(id="id"), where=[{}]),
    "collection is a word": view({"column": [{"name": "id", "path": "id", "collection": "no"}]}),
    "empty repeat": view({"repeat": [], **columns(id="id")}),
    "different types": view(columns(v="id > 1")),
    "sum of words and numbers": view(columns(v="id + 1")),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_view_is_refused(name):
    with pytest.raises(ViewError):
        run_view(INVALID[name], RESOURCES)


@pytest.mark.parametrize(
    "path",
    [
        "@@",
        "",
        "a.",
        "a..b",
        "1 +",
        "foo(",
        "a b",
        "a[",
        "'x",
        "where(",
        "a.1",
        "%",
        "a,b",
        "f(1,)",
    ],
)
def test_a_path_with_a_slip_is_refused_with_its_place(path):
    with pytest.raises(ViewError, match="at character"):
        compile_path(path, {})


@pytest.mark.parametrize(
    ("value", "kind", "low", "high"),
    [
        (1.0, None, 0.95, 1.05),
        (1, None, 0.5, 1.5),
        (1.587, None, 1.5865, 1.5875),
        ("2024", "date", "2024-01-01", "2024-12-31"),
        ("2024-02", "date", "2024-02-01", "2024-02-29"),
        (
            "2010-10-10",
            "dateTime",
            "2010-10-10T00:00:00.000+14:00",
            "2010-10-10T23:59:59.999-12:00",
        ),
        ("2010-10-10T10:30Z", None, "2010-10-10T10:30:00.000Z", "2010-10-10T10:30:59.999Z"),
        ("12:34", "time", "12:34:00.000", "12:34:59.999"),
        ("12:34:00", None, "12:34:00.000", "12:34:00.999"),
        ("no date", "date", None, None),
    ],
)
def test_boundaries_are_the_ends_of_what_the_precision_allows(value, kind, low, high):
    assert boundary(value, kind, high=False) == low
    assert boundary(value, kind, high=True) == high


def test_a_period_has_the_boundaries_of_its_ends():
    period = {"start": "2020", "end": "2021-05-01T10:00:00Z"}
    assert evaluate("lowBoundary()", period) == ["2020-01-01T00:00:00.000+14:00"]
    assert evaluate("highBoundary()", period) == ["2021-05-01T10:00:00.999Z"]


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("2020-01-01", "2020-01-02", -1),
        ("2020-01-01", "2020", None),
        ("2020-01-01T10:00:00", "2020-01-01T10:00:00.000", 0),
        ("2020-01-01T10:00:00Z", "2020-01-01T10:00:00", None),
        ("2020-01-01T23:30:00-01:00", "2020-01-02T00:30:00Z", 0),
        ("10:00", "09:59:59", 1),
    ],
)
def test_moments_compare_as_far_as_their_precision_goes(left, right, order):
    assert compare_moments(left, right) == order
    assert compare_moments(right, left) == (None if order is None else -order)


def test_a_failing_view_quotes_no_value():
    patient = {"resourceType": "Patient", "id": CANARY, "name": [{"family": CANARY}] * 2}
    broken = ("name.family", "name.family + 1", "id > 1", "-id", "name[id]", "name.family.upper()")
    for path in (*broken, "id.toQuantity().frob()", "id + 3 days"):
        with pytest.raises(CohortError) as caught:
            run_view(view(columns(v=path)), [patient])
        assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_resources_are_read_as_a_stream_and_not_changed():
    before = copy.deepcopy(RESOURCES)
    endless = (r for r in [*RESOURCES, *RESOURCES])
    assert len(run_view(view(columns(id="id")), endless)) == 4
    assert before == RESOURCES
    with pytest.raises(ViewError, match="not a JSON object"):
        run_view(view(columns(id="id")), ["text"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["a.b", "a.where(b = 'a').c", "a.exists()", "a | b", "a.b.first()"]))
@settings(max_examples=150)
def test_no_resource_makes_a_path_crash(value, path):
    resource = {"resourceType": "Patient", "a": value, "b": value}
    found = run_view(
        view({"column": [{"name": "v", "path": path, "collection": True}]}), [resource]
    )
    json.dumps(found["v"].tolist())
