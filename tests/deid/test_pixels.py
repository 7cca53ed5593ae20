"""Images that may contain burned-in text are refused, blanked by a rule or signed off."""

import sys
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from healthval.deid import (
    Flag,
    PixelPolicy,
    Policy,
    Reason,
    Refused,
    RegionRule,
    Secret,
    deidentify,
    deidentify_files,
    read_region_rules,
    uid,
)
from healthval.deid.pixels import ocr as ocr_room
from healthval.errors import UsageError

SECRET = Secret(bytes(range(32)))
STORAGE = "1.2.840.10008.5.1.4.1.1."
EXPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
RLE, JPEGLS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"


def image(modality="CT", sop_class="2", *, frames=1, samples=1, bits=16, syntax=EXPLICIT, **more):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = STORAGE + sop_class, "1.2.276.0.5"
    ds.StudyInstanceUID, ds.PatientID, ds.Modality = "1.2.276.0.6", "MRN-5512", modality
    ds.Manufacturer, ds.ImageType = "ACME", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows, ds.Columns, ds.SamplesPerPixel = 12, 20, samples
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit, ds.PixelRepresentation = bits - 1, 0
    ds.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        ds.PlanarConfiguration = 0
    if frames > 1:
        ds.NumberOfFrames = frames
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    shape = (frames, 12, 20, samples)
    pixels = np.random.default_rng(3).integers(1, 2**bits, shape, dtype=f"u{bits // 8}")
    order = ">" if syntax == BIG else "<"
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    ds["PixelData"].VR = "OW" if bits > 8 else "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax if syntax == BIG else EXPLICIT
    if syntax not in (EXPLICIT, BIG):
        ds.compress(syntax, generate_instance_uid=False)
    return ds, pixels


def reason_of(dataset, policy=None):
    with pytest.raises(Refused) as refused:
        deidentify(dataset, policy or Policy(), SECRET)
    assert "ACME" not in str(refused.value)
    return refused.value.reason


