"""Honest outputs pass: our marks, a maker's words, a device's dates, a birth on the day of the study."""

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset

from healthval.deid import Policy, Secret, audit, deidentify, deidentify_files

SECRET = Secret(bytes(range(32)))
DEVICE_DATES = [0x0014407E, 0x00181200, 0x00181202, 0x00181203, 0x00181204, 0x00181205, 0x0018700C, 0x300C0127]  # fmt: skip


def source(name="Mustermann^Erika", patient="0012345", **more):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.276.0.1"
    ds.StudyInstanceUID, ds.Modality = "1.2.276.0.2", "CT"
    ds.PatientName, ds.PatientID, ds.StudyDate = name, patient, "20190517"
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return ds


def leaks(before, policy=None, after=None):
    """Leaks in an output in memory; its file must have the same ones."""
    after = after or deidentify(before, policy or Policy(), SECRET).dataset
    return [(leak.kind, leak.place) for leak in audit(before, after)]


def passes(before, folder, policy=None):
    before.save_as(folder / "in.dcm", enforce_file_format=True)
    made = deidentify_files(folder / "in.dcm", folder / "out", policy or Policy(), SECRET)
    assert audit(folder / "in.dcm", made.outputs[0]) == leaks(before, policy) == []
    return made.files_out == 1


def with_value(before, tag, vr, value):
    after = deidentify(before, Policy(), SECRET).dataset
    after.add(DataElement(tag, vr, value))
    return after


@pytest.mark.parametrize("tag", DEVICE_DATES)
def test_the_dates_a_device_keeps_with_its_identity_are_no_leak(tmp_path, tag):
    before = source()
    vr = "DT" if tag in (0x00181202, 0x0014407E, 0x300C0127) else "DA"
    before.add(DataElement(tag, vr, "20190402" if vr == "DA" else "20190402101112"))
    assert passes(before, tmp_path, Policy(options=["retain-device-identity"]))


def test_a_device_date_is_a_leak_elsewhere_or_without_the_option():
    before = source(DateOfLastCalibration="20190402")
    kept = deidentify(before, Policy(options=["retain-device-identity"]), SECRET).dataset
    kept.ContentDate = "20190402"
    assert leaks(before, after=kept) == [("date", "(0008,0023)")]
    assert leaks(before, after=with_value(before, 0x00181200, "DA", "20190402")) == [
        ("date", "(0018,1200)")
    ]


def test_a_device_date_moves_with_the_others(tmp_path):
    policy = Policy(options=["retain-device-identity"], dates="shift")
    before = source(DateOfLastCalibration="20190402")
    assert passes(before, tmp_path, policy)
    after = deidentify(before, policy, SECRET).dataset
    after.add(DataElement(0x00181200, "DA", "20190402"))
    assert leaks(before, after=after) == [("date", "(0018,1200)")]


@pytest.mark.parametrize("dates", ["keep", "shift", "remove"])
def test_a_newborn_passes(tmp_path, dates):
    assert passes(source(PatientBirthDate="20190517"), tmp_path, Policy(dates=dates))


def test_a_birth_date_is_a_leak_where_dates_are_kept():
    newborn = source(PatientBirthDate="20190517")
    after = deidentify(newborn, Policy(dates="keep"), SECRET).dataset
    after.PatientBirthDate = "20190517"
    assert leaks(newborn, after=after) == [("birth date", "(0010,0030)")]
    older = source(PatientBirthDate="19620312")
    after = deidentify(older, Policy(dates="keep"), SECRET).dataset
    after.ImageComments = "born 12.03.1962"
    assert leaks(older, after=after) == [("birth date", "(0020,4000)")]
    older.add(DataElement(0x001021D0, "DA", "19620312"))  # of the patient: no date of the study
    assert leaks(older, after=after) == [("birth date", "(0020,4000)")]


