"""Evidence of a batch: true counts, no value, signed, and refused when it was changed."""

import json
from collections import Counter

import pydicom
import pytest
from click.testing import CliRunner
from pydicom.data import get_testdata_file
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from healthval.cli.deid import deid_command
from healthval.cli.report import verify
from healthval.credential import Credential
from healthval.deid import Policy, Reason, Secret, deidentify_files, uid
from healthval.deid.dicom.files.evidence import policy_digest
from healthval.deid.dicom.method_codes import METHOD_CODES
from healthval.errors import HealthvalError, IntegrityError, UnknownSigner, UsageError
from healthval.report.proof.evidence import sign_evidence

SECRET = Secret(bytes(range(32)))
NAMES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm")


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in NAMES:
        pydicom.dcmread(get_testdata_file(name)).save_as(folder / name)
    (folder / "notes.txt").write_text("no DICOM", encoding="utf-8")
    return folder


# Actions of the answer key in the validation script of MIDI-B (CBIIT/MIDI_validation_script)
MIDI_B = [
    "date_shifted",
    "patid_consistent",
    "pixels_hidden",
    "pixels_retained",
    "tag_retained",
    "text_notnull",
    "text_removed",
    "text_retained",
    "uid_changed",
    "uid_consistent",
]


def test_the_method_codes_are_those_of_cid_7050():
    standard = {
        code: meaning
        for name in cid_concepts[7050]["DCM"]
        for code, (meaning, *_) in concepts["DCM"][name].items()
    }
    assert set(METHOD_CODES.values()) <= set(standard.items())


def read(out):
    return json.loads((out / "evidence.json").read_text(encoding="utf-8"))


def row(found, keyword):
    return next(one for one in found["attributes"] if one["keyword"] == keyword)


def test_counts_by_attribute_are_those_of_the_files(sources, tmp_path):
    made = deidentify_files(sources, tmp_path / "out", Policy(), SECRET)
    found = read(tmp_path / "out")
    before = [pydicom.dcmread(sources / name) for name in NAMES]
    written = before[:2]  # the others are secondary captures
    assert made.files_out == len(written)
    assert found["files"]["refused"] == dict(made.refused)
    name = row(found, "PatientName")
    assert (name["change"], name["elements"], name["files"]) == ("emptied", 2, 2)
    assert row(found, "SOPInstanceUID")["change"] == "replaced"
    n_private = sum(e.tag.is_private for d in written for e in d)
    assert row(found, "private attributes")["elements"] >= n_private > 0
    assert found["audit"]["outputs_searched"] == made.files_out
    assert found["audit"]["searched_for"]["names"] >= 2
    assert found["cid_7050"][0] == {
        "code": "113100",
        "scheme": "DCM",
        "meaning": "Basic Application Confidentiality Profile",
    }
    assert sorted(found["midi_b"]) == MIDI_B
    assert found["midi_b"]["uid_changed"] == made.actions["uids replaced"]
    assert found["midi_b"]["pixels_retained"] == made.files_out
    assert found["policy"]["sha256"] == policy_digest(Policy())


def test_evidence_contains_no_value_of_any_source(sources, tmp_path):
    deidentify_files(sources, tmp_path / "out", Policy(), SECRET)
    text = (tmp_path / "out" / "evidence.json").read_text(encoding="utf-8").casefold()
    for name in NAMES:
        for element in pydicom.dcmread(sources / name):
            if element.VR in ("PN", "DA", "UI", "LO") and element.keyword != "SOPClassUID":
                value = str(element.value).casefold()
                assert len(value) < 6 or value not in text, element.keyword


