"""Text in tables, settings and headers of compressed frames, where a marker search finds none."""

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.pixels import pixel_array

from healthval.deid import Policy, audit, deidentify, deidentify_files
from healthval.deid.pixels.fragments import Layout, clean_frames
from healthval.deid.pixels.risk import layout_of
from healthval.deid.pixels.streams import coded_text
from healthval.deid.refuse import Refused

from .test_streams import (
    GREY,
    J2K,
    JPEG,
    JPEG_LS,
    ONE,
    RLE,
    SECRET,
    TEXT,
    cleaned,
    coded,
    decoded,
    image,
    jpeg,
    movie,
    segment,
    written,
)

H264, H265 = "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.107"
DEFLATED_FRAMES, DEFLATED = "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.1.99"
ROW = TEXT.ljust(64, b".")


def box(kind, data):
    return struct.pack(">L", len(data) + 8) + kind + data


@pytest.mark.parametrize(
    "planted",
    [
        segment(0xDB, b"\x03" + ROW),
        segment(0xC4, b"\x13" + bytes(15) + b"\x16" + TEXT[:22]),
        segment(0xC4, b"\x03" + TEXT[:16] + bytes(sum(TEXT[:16]))),
    ],
)
def test_tables_of_a_jpeg_to_which_no_component_refers_go(planted):
    plain = jpeg(restart_marker_blocks=1)
    done = cleaned(plain[:2] + planted + plain[2:])
    assert TEXT[:16] not in done
    assert np.array_equal(decoded(done), decoded(plain))


def test_an_unused_table_is_removed():
    plain = jpeg()
    at = plain.index(b"\xff\xdb")
    end = at + 2 + int.from_bytes(plain[at + 2 : at + 4], "big")
    both = segment(0xDB, plain[at + 4 : end] + b"\x02" + ROW)
    done = cleaned(plain[:at] + both + plain[end:])
    assert done.rstrip(b"\0") == plain.rstrip(b"\0")


TEXT_TABLES = [
    segment(0xDB, b"\0" + ROW),
    segment(0xC4, b"\x10" + bytes(15) + b"\x16" + TEXT[:22]),
    segment(0xCC, TEXT),
]


def test_text_in_place_of_a_huffman_table_in_use_is_refused():
    plain = jpeg()
    at = plain.index(b"\xff\xda")
    with pytest.raises(Refused):
        cleaned(plain[:at] + TEXT_TABLES[1] + plain[at:])


@pytest.mark.parametrize("planted", TEXT_TABLES)
@pytest.mark.parametrize("how", [{}, {"progressive": True}])
def test_a_table_that_is_defined_again_before_a_scan_is_removed(planted, how):
    plain = jpeg(**how)
    assert cleaned(plain[:2] + planted + plain[2:]).rstrip(b"\0") == plain.rstrip(b"\0")


@pytest.mark.parametrize("planted", TEXT_TABLES)
def test_a_table_after_the_last_scan_is_removed(planted):
    plain = jpeg()
    done = cleaned(plain[:-2] + planted + plain[-2:])
    assert done.rstrip(b"\0") == plain.rstrip(b"\0")


def test_presets_of_jpeg_ls_that_are_defined_again_are_removed():
    plain = coded(JPEG_LS)
    preset = segment(0xF8, b"\1" + struct.pack(">HHHHH", 255, 3, 7, 21, 64))
    kept = plain[:2] + preset + plain[2:]
    text = plain[:2] + segment(0xF8, b"\1Winterkorn") + preset + plain[2:]
    assert cleaned(text, JPEG_LS) == cleaned(kept, JPEG_LS)


