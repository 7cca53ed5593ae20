"""The app: limits around it, errors that quote nothing, and the document that describes it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from healthval.contracts.access import PublicKey
from healthval.contracts.base import Problem
from healthval.contracts.prediction import MAX_INLINE_BYTES, MAX_UPLOAD_BYTES
from healthval.disclosure import Policy
from healthval.hub.auth import Gatekeeper
from healthval.hub.ports import Backend, Refusal, StoreUnavailable
from healthval.hub.predictions import Predictions, Uploads
from healthval.hub.routes import BODIES, routes

log = logging.getLogger("healthval.hub")

MAX_JSON_BYTES = 1024 * 1024
MAX_OBJECT_BYTES = 512 * 1024 * 1024
LIMITS = {
    "/v1/predictions": MAX_INLINE_BYTES,
    "/v1/objects/": MAX_OBJECT_BYTES,
    "/v1/uploads/": MAX_UPLOAD_BYTES,
}
SWEEP_SECONDS = 600


class Wall:
    """Around the whole app: bodies have a limit, failures have no details, nothing is logged twice."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass HTTP on within the limits; the rest (lifespan) as it is."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, _limited(scope, receive), sending)
        except Exception as error:
            answer = _answer_for(error)
            if not started:
                await answer(scope, receive, send)


def _limited(scope: Scope, receive: Receive) -> Receive:
    limit = next(
        (size for path, size in LIMITS.items() if scope["path"].startswith(path)), MAX_JSON_BYTES
    )
    told = dict(scope["headers"]).get(b"content-length", b"0")
    if not told.isdigit() or int(told) > limit:
        raise _too_large(limit)
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise _too_large(limit)
        return message

    return receiving


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "The body is too large", f"at most {limit} bytes are taken here")


def _answer_for(error: Exception) -> Response:
    if isinstance(error, Refusal):
        return problem(error.status, error.title, error.detail, retryable=error.retryable)
    if isinstance(error, StoreUnavailable):
        return problem(503, "The store is out of reach", retryable=True)
    log.error("a request failed inside the hub: %s", type(error).__name__)
    return problem(500, "The hub failed", "nothing was quoted from the request")


def problem(status: int, title: str, detail: str = "", *, retryable: bool = False) -> Response:
    """Answer with problem details (RFC 9457)."""
    told = Problem(title=title, status=status, detail=detail, retryable=retryable)
    headers = {"Cache-Control": "no-store"}
    if retryable:
        headers["Retry-After"] = "1"
    body = told.model_dump_json()
    return Response(body, status, headers, media_type="application/problem+json")


@dataclass(frozen=True, slots=True)
class Settings:
    """What one hub is told at its start.

    Attributes
    ----------
    operator : the key whose holder registers, approves and publishes
    audiences : origins under which callers reach this hub; their tokens name one of them
    upload_secret : signs upload addresses
    policy : the laxest disclosure policy under which a submission is taken
    """

    operator: PublicKey
    audiences: tuple[str, ...]
    upload_secret: bytes = field(repr=False)
    policy: Policy


def create_app(
    backend: Backend, settings: Settings, *, on_close: Callable[[], None] = lambda: None
) -> FastAPI:
    """Build the hub over its ports; `on_close` is called when the app has stopped."""
    uploads = Uploads(backend, settings.upload_secret)
    predictions = Predictions(backend, uploads)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(predictions))
        yield
        sweeping.cancel()
        predictions.close()
        on_close()

    app = FastAPI(
        title="healthval hub",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(Wall)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _parameter_problem)
    gate = Gatekeeper(backend, settings.operator, settings.audiences)
    app.include_router(routes(gate, predictions, settings.policy))
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def openapi(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 with the wire shapes as they stand in `healthval.contracts`."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    sent = [(shape, "validation") for shape in (*BODIES, Problem)]
    _, shapes = models_json_schema(sent, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    known = document.setdefault("components", {}).setdefault("schemas", {})
    known.update(shapes["$defs"])
    document["components"]["securitySchemes"] = {
        "signed": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "EdDSA; iss and sub: key id; aud: this origin; iat, exp (at most 300 s), jti; "
            "htm, htu (path and query), body_sha256",
        }
    }
    return document


async def _sweep(predictions: Predictions) -> None:
    while True:
        await asyncio.to_thread(predictions.sweep)
        await asyncio.sleep(SWEEP_SECONDS)


def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    title = {404: "There is nothing at this address", 405: "Not a method of this address"}
    return problem(error.status_code, title.get(error.status_code, "The request was refused"))


def _parameter_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
    names = sorted({str(found["loc"][-1]) for found in error.errors()})
    return problem(422, "The address is not as the API says", f"see {', '.join(names)}")
