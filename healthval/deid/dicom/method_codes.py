"""De-identification Method and its codes (PS3.16 CID 7050): attributes added to every output."""

import struct
from functools import lru_cache
from typing import Final

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from healthval import __version__
from healthval.deid.dicom.profile import EDITION
from healthval.deid.dicom.writer import encode_dataset
from healthval.deid.dicom_values import Encoding, raw_element
from healthval.deid.policy import Option

# PS3.16 CID 7050
METHOD_CODES: Final = {
    None: ("113100", "Basic Application Confidentiality Profile"),
    Option.CLEAN_PIXEL_DATA: ("113101", "Clean Pixel Data Option"),
    Option.CLEAN_GRAPHICS: ("113103", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: ("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    Option.RETAIN_FULL_DATES: (
        "113106",
        "Retain Longitudinal Temporal Information Full Dates Option",
    ),
    Option.RETAIN_MODIFIED_DATES: (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: ("113108", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE_IDENTITY: ("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: ("113110", "Retain UIDs Option"),
    Option.RETAIN_SAFE_PRIVATE: ("113111", "Retain Safe Private Option"),
    Option.RETAIN_INSTITUTION_IDENTITY: ("113112", "Retain Institution Identity Option"),
}
_PATIENT_IDENTITY_REMOVED: Final = 0x00120062
_METHOD: Final = 0x00120063
_METHOD_CODE_SEQUENCE: Final = 0x00120064
_BURNED_IN_ANNOTATION: Final = 0x00280301
_DATES_MODIFIED: Final = 0x00280303  # Longitudinal Temporal Information Modified


@lru_cache(maxsize=32)
def method_attributes(options: frozenset[Option], encoding: Encoding) -> tuple[RawDataElement, ...]:
    """Encode the attributes that describe a de-identification with these options.

    Clean Pixel Data belongs to `options` only if pixels of the object were blanked.
    """
    texts = {
        _PATIENT_IDENTITY_REMOVED: ("CS", "YES"),
        _METHOD: ("LO", f"healthval {__version__}, PS3.15 {EDITION}"),
        _DATES_MODIFIED: ("CS", _dates(options)),
    }
    if Option.CLEAN_PIXEL_DATA in options:
        texts[_BURNED_IN_ANNOTATION] = ("CS", "NO")
    codes = [METHOD_CODES[o] for o in METHOD_CODES if o is None or o in options]
    items = b"".join(_code_item(code, meaning, encoding) for code, meaning in codes)
    return (
        *(raw_element(t, vr, text.encode("ascii"), encoding) for t, (vr, text) in texts.items()),
        raw_element(_METHOD_CODE_SEQUENCE, "SQ", items, encoding),
    )


def _dates(options: frozenset[Option]) -> str:
    if Option.RETAIN_FULL_DATES in options:
        return "UNMODIFIED"
    return "MODIFIED" if Option.RETAIN_MODIFIED_DATES in options else "REMOVED"


def _code_item(code: str, meaning: str, encoding: Encoding) -> bytes:
    texts = {0x00080100: ("SH", code), 0x00080102: ("SH", "DCM"), 0x00080104: ("LO", meaning)}
    elements = [raw_element(t, vr, v.encode("ascii"), encoding) for t, (vr, v) in texts.items()]
    implicit, little = encoding
    item = Dataset({element.tag: element for element in elements})
    body = encode_dataset(item, implicit=implicit, little=little)
    return struct.pack("<HHL" if little else ">HHL", 0xFFFE, 0xE000, len(body)) + body
