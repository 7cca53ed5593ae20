"""Routes of secure sums: messages of sites, the state, the end of a round."""

from typing import Annotated

from fastapi import APIRouter, Response

from healthval.contracts.base import Name, Sha256, Version
from healthval.hub import sums
from healthval.hub.access import Subject
from healthval.hub.api.call import Call, Callers, json_response
from healthval.hub.api.documents import documented
from healthval.secure_sum.messages import SumClosing, SumMessage, SumState


def routes(by: Callers) -> APIRouter:
    """Return the routes over one backend."""
    router, backend = APIRouter(prefix="/v1"), by.auth.backend

    @router.post("/sums", **documented(SumState, 400, 404, 409, body=SumMessage))
    def post(call: Annotated[Call, by.posts("site")]) -> Response:
        """Send the site's message of the open round; the same message again changes nothing."""
        return json_response(sums.post(backend, call.caller.id, call.read(SumMessage)))

    @router.get("/sums/{model}/{version}/{plan_hash}", **documented(SumState, 404))
    def state(
        model: Name,
        version: Version,
        plan_hash: Sha256,
        call: Annotated[Call, by.reads("site", "operator", "reporter")],
    ) -> Response:
        """Return a sum with all messages of its newest attempt."""
        subject = Subject(model, version, plan_hash)
        return json_response(sums.state_of(backend, call.caller, subject))

    @router.post(
        "/sums/{model}/{version}/{plan_hash}/closing",
        **documented(SumState, 400, 404, 409, body=SumClosing),
    )
    def close(
        model: Name,
        version: Version,
        plan_hash: Sha256,
        call: Annotated[Call, by.posts("operator")],
    ) -> Response:
        """End the open round without the sites that have not sent a message."""
        subject = Subject(model, version, plan_hash)
        closing = call.read(SumClosing)
        return json_response(sums.close(backend, call.caller, subject, closing))

    return router
