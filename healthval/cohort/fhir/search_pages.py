"""One page of a FHIR search: its resources and the address of the next page.

Source: FHIR R4, "Search".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from healthval.cohort.fhir.r4 import check_r4
from healthval.errors import CohortError


def resources_of(page: dict[str, Any], resource: str, number: int) -> Iterator[dict[str, Any]]:
    """Yield a page's resources: matches of the searched type, and what the search includes."""
    if page.get("resourceType") != "Bundle" or page.get("type", "searchset") != "searchset":
        raise CohortError(
            f"search page {number} is not a search set: the chain of pages is broken; "
            "ask the server's operator"
        )
    for at, entry in enumerate(page.get("entry") or [], 1):
        found = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(found, dict) and found.get("resourceType") == "OperationOutcome":
            continue  # a remark of the server about the search itself
        search = (entry.get("search") or {}) if isinstance(entry, dict) else {}
        mode = search.get("mode", "match")
        checked = check_r4(found, f"search page {number}, entry {at}")
        if mode != "match" or checked["resourceType"] == resource:
            yield checked


def next_page(page: dict[str, Any]) -> str | None:
    """Return the address of the next page; None at the last one."""
    for link in page.get("link") or []:
        if isinstance(link, dict) and link.get("relation") == "next":
            if not isinstance(link.get("url"), str):
                raise CohortError(
                    "the next search page has no address: the chain of pages is broken; "
                    "ask the server's operator"
                )
            return str(link["url"])
    return None
