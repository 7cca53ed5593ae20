"""What the hub needs from outside, as Protocols; the memory backend is their specification."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from healthval.contracts.base import canonical_json, digest

Clock = Callable[[], float]

_OBJECT_KEY = re.compile(r"([a-z0-9-]{1,64}/){1,4}[a-z0-9][a-z0-9_-]{0,127}\.[a-z0-9]{1,8}")
_INDEX_KEY = re.compile(r"[ -~]{1,512}")
MAX_ITEM_BYTES = 400 * 1024
MAX_WRITES = 100


class Conflict(Exception):
    """Another writer was first: nothing of the commit was done."""


class StoreUnavailable(Exception):
    """The store did not answer; the same call may succeed later."""


class HostUnavailable(Exception):
    """The model host is starting, busy or out of reach; the same call may succeed later."""


class ModelFailed(Exception):
    """The model host answered, and the answer is that the model failed."""


class Refusal(Exception):
    """The hub's answer other than success; `detail` never quotes what was sent."""

    def __init__(
        self, status: int, title: str, detail: str = "", *, retryable: bool = False
    ) -> None:
        super().__init__(title)
        self.status, self.title, self.detail = status, title, detail
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the index; `version` counts its writes from 1."""

    partition: str
    key: str
    value: Mapping[str, Any]
    version: int
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """A change to one entry, done only if the entry is still at `version` (0: not there).

    `value` None removes the entry. `expires` is in seconds since 1970; from then on the entry
    counts as not there.
    """

    partition: str
    key: str
    value: Mapping[str, Any] | None
    version: int = 0
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A signed address to PUT to, with the headers that were signed along."""

    url: str
    headers: Mapping[str, str]


class ObjectStore(Protocol):
    """Bytes under a key that are written once. Keys look like ``folder/folder/name.ext``."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write all of `data` or nothing; False when the key is taken, whatever lies there."""

    def get(self, key: str) -> bytes:
        """Return the bytes; KeyError when there are none."""

    def delete(self, key: str) -> None:
        """Remove the bytes if they are there."""

    def keys(self, prefix: str) -> list[str]:
        """List the keys that begin with `prefix`, sorted."""

    def address(self, key: str) -> str:
        """Where a model host reads the bytes: a file: or s3: address."""

    def offer(self, key: str, size: int, sha256: str, seconds: int) -> Offer | None:
        """Sign a place to PUT exactly these bytes; None where the hub takes them itself."""


class Index(Protocol):
    """Small JSON values under (partition, key), changed by conditional commits."""

    def get(self, partition: str, key: str) -> Item | None:
        """Return the entry as last committed."""

    def query(self, partition: str, prefix: str = "") -> list[Item]:
        """Return a partition's entries whose key begins with `prefix`, sorted by key."""

    def commit(self, writes: Sequence[Write]) -> None:
        """Do all writes or none; Conflict when any condition does not hold."""


HostStatus = Literal["stopped", "starting", "serving", "failed"]


@dataclass(frozen=True, slots=True)
class HostedModel:
    """What a host needs to know to serve one model version."""

    name: str
    version: str
    artefact: str
    memory_mb: int
    max_concurrency: int

    @property
    def endpoint(self) -> str:
        """Name of the model endpoint: at most 63 letters, digits and hyphens for SageMaker."""
        return f"healthval-{self.name[:40].rstrip('-')}-{digest([self.name, self.version])[:8]}"


class ModelHost(Protocol):
    """Runs models that speak the SageMaker container contract."""

    def start(self, model: HostedModel) -> None:
        """Bring the endpoint up; HostUnavailable or ModelFailed when it does not come."""

    def stop(self, model: HostedModel) -> None:
        """Take the endpoint down."""

    def status(self, model: HostedModel) -> HostStatus:
        """Tell how the endpoint is."""

    def invoke(self, model: HostedModel, body: bytes) -> bytes:
        """POST `body` to the endpoint's /invocations, starting it when it sleeps."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything outside that the hub's rooms work with."""

    objects: ObjectStore
    index: Index
    host: ModelHost
    clock: Clock

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock())


def check_object_key(key: str) -> None:
    """Refuse a key that some store could not hold or would read as another place."""
    if not _OBJECT_KEY.fullmatch(key):
        raise ValueError("an object key looks like folder/name.ext, in lower case")


def check_writes(writes: Sequence[Write]) -> None:
    """Refuse a commit that DynamoDB would not take, so that every index is as strict."""
    places = {(write.partition, write.key) for write in writes}
    if len(places) != len(writes) or len(writes) > MAX_WRITES:
        raise ValueError(f"a commit changes up to {MAX_WRITES} entries, each once")
    if not all(_INDEX_KEY.fullmatch(text) for place in places for text in place):
        raise ValueError("an index key is 1 to 512 printable ASCII characters")
    for write in writes:
        if write.value is not None and len(canonical_json(write.value)) > MAX_ITEM_BYTES - 2048:
            raise ValueError("an index entry holds up to 398 KiB")


@dataclass(slots=True)
class MemoryObjects:
    """Object store in memory: the specification."""

    held: dict[str, bytes] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write once."""
        check_object_key(key)
        with self.lock:
            is_first = key not in self.held
            self.held.setdefault(key, data)
        return is_first

    def get(self, key: str) -> bytes:
        """Return the bytes."""
        check_object_key(key)
        return self.held[key]

    def delete(self, key: str) -> None:
        """Remove the bytes if they are there."""
        check_object_key(key)
        self.held.pop(key, None)

    def keys(self, prefix: str) -> list[str]:
        """List keys by prefix."""
        return sorted(key for key in self.held if key.startswith(prefix))

    def address(self, key: str) -> str:
        """Name the bytes; no other process can read them."""
        return f"memory:{key}"

    def offer(self, key: str, size: int, sha256: str, seconds: int) -> Offer | None:
        """Leave it to the hub."""
        return None


@dataclass(slots=True)
class MemoryIndex:
    """Index in memory: the specification."""

    clock: Clock
    held: dict[tuple[str, str], Item] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    def get(self, partition: str, key: str) -> Item | None:
        """Return the entry unless it has expired."""
        item = self.held.get((partition, key))
        return None if item is None or self._is_over(item) else item

    def query(self, partition: str, prefix: str = "") -> list[Item]:
        """Return a partition's entries by key."""
        found = [
            item
            for (owner, key), item in sorted(self.held.items())
            if owner == partition and key.startswith(prefix)
        ]
        return [item for item in found if not self._is_over(item)]

    def commit(self, writes: Sequence[Write]) -> None:
        """Check every condition, then write."""
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
            self.held.pop(place, None)
        else:
            self.held[place] = Item(*place, write.value, write.version + 1, write.expires)

    def _is_over(self, item: Item) -> bool:
        return item.expires is not None and item.expires <= self.clock()
