"""Private names of pydicom: each still has the form that healthval relies on.

A failure names the part of healthval that breaks; adapt `healthval/pydicom_internals.py` first.
"""

import logging
import warnings

import pytest
from pydicom import config
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag

from healthval import pydicom_internals

TAG = BaseTag(0x00100020)
RAW = RawDataElement(TAG, "LO", 4, b"MRN1", 0, False, True)


def breaks(what):
    return f"pydicom has changed; this breaks {what}: see healthval/pydicom_internals.py"


def test_dict_of_a_data_set():
    dataset = Dataset({TAG: RAW})
    what = breaks("every look-up of the de-identification engine (deid/dicom_values.find)")
    assert isinstance(vars(dataset).get("_dict"), dict), what
    elements = pydicom_internals.elements_of(dataset)
    assert elements is vars(dataset)["_dict"], what
    assert elements.get(0x00100020) is RAW, what
    elements[BaseTag(0x00080060)] = DataElement(0x00080060, "CS", "CT")
    assert dataset.Modality == "CT", what


def test_parent_encoding_of_an_item():
    what = breaks("character sets inside sequences (deid/dicom_values.charsets)")
    item = Dataset()
    assert "_parent_encoding" in vars(item), what
    pydicom_internals.set_parent_encoding(item, ["utf8"])
    assert pydicom_internals.parent_encoding(item) == ["utf8"], what
    item.add(DataElement(0x00080020, "DA", ""))
    name = RawDataElement(BaseTag(0x00100010), "PN", 4, "Jö^".encode(), 0, False, True)
    pydicom_internals.elements_of(item)[name.tag] = name
    assert item.PatientName == "Jö^", what


@pytest.mark.parametrize(
    ("name", "value"),
    [("_read_implicit", True), ("_read_little", False), ("_read_charset", ["utf8"])],
)
def test_encoding_in_which_a_data_set_was_read(name, value):
    what = breaks("the encoding of every output (deid/dicom/engine.Engine)")
    assert name in vars(Dataset()), what
    source, target = Dataset(), Dataset()
    source.set_original_encoding(True, False, ["utf8"])
    source.is_undefined_length_sequence_item = True
    pydicom_internals.copy_encoding(source, target)
    assert vars(target)[name] == value, what
    assert target.original_encoding == (True, False), what
    assert target.original_character_set == ["utf8"], what
    assert target.is_undefined_length_sequence_item, what


@pytest.mark.parametrize("kind", [Dataset, FileMetaDataset])
def test_state_of_an_empty_data_set(kind):
    what = breaks("data sets that are built without a constructor (deid/dicom/reader)")
    elements = {BaseTag(0x00020010): RAW._replace(tag=BaseTag(0x00020010), VR="UI")}
    ours, theirs = pydicom_internals.dataset_of(kind, elements), kind(elements)
    assert vars(ours) == vars(theirs), what
    assert type(ours) is kind, what
    for name, value in vars(ours).items():
        if isinstance(value, dict):
            value["changed"] = 1
            assert "changed" not in vars(pydicom_internals.dataset_of(kind, {}))[name], what


def test_fields_of_a_raw_element():
    what = breaks("every element that the fast parser reads (deid/dicom/elements.usual_elements)")
    first = ["tag", "VR", "length", "value", "value_tell", "is_implicit_VR", "is_little_endian"]
    assert list(RawDataElement._fields[: len(first)]) == first, what
    fields = (TAG, "LO", 4, b"MRN1", 0, False, True, *pydicom_internals.RAW_DEFAULTS)
    built = pydicom_internals.raw_from_fields(fields)
    assert type(built) is RawDataElement, what
    assert built == RAW, what
    assert built.is_raw, what


def test_replacing_fields_of_a_raw_element():
    what = breaks(
        "sequences of unknown VR and trimmed pixels (deid/dicom/reader, deid/pixels/risk)"
    )
    changed = pydicom_internals.with_fields(RAW, value=b"X ", length=2)
    assert (changed.value, changed.length, changed.tag) == (b"X ", 2, TAG), what
    assert RAW.value == b"MRN1", what


def test_concepts_of_the_context_groups():
    what = breaks("the meanings of cleaned codes (deid/dicom/text.standard_meanings)")
    codes = pydicom_internals.concepts()["DCM"]["PersonObserverName"]
    assert codes["121008"][0] == "Person Observer Name", what


def test_switch_for_the_validation_of_values():
    what = breaks("the silence of pydicom (pydicom_internals.quiet): it would quote values")
    assert hasattr(config, "disable_value_validation"), what
    before = config.settings.reading_validation_mode
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pydicom_internals.quiet():
            assert config.settings.reading_validation_mode == config.IGNORE, what
            DataElement(0x00080020, "DA", "Canary")
            warnings.warn("Canary", stacklevel=1)
    assert config.settings.reading_validation_mode == before, what


def test_quiet_silences_the_loggers_of_pydicom_and_restores_them(caplog):
    level = logging.getLogger("pydicom").level
    with pydicom_internals.quiet():
        logging.getLogger("pydicom.pixels").critical("Canary")
    assert not caplog.records
    assert logging.getLogger("pydicom").level == level
