"""Probes for results that a PACS silently withholds.

Some servers end a list of results at a fixed number and report no warning. A narrower search then
returns studies that the list does not have.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from healthval.errors import CohortError

INCOMPLETE: Final = (
    "the PACS repeats a page of results or withholds some, so the list of studies is not complete; "
    "search for shorter periods, for example by StudyDate"
)
_NAMES: Final = frozenset({"StudyInstanceUID", "AccessionNumber", "PatientID"})
_MOMENTS: Final = ("StudyDate", "StudyTime")


def probes(
    filters: Mapping[str, str], moments: Sequence[tuple[str, str]]
) -> Iterator[dict[str, str]]:
    """Narrower searches, whose results a complete list contains.

    `moments` are date and time of each study in the list. The list is divided at its middle date or
    time; if it has only one, by the last digit of the patient's ID. Searches for an identifier are
    not probed.
    """
    if len(moments) < 2 or set(filters) & _NAMES:
        return
    for keyword, values in zip(_MOMENTS, zip(*moments, strict=True), strict=True):
        given = filters.get(keyword, "")
        distinct = sorted({value for value in values if value})
        if len(distinct) > 1 and ("-" in given or not given):
            low, _, high = given.partition("-")
            middle = distinct[len(distinct) // 2]
            yield {**filters, keyword: f"{low}-{middle}"}
            yield {**filters, keyword: f"{middle}-{high}"}
            return
    yield from ({**filters, "PatientID": f"*{digit}"} for digit in range(10))


def check_complete(
    filters: Mapping[str, str],
    moments: Sequence[tuple[str, str]],
    known: Collection[str],
    search: Callable[[dict[str, str]], list[str]],
) -> None:
    """Refuse a list of studies if a narrower search returns one that it does not have.

    `search` returns Study Instance UIDs; a PACS may refuse a narrower search, which proves nothing.

    Raises
    ------
    CohortError
        If the list is not complete.
    """
    for narrower in probes(filters, moments):
        try:
            found = search(narrower)
        except CohortError:
            continue
        if not set(found) <= set(known):
            raise CohortError(INCOMPLETE)