def test_a_resumed_batch_and_two_workers_have_the_same_evidence(sources, tmp_path):
    out, other = tmp_path / "out", tmp_path / "other"
    deidentify_files(sources, out, Policy(), SECRET)
    first = read(out)
    deidentify_files(sources, out, Policy(), SECRET)
    assert read(out) == first
    deidentify_files(sources, other, Policy(), SECRET, workers=2)
    assert read(other) == first
    (sources / NAMES[0]).unlink()
    deidentify_files(sources, out, Policy(), SECRET)
    assert row(read(out), "PatientName")["files"] == 1
    assert read(out)["files"]["withdrawn"] == 1


@pytest.mark.parametrize(
    "other",
    [
        Policy(options={"retain-uids"}),
        Policy(dates="shift"),
        Policy(remove={0x00181160}),
        Policy(public_allowlist={0x00181160}),
    ],
)
def test_another_policy_has_another_digest(other):
    assert policy_digest(other) != policy_digest(Policy())


def run(command, *words):
    done = CliRunner().invoke(command, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_the_command_signs_evidence_that_verify_checks(sources, tmp_path):
    key, secret, out = tmp_path / "site.key", tmp_path / "deid.secret", tmp_path / "out"
    Credential.create(key)
    secret.write_bytes(bytes(range(32)))
    secret.chmod(0o600)
    run(deid_command, sources, "-o", out, "--secret", secret, "--sign", key)
    shown = run(verify, out / "evidence.json", "--key", f"{key}.pub")
    assert "signature valid, signer trusted" in shown
    assert read(out)["policy"]["sha256"] in shown
    Credential.create(tmp_path / "other.key")
    with pytest.raises(UnknownSigner):
        run(verify, out / "evidence.json", "--key", tmp_path / "other.key.pub")
    changed = (out / "evidence.json").read_text(encoding="utf-8").replace('"emptied"', '"removed"')
    (out / "evidence.json").write_text(changed, encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"evidence\.json"):
        run(verify, out / "evidence.json", "--key", f"{key}.pub")


def signed(sources, out, key):
    deidentify_files(sources, out, Policy(), SECRET)
    sign_evidence(out, Credential.load(key) if key.exists() else Credential.create(key))


def flip_a_count(found):
    found["attributes"][0]["elements"] += 1


def drop_a_row(found):
    del found["attributes"][3]


def forgive_a_refusal(found):
    found["files"]["refused"] = {}


def edit_the_policy(found):
    found["policy"]["sha256"] = policy_digest(Policy(options={"retain-uids"}))


def edit_the_outputs(found):
    found["outputs_sha256"] = "0" * 64


CHANGES = [flip_a_count, drop_a_row, forgive_a_refusal, edit_the_policy, edit_the_outputs]


def refused_code(place, key):
    """Exit code of the command `healthval verify` in a process."""
    with pytest.raises(HealthvalError) as refused:
        run(verify, place, "--key", key)
    return refused.value.exit_code


def test_every_forgery_of_evidence_is_refused(sources, tmp_path):
    key, out, evidence = tmp_path / "site.key", tmp_path / "out", tmp_path / "out/evidence.json"
    signed(sources, out, key)
    run(verify, evidence, "--key", f"{key}.pub")
    true, signature = evidence.read_bytes(), out / "attestation.dsse.json"
    for change in CHANGES:
        found = json.loads(true)
        change(found)
        evidence.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        assert refused_code(evidence, f"{key}.pub"), change.__name__
    forger = Credential.create(tmp_path / "forger.key")
    sign_evidence(out, forger)  # the last change, with another key
    assert refused_code(evidence, f"{key}.pub")
    evidence.write_bytes(true)
    signature.unlink()
    assert refused_code(evidence, f"{key}.pub")


def test_evidence_of_another_batch_is_refused_beside_these_outputs(sources, tmp_path):
    key, out, other = tmp_path / "site.key", tmp_path / "out", tmp_path / "other"
    signed(sources, out, key)
    for path in sources.glob("*.dcm"):  # equal counts, other instances
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = dataset.SOPInstanceUID[:-2] + "77"
        dataset.save_as(path)
    signed(sources, other, key)
    names = ("evidence.json", "manifest.json", "attestation.dsse.json")
    genuine = {name: (other / name).read_bytes() for name in names}
    for name in names:
        (other / name).write_bytes((out / name).read_bytes())
    assert refused_code(other / "evidence.json", f"{key}.pub")
    for name in names:
        (other / name).write_bytes(genuine[name])
    assert "as in the evidence" in run(verify, other / "evidence.json", "--key", f"{key}.pub")
    next(other.glob("*/*.dcm")).unlink()
    assert refused_code(other / "evidence.json", f"{key}.pub")
    for path in other.glob("*/*.dcm"):
        path.unlink()
    assert "not compared" in run(verify, other / "evidence.json", "--key", f"{key}.pub")


def test_a_further_run_withdraws_the_signature_of_the_earlier_one(sources, tmp_path):
    out = tmp_path / "out"
    deidentify_files(sources, out, Policy(), SECRET)
    credential = Credential.create(tmp_path / "site.key")
    assert sign_evidence(out, credential).exists()
    deidentify_files(sources, out, Policy(), SECRET)
    assert not (out / "attestation.dsse.json").exists()


def test_a_folder_without_evidence_cannot_be_signed(tmp_path):
    credential = Credential.create(tmp_path / "site.key")
    with pytest.raises(UsageError, match="no evidence"):
        sign_evidence(tmp_path, credential)
    (tmp_path / "evidence.json").write_text("{}", encoding="utf-8")
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="no evidence"):
        sign_evidence(tmp_path, credential)


