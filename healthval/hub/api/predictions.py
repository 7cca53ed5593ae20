"""Routes of predictions and uploads."""

import asyncio
from concurrent.futures import Future
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
from healthval.hub.predictions.batches import QUICK_SECONDS, Predictions
from healthval.hub.predictions.uploads import UploadPlace


def routes(by: Callers, predictions: Predictions) -> APIRouter:
    """Return the routes over one backend."""
    router = APIRouter(prefix="/v1")

    @router.post(
        "/predictions",
        **documented(PredictionAnswer, 400, 404, 409, 429, other=(202,), body=PredictionRequest),
    )
    async def predict(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
        """Score a batch: 200 if done within two seconds, else 202; then poll."""

        def accept(call: Call) -> tuple[Call, str, Future[bytes] | None]:
            batch, work = predictions.accept(call.caller.id, call.body, call.idempotency_key)
            return call, batch, work

        call, batch, work = await by.handled(request, ("site",), idempotency_key, accept)
        if work is not None:  # no thread waits: others are free meanwhile
            done, _ = await asyncio.wait([asyncio.wrap_future(work)], timeout=QUICK_SECONDS)
            if done and not work.cancelled() and not work.exception() and (data := work.result()):
                return json_bytes(data)
        return _answer(
            await run_in_threadpool(predictions.answer, call.caller.id, batch, call.body)
        )

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
