"""Routes of submissions."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from healthval.contracts.base import Name, Sha256, SiteId, Version
from healthval.contracts.report import SubmissionList
from healthval.contracts.submission import Receipt, Submission
from healthval.disclosure import Policy
from healthval.hub import registry
from healthval.hub.access import Subject
from healthval.hub.api.call import AskedPage, Call, Callers, bytes_response, json_response
from healthval.hub.api.documents import documented
from healthval.hub.keyring import Keyring


def routes(by: Callers, keyring: Keyring, policy: Policy) -> APIRouter:
    """Return the routes over one backend."""
    router, backend = APIRouter(prefix="/v1"), by.auth.backend

    @router.post(
        "/submissions",
        **documented(Receipt, 400, 404, 409, status=201, other=200, body=Submission),
    )
    def submit(
        call: Annotated[Call, by.posts("site")],
        ledger_head: Annotated[
            Sha256 | None, Query(description="head of the site's ledger")
        ] = None,
    ) -> Response:
        """Submit a released result; the same bytes get the same receipt."""
        site = call.caller.id
        receipt = registry.submit(backend, policy, site, call.body)
        if ledger_head is not None:
            stamp = keyring.stamp("ledger", site, ledger_head)
            receipt = receipt.model_copy(update={"ledger": stamp})
        return json_response(receipt, 200 if receipt.repeated else 201)

    @router.get("/submissions", **documented(SubmissionList))
    def submissions(
        model: Name,
        version: Version,
        plan_hash: Sha256,
        call: Annotated[Call, by.reads("operator")],
        page: AskedPage,
    ) -> Response:
        """List each site's latest result."""
        return json_response(
            registry.submissions(backend, Subject(model, version, plan_hash), page)
        )

    @router.get("/submissions/{site}/{sha256}", **documented(bytes, 404))
    def payload(
        site: SiteId, sha256: Sha256, call: Annotated[Call, by.reads("operator")]
    ) -> Response:
        """Return the bytes of a result, as sent."""
        return bytes_response(registry.payload_of(backend, site, sha256))

    return router
