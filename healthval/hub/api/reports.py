"""Routes of reports."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from healthval.contracts.report import (
    ReportId,
    ReportList,
    ReportOrder,
    ReportOrderList,
    ReportOrderRecord,
    ReportRecord,
    ReportWithdrawal,
)
from healthval.hub import registry, report_orders
from healthval.hub.api.call import AskedPage, Call, Callers, bytes_response, json_response
from healthval.hub.api.documents import documented


def routes(by: Callers) -> APIRouter:
    """Return the routes over one backend."""
    router, backend = APIRouter(prefix="/v1"), by.auth.backend

    @router.post(
        "/reports", **documented(ReportRecord, 400, 404, 409, status=201, body=ReportRecord)
    )
    def publish(call: Annotated[Call, by.posts("operator", "reporter")]) -> Response:
        """Publish a report whose files are stored."""
        return json_response(registry.publish(backend, call.caller, call.read(ReportRecord)), 201)

    @router.get("/reports", **documented(ReportList))
    def reports(
        call: Annotated[Call, by.reads("operator", "vendor", "reporter")], page: AskedPage
    ) -> Response:
        """List the reports that the caller may read."""
        return json_response(registry.reports(backend, call.caller, page))

    @router.post(
        "/reports/{report}/withdrawal",
        **documented(ReportRecord, 400, 404, 409, body=ReportWithdrawal),
    )
    def withdraw(report: ReportId, call: Annotated[Call, by.posts("operator")]) -> Response:
        """Withdraw a report; it stays in the list with the reason."""
        withdrawal = call.read(ReportWithdrawal)
        return json_response(registry.withdraw(backend, call.caller, report, withdrawal))

    @router.get("/reports/{report}/files/{name}", **documented(bytes, 404))
    def report_file(
        report: ReportId,
        name: Annotated[str, Path(pattern=r"^[a-z_.-]{1,64}$")],
        call: Annotated[Call, by.reads("operator", "vendor", "reporter")],
    ) -> Response:
        """Return one file of a report."""
        return bytes_response(registry.report_file(backend, call.caller, report, name))

    @router.post(
        "/report-orders",
        **documented(ReportOrderRecord, 400, 404, 409, body=ReportOrder),
    )
    def order(call: Annotated[Call, by.posts("operator")]) -> Response:
        """Give or cancel a standing order: a new report after each result that counts."""
        given = report_orders.order(backend, call.caller, call.read(ReportOrder))
        return json_response(given)

    @router.get("/report-orders", **documented(ReportOrderList))
    def orders(call: Annotated[Call, by.reads("operator", "auditor")], page: AskedPage) -> Response:
        """List the standing orders, and what became of them."""
        return json_response(report_orders.orders(backend, page))

    return router
