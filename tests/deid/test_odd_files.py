"""Broken, odd and hostile files are cleaned or refused, without leak, quoted value or crash."""

import copy
import io
import struct
import traceback
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from healthval.deid import (
    PixelPolicy,
    Policy,
    Reason,
    Refused,
    Secret,
    audit,
    deidentify,
    deidentify_files,
)
from healthval.errors import HealthvalError, LeakFound, UsageError
from healthval.pydicom_internals import quiet

SECRET = Secret(bytes(range(32)))
NAME = b"Canaryx^Name"
EVERYTHING = Policy(options={"clean-structured-content"}, pixels=PixelPolicy(sign_off="A. Reader"))
BUNDLED = sorted(
    p for p in (Path(pydicom.data.__file__).parent / "test_files").rglob("*") if p.is_file()
)


def element(tag, vr, value, *, order="<"):
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF) + vr
    value += b"\0" * (len(value) % 2)
    if vr in (b"SQ", b"UN", b"OB", b"OW", b"UT"):
        return head + struct.pack(order + "HL", 0, len(value)) + value
    return head + struct.pack(order + "H", len(value)) + value


def implicit(tag, value):
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def item(body, *, undefined=False):
    if undefined:
        return (
            struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
            + body
            + struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
        )
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body


def undefined_sequence(tag, vr, items):
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + b"\0\0\xff\xff\xff\xff"
    return head + items + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


CLASS = element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2")
INSTANCE = element(0x00080018, b"UI", b"1.2.276.0.1")
MODALITY = element(0x00080060, b"CS", b"CT")
PATIENT = element(0x00100010, b"PN", NAME) + element(0x00100020, b"LO", b"MRN-667711")
START = CLASS + INSTANCE + MODALITY + PATIENT
IMAGE = (
    element(0x00280002, b"US", b"\1\0")
    + element(0x00280004, b"CS", b"MONOCHROME2")
    + element(0x00280010, b"US", b"\2\0")
    + element(0x00280011, b"US", b"\2\0")
    + element(0x00280100, b"US", b"\x10\0")
    + element(0x00280101, b"US", b"\x10\0")
    + element(0x00280102, b"US", b"\x0f\0")
    + element(0x00280103, b"US", b"\0\0")
)
PIXELS = element(0x7FE00010, b"OW", bytes(range(8)))
UNLISTED, ICON = 0x00540016, 0x00409096


def part10(body, syntax=b"1.2.840.10008.1.2.1", *, more=b""):
    meta = element(0x00020010, b"UI", syntax) + more
    return (
        bytes(128)
        + b"DICM"
        + element(0x00020000, b"UL", struct.pack("<L", len(meta)))
        + meta
        + body
    )


def processed(tmp_path, data, policy=EVERYTHING):
    (tmp_path / "in").mkdir(exist_ok=True)
    path = tmp_path / "in" / "file.dcm"
    path.write_bytes(data)
    return path, deidentify_files(path, tmp_path / "out", policy, SECRET)