@pytest.mark.parametrize(
    "more",
    [
        {"patient": "113100"},
        {"AccessionNumber": "113100"},
        {"patient": "10008"},
        {"AccessionNumber": "10008"},
        *({"name": f"{name}^A"} for name in ("Health", "Ident", "Applic", "Remov", "Option", "Healthval", "Profi", "Confid")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dates", ["keep", "shift", "remove"])
def test_our_own_marks_are_no_leak(tmp_path, more, dates):
    assert passes(source(**more), tmp_path, Policy(dates=dates))


def test_our_marks_are_no_leak_at_their_place_only():
    before = source("Applic^A", "113100")
    text = "Basic Application Confidentiality Profile"
    assert leaks(before, after=with_value(before, 0x00204000, "LT", text)) == [
        ("name", "(0020,4000)")
    ]
    assert leaks(before, after=with_value(before, 0x00204000, "LT", "113100")) == [
        ("id", "(0020,4000)")
    ]


def test_a_dummy_is_no_leak_unless_there_is_more():
    before = source("Remov^A")
    assert leaks(before, after=with_value(before, 0x00181030, "LO", "REMOVED")) == []
    assert leaks(before, after=with_value(before, 0x00181030, "LO", "REMOVED 2"))


@pytest.mark.parametrize("tag", [0x00120063, 0x00120062, 0x00280303])
def test_another_text_in_the_place_of_a_mark_is_searched(tag):
    before = source()
    after = with_value(before, tag, "LO", "healthval 1, PS3.15 Mustermann")
    assert ("name", f"({tag >> 16:04X},{tag & 0xFFFF:04X})") in leaks(before, after=after)


def test_a_code_that_is_none_of_ours_is_searched():
    before = source()
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "12345", "DCM", "Mustermann"
    after = with_value(before, 0x00120064, "SQ", [item])
    assert {kind for kind, _ in leaks(before, after=after)} == {"name", "id"}


def test_the_marks_that_the_audit_knows_are_those_that_are_written():
    from healthval.deid.audit import allowed
    from healthval.deid.dicom import method_codes, writer

    assert dict(method_codes.METHOD_CODES.values()) == allowed.METHODS
    assert allowed.IMPLEMENTATION[0x00020012] == writer.IMPLEMENTATION_CLASS


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("Garcia^Vida", {"ManufacturerModelName": "MAGNETOM Vida"}),
        ("Light^John", {"ManufacturerModelName": "LightSpeed VCT"}),
        ("Force^May", {"ManufacturerModelName": "SOMATOM Force"}),
        ("Doe^Jane", {"Manufacturer": "SIEMENS", "OperatorsName": "SIEMENS"}),
        ("Syngo", {"SoftwareVersions": "syngo CT 2012B"}),
        ("Mixed^Ana", {"ImageType": ["ORIGINAL", "PRIMARY", "MIXED"]}),
    ],
)
def test_a_word_of_the_maker_is_no_name(tmp_path, name, more):
    assert passes(source(name, **more), tmp_path)


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (0x00081090, "Vida Garcia"),
        (0x00081090, "GARCIA_VIDA"),
        (0x00081090, "garciavida"),
        (0x00081090, "VIDA 3 FOR GARCIA"),
        (0x00081020, "Vida"),
        (0x00204000, "Vida"),
        (0x00181030, "vida chest"),
        (0x0008103E, "Garcia"),
        (0x00180022, "VIDA"),
        (0x00181000, "Vida"),
    ],
)
def test_more_of_a_name_or_a_word_elsewhere_is_one(tag, text):
    before = source("Garcia^Vida", ManufacturerModelName="MAGNETOM Vida")
    assert {kind for kind, _ in leaks(before, after=with_value(before, tag, "LO", text))} == {
        "name"
    }


def test_a_word_beyond_ascii_is_no_makers():
    before = source("Weiß^Anna", SpecificCharacterSet="ISO_IR 192")
    assert leaks(before, after=with_value(before, 0x00181020, "LO", "WEI\u1e9e 2")) == [
        ("name", "(0018,1020)")
    ]


def test_what_the_operator_knows_is_found_in_a_makers_word():
    before = source("Doe^Jane", ManufacturerModelName="MAGNETOM Vida")
    after = deidentify(before, Policy(), SECRET).dataset
    assert [leak.kind for leak in audit(before, after, known=["Vida"])] == ["known"]


@pytest.mark.parametrize(
    ("tag", "vr", "value", "is_leak"),
    [
        (0x00181150, "IS", "123456", False),
        (0x00181153, "IS", "123456", False),
        (0x00181150, "DS", "123456", False),
        (0x00204000, "LT", "123456", True),
        (0x0008103E, "LO", "CT 123456", True),
        (0x00181000, "LO", "123456", True),
        (0x00081090, "LO", "Model 123456", True),
    ],
)
def test_a_number_of_six_digits_is_an_id_where_no_number_belongs(tag, vr, value, is_leak):
    before = source(patient="123456")
    assert bool(leaks(before, after=with_value(before, tag, vr, value))) == is_leak


def test_a_number_of_seven_digits_is_an_id_in_any_text():
    before = source(patient="1234567")
    assert leaks(before, after=with_value(before, 0x00181150, "IS", "1234567")) == [
        ("id", "(0018,1150)")
    ]
    assert leaks(before, after=with_value(before, 0x00181150, "DS", "0.1234567")) == []


def test_a_year_in_the_name_of_a_model_is_no_accession_number(tmp_path):
    assert passes(source(AccessionNumber="2025", ManufacturerModelName="Model 2025"), tmp_path)
    before = source(AccessionNumber="2025")
    assert leaks(before, after=with_value(before, 0x0008103E, "LO", "no 2025"))
