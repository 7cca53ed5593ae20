"""Action of each attribute under a policy: the profile's table, then healthval's own rules.

The changes that the actions made are counted here, for the evidence of a batch.

Private attributes, overlays and curves have conditions beyond their tag; they are checked here too.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from pydicom.datadict import (
    dictionary_has_tag,
    dictionary_keyword,
    dictionary_VR,
    private_dictionary_VR,
    repeater_has_tag,
)
from pydicom.dataset import Dataset

from healthval.deid.dicom.profile import read_data, resolve, rules_by_tag
from healthval.deid.dicom_values import Element, Encoding, ascii_text, text_of
from healthval.deid.policy import Option, Policy
from healthval.pydicom_internals import elements_of

# Actions beside those of the table (X, Z, D, U, K, C and their combinations); a UID is a number
KEEP, KEEP_IF_NUMBER, SEQUENCE, PATIENT_ID = "keep", "keep if number", "sequence", "patient id"
OVERLAY, CURVE, PRIVATE, CHARACTER_SET = "overlay", "curve", "private", "character set"
TYPED: Final = "typed"  # text that a person may have typed
REMOVED, EMPTIED, REPLACED = "x", "z", "d"  # changes of an element
DROP, RETAIN, CLEAN, REPLACE_UID, KEEP_ITEMS = "X", "K", "C", "U", "X/Z/U*"
# Actions whose result does not depend on the value
FIXED: Final = frozenset({"Z", "D", "X/Z", "X/D", "Z/D", "X/Z/D"})

FREE_TEXT_VRS: Final = frozenset({"LT", "ST", "UC", "UR", "UT"})
TEXT_VRS: Final = FREE_TEXT_VRS | {"LO", "SH"}
# Texts of the standard, a device or its maker, which no person types
_SAFE_TEXT: Final = frozenset(
    [
        "CodeValue",
        "LongCodeValue",
        "URNCodeValue",
        "ExtendedCodeValue",
        "CodingSchemeDesignator",
        "CodeMeaning",
        "CodingSchemeVersion",
        "CodingSchemeRegistry",
        "MappingResourceName",
        "Manufacturer",
        "ManufacturerModelName",
        "ManufacturerRelatedModelGroup",
        "ManufacturerModelVersion",
        "SoftwareVersions",
        "ConvolutionKernel",
        "SequenceName",
        "PulseSequenceName",
        "ImagedNucleus",
        "FilterType",
        "TypeOfFilters",
        "PlateType",
        "PhosphorType",
        "ReceiveCoilName",
        "TransmitCoilName",
        "ReceiveCoilManufacturerName",
        "TransmitCoilManufacturerName",
        "MultiCoilElementName",
        "AcquisitionDeviceProcessingCode",
        "DetectorManufacturerName",
        "DetectorManufacturerModelName",
        "SecondaryCaptureDeviceManufacturer",
        "SecondaryCaptureDeviceManufacturerModelName",
        "SecondaryCaptureDeviceSoftwareVersions",
        "VideoImageFormatAcquired",
        "DigitalImageFormatAcquired",
        "RescaleType",
        "ModalityLUTType",
        "ImageFilter",
        "AttenuationCorrectionMethod",
        "ReconstructionMethod",
        "ScatterCorrectionMethod",
        "DetectorLinesOfResponseUsed",
        "SourceIsotopeName",
        "TransducerData",
        "ProcessingFunction",
        "AlgorithmName",
        "AlgorithmVersion",
        "ApplicationName",
        "ApplicationVersion",
        "ApplicationManufacturer",
        "EXIFVersion",
        "SegmentAlgorithmName",
        "MIMETypeOfEncapsulatedDocument",
        "ListOfMIMETypes",
    ]
)
# Bytes that may contain text and are not needed to read the object
_OPAQUE: Final = frozenset(
    {"ICCProfile", "EncryptedContent", "HPGLDocument", "RecordKey", "PriorRecordKey"}
)
# Short text that is a number in most files
_NUMBERS: Final = frozenset({"StackID"})
# Codes have a place in items only
CODES: Final = (0x00080100, 0x00080101, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120)
_CHARSETS: Final = 0x00080005
_LENGTH_TO_END: Final = 0x00080001
# VRs of numbers and codes: a private attribute on the list may contain prose in some software.
_SAFE_PRIVATE_VRS: Final = frozenset(
    {"CS", "DS", "FD", "FL", "IS", "SH", "SL", "SS", "UL", "US", "UN"}
)
# Rows, Columns, Number of Frames, Image Frame Origin, Type, Origin, Bits Allocated, Bit Position,
# Data
_OVERLAY_ELEMENTS: Final = frozenset({0x10, 0x11, 0x15, 0x40, 0x50, 0x51, 0x100, 0x102, 0x3000})
# Curve Dimensions, Number of Points, Type of Data, Data Value Representation, Curve Data
_CURVE_ELEMENTS: Final = frozenset({0x05, 0x10, 0x20, 0x103, 0x3000})
_OVERLAY_TYPE, _CURVE_TYPE = 0x40, 0x20


class ActionTable(dict[int, str]):
    """Action by tag under one policy; a tag is looked up in the rules when it is first met."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        # Replacements by fixed actions, by (SOP class, enclosing sequence, encoding), then tag
        self.replacements: defaultdict[tuple[str, str, Encoding], dict[int, Any]]
        self.replacements = defaultdict(dict)

    def __missing__(self, tag: int) -> str:
        action = self[tag] = self._action(tag)
        return action

    def _action(self, tag: int) -> str:  # noqa: PLR0911  one line for each kind of tag
        group, element = tag >> 16, tag & 0xFFFF
        if element == 0 or group in (0x0000, 0x0002, 0xFFFE) or tag == _LENGTH_TO_END:
            return DROP
        if tag in self.policy.remove:
            return DROP
        if tag == _CHARSETS:
            return CHARACTER_SET
        rule = rules_by_tag().get(tag)
        if rule is not None:
            return PATIENT_ID if rule.keyword == "PatientID" else resolve(rule, self.policy)[0]
        if group % 2:
            return PRIVATE if Option.RETAIN_SAFE_PRIVATE in self.policy.options else DROP
        if group >> 8 == 0x50:
            return CURVE
        if group >> 8 == 0x60:
            return OVERLAY
        return self._unlisted(tag)

    def _unlisted(self, tag: int) -> str:
        if not (dictionary_has_tag(tag) or repeater_has_tag(tag)):
            return KEEP if tag in self.policy.public_allowlist else DROP
        vr, keyword = dictionary_VR(tag), dictionary_keyword(tag)
        if vr == "SQ":
            return SEQUENCE
        if keyword in _OPAQUE:
            return DROP
        if vr in ("DS", "IS", "UI") or keyword in _NUMBERS:
            return KEEP_IF_NUMBER
        if vr in TEXT_VRS:
            return KEEP if keyword in _SAFE_TEXT else TYPED
        return KEEP