ODD = {
    "undefined-length sequence": START + undefined_sequence(UNLISTED, b"SQ", item(PATIENT)) + IMAGE + PIXELS,
    "undefined-length item": START + undefined_sequence(UNLISTED, b"SQ", item(PATIENT, undefined=True)) + IMAGE + PIXELS,
    "defined sequence, undefined item": START + element(UNLISTED, b"SQ", item(PATIENT, undefined=True)) + IMAGE + PIXELS,
    "UN of undefined length": START + undefined_sequence(UNLISTED, b"UN", item(implicit(0x00100010, NAME))) + IMAGE + PIXELS,
    "UN of defined length": START + element(UNLISTED, b"UN", item(implicit(0x00100010, NAME))) + IMAGE + PIXELS,
    "name as UN": CLASS + INSTANCE + MODALITY + element(0x00100010, b"UN", NAME) + IMAGE + PIXELS,
    "id as UT": CLASS + INSTANCE + element(0x00100020, b"UT", NAME) + IMAGE + PIXELS,
    "a known non-sequence as sequence": START + element(0x00181030, b"SQ", item(PATIENT)) + IMAGE + PIXELS,
    "rows as sequence": START + element(0x00280032, b"SQ", item(PATIENT)) + IMAGE + PIXELS,
    "sequence inside UN in a kept text": START + element(0x00181020, b"UN", item(implicit(0x00100010, NAME))) + IMAGE + PIXELS,
    "duplicate name": START + element(0x00100010, b"PN", b"Canaryx^Twice") + IMAGE + PIXELS,
    "private sequence without creator": START + element(0x00191002, b"SQ", item(PATIENT)) + IMAGE + PIXELS,
    "private sequence of undefined length": START + undefined_sequence(0x00191002, b"UN", item(PATIENT)) + IMAGE + PIXELS,
    "padding behind the pixels": START + IMAGE + PIXELS + element(0xFFFCFFFC, b"OB", NAME),
    "private group behind the pixels": START + IMAGE + PIXELS + element(0x7FE10010, b"LO", NAME),
    "name behind the pixels": CLASS + INSTANCE + MODALITY + IMAGE + PIXELS + PATIENT,
    "text behind the last pixel": START + IMAGE + element(0x7FE00010, b"OW", bytes(range(8)) + NAME),
    "group length": element(0x00080000, b"UL", b"\x99\0\0\0") + START + element(0x00100000, b"UL", b"\7\0\0\0") + IMAGE + PIXELS,
    "garbage at the end": START + IMAGE + PIXELS + NAME,
    "a stray item delimiter ends the data set": START + struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + PATIENT + element(0x00191001, b"LO", NAME * 3),
    "a stray sequence delimiter": START + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0) + PATIENT + element(0x00191001, b"LO", NAME * 3),
    "a kept attribute of undefined length": START + undefined_sequence(0x00281201, b"OW", item(NAME)) + IMAGE + PIXELS,
    "unknown VR": START + element(0x00181999, b"ZZ", NAME) + IMAGE + PIXELS,
    "no pixels": START,
    "empty sequence": START + element(UNLISTED, b"SQ", b"") + IMAGE + PIXELS,
    "number of a strange length": START + element(0x00280009, b"US", b"\1") + IMAGE + PIXELS,
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_an_odd_file_is_cleaned(tmp_path, case):
    path, made = processed(tmp_path, part10(ODD[case]))
    assert made.files_out == 1, made.refused
    data = made.outputs[0].read_bytes()
    assert b"canaryx" not in data.lower()
    assert b"667711" not in data
    assert audit(path, made.outputs[0]) == []
    after = pydicom.dcmread(made.outputs[0])
    assert after.Modality == "CT" if b"CT" in ODD[case] else True
    if PIXELS in ODD[case]:
        assert np.array_equal(after.pixel_array.ravel(), np.arange(8, dtype="u1").view("<u2"))
    with quiet():
        list(after.iterall())


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_file_without_preamble_and_meta_is_cleaned(tmp_path, order):
    body = b"".join(
        element(tag, vr, value, order=order)
        for tag, vr, value in (
            (0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2"),
            (0x00080018, b"UI", b"1.2.276.0.1"),
            (0x00080060, b"CS", b"CT"),
            (0x00100010, b"PN", NAME),
        )
    )
    _, made = processed(tmp_path, body)
    assert made.files_out == 1
    after = pydicom.dcmread(made.outputs[0])
    assert (after.Modality, after.PatientName) == ("CT", "")


def test_an_implicit_file_without_meta_is_cleaned(tmp_path):
    body = implicit(0x00080016, b"1.2.840.10008.5.1.4.1.1.2") + implicit(0x00100010, NAME)
    _, made = processed(tmp_path, body)
    assert b"Canaryx" not in made.outputs[0].read_bytes()
    assert pydicom.dcmread(made.outputs[0]).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"


@pytest.mark.parametrize("missing", [1, 5, 7])
def test_truncated_native_pixels_are_refused(tmp_path, missing):
    data = part10(START + IMAGE + PIXELS)[:-missing]
    _, made = processed(tmp_path, data)
    assert made.refused == {Reason.DAMAGED: 1}
    assert not made.outputs


def test_a_file_cut_anywhere_is_cleaned_or_refused(tmp_path):
    whole = part10(START + undefined_sequence(UNLISTED, b"SQ", item(PATIENT)) + IMAGE + PIXELS)
    for cut in range(0, len(whole), 7):
        (tmp_path / str(cut)).mkdir()
        _, made = processed(tmp_path / str(cut), whole[:cut])
        assert made.files_in == 1
        for output in made.outputs:
            assert b"canaryx" not in output.read_bytes().lower()


def test_deflated_text_behind_the_pixels_is_removed(tmp_path):
    body = START + IMAGE + PIXELS + element(0xFFFCFFFC, b"OB", NAME)
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(body) + packer.flush()
    _, made = processed(tmp_path, part10(packed, b"1.2.840.10008.1.2.1.99"))
    after = pydicom.dcmread(made.outputs[0])
    assert 0xFFFCFFFC not in after
    assert np.array_equal(after.pixel_array.ravel(), np.arange(8, dtype="u1").view("<u2"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.UNPARSEABLE),
        (b"just some text that is no DICOM file at all, of " + NAME, Reason.UNPARSEABLE),
        (bytes(128) + b"DICM", Reason.UNPARSEABLE),
        (part10(b"", b"1.2.840.10008.1.2.1"), Reason.UNPARSEABLE),
        (part10(START, b"1.2.840.10008.1.2.1.99"), Reason.UNPARSEABLE),
        (part10(START.replace(b"4.1.1.2\0", b"4.1.1.104.1\0")), None),
        (part10(element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.104.1") + PATIENT), Reason.DOCUMENT),
        (part10(element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.9.4.1") + PATIENT), Reason.VOICE),
        (part10(PATIENT, more=element(0x00020002, b"UI", b"1.2.840.10008.1.3.10")), Reason.DICOMDIR),
        (part10(START + element(0xFFFAFFFA, b"SQ", item(element(0x04000120, b"OB", b"sign")))), Reason.SIGNED),
        (part10(START + IMAGE + undefined_sequence(0x7FE00010, b"OB", item(b"\1\2"))[:-10]), Reason.DAMAGED),
    ],
)  # fmt: skip
def test_what_cannot_be_cleaned_is_refused_by_reason(tmp_path, data, reason):
    if reason is None:
        return
    _, made = processed(tmp_path, data)
    assert made.refused == {reason: 1}
    assert not list((tmp_path / "out").rglob("*.dcm"))


def test_a_report_is_refused_by_default(tmp_path):
    body = element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.88.11") + PATIENT
    _, made = processed(tmp_path, part10(body), Policy())
    assert made.refused == {Reason.REPORT: 1}


def test_a_signature_row_of_the_table_without_signature_is_removed():
    dataset = Dataset()
    dataset.add(DataElement(0xFFFAFFFA, "SQ", Sequence([Dataset()])))
    assert 0xFFFAFFFA not in deidentify(dataset, Policy(), SECRET).dataset


def test_bottomless_nesting_is_refused(tmp_path):
    body = PATIENT
    for _ in range(1500):
        body = (
            struct.pack("<HH", 0x0054, 0x0016)
            + b"SQ\0\0\xff\xff\xff\xff"
            + item(body, undefined=True)[:-8]
        )
    _, made = processed(tmp_path, part10(START + body))
    assert made.refused == {Reason.UNPARSEABLE: 1}


@pytest.mark.filterwarnings("error")
def test_no_warning_log_or_traceback_quotes_a_value(tmp_path, caplog, capfd):
    bad = (
        START
        + element(0x00080020, b"DA", b"Canaryx20190101")
        + element(0x00200013, b"IS", b"Canaryx")
    )
    processed(tmp_path, part10(bad + IMAGE + PIXELS))
    with pytest.raises(Refused) as refused:
        deidentify(
            pydicom.dcmread(
                io.BytesIO(part10(START + element(0x00280301, b"CS", b"YES") + IMAGE + PIXELS))
            ),
            Policy(),
            SECRET,
        )
    shown = (
        "".join(traceback.format_exception(refused.value))
        + caplog.text
        + "".join(capfd.readouterr())
    )
    assert "canaryx" not in shown.lower()


def test_a_result_cannot_be_forged():
    from dataclasses import replace

    from healthval.deid import Deidentified

    with pytest.raises(TypeError):
        Deidentified(dataset=Dataset(), actions={}, changes={}, identity=(), flags=())
    with pytest.raises(TypeError):
        Deidentified(
            dataset=Dataset(), actions={}, changes={}, identity=(), flags=(), seal=object()
        )
    made = deidentify(Dataset(), Policy(), SECRET)
    with pytest.raises((TypeError, ValueError)):
        replace(made, dataset=Dataset())
    with pytest.raises(AttributeError):
        made.dataset = Dataset()
    assert "Dataset" not in repr(made)


def identifying(dataset):
    tags = {"PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"}
    with quiet():
        return {
            str(e.value) for e in dataset.iterall() if e.keyword in tags and len(str(e.value)) > 5
        }


@pytest.mark.parametrize("path", BUNDLED, ids=lambda p: p.name)
@pytest.mark.filterwarnings("ignore")
def test_every_bundled_file_comes_out_clean_and_with_its_pixels(tmp_path, path, caplog):
    try:
        before = pydicom.dcmread(path, force=True)
        before.save_as(io.BytesIO(), enforce_file_format=False)
        wanted = identifying(before)
    except Exception:
        pytest.skip("does not round-trip in pydicom")
    try:
        made = deidentify_files(path, tmp_path / "out", EVERYTHING, SECRET)
    except LeakFound:
        pytest.fail("the audit stopped a bundled file")
    if not made.outputs:
        allowed = {Reason.DICOMDIR, Reason.UNPARSEABLE, Reason.DAMAGED}
        assert set(made.refused) <= allowed
        assert (
            made.refused[Reason.UNPARSEABLE] == 0
            or path.suffix != ".dcm"
            or path.name == "no_meta.dcm"
        )
        return
    after = pydicom.dcmread(made.outputs[0])
    assert not wanted & identifying(after)
    if "PixelData" in before:
        assert pixels(before) == pixels(after)
        if not before["PixelData"].is_undefined_length:
            assert before.PixelData.startswith(after.PixelData[:-1])


def pixels(dataset):
    try:
        with quiet():
            return dataset.pixel_array.tobytes()
    except Exception as broken:
        return type(broken).__name__


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_mutation_leaks_or_crashes(tmp_path_factory, data):
    whole = bytearray(part10(START + element(UNLISTED, b"SQ", item(PATIENT)) + IMAGE + PIXELS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(132, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("fuzz")
    try:
        _, made = processed(folder, bytes(whole))
    except HealthvalError as stopped:
        assert "anaryx" not in "".join(traceback.format_exception(stopped))  # noqa: PT017
        return
    for output in made.outputs:
        assert audit(folder / "in" / "file.dcm", output) == []


def test_an_invalid_character_set_is_removed():
    dataset = Dataset()
    dataset.add(DataElement(0x00080005, "CS", "CANARYX"))
    assert 0x00080005 not in deidentify(dataset, Policy(), SECRET).dataset
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    after = deidentify(dataset, Policy(), SECRET).dataset
    assert list(after.SpecificCharacterSet) == ["", "ISO 2022 IR 87"]


def test_an_edited_output_leaves_its_source_alone():
    source = Dataset()
    source.SpecificCharacterSet, source.Modality, source.Rows = "ISO_IR 100", "CT", 5
    source.add(DataElement(0x00191010, "LO", "ACME"))
    before = copy.deepcopy(source)
    output = deidentify(source, Policy(), SECRET).dataset
    output.SpecificCharacterSet, output.Modality, output.Rows = "ISO_IR 192", "MR", 7
    assert source == before


@pytest.mark.parametrize("secret", [None, b"k" * 32, "k" * 32])
def test_without_a_secret_nothing_is_touched(tmp_path, secret):
    with pytest.raises(UsageError):
        deidentify(Dataset(), Policy(), secret)
    with pytest.raises(UsageError):
        deidentify_files(tmp_path, tmp_path / "out", Policy(), secret)
    with pytest.raises(UsageError):
        deidentify(Dataset(), None, SECRET)
    with pytest.raises(UsageError):
        deidentify(tmp_path, Policy(), SECRET)
    assert not (tmp_path / "out").exists()


def meta(dataset):
    dataset.file_meta = FileMetaDataset()
    return dataset


def test_an_object_with_an_empty_meta_gets_one():
    dataset = meta(Dataset())
    dataset.SOPInstanceUID = "1.2.276.0.1"
    after = deidentify(dataset, Policy(), SECRET).dataset
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID


def test_a_report_cut_anywhere_inside_an_element_is_refused_and_comes_back(tmp_path):
    body = START + undefined_sequence(UNLISTED, b"SQ", item(PATIENT)) + PATIENT
    whole = part10(body)
    source = tmp_path / "in.dcm"
    for cut in range(len(whole) - len(body) + 9, len(whole), 11):
        source.write_bytes(whole[:cut])
        made = deidentify_files(source, tmp_path / f"out{cut}", EVERYTHING, SECRET)
        source.write_bytes(whole)
        again = deidentify_files(source, tmp_path / f"out{cut}", EVERYTHING, SECRET)
        assert again.files_out == 1
        assert made.files_out == 0 or len(pydicom.dcmread(made.outputs[0])) < 12


@pytest.mark.parametrize("data", [b"\0\0\0\1Bud1" + bytes(500), bytes(600), b"\1\0" * 400])
def test_a_file_of_an_operating_system_is_no_dicom(tmp_path, data):
    _, made = processed(tmp_path, data)
    assert made.refused == {Reason.UNPARSEABLE: 1}
