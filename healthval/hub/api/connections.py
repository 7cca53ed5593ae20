"""Connections of the embedded hub: time-outs of half-sent requests, and a cap on their number.

uvicorn ends an idle connection between two requests; it waits without a limit for the rest of a
request that has begun.
"""

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
PAUSE_SECONDS = 15.0
MAX_HEAD_BYTES = 64 * 1024
TICK_SECONDS = 1.0
MAX_CONNECTIONS = 512
MAX_FILES = 4096
# Connections that asyncio accepts in one step, before any of them can be dropped.
BACKLOG = 64
# Files that the hub opens beside its connections.
OTHER_FILES = 64


class TimedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with time-outs: a head arrives within 10 s, a body never pauses for 15 s.

    A head has at most 64 KiB, and so has what stands between two parts of a body: the parser keeps
    it without a limit. Above the cap the connection that has waited longest for the rest of a
    request is dropped.
    """

    most = MAX_CONNECTIONS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first request."""
        super().connection_made(transport)
        self.waiting_since: float | None = self.loop.time()
        self._heard = self.loop.time()
        self._awaits_head, self._is_whole, self._unused = True, False, 0
        self._drop_above_cap()
        self._ticking = self.loop.call_later(TICK_SECONDS, self._tick)

    def data_received(self, data: bytes) -> None:
        """Note when a request begins and when it is complete."""
        self._heard = self.loop.time()
        if self.waiting_since is None:
            self.waiting_since = self._heard
        self._is_whole = False
        self._unused += len(data)
        super().data_received(data)
        if self._is_whole:
            self.waiting_since = None
        if self._unused > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._ticking.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Note that the request before this one is complete, and this one is not."""
        self._is_whole = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the body follows; refuse a head without one Host (RFC 9112, section 3.2)."""
        hosts = [name for name, _ in self.headers if name == b"host"]
        if len(hosts) != 1 and self.parser.get_http_version() == "1.1":
            raise ValueError  # the parser answers it with 400
        self._awaits_head, self._unused = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that the body goes on."""
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        self._awaits_head, self._is_whole, self._unused = True, True, 0
        super().on_message_complete()

    def _tick(self) -> None:
        now = self.loop.time()
        if self.waiting_since is not None:
            if self.flow.read_paused:  # the hub, not the sender, is slow
                self._heard = self.waiting_since = now
            is_slow_head = self._awaits_head and now - self.waiting_since > HEAD_SECONDS
            if is_slow_head or now - self._heard > PAUSE_SECONDS:
                self.transport.abort()
                return
        self._ticking = self.loop.call_later(TICK_SECONDS, self._tick)

    def _drop_above_cap(self) -> None:
        if len(self.connections) <= self.most:
            return
        waiting: list[tuple[float, Any]] = [
            (one.waiting_since, one)
            for one in self.connections
            if isinstance(one, TimedProtocol) and one.waiting_since is not None
        ]
        longest = min(waiting, key=lambda pair: pair[0])[1]  # this one waits, so there is one
        self.connections.discard(longest)
        longest.transport.abort()


def raise_file_limit() -> None:
    """Raise the limit of open files to `MAX_FILES` or the system's maximum; cap connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft != resource.RLIM_INFINITY:
        TimedProtocol.most = max(16, min(MAX_CONNECTIONS, soft - BACKLOG - OTHER_FILES))
