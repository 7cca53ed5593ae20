"""Calls of a hub: signed requests, and answers read by their contract."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Self, TypeVar

import httpx

from healthval.client_transport import SignedTransport, checked_headers, checked_target
from healthval.contracts.access import AccessGrant, AccessList, KeyList
from healthval.contracts.audit import AuditList
from healthval.contracts.base import Shape, Wire, canonical_json, read_wire
from healthval.contracts.model import ModelList
from healthval.contracts.report import ReportList, ReportOrderList, SubmissionList
from healthval.credential import AnyCredential
from healthval.errors import HubError, IntegrityError
from healthval.secure_sum.messages import SumState

Listing = TypeVar(
    "Listing",
    AccessList,
    AuditList,
    KeyList,
    ModelList,
    ReportList,
    ReportOrderList,
    SubmissionList,
)


class Calls:
    """Calls of one hub with one credential.

    Parameters
    ----------
    url : the hub's origin; https, or http on loopback; for an AWS role, the API's own address
    storage : further origins to which the hub may direct uploads; Amazon S3 needs no entry
    """

    def __init__(
        self,
        url: str,
        credential: AnyCredential,
        *,
        storage: Iterable[str] = (),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.credential = credential
        self.storage = tuple(storage)
        self.transport = SignedTransport(url, credential, transport=transport)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.transport.origin}, {self.credential!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    @property
    def site(self) -> str:
        """Name of this credential at the hub."""
        return self.credential.id

    def access_requests(self, status: str | None = None) -> tuple[AccessGrant, ...]:
        """List the grants: all for the operator; a site sees only its own."""
        pages = self._pages("/v1/access-requests", AccessList)
        grants = (grant for page in pages for grant in page.grants)
        return tuple(grant for grant in grants if status in {None, grant.status})

    def secure_sum(self, *, model: str, version: str, plan_hash: str) -> SumState:
        """Return the secure sum of a plan with all messages of its newest attempt, unchecked.

        Raises
        ------
        HubError
            If there is no such model.
        AccessDenied
            If this key is a site's without approved access.
        """
        state = self._get(f"/v1/sums/{model}/{version}/{plan_hash}", SumState)
        if (state.model, state.version, state.plan_hash) != (model, version, plan_hash):
            raise IntegrityError("the hub's answer is about another sum; inform the operator")
        return state

    def _put(self, url: str, data: bytes, headers: Mapping[str, str]) -> None:
        """PUT bytes to a signed address of the hub or of its object store."""
        target = checked_target(url, self.transport.origin, self.storage)
        checked = checked_headers(headers)
        self.transport.send("PUT", target, data, headers=checked, signed=False)

    def _post(self, target: str, sent: Wire, answer: type[Shape]) -> Shape:
        return self._read(answer, self.transport.send("POST", target, wire_bytes(sent)))

    def _pages(self, target: str, answer: type[Listing]) -> Iterator[Listing]:
        page = self._get(target, answer)
        yield page
        while page.next:
            mark = "&" if "?" in target else "?"
            page = self._get(f"{target}{mark}cursor={page.next}", answer)
            yield page

    def _get(self, target: str, answer: type[Shape]) -> Shape:
        return self._read(answer, self.transport.send("GET", target))

    def _read(self, answer: type[Shape], data: bytes) -> Shape:
        try:
            return read_wire(answer, data)
        except ValueError as misfit:
            raise HubError(f"the hub's answer does not match its contract: {misfit}") from None


def wire_bytes(sent: Wire) -> bytes:
    """Return a wire shape as canonical JSON, the bytes that are sent and hashed."""
    return canonical_json(sent.model_dump(mode="json"))


def checked_bytes(data: bytes, sha256: str) -> bytes:
    """Return bytes that have this hash; refuse others with IntegrityError."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IntegrityError("the bytes from the hub do not match their listed hash")
    return data
