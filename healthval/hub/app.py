"""The hub's app: settings, routes, middleware and the OpenAPI document."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from healthval.contracts.access import PublicKey
from healthval.hub.api import (
    access,
    dashboard,
    keys,
    models,
    predictions,
    reports,
    submissions,
    sums,
    system,
)
from healthval.hub.api.call import Callers
from healthval.hub.api.documents import openapi
from healthval.hub.api.middleware import HubMiddleware, http_problem, parameter_problem
from healthval.hub.arrivals import ArrivalCheck, Arrivals, gate_check
from healthval.hub.audit_chain import seal
from healthval.hub.auth import Authenticator
from healthval.hub.keyring import Keyring
from healthval.hub.ports import Backend, StoreUnavailable
from healthval.hub.predictions.batches import Predictions
from healthval.hub.predictions.leases import Leases
from healthval.hub.predictions.uploads import Uploads
from healthval.hub.report_orders import Reporter

if TYPE_CHECKING:
    from healthval.disclosure import Policy

SWEEP_SECONDS = 600
SEAL_SECONDS = 1
CHECK_SECONDS = 60
REPORT_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one hub.

    Attributes
    ----------
    operator : key of the operator, who registers, approves and publishes
    audiences : origins of this hub; a token names one of them
    upload_secret : key that signs upload addresses
    reporter : key with which this hub signs the reports of standing orders
    policy : disclosure policy of accepted submissions; where it is a preset, a release may name any
        preset, by whose rules it is then judged
    """

    operator: PublicKey
    audiences: tuple[str, ...]
    upload_secret: bytes = field(repr=False)
    policy: "Policy | None" = None
    signer: Ed25519PrivateKey | None = field(default=None, repr=False)
    reporter: PublicKey | None = None


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
    reporter: Reporter | None = None,
    elsewhere: Elsewhere | None = None,
) -> FastAPI:
    """Build the hub over its ports; `on_close` is called after the app has stopped.

    With a `reporter`, this process makes the reports of standing orders.
    """
    uploads = Uploads(backend, settings.upload_secret)
    work = Predictions(
        backend=backend, uploads=uploads, leases=elsewhere.leases if elsewhere else None
    )
    check = elsewhere.check if elsewhere else gate_check(settings.policy)
    arrivals = Arrivals(backend=backend, check=check)
    keyring = Keyring(
        backend=backend,
        operator=settings.operator,
        signer=settings.signer,
        reporter=settings.reporter,
    )
    app = FastAPI(
        title="healthval hub",
        version="1",
        lifespan=_lifespan(work, arrivals, keyring, reporter, on_close=on_close),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    by = _callers(backend, settings)
    app.add_middleware(
        HubMiddleware, direct={("POST", "/v1/predictions"): predictions.scoring(by, work)}
    )
    app.add_exception_handler(HTTPException, http_problem)
    app.add_exception_handler(RequestValidationError, parameter_problem)
    routers = _routers(by, keyring, work, arrivals)
    for router in routers:
        app.include_router(router)
    app.state.routes = [route for router in routers for route in router.routes]
    app.state.predictions, app.state.keyring = work, keyring
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def _callers(backend: Backend, settings: Settings) -> Callers:
    auth = Authenticator(
        backend=backend,
        operator=settings.operator,
        audiences=settings.audiences,
        signer=settings.signer,
        reporter=settings.reporter,
    )
    return Callers(auth)


def _routers(
    by: Callers, keyring: Keyring, work: Predictions, arrivals: Arrivals
) -> tuple[APIRouter, ...]:
    return (
        system.routes(by, keyring),
        access.routes(by, keyring),
        keys.routes(by),
        models.routes(by),
        predictions.routes(by, work),
        submissions.routes(by, keyring, arrivals),
        reports.routes(by),
        sums.routes(by),
        dashboard.routes(),
    )


def openapi_text() -> str:
    """Return the OpenAPI document as published in ``schemas/openapi.json``."""
    from healthval.hub.backends.memory import MemoryIndex, MemoryObjects, NoModels

    backend = Backend(MemoryObjects(), MemoryIndex(lambda: 0), NoModels(), lambda: 0)
    settings = Settings(operator=PublicKey(x="A" * 43), audiences=(), upload_secret=b"")
    document = create_app(backend, settings).openapi()
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _lifespan(
    predictions: Predictions,
    arrivals: Arrivals,
    keyring: Keyring,
    reporter: Reporter | None,
    on_close: Callable[[], None],
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with suppress(StoreUnavailable):  # then at the first use of a key
            await asyncio.to_thread(keyring.list_current)
        regular = [
            asyncio.create_task(_regularly(predictions.sweep, SWEEP_SECONDS)),
            asyncio.create_task(_regularly(lambda: seal(predictions.backend), SEAL_SECONDS)),
        ]
        regular.append(asyncio.create_task(_regularly(arrivals.check_waiting, CHECK_SECONDS)))
        if reporter is not None:
            regular.append(asyncio.create_task(_regularly(reporter.make_all, REPORT_SECONDS)))
        yield
        for task in regular:
            task.cancel()
        predictions.close()
        arrivals.close()
        on_close()

    return lifespan


async def _regularly(work: Callable[[], None], seconds: float) -> None:
    while True:
        with suppress(StoreUnavailable):
            await asyncio.to_thread(work)
        await asyncio.sleep(seconds)
