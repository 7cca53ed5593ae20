"""Routes of submissions: 201 when counted, 202 while the check runs, 422 when refused."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool

from healthval.contracts.base import Name, Sha256, SiteId, Version
from healthval.contracts.report import SubmissionList
from healthval.contracts.stamp import LedgerHead, Stamp
from healthval.contracts.submission import Receipt, Submission
from healthval.hub import arrivals
from healthval.hub.access import Subject
from healthval.hub.api.call import (
    AskedPage,
    Call,
    Callers,
    bytes_response,
    json_response,
    pending_response,
)
from healthval.hub.api.documents import documented
from healthval.hub.arrivals import Arrivals
from healthval.hub.keyring import Keyring
from healthval.hub.ports import Refusal

QUICK_SECONDS = 2.0


def routes(by: Callers, keyring: Keyring, work: Arrivals) -> APIRouter:
    """Return the routes over one backend."""
    router = APIRouter(prefix="/v1")

    @router.post(
        "/submissions",
        **documented(Receipt, 400, 404, 409, status=201, other=(200, 202), body=Submission),
    )
    async def submit(
        call: Annotated[Call, by.posts("site")],
        ledger_head: Annotated[
            Sha256 | None, Query(description="head of the site's ledger")
        ] = None,
    ) -> Response:
        """Submit a released result; the same bytes get the same receipt.

        201 when it is counted within two seconds, 200 for a repetition, else 202; then poll the
        receipt.
        """
        site = call.caller.id
        is_new, sha256 = await run_in_threadpool(work.receive, site, call.body)
        if check := work.running(site, sha256):
            await asyncio.wait([asyncio.wrap_future(check)], timeout=QUICK_SECONDS)
        receipt = await run_in_threadpool(work.receipt, site, sha256)
        if receipt.state == "refused":
            raise Refusal(422, "The submission discloses too much", receipt.reason)
        stamp = None
        if ledger_head is not None:
            stamp = await run_in_threadpool(_countersigned, work, keyring, (site, ledger_head))
        return _answer(receipt.model_copy(update={"ledger": stamp, "repeated": not is_new}))

    @router.get("/receipts/{sha256}", **documented(Receipt, 404, other=(202,)))
    def receipt(sha256: Sha256, call: Annotated[Call, by.reads("site")]) -> Response:
        """Return the state of a submission of this site."""
        found = work.receipt(call.caller.id, sha256)
        is_pending = found.state in {"received", "checked"}
        return pending_response(found) if is_pending else json_response(found)

    @router.get("/ledger-head", **documented(LedgerHead))
    def ledger_head_of(call: Annotated[Call, by.reads("site")]) -> Response:
        """Return the head of the site's ledger that came with its newest submission."""
        return json_response(work.ledger_head(call.caller.id))

    _add_results(router, by)
    return router


def _add_results(router: APIRouter, by: Callers) -> None:
    """Add the routes by which the operator reads results."""
    backend = by.auth.backend

    @router.get("/submissions", **documented(SubmissionList))
    def submissions(
        model: Name,
        version: Version,
        plan_hash: Sha256,
        call: Annotated[Call, by.reads("operator", "reporter")],
        page: AskedPage,
    ) -> Response:
        """List each site's latest result."""
        return json_response(
            arrivals.submissions(backend, Subject(model, version, plan_hash), page)
        )

    @router.get("/submissions/{site}/{sha256}", **documented(bytes, 404))
    def payload(
        site: SiteId, sha256: Sha256, call: Annotated[Call, by.reads("operator", "reporter")]
    ) -> Response:
        """Return the bytes of a result, as sent."""
        return bytes_response(arrivals.payload_of(backend, site, sha256))


def _countersigned(work: Arrivals, keyring: Keyring, of: tuple[str, str]) -> Stamp | None:
    """Keep the head of a site's ledger, and sign it."""
    site, head = of
    work.keep_ledger_head(site, head)
    return keyring.stamp("ledger", site, head)


def _answer(receipt: Receipt) -> Response:
    if receipt.state in {"received", "checked"}:
        return pending_response(receipt)
    return json_response(receipt, 200 if receipt.repeated else 201)
