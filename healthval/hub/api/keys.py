"""Routes of keys: enrolment of vendors, auditors and operators, replacement, revocation."""

from typing import Annotated

from fastapi import APIRouter, Response

from healthval.contracts.access import (
    AuditorKey,
    DashboardLink,
    KeyList,
    KeyRecord,
    KeyRotation,
    LinkRequest,
    OperatorRole,
    VendorKey,
)
from healthval.contracts.base import SiteId
from healthval.hub import keys
from healthval.hub.api.call import AskedPage, Call, Callers, json_response
from healthval.hub.api.documents import documented
from healthval.hub.ports import Refusal


def routes(by: Callers) -> APIRouter:
    """Return the routes over one backend."""
    router, backend = APIRouter(prefix="/v1"), by.auth.backend

    @router.post("/vendors", **documented(None, 400, 409, status=204, body=VendorKey))
    def enrol(call: Annotated[Call, by.posts("operator")]) -> Response:
        """Allow a developer's key or AWS role to read the reports on its models."""
        keys.enrol_vendor(backend, call.caller, call.read(VendorKey))
        return Response(status_code=204)

    @router.post("/auditors", **documented(None, 400, 409, status=204, body=AuditorKey))
    def enrol_auditor(call: Annotated[Call, by.posts("operator")]) -> Response:
        """Allow an auditor's key or AWS role to read the audit chain, grants, models and keys."""
        keys.enrol_auditor(backend, call.caller, call.read(AuditorKey))
        return Response(status_code=204)

    @router.post("/operators", **documented(None, 400, 409, status=204, body=OperatorRole))
    def enrol_operator(call: Annotated[Call, by.posts("operator")]) -> Response:
        """Allow an AWS role to make the operator's calls; only the operator's key enrols one."""
        keys.enrol_operator(backend, by.auth.operator, call.caller, call.read(OperatorRole))
        return Response(status_code=204)

    @router.get("/keys", **documented(KeyList))
    def known(call: Annotated[Call, by.reads("operator", "auditor")], page: AskedPage) -> Response:
        """List the keys that the hub knows."""
        return json_response(keys.keys(backend, page))

    @router.post("/keys/rotation", **documented(KeyRecord, 400, 409, body=KeyRotation))
    def rotate(call: Annotated[Call, by.posts("site", "vendor", "auditor")]) -> Response:
        """Replace the caller's key; the old one is valid for the overlap."""
        rotation = call.read(KeyRotation)
        return json_response(keys.rotate(backend, by.auth.operator, call.caller, rotation))

    @router.post("/keys/{name}/revoke", **documented(KeyRecord, 400, 404, 409))
    def revoke(name: SiteId, call: Annotated[Call, by.posts("operator")]) -> Response:
        """Revoke a key; its calls are refused from then on."""
        return json_response(keys.revoke(backend, call.caller, name))

    @router.post("/dashboard-links", **documented(DashboardLink, 400, 404, 409, body=LinkRequest))
    def link(call: Annotated[Call, by.posts("vendor", "operator")]) -> Response:
        """Sign a link that reads one vendor's reports for at most 8 hours."""
        asked = call.read(LinkRequest)
        if call.caller.role == "vendor" and asked.vendor != call.caller.id:
            raise Refusal(403, "A vendor's key signs links for its own reports only")
        return json_response(by.auth.link(asked.vendor, asked.seconds))

    return router
