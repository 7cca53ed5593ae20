"""Attestation and crate: signed files verify, and every other file is named in an error."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.aggregate import pool
from healthval.errors import IntegrityError, ReportError
from healthval.report import build, publish, seal, sign, verify, write
from healthval.report.proof.provenance import crate

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
NOW = datetime(2031, 3, 14, 15, 9, 26, tzinfo=UTC)
DIGEST = "ab" * 32
CARDS = ["card.chai.xml", "model-card.md"]
SUMMARY = ["committee.html", "committee.pdf"]


@pytest.fixture(scope="module")
def written(report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "render_pdf", lambda html: b"%PDF-" + html[:9].encode())
        write(report, folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(report, written, tmp_path):
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    seal(report, tmp_path, KEY, now=NOW)
    return tmp_path


def test_a_sealed_report_holds(folder):
    names = [
        *CARDS,
        *SUMMARY,
        "metrics.json",
        "report.html",
        "report.pdf",
        "ro-crate-metadata.json",
    ]
    names.sort()
    assert verify(folder, KEY.public_key()) == names
    assert verify(folder / "report.html", KEY.public_key()) == names


def test_the_payload_is_an_in_toto_statement_signed_by_its_pre_authentication_encoding(folder):
    envelope = json.loads((folder / "attestation.dsse.json").read_bytes())
    payload = base64.b64decode(envelope["payload"])
    kind = b"application/vnd.in-toto+json"
    signed = b"DSSEv1 28 " + kind + b" " + str(len(payload)).encode() + b" " + payload
    KEY.public_key().verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicate"]["signed_at"] == "2031-03-14T15:09:26+00:00"
    assert len(kind) == 28


@pytest.mark.parametrize(
    "name", ["metrics.json", "report.html", "report.pdf", "ro-crate-metadata.json"]
)
def test_one_changed_byte_is_found_and_the_file_named(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=f"^{name} differs"):
        verify(folder, KEY.public_key())


@pytest.mark.parametrize("name", ["report.html", "attestation.dsse.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(IntegrityError, match=f"^{name} is missing"):
        verify(folder, KEY.public_key())


def test_another_key_does_not_do(folder):
    with pytest.raises(IntegrityError, match="not signed by a trusted key"):
        verify(folder, OTHER.public_key())


def test_a_file_the_signature_does_not_cover_is_named(report, written, tmp_path):
    (tmp_path / "report.html").write_bytes(written["report.html"])
    (tmp_path / "metrics.json").write_bytes(written["metrics.json"])
    seal(report, tmp_path, KEY, now=NOW)
    (tmp_path / "report.pdf").write_bytes(b"slipped in")
    with pytest.raises(IntegrityError, match=r"^report\.pdf is not covered"):
        verify(tmp_path, KEY.public_key())
    (tmp_path / "report.pdf").rename(tmp_path / "other.pdf")
    assert "report.html" in verify(tmp_path, KEY.public_key())
    with pytest.raises(IntegrityError, match=r"^other\.pdf is not covered"):
        verify(tmp_path / "other.pdf", KEY.public_key())


def resigned(statement, key=KEY, kind="application/vnd.in-toto+json"):
    payload = json.dumps(statement).encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    return json.dumps(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind,
            "signatures": [{"keyid": "", "sig": base64.b64encode(key.sign(pae)).decode()}],
        }
    ).encode()


GOOD = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicateType": "urn:healthval:validation:v1",
    "predicate": {},
    "subject": [{"name": "report.html", "digest": {"sha256": DIGEST}}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": "https://slsa.dev/provenance/v1"},
        {"subject": []},
        {"subject": [{"name": "../report.html", "digest": {"sha256": DIGEST}}]},
        {"subject": [{"name": "/etc/passwd", "digest": {"sha256": DIGEST}}]},
        {"subject": [{"name": "report.html", "digest": {"sha256": "Canary"}}]},
        {"subject": [{"name": "report.html", "digest": {"sha1": DIGEST}}]},
        {"subject": GOOD["subject"] * 2},
        {"subject": "Canary"},
    ],
)
def test_a_statement_of_another_kind_is_refused_even_when_well_signed(change, tmp_path):
    (tmp_path / "attestation.dsse.json").write_bytes(resigned({**GOOD, **change}))
    with pytest.raises(IntegrityError, match="not a DSSE envelope of a report") as told:
        verify(tmp_path, KEY.public_key())
    assert "Canary" not in str(told.value)
    assert told.value.__cause__ is None


def test_the_payload_type_is_part_of_what_is_signed(tmp_path):
    envelope = json.loads(resigned(GOOD, kind="text/plain"))
    envelope["payloadType"] = "application/vnd.in-toto+json"
    (tmp_path / "attestation.dsse.json").write_text(json.dumps(envelope), encoding="utf-8")
    with pytest.raises(IntegrityError, match="not signed"):
        verify(tmp_path, KEY.public_key())


def test_one_good_signature_among_others_is_enough(tmp_path, folder):
    path = folder / "attestation.dsse.json"
    envelope = json.loads(path.read_bytes())
    envelope["signatures"].insert(0, {"keyid": "x", "sig": base64.b64encode(b"0" * 64).decode()})
    path.write_text(json.dumps(envelope), encoding="utf-8")
    assert verify(folder, KEY.public_key())
    envelope["signatures"] = []
    path.write_text(json.dumps(envelope), encoding="utf-8")
    with pytest.raises(IntegrityError, match="not signed"):
        verify(folder, KEY.public_key())


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_as_an_envelope_are_refused_as_such(tmp_path_factory, junk):
    folder = tmp_path_factory.mktemp("junk")
    (folder / "attestation.dsse.json").write_bytes(junk)
    with pytest.raises(IntegrityError):
        verify(folder, KEY.public_key())


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["payload", "payloadType", "signatures", "sig"]), inner, max_size=4
            )
        ),
    )
)
def test_any_json_as_an_envelope_is_refused_as_such(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("json")
    (folder / "attestation.dsse.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(IntegrityError):
        verify(folder, KEY.public_key())


@pytest.mark.parametrize("files", [{}, {"../x": DIGEST}, {"report.html": "Canary"}])
def test_only_plain_names_with_digests_are_signed(files):
    with pytest.raises(ReportError, match=f"in {len(files)} of {len(files)} file") as told:
        sign(files, KEY)
    assert "Canary" not in str(told.value)


def test_signing_twice_at_one_time_gives_the_same_bytes_and_the_time_is_the_only_difference():
    first, again = (sign({"report.html": DIGEST}, KEY, now=NOW) for _ in range(2))
    later = sign({"report.html": DIGEST}, KEY, now=NOW + timedelta(hours=1))
    assert first == again != later


def test_no_time_is_in_the_report_itself(folder):
    for name in ("report.html", "metrics.json"):
        words = re.sub(rb'src="data:[^"]*"', b"", (folder / name).read_bytes())  # coordinates
        assert b"2031-" not in words


def test_sealing_needs_a_written_report(report, tmp_path):
    with pytest.raises(ReportError, match="no written report"):
        seal(report, tmp_path, KEY)
    with pytest.raises(ReportError, match="no written report"):
        seal(report, tmp_path / "nowhere", KEY)


def test_the_crate_is_flat_linked_and_of_the_process_run_profile(folder):
    document = json.loads((folder / "ro-crate-metadata.json").read_bytes())
    entities = {entity["@id"]: entity for entity in document["@graph"]}
    assert len(entities) == len(document["@graph"])
    assert entities["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    root = entities["./"]
    assert root["conformsTo"]["@id"] in entities
    assert {"name", "description", "datePublished", "license"} <= set(root)
    run = entities["#run"]
    assert entities[run["instrument"]["@id"]]["@type"] == "SoftwareApplication"
    assert root["mentions"] == {"@id": "#run"}
    made = {"metrics.json", "report.html", "report.pdf", *CARDS, *SUMMARY}
    assert {r["@id"] for r in run["result"]} == made
    named = {x["@id"] for e in entities.values() for x in _references(e)}
    assert {n for n in named if not n.startswith("http")} <= set(entities)


def test_the_crate_has_what_its_profile_recommends(folder):
    graph = json.loads((folder / "ro-crate-metadata.json").read_bytes())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    run, root = entities["#run"], entities["./"]
    software = entities[run["instrument"]["@id"]]
    assert software["@id"].startswith("https://")
    assert {"url", "softwareVersion"} <= set(software)
    agent = entities[run["agent"]["@id"]]
    assert agent["@type"] == "Organization"
    raw = hashlib.sha256(KEY.public_key().public_bytes_raw()).digest()
    assert agent["url"] == "ni:///sha-256;" + base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert run["description"]
    assert run["actionStatus"] == "http://schema.org/CompletedActionStatus"
    for role in ("license", "author", "publisher"):
        assert entities[root[role]["@id"]]["name"]


def test_a_label_with_blanks_is_a_uri_in_the_crate(released, study, card, plan):
    sites = {f"North hospital ({i})": r for i, r in enumerate(released.values())}
    report = build(pool(tuple(sites.items())), sites, card, plan)
    entities = json.loads(crate(report, {}, NOW))["@graph"]
    assert len({e["@id"] for e in entities}) == len(entities)
    assert all(" " not in entity["@id"] for entity in entities)


def _references(entity):
    for value in entity.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield item


def test_the_crate_names_every_release_by_its_digest(folder, study):
    text = (folder / "ro-crate-metadata.json").read_text(encoding="utf-8")
    assert all(f"sha256:{site.submission_sha256}" in text for site in study.sites)