@pytest.mark.parametrize(
    "planted",
    [
        segment(0xE8, b"SPIFF\0\1\2" + TEXT),
        segment(0xF8, b"\2\1\1" + TEXT),
        segment(0xF8, b"\3\1\1" + TEXT),
        segment(0xFE, TEXT),
        segment(0xEB, TEXT),
    ],
)
def test_directories_and_mapping_tables_of_jpeg_ls_go(planted, tmp_path):
    plain = coded(JPEG_LS)
    for at in (2, plain.index(b"\xff\xda")):
        source = image(encapsulate([plain[:at] + planted + plain[at:]]), JPEG_LS)
        after = deidentify(source, Policy(), SECRET).dataset
        assert b"interkorn" not in after.PixelData
        assert np.array_equal(after.pixel_array, GREY)


def test_preset_parameters_of_jpeg_ls_stay():
    plain = coded(JPEG_LS)
    preset = segment(0xF8, b"\1" + struct.pack(">HHHHH", 255, 3, 7, 21, 64))
    kept = plain[:2] + preset + plain[2:]
    assert cleaned(kept, JPEG_LS).rstrip(b"\0") == kept.rstrip(b"\0")


@pytest.mark.parametrize("tail", [TEXT, TEXT + b"\xff\xd9", b"\xff\xd9" + TEXT + b"\xff\xd9"])
def test_bytes_after_a_last_tile_of_unknown_length_go(tail):
    plain = coded(J2K).rstrip(b"\0")
    at = plain.index(b"\xff\x90")
    unknown = plain[: at + 6] + bytes(4) + plain[at + 10 :]
    done = cleaned(unknown + tail, J2K)
    assert TEXT not in done
    assert done == cleaned(unknown, J2K)
    assert np.array_equal(image(encapsulate([done]), J2K).pixel_array, GREY)


@pytest.mark.parametrize("marker", [0x51, 0x52, 0x5C])
def test_text_behind_the_parameters_of_a_codestream_is_refused(marker):
    plain = coded(J2K)
    at = plain.index(bytes([0xFF, marker]))
    end = at + 2 + int.from_bytes(plain[at + 2 : at + 4], "big")
    size = struct.pack(">H", end - at - 2 + len(TEXT))
    with pytest.raises(Refused):
        cleaned(plain[: at + 2] + size + plain[at + 4 : end] + TEXT + plain[end:], J2K)


SEGMENTS = [
    *(segment(marker, b"\0" + TEXT) for marker in (0x56, 0x57, 0x59, 0x63, 0x64)),
    segment(0x55, b"\0\x40" + TEXT[:20]),
]


@pytest.mark.parametrize("planted", SEGMENTS)
def test_profiles_and_wrong_lengths_of_a_codestream_go(planted):
    plain = coded(J2K)
    at = plain.index(b"\xff\x52")
    done = cleaned(plain[:at] + planted + planted + plain[at:], J2K)
    assert done.rstrip(b"\0") == cleaned(plain, J2K).rstrip(b"\0")


def in_tile(plain, planted):
    """A codestream with a segment in the header of its only tile-part."""
    at = plain.index(b"\xff\x90")
    size = struct.pack(">L", int.from_bytes(plain[at + 6 : at + 10], "big") + len(planted))
    return plain[: at + 6] + size + plain[at + 10 : at + 12] + planted + plain[at + 12 :]


def test_lengths_of_tiles_and_packets_stay_if_they_are_true():
    plain = cleaned(coded(J2K), J2K).rstrip(b"\0")
    start, at = plain.index(b"\xff\x90"), plain.index(b"\xff\x93")
    n = len(plain) - 2 - at - 2  # bytes of packets
    true = segment(0x58, bytes([0, n >> 14 | 128, n >> 7 & 127 | 128, n & 127]))
    assert cleaned(in_tile(plain, true), J2K).rstrip(b"\0") == in_tile(plain, true)
    wrong = cleaned(in_tile(plain, segment(0x58, b"\0" + TEXT)), J2K)
    assert TEXT not in wrong
    assert np.array_equal(image(encapsulate([wrong]), J2K).pixel_array, GREY)
    lengths = segment(0x55, b"\0\x40" + struct.pack(">L", len(plain) - 2 - start))
    kept = plain[:start] + lengths + plain[start:]
    assert cleaned(kept, J2K).rstrip(b"\0") == kept


