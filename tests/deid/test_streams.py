"""Compressed frames: hidden text goes, the coded image stays, broken streams are refused."""

import io
import struct
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames, get_frame

from healthval.deid import PixelPolicy, Policy, Reason, Secret, audit, deidentify, deidentify_files
from healthval.deid.audit.frames import texts_of
from healthval.deid.pixels.fragments import Layout, clean_frames
from healthval.deid.refuse import Refused

SECRET = Secret(b"a secret of the test, longer than 32 bytes")
JPEG, JPEG_LS, J2K, HTJ2K, RLE = (
    f"1.2.840.10008.1.2.{n}" for n in ("4.50", "4.80", "4.90", "4.201", "5")
)
GREY = (np.add.outer(np.arange(48), np.arange(64)) * 2).astype("u1")
TEXT = b"Dr. Winterkorn, ward 7"
ONE = Layout(frames=1, pixels=GREY.size, size=GREY.size)


def jpeg(pixels=GREY, **how):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90, **how)
    return out.getvalue()


def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def image(pixel_data, syntax=JPEG, frames=1, **more):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = "2.25.77", syntax
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, "2.25.77"
    ds.StudyInstanceUID, ds.Modality = "2.25.78", "DX"
    ds.PatientName, ds.PatientID, ds.StudyDate = "Winterkorn^Ada", "QX-55501", "20230517"
    ds.Rows, ds.Columns = GREY.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.NumberOfFrames = 8, 8, 7, frames
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.PixelData = pixel_data
    ds["PixelData"].is_undefined_length = True
    return ds


def written(tmp_path, dataset):
    dataset.save_as(tmp_path / "in.dcm")
    made = deidentify_files(tmp_path / "in.dcm", tmp_path / "out", Policy(), SECRET)
    assert made.files_out == 1, made.refused
    return pydicom.dcmread(made.outputs[0]), made.outputs[0].read_bytes()


def coded(syntax):
    ds = image(b"", "1.2.840.10008.1.2.1")
    ds.PixelData = GREY.tobytes()
    ds["PixelData"].is_undefined_length = False
    ds.compress(syntax, generate_instance_uid=False)
    return next(generate_frames(ds.PixelData, number_of_frames=1))


def cleaned(frame, syntax=JPEG, layout=ONE):
    done = clean_frames(encapsulate([frame]), syntax, layout)
    return next(generate_frames(b"".join(done.pieces), number_of_frames=1))


def decoded(frame):
    return np.asarray(Image.open(io.BytesIO(frame)))


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
@pytest.mark.parametrize("marker", [0xFE, 0xE0, 0xE1, 0xE2, 0xE8, 0xED, 0xEE, 0xEF])
def test_segments_of_applications_go_from_every_kind_of_jpeg(how, marker):
    plain = jpeg(**how)
    hidden = plain[:2] + segment(marker, TEXT) + plain[2:] + TEXT
    assert TEXT not in cleaned(hidden)
    assert np.array_equal(decoded(cleaned(hidden)), decoded(plain))
    assert cleaned(plain).rstrip(b"\0") == plain.rstrip(b"\0")


def test_a_comment_between_two_scans_is_removed():
    plain = jpeg(progressive=True)
    at = plain.rindex(b"\xff\xda")
    hidden = plain[:at] + segment(0xFE, TEXT) + plain[at:]
    assert TEXT not in cleaned(hidden)
    assert np.array_equal(decoded(cleaned(hidden)), decoded(plain))


def test_a_thumbnail_is_removed_and_the_jfif_segment_kept():
    plain = jpeg()
    at = plain.index(b"JFIF\0") - 4
    thumbnail = segment(0xE0, plain[at + 4 : at + 16] + b"\2\2" + b"winterkornqq")
    done = cleaned(plain[:at] + thumbnail + plain[at + 18 :])
    assert b"JFIF\0" in done
    assert b"winterkorn" not in done


@pytest.mark.parametrize("syntax", [JPEG_LS, J2K])
def test_comments_of_jpeg_ls_and_jpeg_2000_go(syntax, tmp_path):
    plain = coded(syntax)
    comment = segment(0xFE, TEXT) if syntax == JPEG_LS else segment(0x64, b"\0\1" + TEXT)
    at = 2 if syntax == JPEG_LS else plain.index(b"\xff\x52")
    source = image(encapsulate([plain[:at] + comment + plain[at:]]), syntax)
    after, data = written(tmp_path, source)
    assert b"interkorn" not in data
    assert np.array_equal(after.pixel_array, GREY)


def test_a_comment_in_the_header_of_a_tile_part_is_removed():
    plain = coded(J2K).rstrip(b"\0")
    at = plain.index(b"\xff\x90")
    comment = segment(0x64, b"\0\1" + TEXT)
    size = struct.pack(">L", int.from_bytes(plain[at + 6 : at + 10], "big") + len(comment))
    hidden = plain[: at + 6] + size + plain[at + 10 : at + 12] + comment + plain[at + 12 :]
    done = cleaned(hidden, J2K)
    assert TEXT not in done
    after = image(encapsulate([done]), J2K)
    assert np.array_equal(after.pixel_array, GREY)


