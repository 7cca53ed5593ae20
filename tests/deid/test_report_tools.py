"""Programs of other makers read cleaned objects as they read the originals: dsrdump, dciodvfy."""

import re
import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from healthval.deid import PixelPolicy, Policy, Secret, deidentify_files

SECRET = Secret(b"a secret of the test, longer than 32 bytes")
POLICY = Policy(options={"clean-structured-content"}, pixels=PixelPolicy(sign_off="Dr A. Reader"))
FILES = Path(pydicom.data.__file__).parent / "test_files"


def code(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def content(kind, relationship, concept, **more):
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, kind
    item.ConceptNameCodeSequence = [concept]
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


@pytest.fixture
def report(tmp_path):
    """A verified report with standard and local codes, a number, a text and a person."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.22", "1.2.276.0.5.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.276.0.5", "1.2.276.0.5.2"
    ds.Modality, ds.PatientName, ds.PatientID = "SR", "Winterkorn^Ada", "QX-55501"
    ds.PatientBirthDate, ds.PatientSex, ds.AccessionNumber = "19410307", "F", "A-778812"
    ds.StudyDate = ds.ContentDate = "20230517"
    ds.StudyTime = ds.ContentTime = "101112"
    ds.ReferringPhysicianName, ds.StudyID, ds.Manufacturer = "House^Gregory", "1", "ACME"
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.ReferencedPerformedProcedureStepSequence, ds.PerformedProcedureCodeSequence = [], []
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "VERIFIED"
    verifier = Dataset()
    verifier.VerifyingOrganization, verifier.VerificationDateTime = "Ward 7", "20230517101112"
    verifier.VerifyingObserverName = "House^Gregory"
    verifier.VerifyingObserverIdentificationCodeSequence = [code("77", "99WARD", "Winterkorn")]
    ds.VerifyingObserverSequence = [verifier]
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [code("18748-4", "LN", "Diagnostic Imaging Report")]
    measured = Dataset()
    measured.MeasurementUnitsCodeSequence = [code("mm", "UCUM", "mm")]
    measured.NumericValue = "12"
    finding = code("121071", "DCM", "Finding")
    ds.ContentSequence = [
        content("CODE", "CONTAINS", finding, ConceptCodeSequence=[code("X7", "99WARD", "Ada")]),
        content("TEXT", "CONTAINS", finding, TextValue="Seen with Dr. House, ward 7"),
        content("NUM", "CONTAINS", code("M9", "99WARD", "Size"), MeasuredValueSequence=[measured]),
        content("PNAME", "HAS OBS CONTEXT", code("121008", "DCM", "Person Observer Name"),
                PersonName="House^Gregory"),
    ]  # fmt: skip
    ds.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    return tmp_path / "report.dcm"


def program(name):
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; see tests/install_programs.sh")
    return found


def errors(tool, path):
    """Errors of a tool without UIDs, and its exit code."""
    done = subprocess.run(
        [program(tool), str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    found = {line for line in lines if line.startswith(("E: ", "Error"))}
    return done.returncode, {re.sub(r"(?<=UID )[0-9.]+", "", line) for line in found}


def cleaned(path, tmp_path):
    made = deidentify_files(path, tmp_path / "out", POLICY, SECRET)
    assert made.files_out == 1, made.refused
    return made.outputs[0]


@pytest.mark.parametrize("tool", ["dsrdump", "dciodvfy"])
def test_a_cleaned_report_has_no_new_error(report, tmp_path, tool):
    before = errors(tool, report)
    assert tool != "dsrdump" or before == (0, set())
    output = cleaned(report, tmp_path)
    after = errors(tool, output)
    assert after[1] <= before[1]
    assert after[0] <= before[0]
    assert not {b"Winterkorn", b"House", b"99WARD"} & set(
        re.findall(rb"Winterkorn|House|99WARD", output.read_bytes())
    )


@pytest.mark.parametrize(
    "name", ["reportsi.dcm", "test-SR.dcm", "CT_small.dcm", "MR_small.dcm", "rtplan.dcm"]
)
def test_dciodvfy_finds_no_new_error_in_bundled_files(name, tmp_path):
    output = cleaned(FILES / name, tmp_path)
    assert errors("dciodvfy", output)[1] <= errors("dciodvfy", FILES / name)[1]
