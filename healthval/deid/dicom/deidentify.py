"""De-identification of one object in memory: `deidentify` and its result `Deidentified`."""

import re
from collections import Counter
from dataclasses import InitVar, dataclass, field
from enum import StrEnum
from typing import Final

from pydicom.dataset import Dataset

from healthval.deid.dicom.engine import Engine
from healthval.deid.dicom.method_codes import method_attributes
from healthval.deid.dicom.writer import file_meta
from healthval.deid.dicom_values import has, load_deferred, text_of
from healthval.deid.pixels.risk import blank_pixels, check_pixels, clean_pixels
from healthval.deid.policy import Option, Policy
from healthval.deid.refuse import Reason, Refused, check_object
from healthval.deid.secret import Secret, uid
from healthval.errors import UsageError
from healthval.pydicom_internals import elements_of, quiet

_SEAL: Final = object()
_HEAD: Final = re.compile(
    r"HEAD|BRAIN|SKULL|FACE|SINUS|ORBIT|CEREBR|CRANI|NECK|TEMPORAL|KOPF|SCHAEDEL|TETE|WHOLE ?BODY",
    re.IGNORECASE,
)
# Body Part Examined, Study Description, Series Description, Protocol Name
_REGION_TAGS: Final = (0x00180015, 0x00081030, 0x0008103E, 0x00181030)
_SOP_INSTANCE, _MODALITY, _ROWS = 0x00080018, 0x00080060, 0x00280010


class Flag(StrEnum):
    """Remaining risks and manual decisions of an output; the manifest counts files by them."""

    FACE = "head CT or MR: a face can be rendered"
    SHIFTED = "dates are shifted, not removed: not HIPAA Safe Harbor"
    KEPT_DATES = "dates are kept: not HIPAA Safe Harbor"
    SIGNED_OFF = "a person signed off the pixels"
    BLANKED = "regions of the pixels were blanked"
    RETAINED_UIDS = "original UIDs are kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deidentified:
    """De-identified data set, the only kind that may be sent; made by `deidentify` only.

    `actions` counts changes of attributes by kind, `changes` by attribute and kind; `identity`
    has the pseudonyms of the patient's number and its issuer; `flags` are remaining risks.
    """

    dataset: Dataset = field(repr=False)
    actions: Counter[str]
    changes: Counter[tuple[int, str]] = field(repr=False)
    identity: tuple[str, str] = field(repr=False)
    flags: tuple[Flag, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only healthval.deid.deidentify makes a Deidentified")


def deidentify(dataset: Dataset, policy: Policy, secret: Secret) -> Deidentified:
    """Apply `policy` to a data set; the input is not changed.

    Parameters
    ----------
    dataset : as read by pydicom or built in memory
    policy : profile, options and dates
    secret : key of UIDs, pseudonyms and date offsets

    Raises
    ------
    DeidentificationError
        If the object cannot be de-identified safely; `.reason` is the reason.

    References
    ----------
    DICOM PS3.15, Annex E.
    """
    if not isinstance(dataset, Dataset):
        raise UsageError("deidentify takes a pydicom data set; for paths use deidentify_files")
    check_policy_and_secret(policy, secret)
    with quiet():
        try:
            load_deferred(dataset)
        except Exception:
            raise Refused(Reason.UNREADABLE) from None
        made = apply_policy(dataset, policy, secret)
        if getattr(dataset, "file_meta", None) is not None:
            made.dataset.file_meta = file_meta(made.dataset, dataset)
            made.dataset.preamble = bytes(128)
    return made


def check_policy_and_secret(policy: Policy, secret: Secret) -> None:
    """Refuse values of other types, before any file is read.

    Raises
    ------
    UsageError
        If one of the two has another type.
    """
    if not isinstance(policy, Policy):
        raise UsageError("the policy must be a healthval.deid.Policy")
    if not isinstance(secret, Secret):
        raise UsageError(
            "the secret must be a healthval.deid.Secret; read it with Secret.from_file"
        )


def apply_policy(dataset: Dataset, policy: Policy, secret: Secret) -> Deidentified:
    """Core of `deidentify`; leaves the file meta to the caller."""
    try:
        check_object(dataset, policy)
        signed_off = check_pixels(dataset, policy.pixels)
        engine = Engine(dataset, policy, secret)
        output = engine.run()
        blanked = blank_pixels(dataset, output, policy.pixels)
        if not blanked:
            clean_pixels(dataset, output)
    except RecursionError:
        raise Refused(Reason.UNPARSEABLE) from None
    applied = policy.options if blanked else policy.options - {Option.CLEAN_PIXEL_DATA}
    elements = elements_of(output)
    for element in method_attributes(applied, engine.encoding):
        elements[element.tag] = element
    if blanked:
        output.SOPInstanceUID = uid(secret, text_of(dataset, _SOP_INSTANCE))
    flags = _flags(dataset, policy, signed_off=signed_off, blanked=blanked)
    return Deidentified(
        dataset=output,
        actions=engine.actions,
        changes=engine.changes,
        identity=engine.identity,
        flags=flags,
        seal=_SEAL,
    )


def _flags(
    dataset: Dataset, policy: Policy, *, signed_off: bool, blanked: bool
) -> tuple[Flag, ...]:
    raised = {
        Flag.FACE: _shows_face(dataset),
        Flag.SHIFTED: policy.dates == "shift",
        Flag.KEPT_DATES: policy.dates == "keep",
        Flag.SIGNED_OFF: signed_off,
        Flag.BLANKED: blanked,
        Flag.RETAINED_UIDS: Option.RETAIN_UIDS in policy.options,
    }
    return tuple(flag for flag, is_raised in raised.items() if is_raised)


def _shows_face(dataset: Dataset) -> bool:
    """Whether a face could be rendered from a CT, MR or PET volume of the head."""
    if text_of(dataset, _MODALITY) not in ("CT", "MR", "PT") or not has(dataset, _ROWS):
        return False
    return any(_HEAD.search(text_of(dataset, tag)) for tag in _REGION_TAGS)
