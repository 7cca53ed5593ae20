"""Changes of elements by attribute, counted for the evidence of a batch."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from pydicom.dataset import Dataset

from healthval.deid.dicom.attributes import KEEP, KEEP_IF_NUMBER
from healthval.pydicom_internals import elements_of

REMOVED, EMPTIED, REPLACED = "x", "z", "d"
_KEPT: Final = (KEEP, KEEP_IF_NUMBER)


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
        if element is not before[tag] and element.VR != "SQ" and actions[int(tag)] not in _KEPT:
            changes[int(tag), REPLACED if element.value else EMPTIED] += 1
