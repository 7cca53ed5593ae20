"""Routes of the API: each checks its caller, parses the body, calls one function and answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from healthval.contracts.access import (
    AccessDecision,
    AccessGrant,
    AccessList,
    AccessRequest,
    VendorKey,
    site_id,
)
from healthval.contracts.base import Name, Sha256, Shape, SiteId, Version, read_wire
from healthval.contracts.model import (
    ModelList,
    ModelRecord,
    ModelRegistration,
    ObjectOffer,
    ObjectSize,
)
from healthval.contracts.prediction import (
    PredictionAnswer,
    PredictionId,
    PredictionRequest,
    UploadId,
    UploadRequest,
    UploadTicket,
)
from healthval.contracts.report import (
    ReportId,
    ReportList,
    ReportRecord,
    ReportWithdrawal,
    SubmissionList,
)
from healthval.contracts.submission import Receipt, Submission
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.arrivals import ArrivalCheck
from healthval.hub.audit_chain import chain_head, entries
from healthval.hub.auth import Authenticator, Caller, CheckedHead, Head, Role
from healthval.hub.health import Health
from healthval.hub.middleware import bytes_response, json_response, prediction_response
from healthval.hub.pages import MAX_LIMIT, Page
from healthval.hub.ports import Refusal, StoreUnavailable
from healthval.hub.predictions import QUICK_SECONDS, Predictions
from healthval.hub.uploads import UploadPlace

BODIES: tuple[type[BaseModel], ...] = (
    AccessRequest,
    AccessDecision,
    VendorKey,
    ModelRegistration,
    ObjectSize,
    PredictionRequest,
    UploadRequest,
    Submission,
    ReportRecord,
    ReportWithdrawal,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A checked request: its caller, body and Idempotency-Key."""

    caller: Caller
    body: bytes
    idempotency_key: str | None = None

    def read(self, shape: type[Shape]) -> Shape:
        """Parse the body; see `read_body`."""
        return read_body(shape, self.body)


def read_body(shape: type[Shape], body: bytes) -> Shape:
    """Parse a body; a refusal names place and type of the first error."""
    try:
        return read_wire(shape, body)
    except ValueError as misfit:
        raise Refusal(422, "The request does not match its contract", str(misfit)) from None


def _head(request: Request) -> Head:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    path = request.scope["raw_path"].decode("ascii", "replace")
    query = request.scope["query_string"].decode("ascii", "replace")
    target = f"{path}?{query}" if query else path
    return Head(request.method, target, token if scheme.lower() == "bearer" else "")


async def _body(request: Request) -> bytes:
    return await request.body()


def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = MAX_LIMIT,
    cursor: Annotated[str, Query(max_length=700)] = "",
) -> Page:
    return Page(limit, cursor)


AskedPage = Annotated[Page, Depends(_page)]
RequestHead = Annotated[Head, Depends(_head)]
Body = Annotated[bytes, Depends(_body)]


def _callers(auth: Authenticator) -> Callable[..., Any]:
    """Return `by(*roles)`: a dependency that checks the caller; it runs in a worker thread.

    FastAPI solves dependencies in order: the caller is known before the body is read.
    """

    def by(*roles: Role) -> Any:
        def check_head(head: RequestHead) -> CheckedHead:
            checked = auth.check_head(head)
            if checked.caller.role not in roles:
                raise Refusal(403, f"The {checked.caller.role}'s key cannot use this address")
            return checked

        def call(
            head: RequestHead,
            checked: Annotated[CheckedHead, Depends(check_head)],
            body: Body,
            idempotency_key: Annotated[str | None, Header()] = None,
        ) -> Call:
            caller = auth.check_body(checked, body)
            if idempotency_key is not None:
                auth.bind_idempotency_key(caller, idempotency_key, head, body)
            return Call(caller, body, idempotency_key)

        return Depends(call)

    return by


def _body_schema(shape: type[BaseModel]) -> dict[str, Any]:
    """Document a body that `read_body` parses: FastAPI would quote it in its errors."""
    schema = {"$ref": f"#/components/schemas/{shape.__name__}"}
    content = {"application/json": {"schema": schema}}
    return _SIGNED | {"requestBody": {"required": True, "content": content}}