@lru_cache(maxsize=8)
def action_table(policy: Policy) -> ActionTable:
    """Return the action table of a policy; one table serves all objects of a batch."""
    return ActionTable(policy)


def is_fixed(tag: int) -> bool:
    """Whether an element's replacement is the same for every object of one class."""
    rule = rules_by_tag()[tag]
    return rule.vr not in ("", "SQ") and not (rule.vr == "UI" and "D" in rule.action)


def is_text(tag: int) -> bool:
    """Whether an attribute may contain prose; an attribute outside the dictionary may."""
    return not dictionary_has_tag(tag) or dictionary_VR(tag) in TEXT_VRS


@lru_cache(maxsize=1)
def safe_private() -> frozenset[tuple[str, int, int]]:
    """Safe private attributes of PS3.15 Table E.3.10-1: (creator, group, element in block)."""
    text = read_data("safe_private.csv")
    return frozenset(
        (row["creator"], int(row["group"], 16), int(element, 16))
        for row in csv.DictReader(text.splitlines())
        for element in row["elements"].split()
    )


def keeps_private(source: Dataset, tag: int, element: Element, policy: Policy) -> bool:
    """Whether a private element or creator is kept under the Retain Safe Private option.

    The policy's list, if it has one, replaces the standard's.
    """
    allowed = policy.private_allowlist or safe_private()
    group, number = tag >> 16, tag & 0xFFFF
    if 0x10 <= number <= 0xFF:
        creator = ascii_text(element)
        block = tag & 0xFFFF0000 | number << 8
        tags = [t for t, _ in source.items() if t & 0xFFFFFF00 == block]
        return any(
            (creator, group, t & 0xFF) in allowed and _is_safe_private(source.get_item(t), creator)
            for t in tags
        )
    at = tag & 0xFFFF0000 | number >> 8
    creator = ascii_text(source.get_item(at)) if at in source else ""
    return (creator, group, number & 0xFF) in allowed and _is_safe_private(element, creator)


def _is_safe_private(element: Element, creator: str) -> bool:
    """Whether a private element has a VR of numbers or codes; implicit VR needs the dictionary."""
    if element.VR is not None:
        return element.VR in _SAFE_PRIVATE_VRS
    try:
        return private_dictionary_VR(element.tag, creator) in _SAFE_PRIVATE_VRS
    except KeyError:
        return False


def keeps_graphics(source: Dataset, tag: int, action: str, policy: Policy) -> bool:
    """Whether an element of an overlay or a curve is kept under the Clean Graphics option.

    Of overlays, regions of interest (Overlay Type R) are kept: scanners write text into graphics
    overlays (type G). Of curves, numbers are kept unless the curve is a sound.
    """
    if Option.CLEAN_GRAPHICS not in policy.options:
        return False
    plane, element = tag & 0xFFFF0000, tag & 0xFFFF
    if action == OVERLAY:
        return element in _OVERLAY_ELEMENTS and text_of(source, plane | _OVERLAY_TYPE) == "R"
    kind = text_of(source, plane | _CURVE_TYPE)
    return element in _CURVE_ELEMENTS and kind not in ("", "AUDIO")


def note_changes(
    source: Dataset,
    kept: Mapping[Any, Any],
    changes: Counter[tuple[int, str]],
    actions: Mapping[int, str],
) -> None:
    """Count removed, emptied and replaced elements of one data set by (tag, kind)."""
    before = elements_of(source)
    for tag in before.keys() - kept.keys():
        changes[int(tag), REMOVED] += 1
    for tag, element in kept.items():
        if (
            element is not before[tag]
            and element.VR != "SQ"
            and actions[int(tag)] not in (KEEP, KEEP_IF_NUMBER)
        ):
            changes[int(tag), REPLACED if element.value else EMPTIED] += 1
