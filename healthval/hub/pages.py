"""Pages of a list: at most `limit` entries and an opaque cursor to the next page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from healthval.hub.ports import Index, Item, Refusal

MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Request for one page; `cursor` is the `next` of the page before."""

    limit: int = MAX_LIMIT
    cursor: str = ""

    def read(
        self, index: Index, partition: str, prefix: str = ""
    ) -> tuple[Sequence[Item], str | None]:
        """Return the entries of this page and the cursor of the next; None after the last."""
        after = _decoded(self.cursor)
        if after and not after.startswith(prefix):
            raise _bad_cursor()
        found = index.query(partition, prefix, after=after, limit=self.limit + 1)
        page = found[: self.limit]
        return page, _encoded(page[-1].key) if len(found) > self.limit else None


def _encoded(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode(
            "ascii"
        )
    except ValueError:  # no base64, or what it encodes is no ASCII
        raise _bad_cursor() from None


def _bad_cursor() -> Refusal:
    return Refusal(422, "The cursor is not one of this list", "start with the first page")
