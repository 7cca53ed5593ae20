"""The API: each route recognises its caller, parses, calls one function, answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel

from healthval.contracts.access import (
    AccessDecision,
    AccessGrant,
    AccessList,
    AccessRequest,
    VendorKey,
)
from healthval.contracts.base import Name, Sha256, Shape, SiteId, Version, read_wire
from healthval.contracts.model import ModelList, ModelRecord, ModelRegistration
from healthval.contracts.prediction import (
    PredictionAnswer,
    PredictionId,
    PredictionRequest,
    UploadId,
    UploadRequest,
    UploadTicket,
)
from healthval.contracts.report import ReportId, ReportList, ReportRecord, SubmissionList
from healthval.contracts.submission import Receipt, Submission
from healthval.disclosure import Policy
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.auth import Caller, Gatekeeper, Head, Known, Role, entries
from healthval.hub.ports import Refusal
from healthval.hub.predictions import Place, Predictions

BODIES: tuple[type[BaseModel], ...] = (
    *(AccessRequest, AccessDecision, VendorKey, ModelRegistration, PredictionRequest),
    *(UploadRequest, Submission, ReportRecord),
)


@dataclass(frozen=True, slots=True)
class Call:
    """A recognised caller and what came."""

    caller: Caller
    body: bytes
    idempotency_key: str | None = None

    def read(self, shape: type[Shape]) -> Shape:
        """Parse the body, or refuse it by place and kind."""
        return read_body(shape, self.body)


def read_body(shape: type[Shape], body: bytes) -> Shape:
    """Parse a body, or refuse it by place and kind."""
    try:
        return read_wire(shape, body)
    except ValueError as misfit:
        raise Refusal(422, "The request is not as the contract says", str(misfit)) from None


def _head(request: Request) -> Head:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    path = request.scope["raw_path"].decode("ascii", "replace")
    query = request.scope["query_string"].decode("ascii", "replace")
    target = f"{path}?{query}" if query else path
    return Head(request.method, target, token if scheme.lower() == "bearer" else "")


async def _body(request: Request) -> bytes:
    return await request.body()


Arriving = Annotated[Head, Depends(_head)]
Body = Annotated[bytes, Depends(_body)]


def _callers(gate: Gatekeeper) -> Callable[..., Any]:
    """Make the dependency that admits callers of some roles; it runs in a worker thread.

    Dependencies are solved in order: who calls is known before the body is read.
    """

    def by(*roles: Role) -> Any:
        def recognise(head: Arriving) -> Known:
            known = gate.recognise(head)
            if known.caller.role not in roles:
                raise Refusal(403, f"This is not for the {known.caller.role}'s key")
            return known

        def admit(
            head: Arriving,
            known: Annotated[Known, Depends(recognise)],
            body: Body,
            idempotency_key: Annotated[str | None, Header()] = None,
        ) -> Call:
            caller = gate.admit(known, body)
            if idempotency_key is not None:
                gate.remember(caller, idempotency_key, head, body)
            return Call(caller, body, idempotency_key)

        return Depends(admit)

    return by


def _told(shape: BaseModel, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(shape.model_dump_json(), status, headers, media_type="application/json")


def _told_bytes(data: bytes) -> Response:
    # never rendered by a browser as a page of the hub's own origin
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(data, 200, headers, media_type="application/octet-stream")


def _told_answer(answer: PredictionAnswer) -> Response:
    response = _told(answer, 202 if answer.status == "pending" else 200)
    if answer.status == "pending":
        response.headers["Retry-After"] = "1"
    return response


def _taking(shape: type[BaseModel]) -> dict[str, Any]:
    """Document a body that we parse ourselves: FastAPI would quote it in its errors."""
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


def routes(gate: Gatekeeper, predictions: Predictions, policy: Policy) -> APIRouter:
    """All routes over one backend."""
    router = APIRouter(prefix="/v1", responses={"default": _PROBLEM})
    by = _callers(gate)
    _health_routes(router, gate, by)
    _access_routes(router, gate, by)
    _model_routes(router, gate, by)
    _prediction_routes(router, predictions, by)
    _submission_routes(router, gate, policy, by)
    _report_routes(router, gate, by)
    return router


def _health_routes(router: APIRouter, gate: Gatekeeper, by: Callable[..., Any]) -> None:
    @router.get("/health")
    def health() -> dict[str, str]:
        """Tell that the hub answers and its store does."""
        gate.backend.index.get("audit", "head")
        return {"status": "ok"}

    @router.get("/audit", openapi_extra=_SIGNED)
    def audit(call: Annotated[Call, by("operator")]) -> dict[str, Any]:
        """Return the audit chain, oldest entry first."""
        head = gate.backend.index.get("audit", "head")
        return {"entries": entries(gate.backend), "head": head.value if head else None}


def _access_routes(router: APIRouter, gate: Gatekeeper, by: Callable[..., Any]) -> None:
    backend = gate.backend

    @router.post(
        "/access-requests", response_model=AccessGrant, openapi_extra=_taking(AccessRequest)
    )
    def ask(head: Arriving, body: Body) -> Response:
        """Ask for access; signed by the key inside."""
        asked = read_body(AccessRequest, body)
        gate.admit_self_signed(head, body, asked.public_key)
        registry.model(backend, asked.model, asked.version)
        return _told(access.request(backend, gate.operator, asked), 201)

    @router.get("/access-requests", response_model=AccessList, openapi_extra=_SIGNED)
    def grants(call: Annotated[Call, by("site", "operator")]) -> Response:
        """List own grants (site) or all (operator)."""
        if call.caller.role == "operator":
            return _told(access.all_grants(backend))
        return _told(access.own(backend, call.caller.id))

    @router.post(
        "/access-requests/{site}/{model}/{version}/{plan_hash}/decision",
        response_model=AccessGrant,
        openapi_extra=_taking(AccessDecision),
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
        return _told(access.decide(backend, call.caller, site, subject, call.read(AccessDecision)))

    @router.post("/vendors", status_code=204, openapi_extra=_taking(VendorKey))
    def enrol(call: Annotated[Call, by("operator")]) -> Response:
        """Let a developer's key read the reports on its models."""
        access.enrol_vendor(backend, call.caller, call.read(VendorKey))
        return Response(status_code=204)


