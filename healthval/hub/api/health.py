"""Health: whether the store responds, answered within a second however busy the hub is."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from healthval.hub.audit_chain import chain_head
from healthval.hub.ports import Backend, StoreUnavailable

ANSWER_SECONDS = 0.5


@dataclass(slots=True)
class Health:
    """Checks the store in a separate thread, one check at a time."""

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