def test_a_leak_leaves_no_evidence(sources, tmp_path):
    name = "Rosalindq"
    dataset = pydicom.dcmread(sources / NAMES[0])
    dataset.PatientName, dataset.FilterType = name, name
    dataset.save_as(sources / NAMES[0])
    from healthval.errors import LeakFound

    with pytest.raises(LeakFound):
        deidentify_files(sources, tmp_path / "out", Policy(), SECRET)
    assert not (tmp_path / "out" / "evidence.json").exists()
    made = deidentify_files(sources, tmp_path / "out", Policy(), SECRET, skip_leaking=True)
    assert read(tmp_path / "out")["files"]["refused"] == dict(made.refused)
    assert Counter(made.refused)["the audit found an identifier in the output"] == 1


def of_patient(folder, number, patient, issuer=None, study="2.25.900"):
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    dataset.PatientID, dataset.StudyInstanceUID = patient, f"{study}"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number}"
    if issuer is not None:
        dataset.IssuerOfPatientID = issuer
    folder.mkdir(exist_ok=True)
    dataset.save_as(folder / f"{number}.dcm")


def test_equal_numbers_of_two_issuers_stay_two_patients(tmp_path):
    folder = tmp_path / "in"
    of_patient(folder, 1, "4711", "North", study="2.25.901")
    of_patient(folder, 2, "4711", "South", study="2.25.902")
    of_patient(folder, 3, "4711", "North ", study="2.25.903")
    made = deidentify_files(folder, tmp_path / "out", Policy(), SECRET)
    found = {d.SOPInstanceUID: str(d.PatientID) for d in map(pydicom.dcmread, made.outputs)}
    first, second, third = (found[uid(SECRET, f"2.25.{n}")] for n in (1, 2, 3))
    assert first == third != second


def test_an_object_without_an_issuer_does_not_refuse_its_study_and_two_issuers_do(tmp_path):
    of_patient(tmp_path / "in", 1, "4711", "North")
    of_patient(tmp_path / "in", 2, "4711")
    made = deidentify_files(tmp_path / "in", tmp_path / "out", Policy(), SECRET)
    assert made.files_out == 2
    of_patient(tmp_path / "in", 3, "4711", "South")
    made = deidentify_files(tmp_path / "in", tmp_path / "out", Policy(), SECRET)
    assert made.refused == {Reason.MIXED_STUDY: 3}
