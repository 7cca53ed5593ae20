"""Routes of the hub itself: health, published keys, audit."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Response

from healthval.contracts.audit import AuditList, HubHealth
from healthval.contracts.base import Sha256
from healthval.contracts.keys import WELL_KNOWN, HubKey, HubKeys
from healthval.hub.api.call import AskedPage, Call, Callers, json_response
from healthval.hub.api.documents import documented
from healthval.hub.audit_chain import chain_head, page_of_chain
from healthval.hub.keyring import Keyring
from healthval.hub.ports import Backend, StoreUnavailable

ANSWER_SECONDS = 0.5


@dataclass(slots=True)
class Health:
    """Check of the store in a separate thread, one at a time; the hub may be busy."""

    backend: Backend
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _running: Future[object] | None = None

    async def is_good(self) -> bool:
        """Return whether the store responds now."""
        if self._running is None or self._running.done():
            self._running = self._pool.submit(chain_head, self.backend)
        check = asyncio.shield(asyncio.wrap_future(self._running))
        try:
            await asyncio.wait_for(check, ANSWER_SECONDS)
        except (TimeoutError, StoreUnavailable):
            return False
        return True


def routes(by: Callers, keyring: Keyring) -> APIRouter:
    """Return the routes over one backend."""
    router, backend = APIRouter(), by.auth.backend
    store = Health(backend)

    @router.get("/v1/health", **documented(HubHealth, signed=False))
    async def health() -> Response:
        """Return ok if the hub and its store respond; 503 within a second if not."""
        if not await store.is_good():
            raise StoreUnavailable
        return json_response(HubHealth())

    @router.get(WELL_KNOWN, **documented(HubKeys, signed=False))
    def keys() -> Response:
        """Return the public keys of the hub: for stamps, and for the operator's reports."""
        return json_response(keyring.published())

    @router.post("/v1/hub-keys/{kid}/revoke", **documented(HubKey, 400, 404, 409))
    def revoke(kid: Sha256, call: Annotated[Call, by.posts("operator")]) -> Response:
        """Revoke a published key: no signature of it is valid any more."""
        return json_response(keyring.revoke(call.caller, kid))

    @router.get("/v1/audit", **documented(AuditList))
    def audit(call: Annotated[Call, by.reads("operator", "auditor")], page: AskedPage) -> Response:
        """Return the audit chain page by page, oldest entry first."""
        return json_response(page_of_chain(backend, page))

    return router
