"""Risk of burned-in text: refusal of images, region rules that cover them, length of the pixels."""

import re
import struct
from typing import Final

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from healthval.deid.dicom_values import (
    UNDEFINED_LENGTH,
    encoding_of,
    find,
    has,
    number_of,
    raw_element,
    text_of,
    transfer_syntax_of,
)
from healthval.deid.pixels.fragments import CleanFrames, Layout, clean_frames
from healthval.deid.policy import PixelPolicy, RegionRule
from healthval.deid.refuse import Reason, Refused
from healthval.pydicom_internals import elements_of, with_fields

PIXELS: Final = frozenset({0x7FE00010, 0x7FE00008, 0x7FE00009})
# Rows, Columns, Samples per Pixel, Bits Allocated
_SIZES: Final = (0x00280010, 0x00280011, 0x00280002, 0x00280100)
_FRAMES: Final = 0x00280008
OFFSETS: Final = (0x7FE00001, 0x7FE00002)  # Extended Offset Table and its lengths
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
# Classes whose images rarely contain text or show a person: CR, DX, MG, intra-oral X-ray, CT, MR, NM,
# PET, projections of tomosynthesis, RT image and dose, segmentation, parametric map. All others,
# also retired and private ones, need a rule or a sign-off.
_LOW_RISK_CLASSES: Final = frozenset(
    {"1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "2", "2.1", "4", "4.1", "4.2", "20"}
    | {"128", "130", "13.1.3", "13.1.4", "481.1", "481.2", "30", "66.4", "66.5", "66.7", "66.8"}
)
_LOW_RISK_MODALITIES: Final = frozenset(
    {"CR", "CT", "DX", "IO", "MG", "MR", "NM", "PT", "PX", "RG", "RTDOSE", "RTIMAGE", "SEG"}
)
_REASONS: Final = (
    ("6", Reason.ULTRASOUND),
    ("3", Reason.ULTRASOUND),
    ("7", Reason.CAPTURE),
    ("12", Reason.FLUOROSCOPY),
    ("77", Reason.ENDOSCOPY),
)
_MODALITY_REASONS: Final = {
    "US": Reason.ULTRASOUND,
    "IVUS": Reason.ULTRASOUND,
    "SC": Reason.CAPTURE,
    "XA": Reason.FLUOROSCOPY,
    "RF": Reason.FLUOROSCOPY,
    "ES": Reason.ENDOSCOPY,
    "XC": Reason.ENDOSCOPY,
    "OT": Reason.OTHER,
}
# RT Dose, Segmentation and Parametric Map are derived and not drawn for reading.
_COMPUTED: Final = frozenset({"481.2", "30", "66.4", "66.5", "66.7", "66.8"})
_RECONSTRUCTED: Final = frozenset({"MPR", "MIP", "MINIP", "AVERAGE", "REFORMATTED", "RESAMPLED"})
# Overlay Bit Position of the 16 planes
_BIT_POSITIONS: Final = tuple(0x60000102 | plane << 16 for plane in range(0, 32, 2))
_SCREEN: Final = re.compile(r"SCREEN[ _-]?(SAVE|SHOT|CAPTURE)")
_DOSE: Final = re.compile(
    r"DOSE[ _-]?(REPORT|INFO|SUMMARY|RECORD|SHEET|PAGE)|CT_SOM\d PROT|PATIENT[ _-]PROTOCOL|CSA REPORT"
)
_PIXEL_DATA: Final = 0x7FE00010
_REMOVED_IMAGES: Final = frozenset({0x00880200, 0x00101100})  # Icon Image, Referenced Patient Photo
_PIXEL_MARKS: Final = (b"\xe0\x7f\x10\0O", b"\xe0\x7f\x10\0", b"\x7f\xe0\0\x10O")


def has_pixels(dataset: Dataset) -> bool:
    """Whether an object has pixels; a header that was read without them still has their size."""
    return has(dataset, *PIXELS, 0x00280010)


def risk(dataset: Dataset) -> Reason | None:
    """Reason why the pixels of an object may contain text or a face; None for low-risk classes.

    BurnedInAnnotation NO, or its absence, is a weak signal and does not lower the risk.
    """
    if not has_pixels(dataset):
        return _nested_risk(dataset)
    return (
        _described_risk(dataset)
        or _kind_risk(dataset)
        or _derived_risk(dataset)
        or _nested_risk(dataset)
    )


def _kind_risk(dataset: Dataset) -> Reason | None:
    """Reason by class and modality; None if both are on the list of low risk."""
    sop_class = text_of(dataset, 0x00080016).removeprefix(_STORAGE)
    modality = text_of(dataset, 0x00080060).strip(" \0").upper()
    if sop_class and sop_class not in _LOW_RISK_CLASSES:
        family = sop_class.split(".")[0]
        return _MODALITY_REASONS.get(modality) or dict(_REASONS).get(family, Reason.UNLISTED)
    if modality and modality not in _LOW_RISK_MODALITIES:
        return _MODALITY_REASONS.get(modality, Reason.UNLISTED)
    return None


def _marked(dataset: Dataset, tag: int) -> bool:
    return text_of(dataset, tag).strip(" \0").upper() == "YES"


def _derived_risk(dataset: Dataset) -> Reason | None:
    """Colour images, reports, and derived secondary ones of CT and radiographs are drawn pictures.

    Reconstructions from other images are computed; MR has no other mark for them.
    """
    if text_of(dataset, 0x00080016).removeprefix(_STORAGE) in _COMPUTED:
        return None
    image_type = text_of(dataset, 0x00080008).upper().split("\\")
    words = {word.strip(" \0") for word in image_type}
    is_derived = {"DERIVED", "SECONDARY"} <= words
    is_computed = text_of(dataset, 0x00080060).strip(" \0") == "MR" or bool(words & _RECONSTRUCTED)
    is_drawn = is_derived and ("REPORT" in words or not is_computed)
    is_colour = number_of(dataset, _SIZES[2]) == 3
    return Reason.COLOUR if is_colour or is_drawn else None


def _nested_risk(dataset: Dataset) -> Reason | None:
    """Pixels below the root, except those of icons, which are removed."""
    for tag, element in elements_of(dataset).items():
        if tag in _REMOVED_IMAGES:
            continue
        if element.VR == "SQ" and not element.is_raw:
            if any(has(item, *PIXELS) or _nested_risk(item) for item in element.value):
                return Reason.NESTED
        elif element.VR in ("SQ", "UN", None) and _has_pixel_mark(element.value or b""):
            return Reason.NESTED
    return None


def _has_pixel_mark(value: bytes) -> bool:
    return any(mark in value for mark in _PIXEL_MARKS)


def _described_risk(dataset: Dataset) -> Reason | None:
    if _marked(dataset, 0x00280301):
        return Reason.BURNED_IN
    if _marked(dataset, 0x00280302):
        return Reason.RECOGNIZABLE
    image_type = text_of(dataset, 0x00080008).upper()
    words = f"{image_type}\\{text_of(dataset, 0x0008103E).upper()}"
    if _SCREEN.search(words):
        return Reason.SCREEN
    if _DOSE.search(words):
        return Reason.DOSE
    if {"LABEL", "OVERVIEW"} & set(image_type.split("\\")):
        return Reason.SLIDE_LABEL
    return None


def check_pixels(dataset: Dataset, policy: PixelPolicy) -> bool:
    """Refuse a risky image without region rule or sign-off; True if only the sign-off covers it."""
    if has_pixels(dataset) and _has_embedded_overlay(dataset):
        raise Refused(Reason.EMBEDDED_OVERLAY)
    reason = risk(dataset)
    if reason is None or matching_rule(dataset, policy.rules) is not None:
        return False
    if policy.sign_off is None:
        raise Refused(reason)
    return True


def _has_embedded_overlay(dataset: Dataset) -> bool:
    """Whether unused bits of the pixel values contain an overlay (retired in 2004).

    Those bits can be drawn text; clearing them would change every pixel.
    """
    return has(dataset, *_BIT_POSITIONS) and any(
        find(dataset, plane) is not None
        and number_of(dataset, plane) > 0
        and find(dataset, plane & 0xFFFF0000 | 0x3000) is None
        for plane in _BIT_POSITIONS
    )


def matching_rule(dataset: Dataset, rules: tuple[RegionRule, ...]) -> RegionRule | None:
    """First region rule whose predicates are all true for an image."""
    return next((rule for rule in rules if _matches(dataset, rule)), None)


def _matches(dataset: Dataset, rule: RegionRule) -> bool:
    return all(_folded(dataset, keyword) == value.casefold() for keyword, value in rule.when)


def _folded(dataset: Dataset, keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return ""
    if keyword in ("Rows", "Columns"):
        return str(number_of(dataset, tag))
    return text_of(dataset, tag).casefold()


def must_decode(dataset: Dataset, policy: PixelPolicy) -> bool:
    """Whether the policy needs the pixel values of this image."""
    wanted = policy.text != "ignore" or matching_rule(dataset, policy.rules) is not None
    return wanted and has_pixels(dataset)


def blank_pixels(dataset: Dataset, output: Dataset, policy: PixelPolicy) -> bool:
    """Blank regions of `output` as the policy demands; True if pixels changed."""
    if not must_decode(dataset, policy):
        return False
    from healthval.deid.pixels.blank import blank

    return blank(dataset, output, policy, matching_rule(dataset, policy.rules))


def native_length(dataset: Dataset, stored: int) -> int | None:
    """Bytes that uncompressed pixels need by the image's attributes; None if these are incomplete.

    `stored` is the length of the element. The result is even: in big endian files the padding byte
    may be the last but one.

    Raises
    ------
    Refused
        If fewer bytes are stored than the image needs.
    """
    bits = _frame_bits(dataset) * frame_count(dataset)
    if not bits:
        return None
    full = (bits + 7) // 8
    even = full + full % 2
    # Some writers declare YBR_FULL_422 and store full resolution.
    is_half = number_of(dataset, _SIZES[2]) == 3 and "422" in text_of(dataset, 0x00280004)
    if stored < (even // 3 * 2 if is_half else full):
        raise Refused(Reason.DAMAGED)
    if is_half:
        return stored if stored in (even, even // 3 * 2) else None
    return even


def _frame_bits(dataset: Dataset) -> int:
    """Bits of one uncompressed frame, 0 if attributes are missing."""
    rows, columns, samples, bits = (number_of(dataset, tag) for tag in _SIZES)
    return rows * columns * samples * bits


def layout_of(dataset: Dataset) -> Layout:
    """Size and offsets of the frames of an image."""
    rows, columns, samples = (number_of(dataset, tag) for tag in _SIZES[:3])
    return Layout(
        frames=max(frame_count(dataset), 1),
        pixels=rows * columns,
        size=(_frame_bits(dataset) + 7) // 8,
        shape=(rows, columns, samples) if rows and columns and samples else None,
        offsets=_numbers(dataset, OFFSETS[0]),
        sizes=_numbers(dataset, OFFSETS[1]),
    )


def _numbers(dataset: Dataset, tag: int) -> tuple[int, ...] | None:
    """Numbers of an extended offset table; None if the image has no such table."""
    element = find(dataset, tag)
    if element is None:
        return None
    value = element.value if isinstance(element.value, bytes) else b""
    return struct.unpack(f"<{len(value) // 8}Q", value[: len(value) // 8 * 8])


def set_offsets(output: Dataset, frames: CleanFrames) -> None:
    """Store the extended offset tables of cleaned frames, if the image has them."""
    for tag, value in zip(OFFSETS, (frames.offsets, frames.lengths), strict=True):
        if find(output, tag) is not None and value:
            output[tag] = raw_element(tag, "OV", value, encoding_of(output))
        elif find(output, tag) is not None:
            del output[tag]


def frame_count(dataset: Dataset) -> int:
    """Number of Frames; 1 if it is absent or empty, 0 if it is not a whole number."""
    text = text_of(dataset, _FRAMES).split("\\")[0].strip(" \0")
    found = re.fullmatch(r"\+?(\d{1,10})(\.0*)?", text)
    return int(found[1]) or 1 if found else int(not text)


def clean_pixels(dataset: Dataset, output: Dataset) -> None:
    """Clean the frames of an object in memory; remove bytes after the last native pixel.

    Raises
    ------
    Refused
        If pixels are missing, or a compressed frame cannot be parsed.
    """
    syntax = transfer_syntax_of(dataset)
    if not is_compressed(syntax):
        for tag in OFFSETS:
            elements_of(output).pop(tag, None)
    element = find(output, _PIXEL_DATA)
    if element is None or not isinstance(element.value, bytes):
        return
    undefined = (
        element.length == UNDEFINED_LENGTH if element.is_raw else element.is_undefined_length
    )
    if undefined or is_compressed(syntax):
        frames = clean_frames(element.value, syntax, layout_of(dataset))
        if frames.is_changed:
            set_offsets(output, frames)
            output[_PIXEL_DATA] = _pixel_element(b"".join(frames.pieces[:-1]))
        return
    needed = native_length(dataset, len(element.value))
    if needed is None or needed >= len(element.value):
        return
    value = element.value[:needed]
    if element.is_raw:
        output[element.tag] = with_fields(element, value=value, length=len(value))
    else:
        element.value = value


def is_compressed(syntax: str) -> bool:
    """Whether pixels of a transfer syntax are encapsulated."""
    uid = UID(syntax)
    return uid.is_transfer_syntax and not uid.is_private and bool(uid.is_encapsulated)


def _pixel_element(value: bytes) -> DataElement:
    return DataElement(_PIXEL_DATA, "OB", value, is_undefined_length=True, already_converted=True)