@pytest.mark.parametrize(
    "wrong", [{"Rows": 96}, {"Rows": 24}, {"Columns": 65}, {"SamplesPerPixel": 3}]
)
@pytest.mark.parametrize("syntax", [JPEG, JPEG_LS, J2K])
def test_a_frame_of_another_size_than_its_image_is_damaged(syntax, wrong):
    frame = jpeg() if syntax == JPEG else coded(syntax)
    assert deidentify(image(encapsulate([frame]), syntax), Policy(), SECRET)
    signed = Policy(pixels=PixelPolicy(sign_off="A. Tester"))
    with pytest.raises(Refused, match="do not fit"):
        deidentify(image(encapsulate([frame]), syntax, **wrong), signed, SECRET)


def test_lines_that_a_jpeg_defines_after_its_scan_are_known_to_decoders_only():
    plain = jpeg()
    at = plain.index(b"\xff\xc0") + 5
    later = (
        plain[:at] + b"\0\0" + plain[at + 2 : -2] + segment(0xDC, plain[at : at + 2]) + plain[-2:]
    )
    layout = replace(ONE, shape=(*GREY.shape, 1))
    assert cleaned(later, layout=layout).rstrip(b"\0") == later.rstrip(b"\0")


@pytest.mark.parametrize("frame", [jpeg(), coded(J2K)])
def test_more_frames_than_an_image_announces_are_refused(frame):
    syntax = JPEG if frame[:2] == b"\xff\xd8" else J2K
    with pytest.raises(Refused, match="do not fit"):
        deidentify(image(encapsulate([frame, frame]), syntax), Policy(), SECRET)


@pytest.mark.parametrize("syntax", [J2K, HTJ2K])
def test_boxes_around_a_codestream_go(syntax):
    rows, columns = GREY.shape
    ihdr = box(b"ihdr", struct.pack(">LLHBBBB", rows, columns, 1, 7, 7, 0, 0))
    profile = box(b"colr", b"\2\0\0" + TEXT)
    file = (
        box(b"jP  ", b"\r\n\x87\n")
        + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + box(b"jp2h", ihdr + profile + box(b"res ", TEXT))
        + box(b"xml ", TEXT)
        + box(b"jp2c", coded(J2K))
        + box(b"uuid", bytes(16) + TEXT)
    )
    done = cleaned(file, syntax)
    assert TEXT not in done
    assert np.array_equal(image(encapsulate([done]), J2K).pixel_array, GREY)


@pytest.mark.parametrize("extended", [False, True])
def test_offset_tables_point_at_the_cleaned_frames(tmp_path, extended):
    plain = [jpeg(GREY), jpeg(255 - GREY), jpeg(GREY[::-1])]
    frames = [f[:2] + segment(0xFE, TEXT * n) + f[2:] for n, f in enumerate(plain)]
    if extended:
        pixels, offsets, lengths = encapsulate_extended(frames)
        more = {"ExtendedOffsetTable": offsets, "ExtendedOffsetTableLengths": lengths}
    else:
        pixels, more = encapsulate(frames, fragments_per_frame=2), {}
    after, data = written(tmp_path, image(pixels, frames=3, **more))
    assert TEXT not in data
    tables = {}
    if extended:
        tables = {"extended_offsets": (after.ExtendedOffsetTable, after.ExtendedOffsetTableLengths)}
    for number, frame in enumerate(plain):
        found = get_frame(after.PixelData, number, number_of_frames=3, **tables)
        assert np.array_equal(decoded(found), decoded(frame))
    in_memory = deidentify(image(pixels, frames=3, **more), Policy(), SECRET).dataset
    assert in_memory.PixelData == after.PixelData


def test_fragments_without_a_table_are_joined_at_the_start_of_each_frame(tmp_path):
    frames = [jpeg(GREY) + TEXT, jpeg(255 - GREY)]
    pixels = encapsulate(frames, fragments_per_frame=3, has_bot=False)
    after, data = written(tmp_path, image(pixels, frames=2))
    assert b"interkorn" not in data
    found = list(generate_frames(after.PixelData, number_of_frames=2))
    assert [decoded(f)[0, 0] for f in found] == [decoded(f)[0, 0] for f in frames]


def test_bytes_after_the_last_pixel_of_an_rle_frame_go():
    frame = coded(RLE)
    assert cleaned(frame + TEXT, RLE).rstrip(b"\0") == frame.rstrip(b"\0")
    header = bytearray(frame)
    header[40:46] = b"Winter"
    with pytest.raises(Refused):
        cleaned(bytes(header), RLE)


AVC = b"\1\x42\0\x1e\xff\xe0\0"


def box(kind, data):
    return struct.pack(">L", len(data) + 8) + kind + data


