"""Tripwire: an upload that is not a de-identified DICOM file is refused before it is stored.

It does not replace de-identification: it finds the mistakes of a script that uploads the wrong files.
"""

import functools
import io
import logging
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, Final

from healthval.hub.ports import Refusal

MAX_INFLATED_BYTES: Final = 128 * 1024 * 1024
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_REMEDY: Final = "de-identify the file with healthval deid and upload its output"
# Value that healthval's de-identification writes where PS3.15 requires a dummy name.
_DUMMY_NAMES: Final = {"", "REMOVED"}
# PS3.15 table E.1-1 removes these; they have no dummy.
_CONTACTS: Final = ("PatientAddress", "PatientTelephoneNumbers", "PatientTelecomInformation")


def check_file(data: bytes) -> None:
    """Refuse a file that is not DICOM, has no marks of de-identification or has a person's name.

    The preamble must be empty: it has no elements, so that nothing in it could be checked.

    The marks are Patient Identity Removed (0012,0062) and a method, (0012,0063) or (0012,0064).

    Raises
    ------
    Refusal
        With status 422; quotes nothing of the file.
    """
    if data[128:132] != b"DICM":
        raise _refusal("The file is not DICOM")
    if any(data[:128]):
        raise _refusal("The file's preamble, the 128 bytes before DICM, is not empty")
    try:
        dataset = _read(data)
        names = sum(_names(dataset))
        method = (
            _text(dataset, "DeidentificationMethod")
            or "DeidentificationMethodCodeSequence" in dataset
        )
        is_marked = _text(dataset, "PatientIdentityRemoved") == "YES" and method
        contacts = any(_text(dataset, keyword) for keyword in _CONTACTS)
    except Refusal:
        raise
    except Exception:
        raise _refusal("The file cannot be read as DICOM") from None
    if names or contacts:
        raise _refusal("The file has the name or address of a person")
    if not is_marked:
        raise _refusal("The file is not marked as de-identified")


def _read(data: bytes) -> Any:
    meta_end = _meta_end(data)
    if _DEFLATED.encode() in data[132:meta_end]:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        if len(inflate.decompress(data[meta_end:], MAX_INFLATED_BYTES + 1)) > MAX_INFLATED_BYTES:
            raise _refusal("The file is too large once it is inflated")
    return _pydicom().dcmread(io.BytesIO(data))


def _meta_end(data: bytes) -> int:
    """Return the end of group 0002, which is explicit little endian; its length may be missing."""
    end = 132
    while data[end : end + 2] == b"\x02\x00":
        if data[end + 4 : end + 6] in {b"OB", b"UN", b"UT"}:
            end += 12 + int.from_bytes(data[end + 8 : end + 12], "little")
        else:
            end += 8 + int.from_bytes(data[end + 6 : end + 8], "little")
    return end


def _names(dataset: Any) -> Iterator[bool]:
    for element in dataset.iterall():
        if element.VR == "PN":
            values = element.value if element.VM > 1 else [element.value]
            yield any(str(value or "").strip(" ^=\0") not in _DUMMY_NAMES for value in values)


def _text(dataset: Any, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip(" \0")


@functools.cache
def _pydicom() -> Any:
    """Import pydicom; its warnings and log lines quote values, so both are off."""
    import pydicom

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").disabled = True
    return pydicom


def _refusal(title: str) -> Refusal:
    return Refusal(422, title, _REMEDY)
