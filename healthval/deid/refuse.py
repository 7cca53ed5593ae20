"""Refused objects: the reasons, the error, and the kinds of objects that are always refused."""

from enum import StrEnum
from typing import Final

from pydicom.dataset import Dataset

from healthval.deid.dicom_values import has, text_of
from healthval.deid.policy import Option, Policy
from healthval.errors import DeidentificationError


class Reason(StrEnum):
    """Reasons of refusal; the manifest counts files by them."""

    BURNED_IN = "BurnedInAnnotation is YES"
    ULTRASOUND = "ultrasound: text is burned into the pixels"
    CAPTURE = "secondary capture"
    FLUOROSCOPY = "angiography or fluoroscopy"
    ENDOSCOPY = "endoscopy, photograph or video"
    OTHER = "modality OT"
    UNLISTED = "image class or modality that is not on the list of low risk"
    RECOGNIZABLE = "RecognizableVisualFeatures is YES"
    COLOUR = "colour, report or derived picture in a class of grey images"
    NESTED = "pixels inside a sequence"
    SCREEN = "screen save"
    DOSE = "dose report"
    SLIDE_LABEL = "whole-slide label or overview"
    EMBEDDED_OVERLAY = "overlay planes inside the pixel values"
    TEXT_FOUND = "text found in the pixels"
    NO_REGION = "a region rule does not fit the image"
    DOCUMENT = "encapsulated document"
    REPORT = "structured report without clean-structured-content"
    VOICE = "voice recording"
    DICOMDIR = "DICOMDIR"
    SIGNED = "digital signature"
    UNREADABLE = "file or folder cannot be opened"
    UNPARSEABLE = "not a readable DICOM file"
    STRUCTURE = "structure that cannot be de-identified"
    NO_PATIENT_ID = "no PatientID: its dates cannot be shifted consistently"
    MIXED_STUDY = "several patients in one study"
    CONFLICT = "same SOPInstanceUID with other content"
    NO_DECODER = "pixels cannot be decoded"
    STREAM = "a compressed frame cannot be parsed, or its coded data end with a text"
    LEAK = "the audit found an identifier in the output"
    DAMAGED = "pixels, frames or elements are missing or do not fit the attributes"


_REMEDY: Final = {
    Reason.REPORT: "add the clean-structured-content option",
    Reason.STRUCTURE: "repair or leave out the file",
    Reason.NO_PATIENT_ID: "remove the dates, or fill in PatientID",
    Reason.DICOMDIR: "give the images, the index is not needed",
    Reason.SIGNED: "a signature does not survive de-identification; remove it at the source",
    Reason.NO_DECODER: "install the extra healthval[decoders]; `healthval doctor` prints the command",
    Reason.UNREADABLE: "check its permissions, or leave it out if it is a pipe or a broken link",
    Reason.UNPARSEABLE: "repair or leave out the file",
    Reason.STREAM: "store the image in another transfer syntax, or leave it out",
    Reason.DAMAGED: "retrieve the file again, or leave it out",
    Reason.LEAK: "remove the attribute (--remove TAG) or the file (--skip-leaking)",
    Reason.CONFLICT: "keep one of the files",
    Reason.MIXED_STUDY: "correct the study at the source",
    Reason.DOCUMENT: "leave the document out",
    Reason.VOICE: "leave the recording out",
}
_PIXEL_REMEDY: Final = "give a region rule for the device, or let a named person sign off"
_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
_DOCUMENTS: Final = "1.2.840.10008.5.1.4.1.1.104."
_VOICE: Final = ("1.2.840.10008.5.1.4.1.1.9.4.1", "1.2.840.10008.5.1.4.1.1.9.4.2")
_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_DIRECTORY_RECORDS, _SIGNATURES, _SIGNATURE = 0x00041220, 0xFFFAFFFA, 0x04000120


def remedy_of(reason: Reason) -> str:
    """Remedy for a refusal."""
    return _REMEDY.get(reason, _PIXEL_REMEDY)


class Refused(DeidentificationError):
    """An object cannot be de-identified safely; `reason` is the `Reason`, the text has the remedy."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"refused: {reason.value}; {remedy_of(reason)}")
        self.reason = reason

    def __reduce__(self) -> tuple[type["Refused"], tuple[Reason]]:
        return Refused, (self.reason,)


def check_object(dataset: Dataset, policy: Policy) -> None:
    """Refuse kinds of objects that this policy cannot make safe.

    Raises
    ------
    Refused
        For a DICOMDIR, an encapsulated document, a voice recording, a signed object, and a
        structured report unless the policy has the clean-structured-content option.
    """
    meta = getattr(dataset, "file_meta", None)
    classes = {text_of(dataset, 0x00080016)}
    if meta is not None:
        classes.add(text_of(meta, 0x00020002))
    if _DIRECTORY in classes or has(dataset, _DIRECTORY_RECORDS):
        raise Refused(Reason.DICOMDIR)
    if any(c.startswith(_DOCUMENTS) for c in classes):
        raise Refused(Reason.DOCUMENT)
    if classes & set(_VOICE):
        raise Refused(Reason.VOICE)
    is_report = any(c.startswith(_REPORTS) for c in classes)
    if is_report and Option.CLEAN_STRUCTURED_CONTENT not in policy.options:
        raise Refused(Reason.REPORT)
    check_not_signed(dataset)


def check_not_signed(dataset: Dataset) -> None:
    """Refuse an object with a digital signature at its root."""
    if has(dataset, _SIGNATURES) and _is_signed(dataset):
        raise Refused(Reason.SIGNED)


def _is_signed(dataset: Dataset) -> bool:
    element = dataset[_SIGNATURES]
    return element.VR == "SQ" and any(item.get(_SIGNATURE) is not None for item in element.value)