def movie(
    sei,
    *,
    extra=b"",
    entry=b"avc1",
    settings=None,
    slice_=b"\x65slice-of-a-picture",
    behind=None,
    handler=b"",
    more=b"",
):
    """MP4 file with one sample: parameter sets in the settings, then SEI and a slice."""
    behind = behind or {}
    head = b"\x06" if entry == b"avc1" else b"\x4e\1"
    units = [head + sei, slice_]
    sample = b"".join(struct.pack(">L", len(u)) + u for u in units)
    ftyp = box(b"ftyp", b"mp42\0\0\0\0mp42isom")
    settings = settings or box(b"avcC", AVC + behind.get(b"avcC", b""))
    description = bytes(42) + b"\x0aWinterkorn".ljust(32, b"\0") + b"\0\x18\xff\xff"
    table = {
        b"stsd": struct.pack(">LL", 0, 1) + box(entry, description + settings),
        b"stsz": struct.pack(">LLLL", 0, 0, 1, len(sample)),
        b"stsc": struct.pack(">LLLLL", 0, 1, 1, 1, 1),
        b"stco": struct.pack(">LLL", 0, 1, len(ftyp) + 8 + len(extra)),
    }
    boxes = (box(kind, data + behind.get(kind, b"")) for kind, data in table.items())
    stbl = box(b"stbl", b"".join(boxes))
    hdlr = box(b"hdlr", bytes(8) + b"vide" + bytes(12) + b"Winterkorn's camera\0")
    times = bytes(4) + b"\xe0\xe1\xe2\xe3" * 2 + bytes(12)
    mdhd = box(b"mdhd", times + behind.get(b"mdhd", b""))
    track = box(b"mdia", mdhd + hdlr + box(b"minf", handler + stbl))
    trak = box(b"trak", track + box(b"udta", TEXT))
    return ftyp + box(b"mdat", extra + sample) + box(b"moov", more + trak) + box(b"uuid", TEXT)


def test_text_places_and_dates_of_an_mp4_file_are_overwritten():
    plain = movie(TEXT, extra=b"Winterkorn was here")
    done = cleaned(plain, "1.2.840.10008.1.2.4.102")
    assert len(done) == len(plain) + len(plain) % 2
    assert b"interkorn" not in done
    assert b"\xe0\xe1\xe2\xe3" not in done
    assert b"\x65slice-of-a-picture" in done
    assert done.index(b"\x65slice") == plain.index(b"\x65slice")


def test_supplemental_information_of_a_byte_stream_is_removed():
    units = [b"\x67sps", b"\x68pps", b"\x06" + TEXT, b"\x65slice"]
    plain = b"".join(b"\0\0\0\1" + unit for unit in units)
    done = cleaned(plain, "1.2.840.10008.1.2.4.102")
    assert TEXT not in done
    assert [u.strip(b"\0") for u in done.split(b"\0\0\1")] == [b"", *units[:2], units[3]]


@pytest.mark.parametrize(
    ("frame", "syntax"),
    [
        (b"no stream at all", JPEG),
        (jpeg()[:-200], JPEG),
        (jpeg(), "1.2.840.10008.1.2.4.94"),
        (b"G" + bytes(187), "1.2.840.10008.1.2.4.102"),
        (b"\0\0\1\xba" + bytes(64), "1.2.840.10008.1.2.4.100"),
    ],
)
def test_a_stream_that_cannot_be_parsed_is_refused_and_the_batch_continues(tmp_path, frame, syntax):
    image(encapsulate([frame]), syntax).save_as(tmp_path / "a.dcm")
    other = image(encapsulate([jpeg()]), SOPInstanceUID="2.25.80")
    other.save_as(tmp_path / "b.dcm")
    files = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    made = deidentify_files(files, tmp_path / "out", Policy(), SECRET)
    assert made.files_out == 1
    assert made.refused in ({Reason.STREAM: 1}, {Reason.UNPARSEABLE: 1})


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_stream_is_cleaned_or_refused_and_never_an_error(data):
    syntax, frame = data.draw(st.sampled_from(FRAMES))
    broken = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(broken) // 2, len(broken)))
    with suppress(Refused):
        cleaned(bytes(broken[:cut]), syntax)
    list(texts_of(broken, 0, len(broken)))


FRAMES = [
    (JPEG, jpeg(progressive=True)),
    (JPEG_LS, coded(JPEG_LS)),
    (J2K, coded(J2K)),
    (RLE, coded(RLE)),
    ("1.2.840.10008.1.2.4.102", movie(TEXT)),
]


@pytest.mark.parametrize(
    "text", [b"2023:05:17 10:11:12", TEXT, "Winterkorn".encode("utf-16-le"), b"\0Ada\0"]
)
@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_the_audit_reads_the_segments_of_a_frame(text, order):
    plain = jpeg()
    exif = segment(0xE1, b"Exif\0\0" + order + text)
    source = image(encapsulate([plain]))
    output = deidentify(source, Policy(), SECRET).dataset
    assert audit(source, output) == []
    for count in range(1, 12):  # a fragment can end inside the segment
        output.PixelData = encapsulate([plain[:2] + exif + plain[2:]], fragments_per_frame=count)
        assert audit(source, output)