@pytest.mark.parametrize("marker", [0x5E, 0x5F, 0x53, 0x5D, 0x74])
def test_text_in_optional_settings_of_a_codestream_is_refused(marker):
    plain = coded(J2K)
    at = plain.index(b"\xff\x5c")
    with pytest.raises(Refused):
        cleaned(plain[:at] + segment(marker, b"\0\0" + TEXT) + plain[at:], J2K)


def jp2(*boxes, ftyp=b"jp2 \0\0\0\0jp2 "):
    ihdr = box(b"ihdr", struct.pack(">LLHBBBB", *GREY.shape, 1, 7, 7, 0, 0))
    header = box(b"jp2h", ihdr + box(b"colr", b"\1\0\0\0\0\0\x11") + b"".join(boxes))
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", ftyp)
    return start + header + box(b"jp2c", cleaned(coded(J2K), J2K))


@pytest.mark.parametrize("kind", [b"cmap", b"cdef"])
def test_text_in_the_header_boxes_of_a_jpeg_2000_file_is_refused(kind):
    with pytest.raises(Refused):
        cleaned(jp2(box(kind, b"\0\1\1\7" + TEXT + b"..")), J2K)


UNREAD = [(b"bpcc", TEXT), (b"pclr", struct.pack(">HBB", len(TEXT), 1, 7) + TEXT)]


@pytest.mark.parametrize(("kind", "contents"), UNREAD)
def test_depths_and_palettes_that_no_decoder_reads_are_removed(kind, contents):
    assert cleaned(jp2(box(kind, contents)), J2K) == cleaned(jp2(), J2K)
    direct = box(b"cmap", b"\0\0\0\0")
    assert cleaned(jp2(box(kind, contents), direct), J2K) == cleaned(jp2(direct), J2K)


def test_a_text_in_place_of_the_depths_of_components_is_refused():
    with pytest.raises(Refused):
        cleaned(jp2(box(b"bpcc", b"W")).replace(b"\0\1\7\7\0\0", b"\0\1\xff\7\0\0"), J2K)


UNREAD_SEGMENTS = [
    segment(0x53, bytes([9, 1, len(TEXT) - 1, 4, 4, 0, 0]) + TEXT),  # a component that is missing
    segment(0x53, bytes([0, 1, 40, 4, 4, 0, 0]) + TEXT + bytes(41 - len(TEXT))),  # 40 levels
    segment(0x5D, b"\x09\0" + TEXT[:10]),
    segment(0x5D, b"\0\x40" + TEXT[:10]) * 2,
    segment(0x5C, b"\x40" + TEXT[:10]),  # a second one
    segment(0x5E, b"W\0\1"),
    segment(0x5F, TEXT[:14]),
    segment(0x50, b"\xff\xff\0\0" + TEXT.ljust(32)),
    segment(0x60, b"\0" + TEXT),
]


@pytest.mark.parametrize("planted", UNREAD_SEGMENTS)
def test_segments_of_a_codestream_that_no_decoder_reads_are_refused(planted):
    plain = coded(J2K)
    at = plain.index(b"\xff\x90")
    with pytest.raises(Refused):
        cleaned(plain[:at] + planted + plain[at:], J2K)


@pytest.mark.parametrize("planted", [segment(0x61, b"\0" + TEXT), UNREAD_SEGMENTS[0]])
def test_segments_of_a_tile_that_no_decoder_reads_are_refused(planted):
    with pytest.raises(Refused):
        cleaned(in_tile(coded(J2K), planted), J2K)


def test_parameters_of_each_component_and_an_order_of_progression_stay():
    plain = cleaned(coded(J2K), J2K).rstrip(b"\0")
    at = plain.index(b"\xff\x52")
    style = plain[at + 9 : at + 14]  # levels and code blocks of the only component
    more = segment(0x53, b"\0\0" + style) + segment(0x5F, bytes([0, 0, 0, 1, 33, 1, 4]))
    start = plain.index(b"\xff\x90")
    kept = plain[:start] + more + plain[start:]
    assert cleaned(kept, J2K).rstrip(b"\0") == kept


