"""Installed detectors on a picture of a name: the image is refused, or the name alone is blanked."""

import shutil
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from healthval.deid import Flag, PixelPolicy, Policy, Reason, Refused, Secret, deidentify
from healthval.deid.pixels import ocr as ocr_room

SECRET = Secret(bytes(range(32)))
AT = (8, 4)  # a corner, as scanners write
HAVE = {
    "rapidocr": find_spec("rapidocr_onnxruntime") is not None,
    "tesseract": shutil.which("tesseract") is not None,
}
REMEDY = {
    "rapidocr": "install healthval[ocr]",
    "tesseract": "see tests/install_programs.sh",
}


@pytest.fixture(params=HAVE)
def detector(request, monkeypatch):
    name = request.param
    if not HAVE[name]:
        pytest.skip(f"{name} is not installed; {REMEDY[name]}")
    if name == "tesseract":
        monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    ocr_room.detector.cache_clear()
    yield name
    ocr_room.detector.cache_clear()


def picture(words):
    """A round body in air, with noise and words burned in, and the box the words cover."""
    y, x = np.mgrid[-128:128, -192:192]
    grey = 900.0 * (x**2 / 120**2 + y**2 / 80**2 < 1)
    grey += np.random.default_rng(3).normal(200, 20, grey.shape)
    image = Image.new("L", (384, 256))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=28)
    draw.text(AT, words, fill=255, font=font)
    burned = np.asarray(image) > 100
    return np.where(burned, 3000, grey.clip(0)).astype(np.uint16), draw.textbbox(
        AT, words, font=font
    )


def ct(pixels):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.PatientID, dataset.Modality = generate_uid(), "4711", "CT"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.PixelData = 0, pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def cleaned(pixels, text):
    return deidentify(ct(pixels), Policy(pixels=PixelPolicy(text=text)), SECRET)


def test_a_burned_in_name_is_refused(detector):
    pixels, _ = picture("MUSTERMANN MAX")
    with pytest.raises(Refused) as refused:
        cleaned(pixels, "refuse")
    assert refused.value.reason is Reason.TEXT_FOUND
    assert "MUSTERMANN" not in str(refused.value)


def test_a_burned_in_name_is_blanked_and_the_rest_stays(detector):
    pixels, (_, _, right, bottom) = picture("MUSTERMANN MAX")
    made = cleaned(pixels, "blank")
    after = made.dataset.pixel_array
    assert after.max() < 3000
    assert Flag.BLANKED in made.flags
    outside = np.ones(pixels.shape, bool)
    outside[: bottom + 12, : right + 12] = False
    assert np.array_equal(after[outside], pixels[outside])
    assert cleaned(after.astype(np.uint16), "refuse").dataset.Rows == 256


def test_an_image_without_words_passes_as_it_is(detector):
    pixels, _ = picture("")
    made = cleaned(pixels, "refuse")
    assert np.array_equal(made.dataset.pixel_array, pixels)
    assert Flag.BLANKED not in made.flags
