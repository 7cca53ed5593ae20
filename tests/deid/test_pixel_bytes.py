"""Pixel bytes are copied unchanged in every encoding; bytes after them are removed."""

import io
import struct

import pydicom
import pytest
from pydicom.dataset import Dataset

from healthval.deid import PixelPolicy, Policy, Reason, Secret, audit, deidentify, deidentify_files
from healthval.errors import LeakFound
from healthval.pydicom_internals import quiet

SECRET = Secret(bytes(range(32)))
SIGNED_OFF = Policy(pixels=PixelPolicy(sign_off="A. Reader"))
NAME = b"Canaryq^A MRN667711 "
EXPLICIT, IMPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"
VALUES = bytes(range(1, 33))
UNDEFINED = 0xFFFFFFFF


def explicit(tag, vr, value, size=None):
    size = len(value) if size is None else size
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    long = vr in (b"OB", b"OW", b"OF", b"SQ", b"UN")
    return head + (struct.pack("<HL", 0, size) if long else struct.pack("<H", size)) + value


def implicit(tag, vr, value, size=None):
    return (
        struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value) if size is None else size) + value
    )


def header(form, *, photometric=b"MONOCHROME2 ", samples=1, bits=16, frames=None, without=()):
    us = struct.Struct("<H").pack
    parts = {
        0x00080016: (b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        0x00080018: (b"UI", b"1.2.276.0.1\0"),
        0x00080060: (b"CS", b"CT"),
        0x00100010: (b"PN", b"Canaryq^A "),
        0x00100020: (b"LO", b"MRN667711 "),
        0x00280002: (b"US", us(samples)),
        0x00280004: (b"CS", photometric),
        0x00280008: (b"IS", frames),
        0x00280010: (b"US", us(4)),
        0x00280011: (b"US", us(4)),
        0x00280100: (b"US", us(bits)),
        0x00280101: (b"US", us(bits)),
        0x00280102: (b"US", us(bits - 1)),
        0x00280103: (b"US", us(0)),
    }
    return b"".join(form(t, *p) for t, p in parts.items() if p[1] is not None and t not in without)


# A frame of one component with one table and no coded data
SMALLEST_JPEG = bytes.fromhex("ffd8 ffc0000b080004000401011100 ffda0008010100003f00 01 ffd9")


def frames_of(form):
    items = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(v)) + v for v in (b"", SMALLEST_JPEG))
    return form(0x7FE00010, b"OB", items + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0), UNDEFINED)


def part10(body, syntax=EXPLICIT):
    meta = explicit(0x00020010, b"UI", syntax.encode() + b"\0" * (len(syntax) % 2))
    return (
        bytes(128)
        + b"DICM"
        + explicit(0x00020000, b"UL", struct.pack("<L", len(meta)))
        + meta
        + body
    )


def written(tmp_path, data, policy=SIGNED_OFF):
    path = tmp_path / "in.dcm"
    path.write_bytes(data)
    made = deidentify_files(path, tmp_path / "out", policy, SECRET)
    assert made.files_out == 1, made.refused
    return path, made.outputs[0]


@pytest.mark.parametrize(
    ("body", "pixels", "syntax"),
    [
        (explicit, explicit, EXPLICIT),
        (implicit, implicit, IMPLICIT),
        (implicit, implicit, EXPLICIT),
        (explicit, explicit, IMPLICIT),
        (explicit, implicit, EXPLICIT),
        (implicit, explicit, IMPLICIT),
    ],
)
def test_native_pixels_are_unchanged_in_every_encoding(tmp_path, body, pixels, syntax):
    data = part10(header(body) + pixels(0x7FE00010, b"OW", VALUES), syntax)
    _, output = written(tmp_path, data)
    after = pydicom.dcmread(output)
    assert after.PixelData == VALUES
    assert (after.Rows, after.BitsAllocated, after.Modality) == (4, 16, "CT")
    assert after.file_meta.TransferSyntaxUID == syntax
    assert after.original_encoding[0] is (syntax == IMPLICIT)
    assert b"anaryq" not in output.read_bytes()


@pytest.mark.parametrize("form", [explicit, implicit])
def test_compressed_pixels_are_unchanged_in_every_encoding(tmp_path, form):
    data = part10(header(form) + frames_of(form), JPEG)
    with quiet():
        before = pydicom.dcmread(io.BytesIO(data)).PixelData
    _, output = written(tmp_path, data)
    after = pydicom.dcmread(output)
    assert after.PixelData == before
    assert after["PixelData"].VR == "OB"
    assert after.original_encoding[0] is False


EXPLAINED = {
    "colour": {"photometric": b"RGB ", "samples": 3, "bits": 8},
    "packed bits": {"bits": 12},
    "one bit": {"bits": 1},
    "frames with a point": {"frames": b"1.0 "},
    "no frames": {"frames": b"0 "},
}
UNEXPLAINED = {
    "subsampled colour": {"photometric": b"YBR_FULL_422", "samples": 3, "bits": 8},
    "no samples": {"without": (0x00280002,)},
    "no bits": {"without": (0x00280100,)},
    "no rows": {"without": (0x00280010,)},
    "frames in words": {"frames": b"many"},
}


@pytest.mark.parametrize("case", EXPLAINED)
def test_text_behind_the_pixels_is_removed(tmp_path, case):
    size = {"packed bits": 24, "one bit": 2, "colour": 48}.get(case, 32)
    values = bytes(range(1, size + 1))
    body = header(explicit, **EXPLAINED[case]) + explicit(0x7FE00010, b"OW", values + NAME)
    path, output = written(tmp_path, part10(body))
    assert pydicom.dcmread(output).PixelData == values
    assert audit(path, output) == []
    in_memory = deidentify(pydicom.dcmread(path), SIGNED_OFF, SECRET).dataset
    assert in_memory.PixelData == values


@pytest.mark.parametrize("case", UNEXPLAINED)
def test_text_behind_pixels_of_no_known_size_stops_the_batch(tmp_path, case):
    body = header(explicit, **UNEXPLAINED[case]) + explicit(0x7FE00010, b"OW", VALUES + NAME)
    with pytest.raises(LeakFound) as stopped:
        written(tmp_path, part10(body))
    assert b"anaryq" not in str(stopped.value).encode()
    assert not list((tmp_path / "out").glob("*/*.dcm"))


def test_a_signature_behind_the_pixels_is_refused(tmp_path):
    signature = explicit(0x04000120, b"OB", b"\1\2")
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(signature)) + signature
    data = part10(
        header(explicit) + explicit(0x7FE00010, b"OW", VALUES) + explicit(0xFFFAFFFA, b"SQ", item)
    )
    (tmp_path / "in.dcm").write_bytes(data)
    made = deidentify_files(tmp_path / "in.dcm", tmp_path / "out", SIGNED_OFF, SECRET)
    assert made.refused == {Reason.SIGNED: 1}


def test_pixels_built_in_memory_are_trimmed_and_the_source_is_left_alone():
    dataset = Dataset()
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = dataset.BitsAllocated = 8
    dataset.PixelData = bytes(64) + NAME
    assert deidentify(dataset, SIGNED_OFF, SECRET).dataset.PixelData == bytes(64)
    assert dataset.PixelData.endswith(NAME)
