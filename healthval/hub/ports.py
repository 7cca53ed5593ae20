"""Ports of the hub as Protocols: object store, index, model host; `backends.memory` specifies them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from healthval.contracts.base import canonical_json, digest

Clock = Callable[[], float]

_OBJECT_KEY = re.compile(r"([a-z0-9=-]{1,64}/){1,4}[a-z0-9][a-z0-9_-]{0,127}\.[a-z0-9]{1,8}")
_INDEX_KEY = re.compile(r"[ -~]{1,512}")
MAX_ITEM_BYTES = 400 * 1024
MAX_WRITES = 100


class Conflict(Exception):
    """Another writer was first; no part of the commit was written."""


class StoreUnavailable(Exception):
    """The store did not answer; the same call may succeed later."""


class HostUnavailable(Exception):
    """The model host is starting, busy or out of reach; the same call may succeed later."""


class ModelFailed(Exception):
    """The model host answered that the model failed."""


class Refusal(Exception):
    """The hub's refusal of a request; `detail` never quotes the request."""

    def __init__(
        self, status: int, title: str, detail: str = "", *, retryable: bool = False
    ) -> None:
        super().__init__(title)
        self.status, self.title, self.detail = status, title, detail
        self.retryable = retryable


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A change to one entry, on condition that the entry is still at `version` (0: absent).

    `value` None removes the entry. `expires` is in seconds since 1970; from then on the entry
    counts as absent.
    """

    partition: str
    key: str
    value: Mapping[str, Any] | None
    version: int = 0
    expires: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One entry of the index; `version` counts its writes from 1."""

    partition: str
    key: str
    value: Mapping[str, Any]
    version: int
    expires: int | None = None

    def updated(self, value: Mapping[str, Any] | None) -> Write:
        """Return the write that replaces or removes the value of this version; keeps its expiry."""
        return Write(
            partition=self.partition,
            key=self.key,
            value=value,
            version=self.version,
            expires=self.expires,
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A signed address for one PUT, and the headers that the signature covers."""

    url: str
    headers: Mapping[str, str]


class ObjectStore(Protocol):
    """Bytes under keys that are written once; a key has the form ``folder/folder/name.ext``."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write all of `data` or nothing; False if the key is taken."""

    def get(self, key: str) -> bytes:
        """Return the bytes; KeyError if the key is absent."""

    def delete(self, key: str) -> None:
        """Delete the bytes if the key is present."""

    def keys(self, prefix: str) -> list[str]:
        """List the keys that begin with `prefix`, sorted."""

    def address(self, key: str) -> str:
        """Return the address at which a model host reads the bytes: file: or s3:."""

    def offer(self, key: str, size: int, sha256: str, seconds: int) -> Offer | None:
        """Sign an address for a PUT of exactly these bytes; None if the hub itself receives them."""


class Index(Protocol):
    """Small JSON values under (partition, key), changed by conditional commits."""

    def get(self, partition: str, key: str) -> Item | None:
        """Return the entry as last committed."""

    def query(
        self, partition: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> list[Item]:
        """Return a partition's entries whose key begins with `prefix`, sorted by key.

        Only entries with a key above `after`, and only the first `limit` of them.
        """

    def commit(self, writes: Sequence[Write], *, durable: bool = True) -> None:
        """Do all writes or none; Conflict if any condition does not hold.

        A commit survives the end of the process. One that is not `durable` survives the loss of
        power only from the next durable commit or `flush` on.
        """

    def flush(self) -> None:
        """Make all earlier commits of this process survive the loss of power."""


HostStatus = Literal["stopped", "starting", "serving", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedModel:
    """One model version as its host serves it: name, artefact, memory and concurrency."""

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
    """Runs models that follow the SageMaker container contract."""

    def start(self, model: HostedModel) -> None:
        """Start the endpoint; HostUnavailable while it is starting, ModelFailed if it cannot."""

    def stop(self, model: HostedModel) -> None:
        """Stop the endpoint."""

    def status(self, model: HostedModel) -> HostStatus:
        """Return the endpoint's status."""

    def invoke(self, model: HostedModel, body: bytes) -> bytes:
        """POST `body` to the endpoint's /invocations; start the endpoint if it has stopped."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The ports of one hub: object store, index, model host and clock."""

    objects: ObjectStore
    index: Index
    host: ModelHost
    clock: Clock

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock())

    @property
    def undurable(self) -> "Backend":
        """Backend whose commits are durable only with the next durable commit or flush."""
        return replace(self, index=_Undurable(self.index))


@dataclass(frozen=True, slots=True)
class _Undurable:
    index: Index

    def get(self, partition: str, key: str) -> Item | None:
        return self.index.get(partition, key)

    def query(
        self, partition: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> list[Item]:
        return self.index.query(partition, prefix, after=after, limit=limit)

    def commit(self, writes: Sequence[Write], *, durable: bool = False) -> None:
        self.index.commit(writes, durable=durable)

    def flush(self) -> None:
        self.index.flush()


def check_object_key(key: str) -> None:
    """Refuse a key that a store cannot hold or could read as another path."""
    if not _OBJECT_KEY.fullmatch(key):
        raise ValueError("an object key looks like folder/name.ext, in lower case")


def check_writes(writes: Sequence[Write]) -> None:
    """Refuse a commit beyond DynamoDB's limits, so that every index is equally strict."""
    places = {(write.partition, write.key) for write in writes}
    if len(places) != len(writes) or len(writes) > MAX_WRITES:
        raise ValueError(f"a commit changes up to {MAX_WRITES} entries, each once")
    if not all(_INDEX_KEY.fullmatch(text) for place in places for text in place):
        raise ValueError("an index key is 1 to 512 printable ASCII characters")
    for write in writes:
        if write.value is not None and len(canonical_json(write.value)) > MAX_ITEM_BYTES - 2048:
            raise ValueError("an index entry has at most 398 KiB")
