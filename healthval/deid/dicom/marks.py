"""What the output says about itself: that identity was removed, how, and by which codes."""

import re
import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from healthval import __version__
from healthval.deid.dicom import values
from healthval.deid.dicom.profile import EDITION
from healthval.deid.dicom.writer import encode_dataset, encode_meta
from healthval.deid.policy import Option, Policy

Marks = tuple[RawDataElement, ...]
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
IMPLEMENTATION_CLASS: Final = "2.25.231814790462375211283049530211738125073"
_IMPLEMENTATION_VERSION: Final = "HEALTHVAL"
_DATES: Final = {"remove": "REMOVED", "shift": "MODIFIED", "keep": "UNMODIFIED"}
_STANDARD_SCHEMES: Final = frozenset(
    {"DCM", "SCT", "SRT", "SNM3", "99SDM", "LN", "RADLEX", "UCUM", "FMA", "NCIt", "UMLS", "MDC"}
    | {"ICD9", "I9C", "I10", "ICD10", "ICD-10", "C4", "CD2", "RXNORM", "ATC", "NEU", "BI", "ISO3166_1"}
)  # fmt: skip
_HEAD: Final = re.compile(r"HEAD|BRAIN|SKULL|FACE|SINUS|ORBIT|CEREBR|CRANI|NECK|TEMPORAL|KOPF|SCHAEDEL|TETE|WHOLE ?BODY", re.IGNORECASE)  # fmt: skip
_REGION_TAGS: Final = (0x00180015, 0x00081030, 0x0008103E, 0x00181030)
_ROWS: Final = 0x00280010


def encoding_of(dataset: Dataset) -> tuple[bool, bool]:
    """(implicit VR, little endian) of a data set; explicit little endian where it says nothing."""
    implicit, little = dataset.original_encoding
    if implicit is not None and little is not None:
        return implicit, little
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is not None and UID(syntax).is_transfer_syntax and not UID(syntax).is_private:
        return UID(syntax).is_implicit_VR, UID(syntax).is_little_endian
    return False, True


def marks_of(policy: Policy, encoding: tuple[bool, bool], *, blanked: bool) -> Marks:
    """Elements that say what was done, encoded once per policy."""
    options = policy.options if blanked else policy.options - {Option.CLEAN_PIXEL_DATA}
    return _marks(options, policy.dates, encoding, blanked)


@lru_cache(maxsize=32)
def _marks(options: frozenset[Option], dates: str, encoding: tuple[bool, bool], blanked: bool) -> Marks:  # fmt: skip
    values_of = {
        0x00120062: ("CS", "YES"),
        0x00120063: ("LO", f"healthval {__version__}, PS3.15 {EDITION}"),
        0x00280303: ("CS", _DATES[dates]),
    }
    if blanked:
        values_of[0x00280301] = ("CS", "NO")
    made = {tag: _raw(tag, vr, text.encode("ascii"), encoding) for tag, (vr, text) in values_of.items()}  # fmt: skip
    codes = [METHOD_CODES[o] for o in METHOD_CODES if o is None or o in options]
    made[0x00120064] = _raw(0x00120064, "SQ", b"".join(_code(*c, encoding) for c in codes), encoding)  # fmt: skip
    return tuple(made.values())


def _raw(tag: int, vr: str, value: bytes, encoding: tuple[bool, bool]) -> RawDataElement:
    value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return RawDataElement(BaseTag(tag), vr, len(value), value, 0, *encoding)


def _code(code: str, meaning: str, encoding: tuple[bool, bool]) -> bytes:
    implicit, little = encoding
    parts = {0x00080100: ("SH", code), 0x00080102: ("SH", "DCM"), 0x00080104: ("LO", meaning)}
    item = Dataset({BaseTag(t): _raw(t, vr, v.encode("ascii"), encoding) for t, (vr, v) in parts.items()})  # fmt: skip
    body = encode_dataset(item, implicit=implicit, little=little)
    return struct.pack("<HHL" if little else ">HHL", 0xFFFE, 0xE000, len(body)) + body


def file_meta(output: Dataset, source: Dataset) -> FileMetaDataset:
    """Build the file meta anew; nothing of the source's but the transfer syntax is copied."""
    changed = getattr(output, "file_meta", None) is not None
    # pydicom fills in the group length when it writes, provided that there is one.
    length = (0x00020000, "UL", bytes(4))
    values_of = [length, *_meta_values(output, syntax_of(output if changed else source))]
    return FileMetaDataset({BaseTag(tag): _raw(tag, vr, value, (False, True)) for tag, vr, value in values_of})  # fmt: skip


def _meta_values(output: Dataset, syntax: str) -> list[tuple[int, str, bytes]]:
    texts = (
        (0x00020002, "UI", values.text_of(output, 0x00080016)),
        (0x00020003, "UI", values.text_of(output, 0x00080018)),
        (0x00020010, "UI", syntax),
        (0x00020012, "UI", IMPLEMENTATION_CLASS),
        (0x00020013, "SH", _IMPLEMENTATION_VERSION),
    )
    encoded = [(tag, vr, text.encode("ascii", "replace")) for tag, vr, text in texts]
    return [(0x00020001, "OB", b"\0\1"), *encoded]


def syntax_of(dataset: Dataset) -> str:
    """Transfer syntax of a data set; where it names none, the one its bytes are in."""
    meta = getattr(dataset, "file_meta", None)
    named = "" if meta is None else values.text_of(meta, 0x00020010)
    if named:
        return named
    implicit, little = encoding_of(dataset)
    if implicit:
        return "1.2.840.10008.1.2"
    return "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"


def meta_bytes(output: Dataset, syntax: str) -> bytes:
    """Encode preamble and file meta."""
    made = ((t, _raw(t, vr, v, (False, True))) for t, vr, v in _meta_values(output, syntax))
    return bytes(128) + encode_meta(made)


def shows_face(dataset: Dataset) -> bool:
    """Whether a CT, MR or PET volume of the head could be rendered as a face."""
    if values.text_of(dataset, 0x00080060) not in ("CT", "MR", "PT") or not values.has(
        dataset, _ROWS
    ):
        return False
    return any(_HEAD.search(values.text_of(dataset, tag)) for tag in _REGION_TAGS)


def clean_codes(items: Iterable[Dataset], clean: Callable[[str], str]) -> None:
    """Clean the meanings of codes, at every depth; a local scheme names its hospital and goes.

    What was not clean becomes the standard's own meaning where it has one.
    """
    for item in items:
        if "CodingSchemeDesignator" in item and item.CodingSchemeDesignator not in _STANDARD_SCHEMES:  # fmt: skip
            item.clear()
        for element in item:
            if element.VR == "SQ":
                clean_codes(element.value, clean)
            elif element.keyword == "CodeMeaning":
                element.value = _meaning(item, str(element.value or ""), clean)


def _meaning(item: Dataset, text: str, clean: Callable[[str], str]) -> str:
    cleaned = clean(text)
    if cleaned == text:
        return text
    code = str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeValue", ""))
    return standard_meanings().get(code) or cleaned or "REMOVED"


@lru_cache(maxsize=1)
def standard_meanings() -> dict[tuple[str, str], str]:
    """Meaning of each code of the standard's context groups, by scheme and code."""
    from pydicom.sr import _concepts_dict

    concepts: Any = _concepts_dict.concepts
    return {
        (scheme, code): meaning
        for scheme, keywords in concepts.items()
        for codes in keywords.values()
        for code, (meaning, _) in codes.items()
    }
