"""Resources are read one at a time; errors are counted and located, never quoted."""

import gzip
import json
import traceback
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.cohort import read_resources, refuse_conflicts, run_view
from healthval.cohort.fhir import resources as room
from healthval.errors import CohortError

CANARY = "Zyxwolf-Qargh-7719"


def patient(i, **more):
    return {"resourceType": "Patient", "id": f"p{i}", **more}


def ndjson(resources):
    return "".join(json.dumps(r) + "\n" for r in resources).encode()


def bundle(resources):
    entries = [{"fullUrl": f"urn:uuid:{r['id']}", "resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def refused(path):
    with pytest.raises(CohortError) as caught:
        list(read_resources(path))
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown
    return str(caught.value)


def test_a_folder_of_all_formats_reads_in_order_of_name(tmp_path):
    (tmp_path / "a.ndjson").write_bytes(ndjson([patient(1), patient(2)]) + b"\n")
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(ndjson([patient(3)])))
    (tmp_path / "c.json").write_text(
        json.dumps(bundle([patient(4), patient(5)]), indent=2), encoding="utf-8"
    )
    (tmp_path / "d.json.gz").write_bytes(gzip.compress(json.dumps(patient(6)).encode()))
    (tmp_path / "e.txt").write_text(CANARY, encoding="utf-8")
    assert [r["id"] for r in read_resources(tmp_path)] == ["p1", "p2", "p3", "p4", "p5", "p6"]


def test_bundle_references_by_uuid_join_in_a_view(tmp_path):
    observation = {
        "resourceType": "Observation",
        "id": "o1",
        "subject": {"reference": "urn:uuid:p1"},
    }
    (tmp_path / "b.json").write_text(
        json.dumps(bundle([patient(1), observation])), encoding="utf-8"
    )
    view = {
        "resource": "Observation",
        "select": [{"column": [{"name": "p", "path": "subject.getReferenceKey(Patient)"}]}],
    }
    assert run_view(view, read_resources(tmp_path))["p"].tolist() == ["p1"]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.lists(JSON, max_size=4), st.integers(1, 40), st.sampled_from([None, 1]))
@settings(max_examples=80, deadline=None)
def test_a_bundle_streams_to_what_json_reads_whole(tmp_path_factory, values, chunk, indent):
    resources = [patient(i, x=value) for i, value in enumerate(values)]
    path = tmp_path_factory.mktemp("bundle") / "b.json"
    path.write_text(json.dumps(bundle(resources), indent=indent, ensure_ascii=False), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_CHUNK", chunk)
        assert list(read_resources(path)) == resources


@pytest.mark.parametrize("suffix", ["ndjson", "ndjson.gz", "json"])
def test_memory_does_not_grow_with_the_number_of_resources(tmp_path, suffix):
    def peak(n):
        many = [patient(i, pad="x" * 500) for i in range(n)]
        data = json.dumps(bundle(many)).encode() if suffix == "json" else ndjson(many)
        path = tmp_path / f"{n}.{suffix}"
        path.write_bytes(gzip.compress(data, 1) if suffix.endswith("gz") else data)
        del many, data
        tracemalloc.start()
        for _ in read_resources(path):
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    # Addresses of a Bundle's entries are remembered, some 250 bytes each, and ids of patients.
    assert peak(4000) - peak(400) < (1_500_000 if suffix == "json" else 400_000)


BROKEN = {
    "lines.ndjson": (
        ndjson([patient(1)])
        + b'{"id": "'
        + CANARY.encode()
        + b'"\n'
        + ndjson([patient(2)])
        + b"}{\n",
        "file 1 of 1: 2 lines are not JSON (first at line 2)",
    ),
    "truncated.ndjson.gz": (
        gzip.compress(ndjson([patient(i) for i in range(999)]))[:-20],
        "truncated",
    ),
    "no.gz.ndjson.gz": (ndjson([patient(1)]), "truncated or cannot be read"),
    "half.json": (
        json.dumps(bundle([patient(1, x=CANARY)])).encode()[:-9],
        "truncated or not JSON",
    ),
    "two.json": (json.dumps(patient(1)).encode() * 2, "truncated or not JSON"),
    "latin.json": (
        f'{{"resourceType": "Patient", "id": "{CANARY}é"}}'.encode("latin-1"),
        "not JSON",
    ),
    "empty.json": (b"", "truncated or not JSON"),
    "array.json": (json.dumps([patient(1)]).encode(), "is a JSON list; write a Bundle"),
    "list.ndjson": (b"[1]\n", "file 1 of 1, line 1: not a FHIR resource"),
    "typeless.ndjson": (ndjson([{"id": CANARY}]), "not a FHIR resource"),
    "entry.json": (
        json.dumps({"resourceType": "Bundle", "entry": [{"fullUrl": CANARY}]}).encode(),
        "entry 1 of the Bundle has no resource",
    ),
    "r5.ndjson": (
        ndjson([patient(1), {"resourceType": "Encounter", "class": [{"text": CANARY}]}]),
        "line 2: a resource has the shape of FHIR R5",
    ),
    "r5type.ndjson": (ndjson([{"resourceType": "GenomicStudy"}]), "FHIR R5"),
    "old.ndjson": (ndjson([{"resourceType": "MedicationOrder"}]), "older than FHIR R4"),
    "stu3.ndjson": (
        ndjson([{"resourceType": "Condition", "clinicalStatus": CANARY}]),
        "older than FHIR R4",
    ),
    "circle.ndjson": (
        ndjson(
            [
                patient(
                    1,
                    contained=[
                        {"id": "a", "x": {"reference": "#b"}},
                        {"id": "b", "x": [{"reference": "#a"}]},
                        {"id": "c", "x": {"reference": "#a"}},
                    ],
                )
            ]
        ),
        "3 contained resources refer to each other in a circle",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_input_is_refused_with_its_place(tmp_path, name):
    content, message = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    assert message in refused(tmp_path)


def test_file_names_are_not_quoted(tmp_path):
    (tmp_path / f"{CANARY}.ndjson").write_text("{", encoding="utf-8")
    assert "file 1 of 1" in refused(tmp_path)
    assert "no FHIR file found" in refused(tmp_path / CANARY)


def test_contained_chains_without_circle_are_fine():
    chain = [{"id": "a", "x": {"reference": "#b"}}, {"id": "b"}]
    assert room.check_r4(patient(1, contained=chain), "here")["id"] == "p1"


@pytest.mark.parametrize("name", ["big.ndjson", "big.json"])
def test_a_resource_of_50_mb_is_refused_without_being_held(tmp_path, name):
    (tmp_path / name).write_bytes(ndjson([patient(1, photo="x" * 50_000_000)]))
    tracemalloc.start()
    assert "larger than 16 MB" in refused(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120_000_000


def test_repetitions_pass_once_and_conflicts_are_counted():
    same = [patient(1), patient(2), patient(1), {"resourceType": "Group", "id": "p1"}]
    assert [r["id"] for r in refuse_conflicts(same)] == ["p1", "p2", "p1"]
    other = [*same, patient(2, name=CANARY), patient(2, name="x"), patient(1, active=True)]
    with pytest.raises(CohortError, match=r"2 resource ids .* \(first at resource 4\)") as caught:
        list(refuse_conflicts(other))
    assert CANARY not in "".join(traceback.format_exception(caught.value))
