"""The fast parser returns the same elements as pydicom, which reads all unusual forms."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from healthval.deid.dicom.elements import items_of, usual_elements
from healthval.pydicom_internals import elements_of, parent_encoding, quiet, with_fields

TEXTS = st.text("ABC 0189", max_size=12)
SEQUENCES = ["ReferencedImageSequence", "SourceImageSequence", "IconImageSequence"]
ENCODINGS = [(False, True), (True, True), (False, False)]


def datasets(depth):
    plain = st.fixed_dictionaries(
        {},
        optional={
            "StudyDescription": TEXTS,
            "StationName": TEXTS,
            "Rows": st.integers(0, 9),
            "ReferencedSOPInstanceUID": st.just("1.2.3"),
            "TextValue": TEXTS,
            "SpecificCharacterSet": st.sampled_from(["ISO_IR 100", "ISO_IR 192"]),
        },
    )
    below = st.lists(datasets(depth - 1), max_size=2) if depth else st.just([])
    nested = st.dictionaries(st.sampled_from(SEQUENCES), below, max_size=2 if depth else 0)
    return st.builds(_dataset, plain, nested, st.booleans())


def _dataset(values, nested, undefined):
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    for keyword, items in nested.items():
        setattr(made, keyword, Sequence(items))
        made[keyword].is_undefined_length = undefined
    made.is_undefined_length_sequence_item = undefined
    return made


def encoded(items, encoding):
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = encoding
    element = Dataset()
    element.ReferencedImageSequence = Sequence(items)
    with quiet():
        write_sequence(buffer, element["ReferencedImageSequence"], ["iso8859"])
    return buffer.getvalue()


def raw(value, encoding, vr="SQ"):
    return RawDataElement(BaseTag(0x00081140), vr, len(value), value, 0, *encoding)


def by_pydicom(element, source):
    return list(convert_raw_data_element(element, encoding=["iso8859"], ds=source).value)


def everything(dataset):
    """State of a data set, with its elements as they were read."""
    ignored = ("file_tell", "seq_item_tell", "_dict")
    state = {name: value for name, value in vars(dataset).items() if name not in ignored}
    state["_parent_encoding"] = _listed(parent_encoding(dataset))
    state["_read_charset"] = _listed(dataset.original_character_set)
    if not len(dataset):  # pydicom guesses the encoding of an empty item from what follows
        state["_read_implicit"] = None
    return state, [_as_read(element) for element in elements_of(dataset).values()]


def _as_read(element):
    if element.is_raw:
        return with_fields(element, value_tell=0)
    items = element.VR == "SQ" and [everything(item) for item in element.value]
    return element.tag, element.VR, items or repr(element.value)


def _listed(charset):
    return [charset] if isinstance(charset, str) else list(charset)


@given(st.lists(datasets(2), max_size=3), st.sampled_from(ENCODINGS))
def test_items_are_those_that_pydicom_reads(items, encoding):
    element, source = raw(encoded(items, encoding), encoding), Dataset()
    with quiet():
        ours, theirs = items_of(element, source), by_pydicom(element, source)
        assert [everything(item) for item in ours] == [everything(item) for item in theirs]
        assert ours == theirs


@given(st.lists(datasets(1), min_size=1, max_size=2), st.sampled_from(ENCODINGS), st.data())
def test_items_cut_short_or_altered_are_read_as_pydicom_does_or_not_at_all(items, encoding, data):
    value = bytearray(encoded(items, encoding))
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] = data.draw(st.integers(0, 255))
    value = bytes(value[: data.draw(st.integers(at, len(value)))])
    element = raw(value, encoding)
    with quiet():
        assert _read(items_of, element) == _read(by_pydicom, element)


def _read(how, element):
    try:
        return [everything(item) for item in how(element, Dataset())]
    except Exception as broken:
        return type(broken)


@pytest.mark.parametrize("at", range(8, 26))
def test_a_damaged_character_set_of_an_item_is_as_pydicom_takes_it(at):
    value = encoded([_dataset({"SpecificCharacterSet": "ISO_IR 100"}, {}, False)], (False, True))
    element = raw(value[:at] + b"\0" + value[at + 1 :], (False, True))
    with quiet():
        assert _read(items_of, element) == _read(by_pydicom, element)


@pytest.mark.parametrize("vr", ["LO", "OB"])
def test_other_elements_than_sequences_have_no_items(vr):
    assert items_of(raw(b"", (False, True), vr), Dataset()) is None


@pytest.mark.parametrize(
    "bytes_",
    [
        struct.pack("<HH2sH", 0x0008, 0x1030, b"LO", 8) + b"short",
        struct.pack("<HH2sH", 0x0008, 0x1030, b"UT", 0) + b"\0\0",
        struct.pack("<HH2sH", 0x0008, 0x1030, b"??", 0),
        struct.pack("<HH2sH", 0x0008, 0x1030, b"LO", 0) * 2,
        struct.pack("<HH2sHL", 0x0008, 0x1030, b"SQ", 0, 0xFFFFFFFF),
        struct.pack("<HH2sH", 0xFFFE, 0xE00D, b"LO", 0),
    ],
    ids=["value", "head", "vr", "twice", "undefined", "delimiter"],
)
def test_unusual_forms_are_left_to_pydicom(bytes_):
    assert usual_elements(bytes_, 0, len(bytes_), (False, True)) == ({}, 0)
