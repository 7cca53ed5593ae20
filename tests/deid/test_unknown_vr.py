"""A sequence of unknown VR is cleaned and kept in every encoding of its items."""

import io
import struct

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence
from pydicom.sequence import Sequence

from healthval.deid import Policy, Secret, audit, deidentify, deidentify_files

SECRET = Secret(bytes(range(32)))
LITTLE, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
ENCODINGS = [(True, True), (False, True), (True, False), (False, False)]  # implicit, little


def items(undefined):
    inner = Dataset()
    inner.PatientName, inner.ExposureTime, inner.Columns = "Canaryx^Inner", "33", 515
    outer = Dataset()
    outer.PatientName, outer.SliceThickness, outer.Rows = "Canaryq^Outer", "1.25", 0x0107
    outer.SourceImageSequence = [inner]
    outer.is_undefined_length_sequence_item = undefined
    return Sequence([Dataset(), outer])


def encoded(sequence, encoding):
    buffer, holder = DicomBytesIO(), Dataset()
    buffer.is_implicit_VR, buffer.is_little_endian = encoding
    holder.ReferencedImageSequence = sequence
    write_sequence(buffer, holder["ReferencedImageSequence"], ["iso8859"])
    return buffer.getvalue()


def element(order, tag, vr, value):
    value += b"\0" * (len(value) % 2)
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF) + vr
    size = struct.pack(order + ("HL" if vr == b"UN" else "H"), *([0] * (vr == b"UN")), len(value))
    return head + size + value


def source(syntax, value, description=b"Chest"):
    order = "<" if syntax == LITTLE else ">"
    body = (
        element(order, 0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2")
        + element(order, 0x00080018, b"UI", b"1.2.276.0.1")
        + element(order, 0x00080060, b"CS", b"CT")
        + element(order, 0x0008103E, b"LO", description)
        + element(order, 0x00081140, b"UN", value)
        + element(order, 0x00100010, b"PN", b"Someone^Else")
        + element(order, 0x00100020, b"LO", b"MRN-77001")
        + element(order, 0x0020000D, b"UI", b"1.2.276.0.2")
    )
    return bytes(128) + b"DICM" + element("<", 0x00020010, b"UI", syntax.encode()) + body


@pytest.fixture(params=[LITTLE, BIG], ids=["little file", "big file"])
def syntax(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["defined", "undefined"])
def undefined(request):
    return request.param


@pytest.fixture(params=ENCODINGS, ids=str)
def value(request, undefined):
    return encoded(items(undefined), request.param)


def check(output):
    assert b"canary" not in output.lower()
    empty, outer = pydicom.dcmread(io.BytesIO(output)).ReferencedImageSequence
    assert len(empty) == 0
    assert (outer.SliceThickness, outer.Rows, outer.PatientName) == (1.25, 0x0107, "")
    assert (outer.SourceImageSequence[0].ExposureTime, outer.SourceImageSequence[0].Columns) == (
        33,
        515,
    )


def test_it_is_cleaned_and_kept(syntax, value, tmp_path):
    file = tmp_path / "in.dcm"
    file.write_bytes(source(syntax, value))
    made = deidentify_files(file, tmp_path / "out", Policy(), SECRET)
    check(made.outputs[0].read_bytes())


def test_it_is_cleaned_and_kept_in_memory(syntax, value, tmp_path):
    output = deidentify(pydicom.dcmread(io.BytesIO(source(syntax, value))), Policy(), SECRET)
    output.dataset.save_as(tmp_path / "out.dcm")
    check((tmp_path / "out.dcm").read_bytes())


@pytest.mark.parametrize("name", ["Canaryq", "Canaryx"])
def test_the_audit_knows_the_names_in_it(syntax, value, name):
    leaking = source(syntax, b"", b"of " + name.encode())
    before = source(syntax, value)
    for seen in (before, pydicom.dcmread(io.BytesIO(before))):
        assert "(0008,103E)" in {leak.place for leak in audit(seen, leaking)}


def test_the_audit_finds_a_name_that_stayed_in_it(syntax, value):
    before = source(syntax, value)
    for seen in (before, pydicom.dcmread(io.BytesIO(before))):
        places = {leak.place for leak in audit(before, seen)}
        assert "(0008,1140)>(0010,0010)" in places
        assert "(0008,1140)>(0008,2112)>(0010,0010)" in places


@pytest.mark.parametrize("depth", [20, 60, 70, 190, 600])
def test_any_depth_of_it_is_searched(depth):
    body = element("<", 0x00081030, b"LO", b"of Someone")
    for _ in range(depth):
        body = element(
            "<", 0x00540016, b"UN", struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body
        )
    after = source(LITTLE, struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body)
    before = source(LITTLE, b"")
    assert any(leak.place.startswith("(0008,1140)") for leak in audit(before, after))


# Smallest Image Pixel Value (US), Lossy Image Compression (CS), Slice Thickness (DS)
@pytest.mark.parametrize("tag", [0x00280106, 0x00282110, 0x00180050])
@pytest.mark.parametrize("vr", [b"UN", b"OB"])
def test_a_text_in_place_of_a_number_or_a_code_goes_and_a_true_value_stays(tag, vr):
    true = {0x00280106: b"\7\0", 0x00282110: b"01", 0x00180050: b"1.25"}[tag]
    is_kept = vr == b"UN" or tag == 0x00180050  # in bytes only a number in text is known for one
    for value, stays in ((b"Ermintrude Quackenbush, ward 7", False), (true, is_kept)):
        held = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + b"\0\0"
        body = source(LITTLE, b"") + held + struct.pack("<L", len(value)) + value
        dataset = pydicom.dcmread(io.BytesIO(body), defer_size=None)
        assert (tag in deidentify(dataset, Policy(), SECRET).dataset) == stays
