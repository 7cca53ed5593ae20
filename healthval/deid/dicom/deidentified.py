"""What leaves the room: a data set that only the engine can vouch for, and what to know of it."""

from collections import Counter
from dataclasses import InitVar, dataclass, field
from enum import StrEnum
from typing import Final

from pydicom.dataset import Dataset

from healthval.deid.dicom import marks
from healthval.deid.policy import Option, Policy

SEAL: Final = object()


class Flag(StrEnum):
    """What a person should know about an object that was let through."""

    FACE = "head CT or MR: a face can be rendered"
    SHIFTED = "dates are shifted, not removed: not HIPAA Safe Harbor"
    KEPT_DATES = "dates are kept: not HIPAA Safe Harbor"
    SIGNED_OFF = "a person signed off the pixels"
    BLANKED = "regions of the pixels were blanked"
    RETAINED_UIDS = "original UIDs are kept"


@dataclass(frozen=True, slots=True)
class Deidentified:
    """A data set that may leave; only this room can make one.

    `actions` counts what was done, `flags` says what a person should know.
    """

    dataset: Dataset = field(repr=False)
    actions: Counter[str]
    flags: tuple[Flag, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not SEAL:
            raise TypeError("only healthval.deid.deidentify makes a Deidentified")


def flags_of(dataset: Dataset, policy: Policy, *, signed_off: bool, blanked: bool) -> tuple[Flag, ...]:  # fmt: skip
    """Collect what a person should know about an object that is let through."""
    raised = {
        Flag.FACE: marks.shows_face(dataset),
        Flag.SHIFTED: policy.dates == "shift",
        Flag.KEPT_DATES: policy.dates == "keep",
        Flag.SIGNED_OFF: signed_off,
        Flag.BLANKED: blanked,
        Flag.RETAINED_UIDS: Option.RETAIN_UIDS in policy.options,
    }
    return tuple(flag for flag, is_raised in raised.items() if is_raised)
