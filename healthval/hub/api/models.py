"""Routes of models: artefacts, registrations, start and stop."""

from typing import Annotated

from fastapi import APIRouter, Response

from healthval.contracts.base import Name, Sha256, Version
from healthval.contracts.model import (
    ModelList,
    ModelRecord,
    ModelRegistration,
    ObjectOffer,
    ObjectSize,
)
from healthval.hub import registry
from healthval.hub.api.call import AskedPage, Call, Callers, json_response
from healthval.hub.api.documents import documented
from healthval.hub.predictions.probes import check_files
from healthval.hub.predictions.scoring import start_tried


def routes(by: Callers) -> APIRouter:
    """Return the routes over one backend."""
    router, backend = APIRouter(prefix="/v1"), by.auth.backend

    @router.put("/objects/{sha256}", **documented(None, status=204, body=bytes))
    def store(sha256: Sha256, call: Annotated[Call, by.reads("operator", "reporter")]) -> Response:
        """Store an artefact or a report file under its hash."""
        registry.store(backend, sha256, call.body)
        return Response(status_code=204)

    @router.post("/objects/{sha256}/offer", **documented(ObjectOffer, 400, 409, body=ObjectSize))
    def offer(sha256: Sha256, call: Annotated[Call, by.posts("operator", "reporter")]) -> Response:
        """Sign an address for an object that is too large for a call of the API."""
        return json_response(registry.offer(backend, sha256, call.read(ObjectSize).size))

    @router.post("/models", **documented(ModelRecord, 400, 409, status=201, body=ModelRegistration))
    def register(call: Annotated[Call, by.posts("operator")]) -> Response:
        """Register a model version; the files of its probes must be stored and de-identified."""
        registration = call.read(ModelRegistration)
        check_files(backend, registration)
        return json_response(registry.register(backend, call.caller, registration), 201)

    @router.get("/models", **documented(ModelList))
    def models(
        call: Annotated[Call, by.reads("site", "operator", "vendor", "auditor")], page: AskedPage
    ) -> Response:
        """List the models; those whose card the caller may not read by name only."""
        return json_response(registry.models(backend, call.caller, page))

    @router.get("/models/{name}/{version}", **documented(ModelRecord, 404))
    def model(
        name: Name,
        version: Version,
        call: Annotated[Call, by.reads("site", "operator", "vendor", "auditor", "reporter")],
    ) -> Response:
        """Return one model."""
        return json_response(registry.model_for(backend, call.caller, name, version))

    @router.post("/models/{name}/{version}/start", **documented(ModelRecord, 400, 404, 409))
    def start(
        name: Name,
        version: Version,
        call: Annotated[Call, by.posts("operator")],
        tried: bool = False,
    ) -> Response:
        """Start the model endpoint; with `tried`, only a model that answers a trial call and its probes."""
        starts = start_tried if tried else registry.start
        return json_response(starts(backend, call.caller, name, version))

    @router.post("/models/{name}/{version}/stop", **documented(ModelRecord, 400, 404, 409))
    def stop(name: Name, version: Version, call: Annotated[Call, by.posts("operator")]) -> Response:
        """Stop the model endpoint."""
        return json_response(registry.stop(backend, call.caller, name, version))

    return router
