"""Overlays and curves under the Clean Graphics option: drawings stay, anything wordy goes.

Only region-of-interest overlays (Overlay Type R) stay, because graphics overlays (type G) are how
scanners burn text; of a curve only its numbers.
"""

from typing import Final

from pydicom.dataset import Dataset

from healthval.deid.dicom import values

# Rows, Columns, Number of Frames, Image Frame Origin, Type, Origin, Bits Allocated, Bit Position, Data
_PLANE: Final = frozenset({0x10, 0x11, 0x15, 0x40, 0x50, 0x51, 0x100, 0x102, 0x3000})
# Curve Dimensions, Number of Points, Type of Data, Data Value Representation, Curve Data
_CURVE: Final = frozenset({0x05, 0x10, 0x20, 0x103, 0x3000})
_OVERLAY_TYPE, _CURVE_TYPE = 0x40, 0x20


def keeps_overlay(source: Dataset, tag: int) -> bool:
    """Whether an element of group 60xx belongs to a region of interest and holds no words."""
    plane = tag & 0xFFFF0000
    return tag & 0xFFFF in _PLANE and values.text_of(source, plane | _OVERLAY_TYPE) == "R"


def keeps_curve(source: Dataset, tag: int) -> bool:
    """Whether an element of group 50xx is a number of a curve that is no sound."""
    curve = tag & 0xFFFF0000
    return tag & 0xFFFF in _CURVE and values.text_of(source, curve | _CURVE_TYPE) not in (
        "",
        "AUDIO",
    )