_SIGNED: dict[str, Any] = {"security": [{"signed": []}]}
_OCTETS = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_PROBLEM = {
    "description": "Problem details (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_BYTES = {"requestBody": {"required": True, "content": _OCTETS}}


def routes(auth: Authenticator, predictions: Predictions, check: ArrivalCheck) -> APIRouter:
    """Return all routes over one backend."""
    router = APIRouter(prefix="/v1", responses={"default": _PROBLEM})
    by = _callers(auth)
    _health_routes(router, auth, by)
    _access_routes(router, auth, by)
    _model_routes(router, auth, by)
    _prediction_routes(router, predictions, by)
    _submission_routes(router, auth, check, by)
    _report_routes(router, auth, by)
    return router


def _health_routes(router: APIRouter, auth: Authenticator, by: Callable[..., Any]) -> None:
    health_of_store = Health(auth.backend)

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Return ok if the hub and its store respond; 503 within a second if not."""
        if not await health_of_store.is_good():
            raise StoreUnavailable
        return {"status": "ok"}

    @router.get("/audit", openapi_extra=_SIGNED)
    def audit(call: Annotated[Call, by("operator")]) -> dict[str, Any]:
        """Return the audit chain, oldest entry first."""
        head = chain_head(auth.backend)
        return {"entries": entries(auth.backend), "head": head}


def _access_routes(router: APIRouter, auth: Authenticator, by: Callable[..., Any]) -> None:
    backend = auth.backend

    @router.post(
        "/access-requests", response_model=AccessGrant, openapi_extra=_body_schema(AccessRequest)
    )
    def ask(
        head: RequestHead, body: Body, idempotency_key: Annotated[str | None, Header()] = None
    ) -> Response:
        """Request access; signed by the key in the request."""
        sent = read_body(AccessRequest, body)
        auth.check_self_signed(head, body, sent.public_key)
        if idempotency_key is not None:
            caller = Caller(site_id(sent.public_key), "site")
            auth.bind_idempotency_key(caller, idempotency_key, head, body)
        registry.model(backend, sent.model, sent.version)
        return json_response(access.request(backend, auth.operator, sent), 201)

    @router.get("/access-requests", response_model=AccessList, openapi_extra=_SIGNED)
    def grants(call: Annotated[Call, by("site", "operator")], page: AskedPage) -> Response:
        """List grants: a site's own, all for the operator."""
        site = None if call.caller.role == "operator" else call.caller.id
        return json_response(access.grants(backend, page, site))

    @router.post(
        "/access-requests/{site}/{model}/{version}/{plan_hash}/decision",
        response_model=AccessGrant,
        openapi_extra=_body_schema(AccessDecision),
    )
    def decide(
        site: SiteId,
        model: Name,
        version: Version,
        plan_hash: Sha256,
        call: Annotated[Call, by("operator")],
    ) -> Response:
        """Approve, reject or revoke."""
        subject = Subject(model, version, plan_hash)
        decision = call.read(AccessDecision)
        return json_response(
            access.decide(backend, decision, actor=call.caller, site=site, subject=subject)
        )

    @router.post("/vendors", status_code=204, openapi_extra=_body_schema(VendorKey))
    def enrol(call: Annotated[Call, by("operator")]) -> Response:
        """Allow a developer's key to read the reports on its models."""
        access.enrol_vendor(backend, call.caller, call.read(VendorKey))
        return Response(status_code=204)


def _model_routes(router: APIRouter, auth: Authenticator, by: Callable[..., Any]) -> None:
    backend = auth.backend

    @router.put("/objects/{sha256}", status_code=204, openapi_extra=_SIGNED | _BYTES)
    def store(sha256: Sha256, call: Annotated[Call, by("operator")]) -> Response:
        """Store an artefact or a report file under its hash."""
        registry.store(backend, sha256, call.body)
        return Response(status_code=204)

    @router.post(
        "/objects/{sha256}/offer",
        response_model=ObjectOffer,
        openapi_extra=_body_schema(ObjectSize),
    )
    def offer(sha256: Sha256, call: Annotated[Call, by("operator")]) -> Response:
        """Sign an address for an object that is too large for a call of the API."""
        return json_response(registry.offer(backend, sha256, call.read(ObjectSize).size))

    @router.post(
        "/models", response_model=ModelRecord, openapi_extra=_body_schema(ModelRegistration)
    )
    def register(call: Annotated[Call, by("operator")]) -> Response:
        """Register a model version."""
        return json_response(
            registry.register(backend, call.caller, call.read(ModelRegistration)), 201
        )

    @router.get("/models", response_model=ModelList, openapi_extra=_SIGNED)
    def models(
        call: Annotated[Call, by("site", "operator", "vendor")], page: AskedPage
    ) -> Response:
        """List the models."""
        return json_response(registry.models(backend, call.caller, page))

    @router.get("/models/{name}/{version}", response_model=ModelRecord, openapi_extra=_SIGNED)
    def model(
        name: Name, version: Version, call: Annotated[Call, by("site", "operator", "vendor")]
    ) -> Response:
        """Return one model."""
        return json_response(registry.model_for(backend, call.caller, name, version))

    @router.post(
        "/models/{name}/{version}/start", response_model=ModelRecord, openapi_extra=_SIGNED
    )
    def start(name: Name, version: Version, call: Annotated[Call, by("operator")]) -> Response:
        """Start the model endpoint."""
        return json_response(registry.start(backend, call.caller, name, version))

    @router.post("/models/{name}/{version}/stop", response_model=ModelRecord, openapi_extra=_SIGNED)
    def stop(name: Name, version: Version, call: Annotated[Call, by("operator")]) -> Response:
        """Stop the model endpoint."""
        return json_response(registry.stop(backend, call.caller, name, version))


def _prediction_routes(router: APIRouter, predictions: Predictions, by: Callable[..., Any]) -> None:
    @router.post(
        "/predictions",
        response_model=PredictionAnswer,
        responses={202: {"model": PredictionAnswer, "description": "Pending: poll"}},
        openapi_extra=_body_schema(PredictionRequest),
    )
    async def predict(call: Annotated[Call, by("site")]) -> Response:
        """Score a batch: 200 if done within two seconds, else 202; then poll."""
        site = call.caller.id
        accepted = run_in_threadpool(predictions.accept, site, call.body, call.idempotency_key)
        batch = await accepted
        if work := predictions.running(site, batch):  # no thread waits: others are free meanwhile
            await asyncio.wait([asyncio.wrap_future(work)], timeout=QUICK_SECONDS)
        return prediction_response(await run_in_threadpool(predictions.poll, site, batch))

    @router.get(
        "/predictions/{prediction}",
        response_model=PredictionAnswer,
        responses={202: {"model": PredictionAnswer, "description": "Pending: poll"}},
        openapi_extra=_SIGNED,
    )
    def poll(prediction: PredictionId, call: Annotated[Call, by("site")]) -> Response:
        """Return a batch's status."""
        return prediction_response(predictions.poll(call.caller.id, prediction))

    @router.post("/uploads", response_model=UploadTicket, openapi_extra=_body_schema(UploadRequest))
    def offer(call: Annotated[Call, by("site")]) -> Response:
        """Sign an address for one de-identified file."""
        return json_response(
            predictions.uploads.ticket(call.caller.id, call.read(UploadRequest)), 201
        )

    def place(
        upload: UploadId,
        terms: Annotated[str, Query(max_length=200)],
        signature: Annotated[str, Query(max_length=64)],
    ) -> UploadPlace:
        return predictions.uploads.place(upload, terms, signature)

    @router.put("/uploads/{upload}", status_code=204, openapi_extra=_BYTES)
    def take(place: Annotated[UploadPlace, Depends(place)], body: Body) -> Response:
        """Store the file at the address of its ticket."""
        predictions.uploads.store(place, body)
        return Response(status_code=204)


def _submission_routes(
    router: APIRouter, auth: Authenticator, check: ArrivalCheck, by: Callable[..., Any]
) -> None:
    backend = auth.backend

    @router.post("/submissions", response_model=Receipt, openapi_extra=_body_schema(Submission))
    def submit(call: Annotated[Call, by("site")]) -> Response:
        """Submit a released result; the same bytes get the same receipt."""
        receipt = registry.submit(backend, check, call.caller.id, call.body)
        return json_response(receipt, 200 if receipt.repeated else 201)

    @router.get("/submissions", response_model=SubmissionList, openapi_extra=_SIGNED)
    def submissions(
        model: Name, version: Version, plan_hash: Sha256, call: Annotated[Call, by("operator")]
    ) -> Response:
        """List each site's latest result."""
        return json_response(registry.submissions(backend, Subject(model, version, plan_hash)))

    @router.get("/submissions/{site}/{sha256}", openapi_extra=_SIGNED)
    def payload(site: SiteId, sha256: Sha256, call: Annotated[Call, by("operator")]) -> Response:
        """Return the bytes of a result, as sent."""
        return bytes_response(registry.payload_of(backend, site, sha256))


def _report_routes(router: APIRouter, auth: Authenticator, by: Callable[..., Any]) -> None:
    backend = auth.backend

    @router.post("/reports", response_model=ReportRecord, openapi_extra=_body_schema(ReportRecord))
    def publish(call: Annotated[Call, by("operator")]) -> Response:
        """Publish a report whose files are stored."""
        return json_response(registry.publish(backend, call.caller, call.read(ReportRecord)), 201)

    @router.get("/reports", response_model=ReportList, openapi_extra=_SIGNED)
    def reports(call: Annotated[Call, by("operator", "vendor")]) -> Response:
        """List the reports that the caller may read."""
        return json_response(registry.reports(backend, call.caller))

    @router.post(
        "/reports/{report}/withdrawal",
        response_model=ReportRecord,
        openapi_extra=_body_schema(ReportWithdrawal),
    )
    def withdraw(report: ReportId, call: Annotated[Call, by("operator")]) -> Response:
        """Withdraw a report; it stays in the list with the reason."""
        withdrawal = call.read(ReportWithdrawal)
        return json_response(registry.withdraw(backend, call.caller, report, withdrawal))

    @router.get("/reports/{report}/files/{name}", openapi_extra=_SIGNED)
    def report_file(
        report: ReportId,
        name: Annotated[str, Path(pattern=r"^[a-z_.-]{1,64}$")],
        call: Annotated[Call, by("operator", "vendor")],
    ) -> Response:
        """Return one file of a report."""
        return bytes_response(registry.report_file(backend, call.caller, report, name))
