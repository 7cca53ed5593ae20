"""Each option changes exactly the rows of its column."""

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr import codes
from pydicom.tag import BaseTag

from healthval.deid import (
    Flag,
    Option,
    Policy,
    Reason,
    Refused,
    Secret,
    date_offset,
    deidentify,
    uid,
)
from healthval.deid.dicom.method_codes import METHOD_CODES
from healthval.deid.dicom.profile import rules, rules_by_tag
from healthval.deid.dicom_values import shifted
from healthval.pydicom_internals import elements_of

SECRET = Secret(bytes(range(32)))
SAMPLE = {
    "DA": "20190517",
    "TM": "101500",
    "DT": "20190517101500",
    "AS": "061Y",
    "CS": "M",
    "DS": "71.5",
    "IS": "3",
    "US": 4,
    "UI": "1.2.276.0.50.7",
    "SH": "+0100",
    "OB": b"ab",
}
COLUMNS = [
    Option.RETAIN_UIDS,
    Option.RETAIN_DEVICE_IDENTITY,
    Option.RETAIN_INSTITUTION_IDENTITY,
    Option.RETAIN_PATIENT_CHARACTERISTICS,
    Option.RETAIN_FULL_DATES,
]


def sample(rule):
    tag = int(rule.tag, 16)
    if rule.vr == "SQ":
        item = Dataset()
        item.ReferencedSOPInstanceUID, item.PatientName = "1.2.276.0.9", "Doe^Jane"
        item.CodeMeaning = "kept"
        return DataElement(tag, "SQ", Sequence([item]))
    return DataElement(tag, rule.vr, SAMPLE.get(rule.vr, "Sample text"))


def object_with(*elements):
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.276.0.1"
    dataset.PatientID = "MRN-1"
    for element in elements:
        dataset.add(element)
    return dataset


def rows(option, action):
    return [
        r
        for r in rules_by_tag().values()
        if (option, action) in r.options and r.vr and int(r.tag, 16) >> 16 > 2
    ]


@pytest.mark.parametrize("option", COLUMNS)
def test_every_row_of_a_retaining_option_is_kept(option):
    wanted = rows(option, "K")
    assert len(wanted) >= 8
    for rule in wanted:
        before = sample(rule)
        without = deidentify(object_with(before), Policy(), SECRET).dataset
        with_it = deidentify(object_with(before), Policy(options={option}), SECRET).dataset
        after = with_it.get(before.tag)
        assert after is not None, rule.keyword
        if rule.vr != "SQ":
            assert after.value == before.value, rule.keyword
            assert before.tag not in without or without[before.tag].value != before.value
        else:
            assert "PatientName" not in after.value[0] or not after.value[0].PatientName
            assert after.value[0].CodeMeaning == "kept"


def test_modified_dates_move_every_date_by_one_offset_and_keep_times():
    days = date_offset(SECRET, "MRN-1")
    policy = Policy(dates="shift")
    for rule in rows(Option.RETAIN_MODIFIED_DATES, "C"):
        before = sample(rule)
        after = deidentify(object_with(before), policy, SECRET).dataset.get(before.tag)
        if rule.vr in ("DA", "DT"):
            assert after.value == shifted(before.value, rule.vr, days) != before.value
        elif rule.vr in ("TM", "SH"):
            assert after.value == before.value
        else:
            assert after is None or after.value != before.value


@pytest.mark.parametrize("value", ["2019", "201905", "20190230", "yesterday", "20190517-20190601"])
def test_a_date_that_cannot_be_shifted_is_removed(value):
    dataset = object_with(DataElement(0x0008002A, "DT", "20190517"))
    dataset.add(DataElement(0x0008002A, "DT", value, already_converted=True))
    after = deidentify(dataset, Policy(dates="shift"), SECRET).dataset
    assert after.get("AcquisitionDateTime", "") == ""


def test_without_a_patient_id_dates_cannot_be_shifted():
    dataset = object_with(DataElement(0x00080020, "DA", "20190517"))
    dataset.PatientID = " "
    with pytest.raises(Refused) as refused:
        deidentify(dataset, Policy(dates="shift"), SECRET)
    assert refused.value.reason is Reason.NO_PATIENT_ID


def test_a_kept_calibration_date_is_still_shifted_when_dates_are():
    dataset = object_with(DataElement(0x0018700C, "DA", "20190517"))
    both = Policy(options={"retain-device-identity"}, dates="shift")
    after = deidentify(dataset, both, SECRET).dataset
    assert after.DateOfLastDetectorCalibration == shifted(
        "20190517", "DA", date_offset(SECRET, "MRN-1")
    )