def test_components_of_a_codestream_or_a_jpeg_are_no_text():
    plain = coded(J2K)
    at = plain.index(b"\xff\x51")
    size = int.from_bytes(plain[at + 2 : at + 4], "big")
    wide = plain[: at + 2] + struct.pack(">H", size + 21) + plain[at + 4 : at + 38]
    with pytest.raises(Refused):
        cleaned(wide + b"\0\x08" + TEXT[:21] + plain[at + 40 :], J2K)
    grey = jpeg()
    at = grey.index(b"\xff\xc0")
    frame = segment(0xC0, grey[at + 4 : at + 9] + b"\x08" + grey[at + 10 : at + 13] + TEXT[:21])
    with pytest.raises(Refused):
        cleaned(grey[:at] + frame + grey[at + 13 :])


def test_brands_that_are_texts_are_replaced_and_boxes_of_a_palette_stay():
    palette = box(b"pclr", b"\0\2\3\7\7\7" + bytes(6)) + box(b"cmap", b"\0\0\1\0")
    kept = jp2(palette, box(b"cdef", b"\0\1\0\0\0\0\0\0"), box(b"bpcc", b"\7"))
    kept = kept.replace(b"\0\1\7\7\0\0", b"\0\1\xff\7\0\0")  # depths in the box bpcc
    assert cleaned(kept, J2K).rstrip(b"\0") == kept.rstrip(b"\0")
    assert cleaned(jp2(ftyp=TEXT[:20]), J2K) == cleaned(jp2(), J2K)


def test_rle_segments_lose_text_between_them_and_in_a_run_that_is_too_long():
    first = b"\x81\1" * 24  # runs of 128 pixels
    second = b"\x81\2" * 23 + b"\x99\2" + bytes([23 + len(TEXT)]) + b"\2" * 24 + TEXT
    layout = Layout(frames=1, pixels=48 * 64, size=48 * 128)
    gap = TEXT + bytes(len(TEXT) % 2)
    header = struct.pack("<16L", 2, 64, 64 + len(first) + len(gap), *[0] * 13)
    done = cleaned(header + first + gap + second, RLE, layout)
    assert b"interkorn" not in done
    both = image(encapsulate([done]), RLE, BitsAllocated=16, BitsStored=16, HighBit=15)
    assert np.array_equal(both.pixel_array, np.full(GREY.shape, 258))


def test_an_rle_frame_with_more_segments_than_bytes_of_a_pixel_is_refused():
    first = b"\x81\1" * 24
    second = bytes([len(TEXT) - 1]) + TEXT + b"\x81\2" * 24
    header = struct.pack("<16L", 2, 64, 64 + len(first), *[0] * 13)
    with pytest.raises(Refused):
        cleaned(header + first + second, RLE, ONE)


def test_frames_that_were_deflated_one_by_one_lose_their_tail():
    packer = zlib.compressobj(wbits=-15)
    plain = packer.compress(GREY.tobytes()) + packer.flush()
    assert cleaned(plain, DEFLATED_FRAMES).rstrip(b"\0") == plain.rstrip(b"\0")
    assert cleaned(plain + TEXT, DEFLATED_FRAMES).rstrip(b"\0") == plain.rstrip(b"\0")
    for broken in (plain[:-9], plain[:5] + TEXT + plain[5:], packed(GREY.tobytes() + TEXT)):
        with pytest.raises(Refused):
            cleaned(broken, DEFLATED_FRAMES)


