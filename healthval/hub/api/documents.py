"""Documentation of routes: bodies, successes and problems by type; and the OpenAPI 3.1 document."""

from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from healthval.contracts.access import (
    AccessDecision,
    AccessRequest,
    AuditorKey,
    KeyRotation,
    LinkRequest,
    OperatorRole,
    VendorKey,
)
from healthval.contracts.base import Problem
from healthval.contracts.model import ModelRegistration, ObjectSize
from healthval.contracts.prediction import PredictionRequest, UploadRequest
from healthval.contracts.report import ReportOrder, ReportRecord, ReportWithdrawal
from healthval.contracts.submission import Submission
from healthval.secure_sum.messages import SumClosing, SumMessage

BODIES: tuple[type[BaseModel], ...] = (
    AccessRequest,
    AccessDecision,
    VendorKey,
    AuditorKey,
    OperatorRole,
    KeyRotation,
    LinkRequest,
    ModelRegistration,
    ObjectSize,
    PredictionRequest,
    UploadRequest,
    Submission,
    ReportOrder,
    ReportRecord,
    ReportWithdrawal,
    SumMessage,
    SumClosing,
)
_OCTETS = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_PROBLEMS = {
    400: "The Idempotency-Key is malformed",
    401: "The request is not signed by a key that this hub knows",
    403: "The key may not do this",
    404: "There is no such entry here",
    405: "Method not allowed; `Allow` names the others",
    409: "Another state or content is stored",
    413: "The body is too large",
    422: "The request does not match its contract",
    429: "Too much waits; repeat later",
    500: "The hub failed",
    503: "The store or the model does not respond; repeat later",
    507: "The hub's disk is full; repeat later",
}
_ALWAYS = (405, 413, 422, 500, 503)
_SIGNED = (401, 403)
_WRITING = (507,)


def documented(
    success: type[BaseModel] | type[bytes] | None,
    *problems: int,
    status: int = 200,
    other: tuple[int, ...] = (),
    body: type[BaseModel] | type[bytes] | None = None,
    signed: bool = True,
) -> dict[str, Any]:
    """Return the arguments of a route's decorator.

    Parameters
    ----------
    success : shape of the answer, bytes, or None for an empty one
    problems : statuses beside those that every route may answer with
    other : further statuses of the same shape
    body : shape of the body, or bytes; parsed by `read_body`, because FastAPI would quote it
    """
    known = {*problems, *_ALWAYS, *_WRITING, *(_SIGNED if signed else ())}
    responses: dict[int | str, dict[str, Any]] = {
        code: _problem(_PROBLEMS[code]) for code in sorted(known)
    }
    responses["default"] = _problem("Problem details (RFC 9457)")
    arguments: dict[str, Any] = {"status_code": status, "responses": responses}
    if success is bytes or success is None:
        arguments["response_class"] = Response
    else:
        arguments["response_model"] = success
    if success is bytes:
        responses[status] = {"description": "The bytes", "content": _OCTETS}
    for code in other:
        responses[code] = {"model": success, "description": "Successful Response"}
    return arguments | {"openapi_extra": _extra(body, signed=signed)}


def _extra(body: type[BaseModel] | type[bytes] | None, *, signed: bool) -> dict[str, Any]:
    extra: dict[str, Any] = {"security": [{"signed": []}]} if signed else {}
    if body is bytes:
        return extra | {"requestBody": {"required": True, "content": _OCTETS}}
    if body is None:
        return extra
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}}
    return extra | {"requestBody": {"required": True, "content": content}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


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