@pytest.mark.parametrize(
    ("age", "kept"), [("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("011M", "011M")]
)
def test_ages_over_89_are_one_group(age, kept):
    dataset = object_with(DataElement(0x00101010, "AS", age))
    policy = Policy(options={"retain-patient-characteristics"})
    assert deidentify(dataset, policy, SECRET).dataset.PatientAge == kept


def test_clean_descriptors_keeps_medical_words_and_no_others():
    policy = Policy(options={"clean-descriptors"})
    dataset = object_with()
    dataset.PatientName = "Contrast^Mary"
    dataset.SeriesDescription = "CT chest w contrast 5mm Mrs Miller, born 1.2.1950, phone 555 123"
    dataset.StudyDescription = "Follow up for Jane Roe 4711"
    after = deidentify(dataset, policy, SECRET).dataset
    assert after.SeriesDescription == "CT chest w 5mm"
    assert after.StudyDescription == "Follow up for"
    basic = deidentify(dataset, Policy(), SECRET).dataset
    assert "SeriesDescription" not in basic


def test_clean_descriptors_keeps_codes_of_standard_schemes_only():
    standard, local = Dataset(), Dataset()
    standard.CodeValue, standard.CodingSchemeDesignator, standard.CodeMeaning = (
        "51185008",
        "SCT",
        "Chest of Jane Roe",
    )
    local.CodeValue, local.CodingSchemeDesignator, local.CodeMeaning = (
        "X1",
        "99STMARYS",
        "CT Miller",
    )
    dataset = object_with(DataElement(0x0040100A, "SQ", Sequence([standard, local])))
    after = deidentify(dataset, Policy(options={"clean-descriptors"}), SECRET).dataset
    first, second = after.ReasonForRequestedProcedureCodeSequence
    assert (first.CodeValue, first.CodeMeaning) == (
        "51185008",
        "Thoracic structure (body structure)",
    )
    assert second.CodeMeaning == "REMOVED"


@pytest.mark.parametrize(
    ("scheme", "code", "before", "after"),
    [
        ("DCM", "121008", "Person Observer Name", "Person Observer Name"),
        ("UCUM", "mm", "millimeter", "mm"),
        ("DCM", "121008", "Dr. Jane Roe", "Person Observer Name"),
        ("SCT", "1", "Jane Roe", "REMOVED"),
    ],
)
def test_a_code_keeps_or_gets_the_meaning_that_the_standard_gives_it(scheme, code, before, after):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, scheme, before
    dataset = object_with(DataElement(0x0040100A, "SQ", Sequence([item])))
    made = deidentify(dataset, Policy(options={"clean-descriptors"}), SECRET).dataset
    assert made.ReasonForRequestedProcedureCodeSequence[0].CodeMeaning == after


def test_a_retained_date_that_is_no_date_is_removed():
    dataset = object_with(DataElement(0x0008002A, "DT", "20190517"))
    dataset.add(DataElement(0x0008002A, "DT", "Roe^Jane", already_converted=True))
    assert "AcquisitionDateTime" not in deidentify(dataset, Policy(dates="keep"), SECRET).dataset


@pytest.mark.parametrize("vr", ["LO", "UN", "OB", "UT"])
@pytest.mark.parametrize("tag", [0x00180050, 0x00200013, 0x00280030])
def test_words_where_a_number_should_be_go(tag, vr):
    prose = "Mother is Anna, tel 555 1234"
    value = prose.encode() if vr == "OB" else prose
    if vr != "UN":  # pydicom reads a known tag's UN as its own VR
        dataset = object_with(DataElement(tag, vr, value))
        assert tag not in deidentify(dataset, Policy(), SECRET).dataset
    raw = RawDataElement(BaseTag(tag), vr, len(prose), prose.encode(), 0, False, True)
    dataset = object_with()
    elements_of(dataset)[BaseTag(tag)] = raw
    assert tag not in deidentify(dataset, Policy(), SECRET).dataset
    number = RawDataElement(BaseTag(tag), vr, 4, b"1.5 ", 0, False, True)
    elements_of(dataset)[BaseTag(tag)] = number
    kept = deidentify(dataset, Policy(), SECRET).dataset.get_item(tag)
    assert vr == "UT" or kept.value == b"1.5 "


def test_a_value_put_off_whose_file_is_gone_is_refused_without_its_path(tmp_path):
    path = tmp_path / "Roe_Jane.dcm"
    object_with(DataElement(0x00204000, "LT", "x" * 500)).save_as(path, implicit_vr=True)
    late = pydicom.dcmread(path, defer_size=100, force=True)
    path.unlink()
    with pytest.raises(Refused) as refused:
        deidentify(late, Policy(), SECRET)
    assert refused.value.reason is Reason.UNREADABLE
    assert "Roe" not in str(refused.value)


def report():
    dataset = object_with()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    number, text, person, code = Dataset(), Dataset(), Dataset(), Dataset()
    measured = Dataset()
    measured.NumericValue = 12.5
    number.ValueType, number.MeasuredValueSequence = "NUM", [measured]
    text.ValueType, text.TextValue = "TEXT", "Nodule in the left lung of Jane Roe"
    person.ValueType, person.PersonName = "PNAME", "Roe^Jane"
    concept = Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = (
        "39607008",
        "SCT",
        "Lung",
    )
    code.ValueType, code.ConceptCodeSequence = "CODE", [concept]
    dataset.ContentSequence = [number, text, person, code]
    return dataset


def test_a_report_needs_clean_structured_content_and_keeps_codes_and_numbers():
    with pytest.raises(Refused) as refused:
        deidentify(report(), Policy(), SECRET)
    assert refused.value.reason is Reason.REPORT
    policy = Policy(options={"clean-structured-content"})
    number, text, person, code = deidentify(report(), policy, SECRET).dataset.ContentSequence
    assert number.MeasuredValueSequence[0].NumericValue == 12.5
    assert text.TextValue == "Nodule in the left lung of"
    assert "Roe" not in str(person)
    assert code.ConceptCodeSequence[0].CodeMeaning == "Lung"


def overlay(kind):
    return [
        DataElement(0x60000010, "US", 8),
        DataElement(0x60000011, "US", 8),
        DataElement(0x60000022, "LO", "drawn by Roe"),
        DataElement(0x60000040, "CS", kind),
        DataElement(0x60000050, "SS", [1, 1]),
        DataElement(0x60000100, "US", 1),
        DataElement(0x60000102, "US", 0),
        DataElement(0x60003000, "OW", bytes(8)),
        DataElement(0x60001500, "LO", "Roe"),
        DataElement(0x60004000, "LT", "Roe"),
    ]


def test_clean_graphics_keeps_regions_of_interest_and_no_words():
    policy = Policy(options={"clean-graphics"})
    after = deidentify(object_with(*overlay("R")), policy, SECRET).dataset
    assert after.overlay_array(0x6000).shape == (8, 8)
    assert "Roe" not in str(after)
    drawn = deidentify(object_with(*overlay("G")), policy, SECRET).dataset
    assert not [e for e in drawn if e.tag.group == 0x6000]
    basic = deidentify(object_with(*overlay("R")), Policy(), SECRET).dataset
    assert not [e for e in basic if e.tag.group == 0x6000]


def test_clean_graphics_keeps_drawings_without_their_text():
    line, words, annotation = Dataset(), Dataset(), Dataset()
    line.GraphicType, line.GraphicData = "POLYLINE", [1.0, 2.0, 3.0, 4.0]
    words.UnformattedTextValue = "Roe"
    annotation.GraphicObjectSequence, annotation.TextObjectSequence = [line], [words]
    dataset = object_with(DataElement(0x00700001, "SQ", Sequence([annotation])))
    after = deidentify(dataset, Policy(options={"clean-graphics"}), SECRET).dataset
    assert list(after.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData) == [
        1,
        2,
        3,
        4,
    ]
    assert "Roe" not in str(after)
    basic = deidentify(dataset, Policy(), SECRET).dataset
    assert len(basic.GraphicAnnotationSequence) == 1
    assert "GraphicObjectSequence" not in basic.GraphicAnnotationSequence[0]


def private_object():
    dataset = object_with()
    siemens = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    siemens.add_new(0x0C, "IS", "1000")
    siemens.add_new(0x08, "CS", "IMAGE NUM 4")
    acme = dataset.private_block(0x0019, "ACME", create=True)
    acme.add_new(0x0C, "IS", "77")
    return dataset


def test_safe_private_keeps_the_listed_attributes_of_their_creator_only():
    after = deidentify(private_object(), Policy(options={"retain-safe-private"}), SECRET).dataset
    kept = [(e.tag, e.value) for e in after if e.tag.is_private]
    assert kept == [(0x00190010, "SIEMENS MR HEADER"), (0x0019100C, 1000)]
    own = Policy(options={"retain-safe-private"}, private_allowlist={("ACME", 0x0019, 0x0C)})
    after = deidentify(private_object(), own, SECRET).dataset
    assert [e.value for e in after if e.tag.is_private] == ["ACME", 77]
    assert not [
        e for e in deidentify(private_object(), Policy(), SECRET).dataset if e.tag.is_private
    ]


def test_an_unknown_public_tag_stays_only_when_listed():
    dataset = object_with(DataElement(0x00181FFE, "LO", "new in 2030"))
    assert 0x00181FFE not in deidentify(dataset, Policy(), SECRET).dataset
    listed = Policy(public_allowlist={0x00181FFE})
    assert deidentify(dataset, listed, SECRET).dataset[0x00181FFE].value == "new in 2030"


def test_retained_uids_and_references_stay_and_are_flagged():
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = "1.2.276.0.8"
    dataset = object_with()
    dataset.ReferencedImageSequence = [reference]
    made = deidentify(dataset, Policy(options={"retain-uids"}), SECRET)
    assert made.dataset.SOPInstanceUID == "1.2.276.0.1"
    assert made.dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.276.0.8"
    assert Flag.RETAINED_UIDS in made.flags
    basic = deidentify(dataset, Policy(), SECRET).dataset
    assert basic.ReferencedImageSequence[0].ReferencedSOPInstanceUID == uid(SECRET, "1.2.276.0.8")


@pytest.mark.parametrize(
    ("policy", "expected", "dates"),
    [
        (Policy(), {"113100"}, "REMOVED"),
        (Policy(dates="shift"), {"113100", "113107"}, "MODIFIED"),
        (Policy(dates="keep"), {"113100", "113106"}, "UNMODIFIED"),
        (
            Policy(options=[o for o in Option if o not in (Option.RETAIN_FULL_DATES, Option.CLEAN_PIXEL_DATA)]),
            {"113100", "113103", "113104", "113105", "113107", "113108", "113109", "113110", "113111", "113112"},
            "MODIFIED",
        ),
    ],
)  # fmt: skip
def test_the_output_records_the_method(policy, expected, dates):
    after = deidentify(object_with(), policy, SECRET).dataset
    assert after.PatientIdentityRemoved == "YES"
    assert after.LongitudinalTemporalInformationModified == dates
    assert {item.CodeValue for item in after.DeidentificationMethodCodeSequence} == expected
    assert {item.CodingSchemeDesignator for item in after.DeidentificationMethodCodeSequence} == {
        "DCM"
    }
    assert "healthval" in after.DeidentificationMethod


def test_method_codes_are_those_of_cid_7050():
    published = {c.value: c.meaning for c in codes.CID7050.concepts.values()}
    assert all(published[value] == meaning for value, meaning in METHOD_CODES.values())


def test_x_z_and_d_follow_the_type_in_the_iod():
    def acquired(sop_class, tag, vr, value):
        dataset = object_with(DataElement(tag, vr, value))
        dataset.SOPClassUID = sop_class
        return deidentify(dataset, Policy(), SECRET).dataset.get(tag)

    ct, enhanced, pet = (f"1.2.840.10008.5.1.4.1.1.{s}" for s in ("2", "2.1", "128"))
    moment = (0x0008002A, "DT", "20190517101500")
    assert acquired(ct, *moment) is None  # type 3
    assert acquired(enhanced, *moment).value == "19000101000000"  # type 1C
    day = (0x00080022, "DA", "20190517")
    assert acquired(ct, *day) is None
    assert acquired(pet, *day).value == ""  # type 2
    serial = (0x00181000, "LO", "SN-4711")
    assert acquired(ct, *serial) is None
    assert acquired(enhanced, *serial).value == "REMOVED"
    assert acquired("1.2.3.4", *serial) is None


def test_an_operators_institution_is_emptied_where_its_sequence_demands_it():
    person = Dataset()
    person.InstitutionName = "St Mary's"
    dataset = object_with(DataElement(0x0040A078, "SQ", Sequence([person])))
    # AuthorObserverSequence itself is removed; an unlisted sequence gives no type, so X applies.
    assert "AuthorObserverSequence" not in deidentify(dataset, Policy(), SECRET).dataset


def test_pixels_of_a_memory_object_are_those_of_the_source():
    dataset = object_with(DataElement(0x7FE00010, "OW", np.arange(8, dtype="u2").tobytes()))
    assert deidentify(dataset, Policy(), SECRET).dataset.PixelData == dataset.PixelData


def test_every_option_column_is_known():
    used = {option for rule in rules() for option, _ in rule.options}
    assert used == set(Option) - {Option.CLEAN_PIXEL_DATA}
