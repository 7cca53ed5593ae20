"""Middleware of the hub: limits of request bodies, and errors as problem details (RFC 9457)."""

import errno
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from healthval.contracts.base import Problem
from healthval.contracts.prediction import MAX_INLINE_BYTES, MAX_UPLOAD_BYTES
from healthval.hub.ports import Refusal, StoreUnavailable

log = logging.getLogger("healthval.hub")

MAX_JSON_BYTES = 1024 * 1024
MAX_OBJECT_BYTES = 512 * 1024 * 1024
LIMITS = {
    "/v1/predictions": MAX_INLINE_BYTES,
    "/v1/objects/": MAX_OBJECT_BYTES,
    "/v1/uploads/": MAX_UPLOAD_BYTES,
}


Handler = Callable[[Request], Awaitable[Response]]


class HubMiddleware:
    """Refuses bodies above the limit of their path and answers every error as a problem.

    Every answer has a request id, which the log has too. The log names no path, because a path may
    contain a value; an unexpected error is logged once, by its type only.

    Parameters
    ----------
    direct : handlers by method and path, called without the framework's search for a route, which
        costs more than the rest of a prediction
    """

    def __init__(
        self, app: ASGIApp, direct: Mapping[tuple[str, str], Handler] | None = None
    ) -> None:
        self.app = app
        self._direct = direct or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle HTTP within the limits; other scopes (lifespan) are unchanged."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, status = secrets.token_hex(8), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            limited = _limited(scope, receive)
            handler = self._direct.get((scope["method"], scope["path"]))
            if handler is None:
                await self.app(scope, limited, sending)
            else:
                answer = await handler(Request(scope, limited))
                await answer(scope, receive, sending)
        except Exception as error:
            answer = _answer_for(error, request_id)
            if not status:
                await answer(scope, receive, sending)
        log.info("request %s: %s, status %d", request_id, scope["method"], status)


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Wrap `receive` so that it refuses a body above the limit, with or without Content-Length."""
    limit = next(
        (size for path, size in LIMITS.items() if scope["path"].startswith(path)), MAX_JSON_BYTES
    )
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if not length.isdigit() or int(length) > limit:
        raise _too_large(limit)
    received = 0

    async def receiving() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _too_large(limit)
        return message

    return receiving


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "The body is too large", f"the limit here is {limit} bytes")


def _answer_for(error: Exception, request_id: str) -> Response:
    if isinstance(error, Refusal):
        return problem(error.status, error.title, error.detail, retryable=error.retryable)
    if isinstance(error, StoreUnavailable):
        return problem(503, "The store does not respond", retryable=True)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return problem(507, "The hub's disk is full", "repeat the call later", retryable=True)
    log.error("request %s failed inside the hub: %s", request_id, type(error).__name__)
    detail = f"the log of the hub has the type of the error under {request_id}"
    return problem(500, "The hub failed", detail)


def problem(status: int, title: str, detail: str = "", *, retryable: bool = False) -> Response:
    """Return problem details (RFC 9457)."""
    content = Problem(title=title, status=status, detail=detail, retryable=retryable)
    headers = {"Cache-Control": "no-store"}
    if retryable:
        headers["Retry-After"] = "1"
    body = content.model_dump_json()
    return Response(body, status, headers, media_type="application/problem+json")


def http_problem(request: Request, error: Exception) -> Response:
    """Return an HTTP error of the framework as problem details."""
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    title = {404: "Address not found", 405: "Method not allowed"}
    answer = problem(error.status_code, title.get(error.status_code, "The request was refused"))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(_methods(request))  # RFC 9110 requires it
    return answer


def _methods(request: Request) -> list[str]:
    """Return the methods of all routes at the address of a request."""
    routes = [route for route in request.app.state.routes if isinstance(route, Route)]
    found = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in found for method in route.methods or ()})


def parameter_problem(_: Request, error: Exception) -> Response:
    """Return invalid path or query parameters as problem details, by name."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
    names = sorted({str(found["loc"][-1]) for found in error.errors()})
    return problem(422, "The address does not match the API", f"see {', '.join(names)}")
