"""Text in, behind and after pixels is found; the pixels of an honest image are not."""

import io
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset

from healthval.deid import Policy, Secret, audit, deidentify
from healthval.deid.audit.audit import IDS, identifiers, search
from healthval.deid.audit.pixel_search import PixelSearch
from healthval.deid.audit.sources import of_file

SECRET = Secret(bytes(range(32)))
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
PIXELS = bytes(range(32))


def image(name="Mustermann^Erika", patient="MRN667711", charset="ISO_IR 192", pixels=PIXELS):
    ds = Dataset()
    ds.SpecificCharacterSet, ds.Modality = charset, "CT"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.276.0.1"
    ds.PatientName, ds.PatientID, ds.StudyDate = name, patient, "20190517"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.BitsAllocated = 4, 4, 1, 16
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = pixels
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = SYNTAXES[1]
    return ds


def written(dataset, syntax=SYNTAXES[1]):
    dataset.file_meta.TransferSyntaxUID = syntax
    made = io.BytesIO()
    dataset.save_as(made, enforce_file_format=True, implicit_vr=syntax == SYNTAXES[0], little_endian=syntax != SYNTAXES[2])  # fmt: skip
    return made.getvalue()


def clean(dataset):
    return deidentify(dataset, Policy(), SECRET).dataset


def kinds(before, after):
    return {leak.kind for leak in audit(before, after)}


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"Mustermann", "name"),
        (b"mUSTERMANN", "name"),
        (b"mrn667711", "id"),
        (b"20190517", "date"),
        (b"17.05.2019", "date"),
    ],
)
def test_text_inside_native_pixels_is_found(syntax, odd, text, kind):
    before = image()
    after = clean(before)
    after.PixelData = (b"\0" * odd + text).ljust(32, b"\0")
    assert kinds(before, written(after, syntax)) == {kind}
    assert kinds(before, after) == {kind}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_text_in_the_padding_of_native_pixels_is_found(syntax):
    before = image()
    after = clean(before)
    after.PixelData = PIXELS + b"Mustermann Erika"
    assert kinds(before, written(after, syntax)) == {"name"}


@pytest.mark.parametrize("text", [b"Erika ", b"MUSTERMANN", "Mustermann".encode("utf-16-le")])
def test_an_element_behind_the_pixels_is_searched_as_any_other(text):
    before = image()
    element = b"\xfc\xff\xfc\xffOB\0\0" + len(text).to_bytes(4, "little") + text
    leaks = audit(before, written(clean(before)) + element)
    assert [(leak.kind, leak.place) for leak in leaks] == [("name", "(FFFC,FFFC)")]


@pytest.mark.parametrize("text", [b"Erika", b"MUSTERMANN", "Mustermann".encode("utf-16-le")])
def test_bytes_behind_the_last_element_are_searched(text):
    before = image()
    assert kinds(before, written(clean(before)) + text) == {"name"}


def test_much_behind_the_pixels_is_searched_as_pixels_are():
    before = image()
    tail = bytes(3 << 19) + b"MUSTERMANN"
    element = b"\xfc\xff\xfc\xffOB\0\0" + len(tail).to_bytes(4, "little") + tail
    leaks = audit(before, written(clean(before)) + element)
    assert [(leak.kind, leak.place) for leak in leaks] == [("name", "pixels")]


def test_a_name_in_letters_beyond_ascii_is_found_in_pixels():
    before = image("Люксембург^Роза", pixels=bytes(64))
    after = clean(before)
    after.PixelData = "роза ЛЮКСЕМБУРГ".encode().ljust(64, b"\0")
    assert kinds(before, written(after)) == {"name"}


def test_a_short_name_is_found_in_pixels_together_with_the_other():
    before = image("Doe^Jane")
    after = clean(before)
    for text in (b"DOE^JANE", b"jane doe", b"Doe, Jane"):
        after.PixelData = text.ljust(32, b"\0")
        assert kinds(before, written(after)) == {"name"}


@pytest.mark.parametrize("patient", ["123456", "111111", "654321", "112233"])
def test_ramps_and_flat_areas_are_no_ids(patient):
    ramp = bytes(range(0x20, 0x7F)) + b"11111111" + b"112233" + bytes(range(0x7F, 0x20, -1))
    before = image(patient=patient, pixels=ramp)
    assert audit(before, written(clean(before))) == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["<i2", "<u2", "u1"]))
