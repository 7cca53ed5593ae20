"""Routes of access: requests of sites, decisions of the operator."""

from typing import Annotated

from fastapi import APIRouter, Response

from healthval.contracts.access import (
    AccessDecision,
    AccessGrant,
    AccessList,
    AccessRequest,
)
from healthval.contracts.base import Name, Sha256, SiteId, Version
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.api.call import (
    AskedPage,
    Body,
    Call,
    Callers,
    IdempotencyKey,
    RequestHead,
    json_response,
    read_body,
)
from healthval.hub.api.documents import documented
from healthval.hub.keyring import Keyring


def routes(by: Callers, keyring: Keyring) -> APIRouter:
    """Return the routes over one backend."""
    router, backend = APIRouter(prefix="/v1"), by.auth.backend

    @router.post(
        "/access-requests",
        **documented(AccessGrant, 400, 404, 409, 429, status=201, body=AccessRequest),
    )
    def ask(head: RequestHead, body: Body, idempotency_key: IdempotencyKey = None) -> Response:
        """Request access; signed by the key or AWS role in the request."""
        sent = read_body(AccessRequest, body)
        checked = by.auth.check_self_signed(head, sent.public_key)
        caller = by.auth.admit(checked, body, idempotency_key)
        registry.model(backend, sent.model, sent.version)
        return json_response(access.request(backend, keyring, sent, caller.id), 201)

    @router.get("/access-requests", **documented(AccessList))
    def grants(
        call: Annotated[Call, by.reads("site", "operator", "auditor", "reporter")], page: AskedPage
    ) -> Response:
        """List grants: a site's own, all for the operator and an auditor."""
        site = call.caller.id if call.caller.role == "site" else None
        return json_response(access.grants(backend, page, site))

    @router.post(
        "/access-requests/{site}/{model}/{version}/{plan_hash}/decision",
        **documented(AccessGrant, 400, 404, 409, body=AccessDecision),
    )
    def decide(
        site: SiteId,
        model: Name,
        version: Version,
        plan_hash: Sha256,
        call: Annotated[Call, by.posts("operator")],
    ) -> Response:
        """Approve, reject, suspend or revoke."""
        subject = Subject(model, version, plan_hash)
        decision = call.read(AccessDecision)
        return json_response(
            access.decide(backend, decision, actor=call.caller, site=site, subject=subject)
        )

    return router
