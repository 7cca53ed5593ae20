"""Private attributes that may stay under the Retain Safe Private option."""

import csv
from functools import lru_cache
from importlib import resources
from typing import Final

from pydicom.dataset import Dataset

from healthval.deid.dicom import values
from healthval.deid.dicom.values import Element
from healthval.deid.policy import Policy

# Numbers and codes; a list may name an attribute that some software fills with prose.
_SAFE_VRS: Final = frozenset({"CS", "DS", "FD", "FL", "IS", "SH", "SL", "SS", "UL", "US", "UN"})


@lru_cache(maxsize=1)
def safe_private() -> frozenset[tuple[str, int, int]]:
    """(creator, group, element in block) that PS3.15 Table E.3.10-1 calls safe."""
    text = resources.files("healthval.deid").joinpath("data/safe_private.csv").read_text("ascii")
    return frozenset(
        (row["creator"], int(row["group"], 16), int(element, 16))
        for row in csv.DictReader(text.splitlines())
        for element in row["elements"].split()
    )


def kept_private(source: Dataset, tag: int, element: Element, policy: Policy) -> bool:
    """Whether a private element or creator stays: the policy's own list replaces the standard's."""
    allowed = policy.private_allowlist or safe_private()
    group, number = tag >> 16, tag & 0xFFFF
    if 0x10 <= number <= 0xFF:
        creator = values.ascii_text(element)
        block = tag & 0xFFFF0000 | number << 8
        tags = [t for t, _ in source.items() if t & 0xFFFFFF00 == block]
        return any(
            (creator, group, t & 0xFF) in allowed and source.get_item(t).VR in _SAFE_VRS
            for t in tags
        )
    at = tag & 0xFFFF0000 | number >> 8
    creator = values.ascii_text(source.get_item(at)) if at in source else ""
    return (creator, group, number & 0xFF) in allowed and element.VR in _SAFE_VRS