def test_no_noise_is_taken_for_an_identifier(seed, kind):
    high = 256 if kind == "u1" else 30000
    noise = np.random.default_rng(seed).integers(0, high, 40000).astype(kind).tobytes()
    before = image(pixels=noise)
    assert audit(before, written(clean(before))) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3 * 2**18), st.booleans(), st.sampled_from([b"\x10\x02", b"\xe8\xfc", b"aZ"]))
def test_a_name_is_found_wherever_it_starts(at, is_upper, ground):
    before = image()
    name = b"MUSTERMANN" if is_upper else b"Mustermann"
    pixels = bytearray(ground * (3 * 2**17))
    pixels[at : at + len(name)] = name
    after = of_file(written(clean(before)))
    after.pixels = (bytes(pixels), 0, len(pixels))
    source = of_file(written(before), only=IDS)
    assert {leak.place for leak in search(source, after, identifiers(source))} == {"pixels"}


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 6, 9, 10, 11])
def test_pixels_of_any_size_are_searched(size):
    before = image()
    after = clean(before)
    after.PixelData = b"xMustermann"[-size:] if size else b""
    assert bool(audit(before, after)) == (size >= 10)


def test_a_name_is_found_among_many_beginnings_of_it():
    before = image("Mumumuster^A")
    after = clean(before)
    for pixels, found in ((b"mu" * 100_000, set()), (b"mu" * 100_000 + b"MUSTER", {"name"})):
        after.PixelData = pixels
        assert kinds(before, after) == found


@pytest.mark.parametrize("before_end", range(13))
def test_a_name_is_found_across_the_end_of_a_window(before_end):
    data = bytearray(b"aZ" * (2 << 18) + bytes(100))
    at = (1 << 20) - before_end
    data[at : at + 10] = b"MUSTERMANN"
    look = PixelSearch((("name", b"mustermann"),))
    assert look.kinds(bytes(data), 0, len(data)) == {"name"}


def test_a_mapped_span_is_searched_and_nothing_outside_it(tmp_path):
    import mmap

    before = image()
    path = tmp_path / "source"
    path.write_bytes(b"Mustermann" + bytes(5000) + b"\0Mustermann\0" + bytes(100))
    source, after = of_file(written(before), only=IDS), of_file(written(clean(before)))
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    after.pixels = (data, 10, 5010)
    assert search(source, after, identifiers(source)) == []
    after.pixels = (data, 1, 5010)
    assert search(source, after, identifiers(source)) == []
    after.pixels = (data, 10, 5050)
    assert len(search(source, after, identifiers(source))) == 1


LARGE = 600 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
@pytest.mark.parametrize("form", ["native", "compressed"])
def test_a_file_of_600_megabytes_takes_little_memory(tmp_path, form):
    head = written(clean(image()))
    at = head.index(b"\xe0\x7f\x10\0")
    if form == "native":
        start = head[: at + 8] + LARGE.to_bytes(4, "little")
    else:
        start = head[:at] + b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0" + LARGE.to_bytes(4, "little")  # fmt: skip
    path, source = tmp_path / "large.dcm", tmp_path / "source.dcm"
    source.write_bytes(written(image()))
    with path.open("wb") as file:
        file.write(start)
        file.seek(LARGE - 100, 1)
        file.write(b"MRN667711".ljust(100, b"\0"))
        file.write(b"\xfe\xff\xdd\xe0\0\0\0\0" if form == "compressed" else b"")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_MEASURE), str(source), str(path)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    found, grown = done.stdout.split()
    assert found == "id"
    assert int(grown) < 60


_MEASURE = """
    import resource, sys
    from healthval.deid import audit
    import numpy
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    leaks = audit(sys.argv[1], sys.argv[2])
    print(*(leak.kind for leak in leaks), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "SC_rgb.dcm", "ExplVR_BigEnd.dcm", "JPEG2000.dcm", "color3d_jpeg_baseline.dcm"])  # fmt: skip
def test_the_bundled_images_hold_no_name(name):
    found = list((Path(pydicom.data.__file__).parent / "test_files").rglob(name))
    for path in found:
        after = clean(image(pixels=pydicom.dcmread(path).PixelData))
        assert audit(image(), written(after)) == []
