"""Text that a person typed is removed from every attribute; codes and numbers stay."""

import io

import pydicom
import pytest
from pydicom import config
from pydicom.data import get_testdata_file
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from healthval.deid import Policy, Secret, deidentify
from healthval.deid.dicom.attributes import _SAFE_TEXT
from healthval.deid.dicom.profile import rules_by_tag
from healthval.deid.dicom_values import safe_age

SECRET = Secret(b"a secret of the test, longer than 32 bytes")
TEXTS = sorted(
    tag
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items()
    if vr in ("LO", "SH", "ST", "LT", "UT", "UC")
    and keyword not in _SAFE_TEXT
    and tag not in rules_by_tag()
    and tag >> 16 not in (0x0000, 0x0002)
)


@pytest.mark.parametrize("depth", [0, 1])
def test_no_attribute_of_text_keeps_a_word_outside_the_vocabulary(depth):
    dataset = Dataset()
    for tag in TEXTS:
        dataset.add_new(tag, DicomDictionary[tag][0], "chest Rosalindq")
    if depth:
        outer = Dataset()
        outer.BeamSequence = Sequence([dataset])
        dataset = outer
    done = deidentify(dataset, Policy(), SECRET).dataset
    assert "Rosalindq" not in str(done)
    inner = done.BeamSequence[0] if depth else done
    kept = [keyword_for_tag(e.tag) for e in inner if e.value == "chest"]
    assert "SegmentLabel" in kept


def code(value, scheme, meaning):
    item = Dataset()
    parts = {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}
    for keyword, text in parts.items():
        if text is not None:
            setattr(item, keyword, text)
    return item


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("39607008", "SCT", "Lung"), ("39607008", "SCT", "Lung")),
        (("39607008", "SCT", "Rosalind"), ("39607008", "SCT", "Lung structure (body structure)")),
        (("7", "99BIRKENAU", "Rosalind"), ("0", "99REMOVED", "REMOVED")),
        (("Rosalind", None, "Lung"), ("0", "99REMOVED", "REMOVED")),
        (("Rosalind", None, None), ("0", "99REMOVED", "REMOVED")),
    ],
)
def test_standard_codes_stay_and_local_ones_become_placeholders(given, expected):
    dataset = Dataset()
    dataset.AnatomicRegionSequence = Sequence([code(*given)])
    item = deidentify(dataset, Policy(), SECRET).dataset.AnatomicRegionSequence[0]
    assert (item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [("045Y", "045Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("999M", "999M")]
    + [(text, None) for text in ("95Y", "95", "095", "95 Y", "Y095", "095y", "1100M", "")],
)
def test_ages_above_89_become_90_and_malformed_ones_go(age, expected):
    assert safe_age(age) == expected


@pytest.mark.parametrize("last", [b"\n", b"\r"])
def test_a_binary_secret_may_end_with_a_line_end_byte(tmp_path, last):
    (tmp_path / "key").write_bytes(bytes(range(1, 32)) + last)
    assert Secret.from_file(tmp_path / "key").digest("a", "b")


def test_a_local_scheme_leaves_neither_its_owner_nor_its_oid():
    local, standard, dataset = Dataset(), Dataset(), Dataset()
    local.CodingSchemeDesignator, local.CodingSchemeUID = "99BIRKENAU", "1.2.276.0.7230010.99"
    local.CodingSchemeRegistry = "Rosalind"
    standard.CodingSchemeDesignator, standard.CodingSchemeUID = "SCT", "2.16.840.1.113883.6.96"
    dataset.CodingSchemeIdentificationSequence = Sequence([local, standard])
    dataset.ContextGroupExtensionCreatorUID = "1.2.276.0.7230010.99.1"
    done = deidentify(dataset, Policy(), SECRET).dataset
    first, second = done.CodingSchemeIdentificationSequence
    assert first.to_json_dict() == {"00080102": {"vr": "SH", "Value": ["99REMOVED"]}}
    assert second.CodingSchemeUID == "2.16.840.1.113883.6.96"
    assert "7230010" not in str(done)


def test_labels_of_frames_keep_their_place_and_stacks_their_number():
    dataset = Dataset()
    dataset.FrameLabelVector, dataset.StackID = ["Rosalind", "chest", "Ada"], "12"
    done = deidentify(dataset, Policy(), SECRET).dataset
    assert list(done.FrameLabelVector) == ["", "chest", ""]
    assert done.StackID == "12"
    dataset.StackID = "Rosalind"
    assert "StackID" not in deidentify(dataset, Policy(), SECRET).dataset


@pytest.mark.parametrize("keyword", ["CodeValue", "CodeMeaning", "CodingSchemeDesignator"])
def test_a_code_outside_an_item_is_removed(keyword):
    dataset = Dataset()
    setattr(dataset, keyword, "Rosalind")
    assert keyword not in deidentify(dataset, Policy(), SECRET).dataset


@pytest.mark.parametrize("form", ["explicit", "implicit", "in memory"])
def test_words_in_place_of_a_uid_go_and_uids_of_classes_stay(form):
    source = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    with config.disable_value_validation():
        source.RelatedGeneralSOPClassUID = ["1.2.840.10008.5.1.4.1.1.2", "Dr. Winterkorn"]
        source.ContextUID = "1.2.840.10008.Winterkorn"
        source.SOPClassesSupported = ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"]
        source.MappingResourceUID = ""
        if form != "in memory":
            written = io.BytesIO()
            source.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2" + ".1" * (form == "explicit")
            source.save_as(written, implicit_vr=form == "implicit", little_endian=True)
            source = pydicom.dcmread(io.BytesIO(written.getvalue()))
        output = deidentify(source, Policy(), SECRET).dataset
    assert "RelatedGeneralSOPClassUID" not in output
    assert "ContextUID" not in output
    assert len(output.SOPClassesSupported) == 2
    assert output.MappingResourceUID in ("", None)
