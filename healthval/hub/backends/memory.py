"""The stores in memory: the specification that every other backend is tested against."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from healthval.hub.ports import (
    Clock,
    Conflict,
    HostedModel,
    HostStatus,
    Item,
    ModelFailed,
    Offer,
    Write,
    check_object_key,
    check_writes,
)


@dataclass(slots=True)
class MemoryObjects:
    """Object store in memory; specifies `ports.ObjectStore`."""

    entries: dict[str, bytes] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write the bytes if the key is absent."""
        check_object_key(key)
        with self.lock:
            is_first = key not in self.entries
            self.entries.setdefault(key, data)
        return is_first

    def get(self, key: str) -> bytes:
        """Return the bytes."""
        check_object_key(key)
        return self.entries[key]

    def delete(self, key: str) -> None:
        """Delete the bytes if the key is present."""
        check_object_key(key)
        self.entries.pop(key, None)

    def keys(self, prefix: str) -> list[str]:
        """List keys by prefix."""
        return sorted(key for key in self.entries if key.startswith(prefix))

    def address(self, key: str) -> str:
        """Return a name of the bytes; other processes cannot read it."""
        return f"memory:{key}"

    def offer(self, key: str, size: int, sha256: str, seconds: int) -> Offer | None:
        """Return None: the hub itself receives uploads."""
        return None


@dataclass(slots=True)
class MemoryIndex:
    """Index in memory; specifies `ports.Index`."""

    clock: Clock
    entries: dict[tuple[str, str], Item] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    def get(self, partition: str, key: str) -> Item | None:
        """Return the entry unless it has expired."""
        item = self.entries.get((partition, key))
        return None if item is None or self._is_over(item) else item

    def query(
        self, partition: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> list[Item]:
        """Return a partition's entries, sorted by key."""
        found = [
            item
            for (owner, key), item in sorted(self.entries.items())
            if owner == partition and key.startswith(prefix) and key > after
        ]
        return [item for item in found if not self._is_over(item)][:limit]

    def flush(self) -> None:
        """Do nothing: this index does not survive its process."""

    def commit(self, writes: Sequence[Write], *, durable: bool = True) -> None:
        """Check all conditions, then write."""
        check_writes(writes)
        with self.lock:
            for write in writes:
                item = self.get(write.partition, write.key)
                if (item.version if item else 0) != write.version:
                    raise Conflict
            for write in writes:
                self._apply(write)

    def _apply(self, write: Write) -> None:
        place = (write.partition, write.key)
        if write.value is None:
            self.entries.pop(place, None)
        else:
            self.entries[place] = Item(
                partition=write.partition,
                key=write.key,
                value=write.value,
                version=write.version + 1,
                expires=write.expires,
            )

    def _is_over(self, item: Item) -> bool:
        return item.expires is not None and item.expires <= self.clock()


class NoModels:
    """Model host without models."""

    def start(self, model: HostedModel) -> None:
        """Refuse."""
        raise ModelFailed("this hub hosts no models")

    def stop(self, model: HostedModel) -> None:
        """Do nothing."""

    def status(self, model: HostedModel) -> HostStatus:
        """Return that nothing runs."""
        return "stopped"

    def invoke(self, model: HostedModel, body: bytes) -> bytes:
        """Refuse."""
        raise ModelFailed("this hub hosts no models")