def _model_routes(router: APIRouter, gate: Gatekeeper, by: Callable[..., Any]) -> None:
    backend = gate.backend

    @router.put("/objects/{sha256}", status_code=204, openapi_extra=_SIGNED | _BYTES)
    def store(sha256: Sha256, call: Annotated[Call, by("operator")]) -> Response:
        """Store an artefact or a report file under its hash."""
        registry.store(backend, sha256, call.body)
        return Response(status_code=204)

    @router.post("/models", response_model=ModelRecord, openapi_extra=_taking(ModelRegistration))
    def register(call: Annotated[Call, by("operator")]) -> Response:
        """Register a model version."""
        return _told(registry.register(backend, call.caller, call.read(ModelRegistration)), 201)

    @router.get("/models", response_model=ModelList, openapi_extra=_SIGNED)
    def models(call: Annotated[Call, by("site", "operator", "vendor")]) -> Response:
        """List the models."""
        return _told(registry.all_models(backend))

    @router.get("/models/{name}/{version}", response_model=ModelRecord, openapi_extra=_SIGNED)
    def model(
        name: Name, version: Version, call: Annotated[Call, by("site", "operator", "vendor")]
    ) -> Response:
        """Return one model."""
        return _told(registry.model(backend, name, version))

    @router.post(
        "/models/{name}/{version}/start", response_model=ModelRecord, openapi_extra=_SIGNED
    )
    def start(name: Name, version: Version, call: Annotated[Call, by("operator")]) -> Response:
        """Bring the model endpoint up."""
        return _told(registry.start(backend, call.caller, name, version))

    @router.post("/models/{name}/{version}/stop", response_model=ModelRecord, openapi_extra=_SIGNED)
    def stop(name: Name, version: Version, call: Annotated[Call, by("operator")]) -> Response:
        """Take the model endpoint down."""
        return _told(registry.stop(backend, call.caller, name, version))