def packed(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def test_a_deflated_data_set_keeps_its_pixels_and_nothing_behind_them(tmp_path):
    source = image(GREY.tobytes() + TEXT, DEFLATED)
    source["PixelData"].is_undefined_length = False
    after, _ = written(tmp_path, source)
    assert after.file_meta.TransferSyntaxUID == DEFLATED
    assert np.array_equal(after.pixel_array, GREY)
    assert after.PixelData == GREY.tobytes()


def h265(*more):
    sets = [bytes([kind << 1, 1]) + b"set" for kind in (32, 33, 34)]
    slices = [b"\x26\1first-slice", b"\x02\1next-slice"]
    return b"".join(b"\0\0\0\1" + unit for unit in (*sets, *more, *slices))


def units_of(stream):
    return [unit.strip(b"\0") for unit in stream.split(b"\0\0\1")]


@pytest.mark.parametrize("kind", [39, 40, 38, 41, 47, 48, 63])
def test_units_of_h265_that_decoding_does_not_need_go(kind, tmp_path):
    unit = bytes([kind << 1, 1]) + b"\5\x28" + TEXT
    done = cleaned(h265(unit), H265)
    assert units_of(done) == units_of(h265())
    source = image(encapsulate([h265(unit)]), H265, frames=2)
    output = image(encapsulate([h265(unit)]), H265, frames=2)
    output.PatientName = output.PatientID = output.StudyDate = ""
    assert audit(source, output)


def h265_movie():
    """The movie of H.264 with the settings and the units of H.265, as encoders write them."""
    arrays = b"".join(
        bytes([kind]) + struct.pack(">HH", 1, len(unit)) + unit
        for kind, unit in ((33, b"\x42\1sps"), (39, b"\x4e\1\5\x28" + TEXT))
    )
    settings = box(b"hvcC", bytes(21) + b"\x03\x02" + arrays)
    return movie(TEXT, entry=b"hvc1", settings=settings, slice_=b"\x26\1slice-of-a-picture")


@pytest.mark.parametrize("padding", [b"", b"\0", b"\0\0\0"])
def test_supplemental_information_in_the_settings_of_an_mp4_is_removed(padding):
    done = cleaned(h265_movie() + padding, H265)
    assert b"interkorn" not in done
    assert b"\x42\1sps" in done
    assert b"\x26\1slice-of-a-picture" in done


def test_text_behind_the_tables_of_an_mp4_is_removed():
    for kind in (b"stsz", b"stsc", b"stco", b"mdhd", b"avcC"):
        done = cleaned(movie(TEXT, behind={kind: TEXT}), H264)
        assert b"interkorn" not in done
        assert b"\x65slice-of-a-picture" in done


def test_brands_and_reserved_bytes_of_an_mp4_are_overwritten():
    mvhd = bytes(26) + TEXT[:10] + bytes(36) + TEXT + b".." + bytes(4)
    plain = movie(TEXT, entry=b"avc1", more=box(b"mvhd", mvhd))
    done = cleaned(plain.replace(b"mp42\0\0\0\0mp42isom", b"WardWintmp42erko", 1), H264)
    assert done[:24] == box(b"ftyp", b"isom\0\0\0\0mp42isom")
    assert TEXT[:10] not in done
    assert b"\x65slice-of-a-picture" in done


def test_a_second_handler_does_not_hide_the_video():
    done = cleaned(movie(TEXT, handler=box(b"hdlr", bytes(8) + b"url " + bytes(12) + TEXT)), H264)
    assert b"interkorn" not in done
    assert b"\x65slice-of-a-picture" in done


UNITY = struct.pack(">9l", 0x10000, 0, 0, 0, -0x10000, 0, 64 << 16, 0, 0x40000000)
TEXT_24 = TEXT.ljust(24)


def mvhd(matrix):
    return {"more": box(b"mvhd", bytes(36) + matrix + bytes(28))}


def table(kind, *rows):
    return {"handler": box(kind, struct.pack(f">LL{len(rows)}L", 0, len(rows), *rows))}


def text_table(kind, rows):
    return {"handler": box(kind, struct.pack(">LL", 0, rows) + TEXT_24)}


def in_entry(*more, head=b"\1\x64\0\x1f\xff\xe0\0", kind=b"avcC"):
    return {"settings": box(kind, head) + b"".join(more)}


TEXT_VALUES = [
    mvhd(TEXT_24 + TEXT_24[:12]),
    mvhd(UNITY[:24] + TEXT_24[:8] + UNITY[-4:]),
    text_table(b"stts", 3),
    text_table(b"ctts", 3),
    text_table(b"stss", 6),
    text_table(b"elst", 2),
    in_entry(box(b"clap", TEXT_24 + bytes(8))),
    in_entry(box(b"pasp", TEXT[:8])),
]


@pytest.mark.parametrize("planted", TEXT_VALUES)
def test_text_in_place_of_the_values_of_an_mp4_is_refused(planted):
    with pytest.raises(Refused):
        cleaned(movie(b"", **planted), H264)


@pytest.mark.parametrize("at", [1, 8, 13])
def test_text_in_place_of_the_profile_of_an_h265_movie_is_refused(at):
    head = bytes(at) + TEXT[: 21 - at] + b"\3\0"
    how = {"entry": b"hvc1", "slice_": b"\x26\1slice-of-a-picture"}
    with pytest.raises(Refused):
        cleaned(movie(b"", **how, **in_entry(head=head, kind=b"hvcC")), H265)


HONEST_VALUES = [
    mvhd(UNITY),
    table(b"stss", 1),
    in_entry(
        box(b"pasp", b"\0\0\0\4\0\0\0\3"), box(b"clap", struct.pack(">8l", 9, 1, 9, 1, -1, 2, 0, 1))
    ),
]


@pytest.mark.parametrize("honest", HONEST_VALUES)
def test_values_of_an_mp4_stay(honest):
    kept = cleaned(movie(b"", **honest), H264)
    for contents in honest.values():
        assert contents in kept


def test_only_the_first_table_of_a_kind_stays_and_bit_rates_go():
    twice = box(b"stts", struct.pack(">LLLL", 0, 1, 1, 40)) + text_table(b"stts", 3)["handler"]
    for planted in ({"handler": twice}, in_entry(box(b"btrt", TEXT[:12]))):
        done = cleaned(movie(b"", **planted), H264)
        assert b"interkorn" not in done
        assert b"\x65slice-of-a-picture" in done


def test_an_mp4_without_a_video_is_refused():
    with pytest.raises(Refused):
        cleaned(movie(TEXT).replace(b"vide", b"soun"), H264)


def test_extra_information_of_an_mpeg2_slice_is_refused(tmp_path):
    start = b"\0\0\1"
    head = start + b"\xb3" + bytes(7) + b"\x10" + start + b"\0\0\x0f\xff\xf8" + start + b"\1"
    tail = start + b"\xb7"
    for kept in (b"\x0b\xfc", b"\x0e\x01"):
        plain = head + kept + b"slice" + tail
        assert cleaned(plain, "1.2.840.10008.1.2.4.100").rstrip(b"\0") == plain
    with pytest.raises(Refused):
        cleaned(head + b"\x0e\x03slice" + tail, "1.2.840.10008.1.2.4.100")


@pytest.mark.parametrize("extension", [b"\x40", b"\x61", b"\xf0", b"\x70"])
def test_extensions_and_headers_of_mpeg2_keep_their_size_only(extension):
    start = b"\0\0\1"
    sequence = start + b"\xb3" + bytes(7) + b"\x10"
    plain = sequence + start + b"\xb5\x14\x82\0\1\0\0" + start + b"\0\0\x0f\xff\xf8"
    plain += start + b"\1slice" + start + b"\xb7"
    planted = sequence + start + b"\xb5\x14\x82\0\1\0\0" + TEXT
    planted += start + b"\xb5" + extension + TEXT + plain[len(sequence) + 10 :] + TEXT
    assert cleaned(planted, "1.2.840.10008.1.2.4.100").rstrip(b"\0") == plain
    with pytest.raises(Refused):
        cleaned(plain.replace(b"\xf8", b"\xf8" + TEXT), "1.2.840.10008.1.2.4.100")


@pytest.mark.parametrize("matrices", [0, 1, 2, 4])
def test_an_mpeg2_extension_keeps_the_matrices_that_its_flags_announce(matrices):
    start = b"\0\0\1"
    bits = "0011" + "".join("1" + f"{16:08b}" * 64 for _ in range(matrices)) + "0" * (4 - matrices)
    bits += "0" * (-len(bits) % 8)
    extension = start + b"\xb5" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    head = start + b"\xb3" + bytes(7) + b"\x10" + start + b"\0\0\x0f\xff\xf8"
    plain = head + extension + start + b"\1slice" + start + b"\xb7"
    planted = plain.replace(extension, extension + TEXT)
    assert cleaned(planted, "1.2.840.10008.1.2.4.100").rstrip(b"\0") == plain


# Files that pydicom brings along and that the development requirements can decode
FILES = sorted(
    path.name
    for path in Path(get_testdata_file("MR_small_RLE.dcm")).parent.glob("*.dcm")
    if re.search(r"_j|jp|jls|rle|JPEG2000.dcm|JPEGLS", path.name, re.IGNORECASE)
    and path.name not in ("JPEG-lossy.dcm", "JPGExtended.dcm")
    and not re.search("embedded|_dcmd", path.name)
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FILES)
def test_real_images_keep_every_pixel(name):
    source = pydicom.dcmread(get_testdata_file(name))
    before = pixel_array(source, raw=True)
    syntax, frames = source.file_meta.TransferSyntaxUID, layout_of(source)
    done = clean_frames(source.PixelData, syntax, frames)
    source.PixelData = b"".join(done.pieces[:-1])
    source["PixelData"].is_undefined_length = True
    assert np.array_equal(pixel_array(source, raw=True), before)
    parts = list(generate_frames(source.PixelData, number_of_frames=frames.frames))
    assert len(parts) == frames.frames


H264_SETS = (b"\x67\x64\0\x1f\xac\xd9\x40\x50", b"\x68\xeb\xe3\xcb\x22\xc0")
SLICE = b"\x65" + bytes(range(1, 200))
LONGER = b"Prof. " + TEXT


def stream(*units):
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def before_end(frame, text, behind=2):
    frame = frame.rstrip(b"\0")
    return frame[:-behind] + text + frame[-behind:]


def in_last_tile(frame, text):
    frame = frame.rstrip(b"\0")
    at = frame.index(b"\xff\x90")
    size = struct.pack(">L", int.from_bytes(frame[at + 6 : at + 10], "big") + len(text))
    return before_end(frame[: at + 6] + size + frame[at + 10 :], text)


def before_restart(text):
    frame = jpeg(restart_marker_blocks=4)
    at = frame.index(b"\xff\xd1")
    return frame[:at] + text + frame[at:]


def with_scan(text):
    frame = jpeg(progressive=True)
    at = frame.rindex(b"\xff\xda")
    return frame[:at] + text + frame[at:]


@pytest.mark.parametrize(
    ("frame", "syntax"),
    [
        (before_end(jpeg(), TEXT), JPEG),
        (before_end(jpeg(), TEXT.decode().encode("utf-16-le")), JPEG),
        (before_end(jpeg(), "Петрова".encode()), JPEG),
        (before_end(jpeg(), "山田太郎".encode()), JPEG),
        (with_scan(TEXT), JPEG),
        (before_restart(LONGER), JPEG),
        (before_end(coded(JPEG_LS), TEXT), JPEG_LS),
        (in_last_tile(coded(J2K), TEXT), J2K),
        (stream(*H264_SETS, SLICE + b"\x80" + LONGER), H264),
        (stream(H264_SETS[0] + TEXT + b"\x80", H264_SETS[1], SLICE), H264),
        (stream(H264_SETS[0], H264_SETS[1] + TEXT, SLICE), H264),
        (h265(b"\x40\1" + bytes(range(1, 20)) + TEXT), H265),
        (movie(b"", slice_=SLICE + LONGER), H264),
    ],
)
def test_text_behind_the_coded_data_is_refused(frame, syntax):
    with pytest.raises(Refused, match="end with a text"):
        cleaned(frame, syntax)


@pytest.mark.parametrize("spelled", [b"Moss", b"MOSS", "Moss".encode("utf-16-le"), b"Moss 4471"])
@pytest.mark.parametrize(
    ("syntax", "plant"),
    [
        (JPEG, lambda text: before_end(jpeg(), b"\xe9k7" + text)),
        (JPEG, lambda text: before_end(jpeg(progressive=True), b"\xe9" + text)),
        (JPEG_LS, lambda text: before_end(coded(JPEG_LS), b"\xe9" + text)),
        (J2K, lambda text: in_last_tile(coded(J2K), b"\xe9" + text)),
    ],
)
def test_the_audit_finds_a_short_name_behind_the_coded_data(spelled, syntax, plant):
    source = image(encapsulate([plant(spelled)]), syntax)
    source.PatientName = "Moss^Al"
    output = image(encapsulate([plant(spelled)]), syntax)
    output.PatientName = output.PatientID = output.StudyDate = ""
    assert "pixels" in {leak.place for leak in audit(source, output)}
    source.PatientName = "Hill^Al"
    assert not audit(source, output)


def test_random_coded_data_are_no_text():
    random = np.random.default_rng(3)
    for _ in range(2000):
        coded_text.check_no_text(random.integers(0, 256, 300, "u1").tobytes())
    coded_text.check_no_text(b"\x51\x45" * 40)  # a flat image repeats two bytes


@pytest.mark.parametrize("how", ["offsets", "lengths"])
def test_text_in_place_of_an_extended_offset_table_is_replaced(how, tmp_path):
    pixels, offsets, lengths = encapsulate_extended([jpeg(), jpeg()])
    tables = {"offsets": offsets, "lengths": lengths, how: TEXT[:16]}
    more = {
        "ExtendedOffsetTable": tables["offsets"],
        "ExtendedOffsetTableLengths": tables["lengths"],
    }
    after, _ = written(tmp_path, image(pixels, frames=2, **more))
    assert (after.ExtendedOffsetTable, after.ExtendedOffsetTableLengths) == (offsets, lengths)
    native = image(GREY.tobytes(), "1.2.840.10008.1.2.1", **more)
    native["PixelData"].is_undefined_length = False
    assert "ExtendedOffsetTable" not in deidentify(native, Policy(), SECRET).dataset


def test_text_in_the_delimiter_of_the_frames_is_removed(tmp_path):
    path = tmp_path / "in.dcm"
    image(encapsulate([jpeg()])).save_as(path)
    path.write_bytes(path.read_bytes()[:-4] + b"Wint" + TEXT)
    made = deidentify_files(path, tmp_path / "out", Policy(), SECRET)
    assert made.outputs[0].read_bytes().endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")


def ecg(samples, announced=10):
    dataset = image(b"", "1.2.840.10008.1.2.1")
    for keyword in ("PixelData", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated"):
        delattr(dataset, keyword)
    sop_class = "1.2.840.10008.5.1.4.1.1.9.1.1"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.Modality, group = "ECG", pydicom.Dataset()
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = 1, announced
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformData = samples
    dataset.WaveformSequence = [group]
    return dataset


def test_bytes_after_the_last_sample_of_a_waveform_go_and_missing_samples_are_refused(tmp_path):
    after, data = written(tmp_path, ecg(b"\1\2" * 10 + TEXT))
    assert after.WaveformSequence[0].WaveformData == b"\1\2" * 10
    assert b"interkorn" not in data
    for broken in (ecg(b"\1\2" * 9), ecg(b"\1\2" * 10, announced=0)):
        with pytest.raises(Refused, match="missing"):
            deidentify(broken, Policy(), SECRET)
