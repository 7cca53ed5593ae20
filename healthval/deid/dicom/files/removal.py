"""Attributes that a caller removes from a batch: their spellings as tags."""

import re
from collections.abc import Iterable
from typing import Final

from pydicom.datadict import tag_for_keyword

from healthval.errors import UsageError, counted

_TAG: Final = re.compile(r"\(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?")
# Without these an object is not readable: character set, SOP class and instance, study, series,
# patient id, and the description of the pixels
_NEEDED: Final = frozenset(
    {0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00100020}
    | {0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011}
    | {0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x7FE00008, 0x7FE00009, 0x7FE00010}
)


def tags_of(given: Iterable[str | int]) -> frozenset[int]:
    """Tags of attributes, from keywords, numbers or texts such as (0018,1160).

    Raises
    ------
    UsageError
        If an attribute is unknown, or an object is not readable without it.
    """
    if isinstance(given, str):
        raise UsageError("remove must be a list of attributes, not one text")
    tags = [_tag(one) for one in given]
    unknown = [position for position, tag in enumerate(tags) if tag is None]
    if unknown:
        many = counted(len(unknown), "attribute to remove is", "attributes to remove are")
        raise UsageError(
            f"{many} unknown (first at position {unknown[0]}); "
            "use a keyword or a tag, for example FilterType or 0018,1160"
        )
    needed = [position for position, tag in enumerate(tags) if tag in _NEEDED]
    if needed:
        many = counted(len(needed), "attribute", "attributes")
        raise UsageError(
            f"{many} cannot be removed (first at position {needed[0]}): no image is readable "
            "without it; leave the file out"
        )
    return frozenset(tag for tag in tags if tag is not None)


def _tag(given: str | int) -> int | None:
    if isinstance(given, int):
        return int(given)
    found = _TAG.fullmatch(given.strip())
    return int(found[1] + found[2], 16) if found else tag_for_keyword(given.strip())