@pytest.mark.parametrize(
    ("modality", "sop_class", "more", "reason"),
    [
        ("CT", "2", {"BurnedInAnnotation": "YES"}, Reason.BURNED_IN),
        ("US", "6.1", {}, Reason.ULTRASOUND),
        ("US", "3.1", {}, Reason.ULTRASOUND),
        ("CT", "6.1", {}, Reason.ULTRASOUND),
        ("CT", "7", {}, Reason.CAPTURE),
        ("SC", "2", {}, Reason.CAPTURE),
        ("XA", "12.1", {}, Reason.FLUOROSCOPY),
        ("RF", "12.2", {}, Reason.FLUOROSCOPY),
        ("ES", "77.1.1", {}, Reason.ENDOSCOPY),
        ("OT", "1", {}, Reason.OTHER),
        ("CT", "2", {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, Reason.SCREEN),
        ("CT", "2", {"ImageType": ["DERIVED", "SECONDARY", "SCREEN_SAVE"]}, Reason.SCREEN),
        ("CT", "2", {"SeriesDescription": "Screen-Save"}, Reason.SCREEN),
        ("CT", "2", {"SeriesDescription": "Dose Report"}, Reason.DOSE),
        ("CT", "2", {"SeriesDescription": "Dose_Report"}, Reason.DOSE),
        ("CT", "2", {"ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"]}, Reason.DOSE),
        ("us ", "2", {}, Reason.ULTRASOUND),
        ("CT", "2", {"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]}, Reason.DOSE),
        ("SM", "77.1.6", {"ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}, Reason.SLIDE_LABEL),
        ("CR", "1", {"OverlayBits": 1}, Reason.EMBEDDED_OVERLAY),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_risky_images_are_refused(modality, sop_class, more, reason):
    embedded = more.pop("OverlayBits", None)
    dataset, _ = image(modality, sop_class, **more)
    if embedded:
        dataset.add_new(0x60000100, "US", 16)
        dataset.add_new(0x60000102, "US", 15)
    assert reason_of(dataset) is reason
    if not embedded:
        result = deidentify(dataset, Policy(pixels=PixelPolicy(sign_off="A. Reader")), SECRET)
        assert Flag.SIGNED_OFF in result.flags


def test_saying_no_burned_in_annotation_lifts_no_risk():
    assert reason_of(image("US", "6.1", BurnedInAnnotation="NO")[0]) is Reason.ULTRASOUND


@pytest.mark.parametrize("status", ["YES", "NO", None])
def test_the_burned_in_status_stays_as_it_was_when_pixels_do(status):
    dataset, _ = image(**({} if status is None else {"BurnedInAnnotation": status}))
    made = deidentify(dataset, Policy(pixels=PixelPolicy(sign_off="A. Reader")), SECRET)
    assert made.dataset.get("BurnedInAnnotation") == status


RULE = RegionRule(
    name="acme",
    when=(("Manufacturer", "Acme"), ("Rows", "12"), ("Columns", "20")),
    blank=((0, 0, 20, 3), (5, 8, 7, 12)),
)
BLANKED = np.zeros((12, 20), dtype=bool)
BLANKED[0:3] = True
BLANKED[8:12, 5:7] = True


@pytest.mark.parametrize(
    ("samples", "bits", "frames", "syntax"),
    [
        (1, 16, 1, EXPLICIT),
        (1, 8, 1, EXPLICIT),
        (1, 16, 4, EXPLICIT),
        (3, 8, 1, EXPLICIT),
        (3, 8, 3, EXPLICIT),
        (1, 16, 2, BIG),
        (1, 16, 2, RLE),
        (1, 16, 2, JPEGLS),
        (3, 8, 2, RLE),
    ],
)
def test_a_rule_blanks_its_rectangles_and_nothing_else(tmp_path, samples, bits, frames, syntax):
    dataset, pixels = image("US", "6.1", samples=samples, bits=bits, frames=frames, syntax=syntax)
    path = tmp_path / "in.dcm"
    dataset.save_as(path, enforce_file_format=True)
    policy = Policy(pixels=PixelPolicy(rules=(RULE,)))
    made = deidentify_files([path], tmp_path / "out", policy, SECRET)
    after = pydicom.dcmread(made.outputs[0])
    expected = pixels.copy()
    expected[:, BLANKED] = 0
    assert np.array_equal(after.pixel_array.reshape(expected.shape), expected)
    assert after.BurnedInAnnotation == "NO"
    assert after.ImageType[0] == "DERIVED"
    assert after.DerivationDescription
    assert (
        after.SOPInstanceUID
        == uid(SECRET, "1.2.276.0.5")
        == after.file_meta.MediaStorageSOPInstanceUID
    )
    codes = {item.CodeValue for item in after.DeidentificationMethodCodeSequence}
    assert codes == {"113100", "113101"}
    assert not after.file_meta.TransferSyntaxUID.is_compressed
    memory = deidentify(pydicom.dcmread(path), policy, SECRET).dataset
    assert np.array_equal(memory.pixel_array.reshape(expected.shape), expected)


def test_blanked_pixels_get_a_new_uid_even_when_uids_are_retained():
    dataset, _ = image("US", "6.1")
    policy = Policy(options={"retain-uids"}, pixels=PixelPolicy(rules=(RULE,)))
    made = deidentify(dataset, policy, SECRET).dataset
    assert made.StudyInstanceUID == "1.2.276.0.6"
    assert made.SOPInstanceUID == uid(SECRET, "1.2.276.0.5")


def test_no_pixels_are_blanked_where_no_rule_fits():
    dataset, _ = image("CT", Manufacturer="Other")
    made = deidentify(dataset, Policy(pixels=PixelPolicy(rules=(RULE,))), SECRET)
    assert made.dataset.PixelData == dataset.PixelData
    assert Flag.BLANKED not in made.flags
    assert len(made.dataset.DeidentificationMethodCodeSequence) == 1


def test_a_rectangle_outside_the_image_is_refused():
    rule = RegionRule(name="far", when=(("Modality", "US"),), blank=((0, 0, 21, 3),))
    policy = Policy(pixels=PixelPolicy(rules=(rule,)))
    assert reason_of(image("US", "6.1")[0], policy) is Reason.NO_REGION


def region(left, top, right, bottom):
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    return item


def test_ultrasound_keeps_only_its_declared_regions():
    rule = RegionRule(name="us", when=(("Modality", "US"),), ultrasound_regions=True)
    policy = Policy(pixels=PixelPolicy(rules=(rule,)))
    dataset, pixels = image("US", "6.1", SequenceOfUltrasoundRegions=[region(2, 4, 9, 10)])
    made = deidentify(dataset, policy, SECRET).dataset.pixel_array
    expected = np.zeros((12, 20), dtype=made.dtype)
    expected[4:11, 2:10] = pixels[0, 4:11, 2:10, 0]
    assert np.array_equal(made, expected)
    for regions in ([], [region(0, 0, 19, 11)], [region(3, 3, 30, 5)]):
        dataset, _ = image("US", "6.1", SequenceOfUltrasoundRegions=regions)
        assert reason_of(dataset, policy) is Reason.NO_REGION
    assert reason_of(image("US", "6.1")[0], policy) is Reason.NO_REGION


@pytest.fixture
def finds_text(monkeypatch):
    ocr_room.detector.cache_clear()
    engine = lambda image, **_: ([[[3, 3], [6, 3], [6, 5], [3, 5]]], None)  # noqa: E731
    monkeypatch.setitem(
        sys.modules, "rapidocr_onnxruntime", SimpleNamespace(RapidOCR=lambda: engine)
    )
    yield
    ocr_room.detector.cache_clear()


def test_found_text_refuses_or_is_blanked(finds_text):
    dataset, pixels = image(frames=2)
    assert reason_of(dataset, Policy(pixels=PixelPolicy(text="refuse"))) is Reason.TEXT_FOUND
    made = deidentify(dataset, Policy(pixels=PixelPolicy(text="blank")), SECRET)
    after = made.dataset.pixel_array
    assert not after[:, 3:5, 3:6].any()
    assert np.array_equal(after[:, 9:], pixels[:, 9:, :, 0])
    assert Flag.BLANKED in made.flags


def test_detection_does_not_replace_a_rule_for_risky_images(finds_text):
    policy = Policy(pixels=PixelPolicy(text="blank"))
    assert reason_of(image("US", "6.1")[0], policy) is Reason.ULTRASOUND


def test_rules_are_read_from_yaml(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(
        "- name: acme\n  when: {Manufacturer: ACME, Rows: 12, Columns: 20}\n"
        "  blank: [[0, 0, 20, 3]]\n- name: us\n  when: {Modality: US}\n  ultrasound_regions: true\n",
        encoding="utf-8",
    )
    first, second = read_region_rules(path)
    assert first.blank == ((0, 0, 20, 3),)
    assert second.ultrasound_regions


@pytest.mark.parametrize("start", ["", "---\n", "# of the ultrasound ward\n\n---\n"])
@pytest.mark.parametrize("value", ["060", "1:30", "on"])
def test_scalars_of_rules_are_those_of_yaml_1_2(tmp_path, start, value):
    path = tmp_path / "rules.yaml"
    path.write_text(
        f"{start}[{{name: us, when: {{StationName: {value}}}, ultrasound_regions: true}}]",
        encoding="utf-8",
    )
    assert read_region_rules(path)[0].when == (("StationName", value),)


@pytest.mark.parametrize(
    "text",
    [
        "rules: 5",
        "- name: a\n  name: b\n  when: {Modality: US}\n  ultrasound_regions: true",
        "- name: a\n  when: {}\n  blank: [[0, 0, 1, 1]]",
        "- name: a\n  when: {CanaryName: x, Rows: 1, Columns: 1}\n  blank: [[0, 0, 1, 1]]",
        "- name: a\n  when: {Modality: US}\n  blank: [[0, 0, 1, 1]]",
        "- name: a\n  when: {Rows: 5, Columns: 5}\n  blank: [[4, 0, 1, 1]]",
        "- name: a\n  when: {Rows: 5, Columns: 5}",
        "- name: a\n  when: {Modality: US}\n  ultrasound_regions: true\n  canary: 5",
        "- {",
    ],
)
def test_bad_rules_are_refused_without_quoting(tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        read_region_rules(path)
    assert "Canary" not in str(refused.value)


def test_a_head_ct_is_flagged_because_a_face_can_be_rendered():
    assert Flag.FACE in deidentify(image(BodyPartExamined="HEAD")[0], Policy(), SECRET).flags
    assert Flag.FACE not in deidentify(image(BodyPartExamined="KNEE")[0], Policy(), SECRET).flags


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        ("77.1.5.1", "OP"),
        ("77.1.7", "DMS"),
        ("77.1.2", "GM"),
        ("1", "CF"),
        ("1", "EC"),
        ("9.9", ""),
    ],
)
def test_a_class_or_modality_that_is_not_of_low_risk_needs_a_sign_off(sop_class, modality):
    dataset = image_of(sop_class, modality)
    with pytest.raises(Refused):
        deidentify(dataset, Policy(), SECRET)
    signed = Policy(pixels=PixelPolicy(sign_off="A. Reader"))
    assert Flag.SIGNED_OFF in deidentify(dataset, signed, SECRET).flags


@pytest.mark.parametrize(
    ("sop_class", "modality"), [("2", "CT"), ("4", "MR"), ("1", "CR"), ("1.1", "DX"), ("128", "PT")]
)
def test_classes_of_low_risk_pass_unless_an_attribute_or_a_colour_shows_a_risk(sop_class, modality):
    assert deidentify(image_of(sop_class, modality), Policy(), SECRET).flags == ()
    for risky in (
        {"RecognizableVisualFeatures": "YES"},
        {"SamplesPerPixel": 3},
        {"ImageType": ["DERIVED", "SECONDARY", "REPORT"]},
        {"AnatomicRegionSequence": [image_of("7", "SC")]},
    ):
        with pytest.raises(Refused):
            deidentify(image_of(sop_class, modality, **risky), Policy(), SECRET)


@pytest.mark.parametrize(
    ("sop_class", "modality", "kind", "is_refused"),
    [
        ("2", "CT", "OTHER", True),
        ("1", "CR", "OTHER", True),
        ("2", "CT", "MPR", False),
        ("4", "MR", "OTHER", False),
    ],
)
def test_derived_secondary_images_need_a_sign_off_unless_they_are_computed(
    sop_class, modality, kind, is_refused
):
    dataset = image_of(sop_class, modality, ImageType=["DERIVED", "SECONDARY", kind])
    if is_refused:
        assert reason_of(dataset) is Reason.COLOUR
    else:
        assert deidentify(dataset, Policy(), SECRET).flags == ()


def image_of(sop_class, modality, **more):
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality = f"1.2.840.10008.5.1.4.1.1.{sop_class}", modality
    dataset.Rows = dataset.Columns = 4
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored = 1, 16, 12
    dataset.PhotometricInterpretation, dataset.PatientID = "MONOCHROME2", "MRN-1"
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = bytes(32 * dataset.SamplesPerPixel)
    return dataset


@pytest.mark.parametrize(
    ("colour", "samples", "black"),
    [("RGB", 3, 0), ("YBR_FULL", 3, [0, 128, 128]), ("MONOCHROME1", 1, 255), ("MONOCHROME2", 1, 0)],
)
@pytest.mark.parametrize("rle", [False, True])
def test_blanked_regions_are_black_in_the_colour_space_of_the_image(colour, samples, black, rle):
    dataset = image_of("6.1", "US", SamplesPerPixel=samples, PhotometricInterpretation=colour)
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.PlanarConfiguration = 7, 0, 0
    dataset.SOPInstanceUID = "2.25.9"
    values = np.arange(40, 40 + 16 * samples, dtype="u1").reshape(4, 4, samples)
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    if rle:
        dataset.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    rule = RegionRule(name="top", when=(("Modality", "US"),), blank=((0, 0, 4, 1),))
    done = deidentify(dataset, Policy(pixels=PixelPolicy(rules=(rule,))), SECRET).dataset
    after = np.frombuffer(done.PixelData, "u1").reshape(values.shape)
    assert done.PhotometricInterpretation == colour
    assert (after[0] == black).all()
    assert np.array_equal(after[1:], values[1:])


def test_a_rule_that_blanks_nothing_is_a_refusal():
    halves = []
    for left, right in ((0, 1), (2, 3)):
        item = Dataset()
        item.RegionLocationMinX0, item.RegionLocationMaxX1 = left, right
        item.RegionLocationMinY0, item.RegionLocationMaxY1 = 0, 3
        halves.append(item)
    dataset = image_of("6.1", "US", SequenceOfUltrasoundRegions=halves)
    dataset.HighBit, dataset.PixelRepresentation = 11, 0
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    rule = RegionRule(name="us", when=(("Modality", "US"),), ultrasound_regions=True)
    with pytest.raises(Refused) as refused:
        deidentify(dataset, Policy(pixels=PixelPolicy(rules=(rule,))), SECRET)
    assert refused.value.reason is Reason.NO_REGION
