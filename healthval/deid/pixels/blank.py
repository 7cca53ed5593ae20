"""Blanking of regions: frames are decoded, painted over and stored uncompressed."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits, pixel_array
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless

from healthval.deid.dicom_values import encoding_of, number_of, text_of, transfer_syntax_of
from healthval.deid.pixels import ocr
from healthval.deid.pixels.risk import OFFSETS
from healthval.deid.policy import PixelPolicy, RegionRule
from healthval.deid.refuse import Reason, Refused

_REGIONS: Final = 0x00186011
_CORNERS: Final = (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)
_PIXELS: Final = 0x7FE00010
_BITS_ALLOCATED, _BITS_STORED, _SIGNED = 0x00280100, 0x00280101, 0x00280103
_DERIVED_BY: Final = "burned-in regions blanked"
_DERIVATION: Final = ("113047", "DCM", "Pixel by pixel mask")  # PS3.16 CID 7203
# Attributes that pydicom needs to decode the pixels: group 0028, then the offsets
_DECODING: Final = (
    *(0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011),
    *(0x00280100, 0x00280101, 0x00280102, 0x00280103),
    *OFFSETS,
    _PIXELS,
)
Frames = npt.NDArray[Any]
Rectangle = tuple[int, int, int, int]


def blank(source: Dataset, output: Dataset, policy: PixelPolicy, rule: RegionRule | None) -> bool:
    """Blank the regions of the rule and of detected text; True if `output` was changed.

    Raises
    ------
    Refused
        If the pixels cannot be decoded, a rectangle exceeds the image, or text was detected and
        the policy refuses it.
    """
    frames, colour = _decoded(source)
    painted = _rule_mask(source, frames, rule)
    if rule is not None and not painted.any():
        raise Refused(Reason.NO_REGION)  # the image passed only because of the rule
    found = _text_mask(frames, policy)
    if policy.text == "refuse" and (found & ~painted).any():
        raise Refused(Reason.TEXT_FOUND)
    masks = painted | found if policy.text == "blank" else painted
    if not masks.any():
        return False
    frames[masks] = _black(source, frames, colour)
    _store(source, output, frames)
    _describe(source, output, colour)
    return True


def _decoded(source: Dataset) -> tuple[Frames, str]:
    """Frames of shape (frames, rows, columns[, samples]) and their colour space."""
    image = Dataset({BaseTag(t): source.get_item(t) for t in _DECODING if t in source})
    image.set_original_encoding(*encoding_of(source), "iso8859")
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = UID(transfer_syntax_of(source))
    colour = text_of(source, 0x00280004)
    try:
        if image.file_meta.TransferSyntaxUID.is_compressed:
            is_rle = image.file_meta.TransferSyntaxUID == RLELossless
            image.decompress(as_rgb=not is_rle)
            colour = str(image.PhotometricInterpretation)
        as_rgb = "422" in colour
        frames = pixel_array(image, raw=not as_rgb)
    except Exception:
        raise Refused(Reason.NO_DECODER) from None
    single = number_of(source, 0x00280008) <= 1
    return np.array(frames[None] if single else frames), "RGB" if as_rgb else colour


def _rule_mask(source: Dataset, frames: Frames, rule: RegionRule | None) -> npt.NDArray[np.bool_]:
    rows, columns = frames.shape[1:3]
    mask = np.zeros(frames.shape[:3], dtype=bool)
    if rule is None:
        return mask
    for left, top, right, bottom in rule.blank:
        if right > columns or bottom > rows:
            raise Refused(Reason.NO_REGION)
        mask[:, top:bottom, left:right] = True
    kept = [rule.keep] if rule.keep else []
    if rule.ultrasound_regions:
        kept += _ultrasound_regions(source, rows, columns)
    if kept:
        outside = np.ones((rows, columns), dtype=bool)
        for left, top, right, bottom in kept:
            outside[top:bottom, left:right] = False
        mask |= outside
    return mask


def _ultrasound_regions(source: Dataset, rows: int, columns: int) -> list[Rectangle]:
    """Return the regions of PS3.3 C.8.5.5 as rectangles; they include their last row and column."""
    if _REGIONS not in source or source[_REGIONS].VR != "SQ":
        raise Refused(Reason.NO_REGION)
    regions = [_corners(item) for item in source[_REGIONS].value]
    fits = all(0 <= x < a <= columns and 0 <= y < b <= rows for x, y, a, b in regions)
    whole = any((x, y, a, b) == (0, 0, columns, rows) for x, y, a, b in regions)
    if not regions or not fits or whole:
        raise Refused(Reason.NO_REGION)
    return regions


def _corners(item: Dataset) -> Rectangle:
    left, top, right, bottom = (_corner(item, tag) for tag in _CORNERS)
    return left, top, right + 1, bottom + 1


def _corner(item: Dataset, tag: int) -> int:
    value = item[tag].value if tag in item else None
    if not isinstance(value, int):
        raise Refused(Reason.NO_REGION)
    return value


def _text_mask(frames: Frames, policy: PixelPolicy) -> npt.NDArray[np.bool_]:
    mask = np.zeros(frames.shape[:3], dtype=bool)
    if policy.text != "ignore":
        find = ocr.detector()
        for number, frame in enumerate(frames):
            for left, top, right, bottom in find(ocr.to_grey(frame)):
                mask[number, top:bottom, left:right] = True
    return mask


def _black(source: Dataset, frames: Frames, colour: str) -> Any:
    """Stored value that is displayed as black."""
    if colour.startswith("YBR") and frames.ndim == 4:
        half = 1 << (number_of(source, _BITS_STORED) or 8) - 1
        return np.array([0, half, half], dtype=frames.dtype)
    if colour == "MONOCHROME1":
        bits = number_of(source, _BITS_STORED) or number_of(source, _BITS_ALLOCATED)
        is_signed = number_of(source, _SIGNED) == 1
        return (1 << bits - is_signed) - 1
    return 0


def _store(source: Dataset, output: Dataset, frames: Frames) -> None:
    """Store the frames as native pixels of the output."""
    implicit, little = encoding_of(source)
    bits = number_of(source, 0x00280100)
    if bits == 1:
        data = pack_bits(frames.ravel())
    else:
        data = frames.astype(frames.dtype.newbyteorder("<" if little else ">")).tobytes()
    vr = "OB" if bits <= 8 and not implicit else "OW"
    output[_PIXELS] = DataElement(_PIXELS, vr, data + b"\0" * (len(data) % 2))
    for tag in OFFSETS:
        output.pop(tag, None)


def _describe(source: Dataset, output: Dataset, colour: str) -> None:
    """Declare the output a derived, uncompressed image."""
    output.PhotometricInterpretation = colour
    if number_of(source, 0x00280002) > 1:
        output.PlanarConfiguration = 0
    kind = text_of(source, 0x00080008).split("\\")[1:] or ["PRIMARY"]
    output.ImageType = ["DERIVED", *kind]
    output.DerivationDescription = _DERIVED_BY
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = _DERIVATION
    output.DerivationCodeSequence = Sequence([code])
    if UID(transfer_syntax_of(source)).is_compressed:
        output.file_meta = FileMetaDataset()
        output.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
