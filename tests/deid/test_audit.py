"""The audit finds a source's identifiers in any disguise, and nothing else."""

from contextlib import suppress
from pathlib import Path

import grimp
import pydicom
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import BaseTag

from healthval.deid import Leak, Policy, Secret, audit, deidentify
from healthval.deid.audit.patterns import ORDINARY
from healthval.deid.audit.sources import encode
from healthval.errors import HealthvalError
from healthval.pydicom_internals import quiet

SECRET = Secret(bytes(range(32)))
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")  # fmt: skip


def source(name="Mustermann^Erika", patient="0012345", charset="ISO_IR 100", **more):
    ds = Dataset()
    ds.SpecificCharacterSet = charset
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.276.0.1"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = name, patient, "19620312"
    ds.AccessionNumber, ds.StudyDate, ds.Modality = "ACC-778-21", "20190517", "CT"
    ds.Manufacturer, ds.SoftwareVersions, ds.KVP, ds.SeriesNumber = "ACME", "12", "120", 12
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = SYNTAXES[1]
    return ds


def clean(dataset):
    return deidentify(dataset, Policy(), SECRET).dataset


def kinds(before, after, **more):
    return {leak.kind for leak in audit(before, after, **more)}


def with_text(dataset, text, tag=0x00180022, vr="LT"):
    after = clean(dataset)
    after.add(DataElement(tag, vr, text))
    return after


def test_a_clean_output_has_no_leak():
    assert audit(source(), clean(source())) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Mustermann^Erika", "name"),
        ("MUSTERMANN", "name"),
        ("erika", "name"),
        ("Erika_Mustermann", "name"),
        ("see erikamustermann.", "name"),
        ("Fr.Mustermann", "name"),
        ("0012345", "id"),
        ("12345", "id"),
        ("000012345", "id"),
        ("id:0012-345", "id"),
        ("ACC 778 21", "id"),
        ("acc77821", "id"),
        ("born 12.03.1962", "birth date"),
        ("1962-03-12", "birth date"),
        ("19620312", "birth date"),
        ("03/12/1962", "birth date"),
        ("scan 2019-05-17", "date"),
        ("20190517101500", "date"),
    ],
)
def test_every_disguise_is_found(text, kind):
    assert kind in kinds(source(), with_text(source(), text))


@pytest.mark.parametrize("text", ["112345", "1234567", "0.12345678", "1962", "Musterfrau", "ACC"])
def test_what_only_resembles_is_not(text):
    assert audit(source(), with_text(source(), text)) == []


def test_short_names_and_ids_are_found_where_they_belong():
    before = source("Li^Wu", "7")
    assert audit(before, clean(before)) == []
    after = clean(before)
    after.PatientID = "7"
    assert kinds(before, after) == {"id"}
    assert "name" in kinds(before, with_text(before, "for Wu, Li"))


def test_known_identifiers_are_searched():
    after = with_text(source(), "seen by Nurse Ratched")
    assert audit(source(), after) == []
    assert kinds(source(), after, known=["Ratched"]) == {"known"}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_leaks_are_found_in_every_transfer_syntax_and_place(tmp_path, syntax):
    before = source()
    inner = Dataset()
    inner.add(DataElement(0x00191001, "UN", b"x Mustermann "))
    after = clean(before)
    after.add(DataElement(0x00540016, "SQ", [inner]))
    after.file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "out.dcm"
    after.save_as(path, enforce_file_format=True, implicit_vr=syntax == SYNTAXES[0], little_endian=syntax != SYNTAXES[2])  # fmt: skip
    assert [leak.place for leak in audit(before, path)] == ["(0054,0016)>(0019,1001)"]
    assert (
        audit(before, path.read_bytes())
        == audit(before, pydicom.dcmread(path))
        == audit(before, path)
    )


def test_preamble_meta_and_compressed_pixels_are_searched(tmp_path):
    before, after = source(), clean(source())
    after.preamble = b"Mustermann".ljust(128, b"\0")
    assert [leak.place for leak in audit(before, after)] == ["preamble"]
    after = clean(source())
    after.file_meta.SourceApplicationEntityTitle = "MUSTERMANN"
    assert [leak.place for leak in audit(before, after)] == ["(0002,0016)"]
    after = clean(source())
    after.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    after.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xfe\0\x10 MUSTERMANN x\xff\xd9"])
    after["PixelData"].is_undefined_length = True
    path = tmp_path / "out.dcm"
    after.save_as(path, enforce_file_format=True)
    assert [leak.place for leak in audit(before, path)] == ["pixels"]


def test_bytes_that_make_no_sense_are_searched_too(tmp_path):
    path = tmp_path / "out.dcm"
    clean(source()).save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes() + b"\x99\x99\x99\x99XXXX\xff\xff\xff\x7f Mustermann")
    assert "name" in kinds(source(), path)


def test_kept_and_shifted_dates_are_judged_by_the_mark():
    before = source()
    kept = deidentify(before, Policy(dates="keep"), SECRET).dataset
    assert kept.StudyDate == "20190517"
    assert audit(before, kept) == []
    shifted = deidentify(before, Policy(dates="shift"), SECRET).dataset
    assert audit(before, shifted) == []
    shifted.StudyDate = "20190517"
    assert [leak.place for leak in audit(before, shifted)] == ["(0008,0020)"]


