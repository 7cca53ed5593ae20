"""One object in memory through the engine."""

from pydicom.dataset import Dataset

from healthval.deid.dicom import marks, values
from healthval.deid.dicom.deidentified import Deidentified
from healthval.deid.dicom.engine import apply, check_means
from healthval.deid.dicom.refuse import Reason, Refused
from healthval.deid.policy import Policy
from healthval.deid.quiet import quiet
from healthval.deid.secret import Secret
from healthval.errors import UsageError


def deidentify(dataset: Dataset, policy: Policy, secret: Secret) -> Deidentified:
    """Apply `policy` to a data set; the input is left as it is.

    Parameters
    ----------
    dataset : as read by pydicom or built in memory
    policy, secret : what to do, and the key for UIDs, pseudonyms and date offsets

    Raises
    ------
    DeidentificationError
        If the object cannot be de-identified safely; `.reason` says why.

    References
    ----------
    DICOM PS3.15, Annex E.
    """
    if not isinstance(dataset, Dataset):
        raise UsageError("deidentify takes a pydicom data set; for paths use deidentify_files")
    check_means(policy, secret)
    with quiet():
        _load_deferred(dataset)
        made = apply(dataset, policy, secret)
        if getattr(dataset, "file_meta", None) is not None:
            made.dataset.file_meta = marks.file_meta(made.dataset, dataset)
            made.dataset.preamble = bytes(128)
    return made


def _load_deferred(dataset: Dataset) -> None:
    try:
        values.load_deferred(dataset)
    except Exception:
        raise Refused(Reason.UNREADABLE) from None
