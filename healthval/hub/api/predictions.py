"""Routes of predictions and uploads."""

import asyncio
import time
from concurrent.futures import Future
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from healthval.contracts.prediction import (
    PredictionAnswer,
    PredictionId,
    PredictionRequest,
    UploadId,
    UploadRequest,
    UploadTicket,
)
from healthval.hub.api.call import (
    Body,
    Call,
    Callers,
    IdempotencyKey,
    json_bytes,
    json_response,
    pending_response,
)
from healthval.hub.api.documents import documented
from healthval.hub.api.middleware import Handler
from healthval.hub.predictions.batches import QUICK_SECONDS, Predictions
from healthval.hub.predictions.leases import OwnWork
from healthval.hub.predictions.uploads import UploadPlace

_Accepted = tuple[Call, str, Future[bytes] | None]
PAUSE_SECONDS = 0.05


def scoring(by: Callers, predictions: Predictions) -> Handler:
    """Return the handler of POST /v1/predictions, the call that hubs receive most."""

    def accept(accepted: list[_Accepted], call: Call) -> None:
        batch, work = predictions.accept(call.caller.id, call.body, call.idempotency_key, here=True)
        accepted.append((call, batch, work))
        if isinstance(work, OwnWork):
            work.run()

    async def handle(request: Request) -> Response:
        accepted: list[_Accepted] = []
        end = time.monotonic() + QUICK_SECONDS
        name = request.headers.get("idempotency-key")
        job = asyncio.ensure_future(
            by.handled(
                request, ("site",), name, partial(accept, accepted), threads=predictions.threads
            )
        )
        await asyncio.wait([job], timeout=QUICK_SECONDS)
        while not accepted:
            if job.done():
                job.result()  # raises the refusal
            await asyncio.wait([job], timeout=PAUSE_SECONDS)
        call, batch, work = accepted[0]
        if work is not None and not work.done():  # no thread waits: others are free meanwhile
            await asyncio.wait([asyncio.wrap_future(work)], timeout=end - time.monotonic())
        if work is not None and (data := _result(work)):
            return json_bytes(data)
        return _answer(
            await run_in_threadpool(predictions.answer, call.caller.id, batch, call.body)
        )

    return handle


def _result(work: Future[bytes]) -> bytes:
    """Return the answer of finished work, and nothing of other work."""
    return b"" if not work.done() or work.cancelled() or work.exception() else work.result()


def routes(by: Callers, predictions: Predictions) -> APIRouter:
    """Return the routes over one backend."""
    router, score = APIRouter(prefix="/v1"), scoring(by, predictions)

    @router.post(
        "/predictions",
        **documented(PredictionAnswer, 400, 404, 409, 429, other=(202,), body=PredictionRequest),
    )
    async def predict(request: Request, _: IdempotencyKey = None) -> Response:
        """Score a batch: 200 if done within two seconds, else 202; then poll."""
        return await score(request)

    @router.get("/predictions/{prediction}", **documented(PredictionAnswer, 404, other=(202,)))
    def poll(prediction: PredictionId, call: Annotated[Call, by.reads("site")]) -> Response:
        """Return a batch's status."""
        return _answer(predictions.poll(call.caller.id, prediction))

    @router.post(
        "/uploads", **documented(UploadTicket, 400, 404, 409, 429, status=201, body=UploadRequest)
    )
    def offer(call: Annotated[Call, by.posts("site")]) -> Response:
        """Sign an address for one de-identified file."""
        asked = call.read(UploadRequest)
        ticket = predictions.uploads.ticket(call.caller.id, asked, call.idempotency_key)
        return json_response(ticket, 201)

    def place(
        upload: UploadId,
        terms: Annotated[str, Query(max_length=200)],
        signature: Annotated[str, Query(max_length=64)],
    ) -> UploadPlace:
        return predictions.uploads.place(upload, terms, signature)

    # signed inside its address
    @router.put("/uploads/{upload}", **documented(None, 403, status=204, body=bytes, signed=False))
    def take(place: Annotated[UploadPlace, Depends(place)], body: Body) -> Response:
        """Store the file at the address of its ticket."""
        predictions.uploads.store(place, body)
        return Response(status_code=204)

    return router


def _answer(answer: PredictionAnswer) -> Response:
    return pending_response(answer) if answer.status == "pending" else json_response(answer)
