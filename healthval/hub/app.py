"""The hub's app: settings, routes, middleware and the OpenAPI document."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from healthval.contracts.access import PublicKey
from healthval.contracts.base import Problem
from healthval.hub.arrivals import ArrivalCheck, gate_check
from healthval.hub.auth import Authenticator
from healthval.hub.leases import Leases
from healthval.hub.middleware import HubMiddleware, http_problem, parameter_problem
from healthval.hub.ports import Backend
from healthval.hub.predictions import Predictions
from healthval.hub.routes import BODIES, routes
from healthval.hub.uploads import Uploads

if TYPE_CHECKING:
    from healthval.disclosure import Policy

SWEEP_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one hub.

    Attributes
    ----------
    operator : key of the operator, who registers, approves and publishes
    audiences : origins of this hub; a token names one of them
    upload_secret : key that signs upload addresses
    policy : disclosure policy of accepted submissions; where it is a preset, a release may name any
        preset, by whose rules it is then judged
    """

    operator: PublicKey
    audiences: tuple[str, ...]
    upload_secret: bytes = field(repr=False)
    policy: "Policy | None"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Work that another process does for this hub: checks of arrivals, and scoring."""

    check: ArrivalCheck
    leases: Leases


def create_app(
    backend: Backend,
    settings: Settings,
    *,
    on_close: Callable[[], None] = lambda: None,
    elsewhere: Elsewhere | None = None,
) -> FastAPI:
    """Build the hub over its ports; `on_close` is called after the app has stopped."""
    uploads = Uploads(backend, settings.upload_secret)
    leases = elsewhere.leases if elsewhere else None
    predictions = Predictions(backend=backend, uploads=uploads, leases=leases)
    app = FastAPI(
        title="healthval hub",
        version="1",
        lifespan=_lifespan(predictions, on_close),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(HubMiddleware)
    app.add_exception_handler(HTTPException, http_problem)
    app.add_exception_handler(RequestValidationError, parameter_problem)
    auth = Authenticator(backend, settings.operator, settings.audiences)
    router = routes(
        auth, predictions, elsewhere.check if elsewhere else gate_check(settings.policy)
    )
    app.include_router(router)
    app.state.routes = router.routes
    app.state.predictions = predictions
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def _lifespan(
    predictions: Predictions, on_close: Callable[[], None]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(predictions))
        yield
        sweeping.cancel()
        predictions.close()
        on_close()

    return lifespan


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, with the shapes of `healthval.contracts`."""
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