def test_an_encapsulated_attribute_and_the_rest_of_an_item_are_searched(tmp_path):
    path = tmp_path / "out.dcm"
    clean(source()).save_as(path, enforce_file_format=True)
    whole = path.read_bytes()
    lut = b"\x28\0\x01\x12OW\0\0\xff\xff\xff\xffMustermann\xfe\xff\xdd\xe0\0\0\0\0"
    path.write_bytes(whole + lut)
    assert [leak.place for leak in audit(source(), path)] == ["(0028,1201)"]
    item = b"\x54\0\x16\0SQ\0\0\x0e\0\0\0\xfe\xff\0\xe0\x06\0\0\0Erika "
    path.write_bytes(whole + item)
    assert [leak.place for leak in audit(source(), path)] == ["(0054,0016)"]


def test_a_date_of_superscripts_is_no_date():
    before = source()
    before["StudyDate"]._value = "2019051²"
    assert audit(before, clean(before)) == []


def test_a_leak_has_a_location_and_no_value():
    leaks = audit(source(), with_text(source(), "Mustermann 12345"))
    assert leaks == [Leak("id", "(0018,0022)"), Leak("name", "(0018,0022)")]
    assert "ustermann" not in repr(leaks)


def test_the_audit_does_not_import_the_engine():
    graph = grimp.build_graph("healthval", cache_dir=None)
    imported = graph.find_upstream_modules("healthval.deid.audit", as_package=True)
    engine = ("healthval.deid.dicom", "healthval.deid.pixels", "healthval.deid.policy")
    assert "healthval.pydicom_internals" in imported, "the graph contains indirect imports"
    assert not {name for name in imported if name.startswith(engine)}


@settings(max_examples=60, deadline=None)
@given(st.text("abcdefghijklmnopqrstuvwxyzäöüé", min_size=5, max_size=12), st.sampled_from(["{}", "x {} y", "A,{}", "{}^B"]))  # fmt: skip
def test_any_name_is_found_in_any_surrounding(name, around):
    assume(name not in ORDINARY)  # words of the standard name nobody on their own
    before = source(f"{name}^Given")
    after = with_text(before, around.format(name.upper() if name.isascii() else name))
    assert "name" in kinds(before, after)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_audit_raise(data):
    for start in (b"", b"\0" * 128 + b"DICM"):
        with suppress(HealthvalError):
            audit(start + data, source())
            audit(source(), start + data)


FOLDER = Path(pydicom.data.__file__).parent / "test_files"


def located(encoded):
    """Every value before the pixels, by its place."""
    found = {}
    for element in encoded.elements:
        if element.path[0] >> 16 not in (0x0002, 0x7FE0) and element.path[0] < 0x7FE00000:
            found.setdefault(element.path, []).append(encoded.value(element).rstrip(b"\0 "))
    return found


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "ExplVR_BigEnd.dcm", "rtplan.dcm", "image_dfl.dcm", "JPEG2000.dcm", "nested_priv_SQ.dcm",
     "reportsi.dcm", "UN_sequence.dcm", "MR_small_implicit.dcm", "ExplVR_LitEndNoMeta.dcm"],
)  # fmt: skip
def test_a_data_set_is_searched_as_its_file_is(name, decoded):
    (path,) = FOLDER.rglob(name)
    with quiet():
        dataset = pydicom.dcmread(path, force=True)
        if decoded:
            dataset.decode()
            list(dataset.iterall())
        of_file, of_dataset = located(encode(path)), located(encode(dataset))
    if not decoded:
        assert of_dataset == of_file
    assert of_dataset.keys() >= {p for p in of_file if of_file[p] != [b""]}


def in_item(name):
    """One item in implicit VR, as bytes."""
    comment = b"\x20\x00\x00\x40" + len(name).to_bytes(4, "little") + name
    return b"\xfe\xff\x00\xe0" + len(comment).to_bytes(4, "little") + comment


@pytest.mark.parametrize(
    "where", ["root", "item", "raw", "UN", "cut off", "icon", "meta", "preamble", "frame"]
)
def test_a_name_is_found_wherever_a_data_set_in_memory_holds_it(where):
    before = source()
    after, inner = clean(before), Dataset()
    nested = in_item(b"Erika ")
    if where == "root":
        after.ImageComments = "Erika"
    elif where == "item":
        inner.ImageComments = "Erika"
        after.ReferencedStudySequence = [inner]
    elif where == "raw":
        raw = RawDataElement(BaseTag(0x00081110), "SQ", len(nested), nested, 0, True, True)
        after = Dataset({elem.tag: elem for elem in after} | {raw.tag: raw})
    elif where == "UN":
        after.add(DataElement(0x00191010, "UN", nested))
    elif where == "cut off":
        after.add(DataElement(0x00191010, "UN", in_item(b"") + b"Mustermann  "))
    elif where == "icon":
        inner.PixelData = b"Mustermann"
        inner["PixelData"].VR = "OW"
        after.IconImageSequence = [inner]
    elif where == "meta":
        after.file_meta.SourceApplicationEntityTitle = "Erika"
    elif where == "preamble":
        after.preamble = b"Erika".ljust(128, b"\0")
    else:
        after.PixelData = encapsulate([b"\xff\xd8\xff\xfeMustermann"])
        after["PixelData"].VR, after["PixelData"].is_undefined_length = "OB", True
    assert {leak.kind for leak in audit(before, after)} == {"name"}


def test_a_value_put_off_when_its_file_was_read_is_searched(tmp_path):
    after = clean(source())
    after.ImageComments = "Mustermann " * 20
    after.save_as(tmp_path / "late.dcm")
    late = pydicom.dcmread(tmp_path / "late.dcm", defer_size=100)
    assert {leak.kind for leak in audit(source(), late)} == {"name"}