def _prediction_routes(router: APIRouter, predictions: Predictions, by: Callable[..., Any]) -> None:
    @router.post(
        "/predictions",
        response_model=PredictionAnswer,
        responses={202: {"model": PredictionAnswer, "description": "Pending: poll"}},
        openapi_extra=_taking(PredictionRequest),
    )
    def predict(call: Annotated[Call, by("site")]) -> Response:
        """Score a batch: 200 when quick, else 202 and poll."""
        return _told_answer(predictions.ask(call.caller.id, call.body, call.idempotency_key))

    @router.get(
        "/predictions/{prediction}",
        response_model=PredictionAnswer,
        responses={202: {"model": PredictionAnswer, "description": "Pending: poll"}},
        openapi_extra=_SIGNED,
    )
    def poll(prediction: PredictionId, call: Annotated[Call, by("site")]) -> Response:
        """Tell how a batch stands."""
        return _told_answer(predictions.poll(call.caller.id, prediction))

    @router.post("/uploads", response_model=UploadTicket, openapi_extra=_taking(UploadRequest))
    def offer(call: Annotated[Call, by("site")]) -> Response:
        """Sign a place for one de-identified file."""
        return _told(predictions.uploads.offer(call.caller.id, call.read(UploadRequest)), 201)

    def place(
        upload: UploadId,
        terms: Annotated[str, Query(max_length=200)],
        signature: Annotated[str, Query(max_length=64)],
    ) -> Place:
        return predictions.uploads.place(upload, terms, signature)

    @router.put("/uploads/{upload}", status_code=204, openapi_extra=_BYTES)
    def take(place: Annotated[Place, Depends(place)], body: Body) -> Response:
        """Put the file where its ticket says."""
        predictions.uploads.take(place, body)
        return Response(status_code=204)


def _submission_routes(
    router: APIRouter, gate: Gatekeeper, policy: Policy, by: Callable[..., Any]
) -> None:
    backend = gate.backend

    @router.post("/submissions", response_model=Receipt, openapi_extra=_taking(Submission))
    def submit(call: Annotated[Call, by("site")]) -> Response:
        """Hand in a released result; the same bytes again get the same receipt."""
        receipt = registry.submit(backend, policy, call.caller.id, call.body)
        return _told(receipt, 200 if receipt.repeated else 201)

    @router.get("/submissions", response_model=SubmissionList, openapi_extra=_SIGNED)
    def submissions(
        model: Name, version: Version, plan_hash: Sha256, call: Annotated[Call, by("operator")]
    ) -> Response:
        """List each site's latest result."""
        return _told(registry.submissions(backend, Subject(model, version, plan_hash)))

    @router.get("/submissions/{site}/{sha256}", openapi_extra=_SIGNED)
    def payload(site: SiteId, sha256: Sha256, call: Annotated[Call, by("operator")]) -> Response:
        """Return a result as it was sent."""
        return _told_bytes(registry.payload_of(backend, site, sha256))


def _report_routes(router: APIRouter, gate: Gatekeeper, by: Callable[..., Any]) -> None:
    backend = gate.backend

    @router.post("/reports", response_model=ReportRecord, openapi_extra=_taking(ReportRecord))
    def publish(call: Annotated[Call, by("operator")]) -> Response:
        """Publish a report whose files are stored."""
        return _told(registry.publish(backend, call.caller, call.read(ReportRecord)), 201)

    @router.get("/reports", response_model=ReportList, openapi_extra=_SIGNED)
    def reports(call: Annotated[Call, by("operator", "vendor")]) -> Response:
        """List the reports that the caller may read."""
        return _told(registry.reports(backend, call.caller))

    @router.get("/reports/{report}/files/{name}", openapi_extra=_SIGNED)
    def report_file(
        report: ReportId,
        name: Annotated[str, Path(pattern=r"^[a-z_.-]{1,64}$")],
        call: Annotated[Call, by("operator", "vendor")],
    ) -> Response:
        """Return one file of a report."""
        return _told_bytes(registry.report_file(backend, call.caller, report, name))
