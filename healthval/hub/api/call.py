"""Parts of every route: the caller, the body, one page of a list, and the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response
from pydantic import BaseModel

from healthval.contracts.base import Shape, read_wire
from healthval.hub.auth import Authenticator, Caller, CheckedHead, Head, Role
from healthval.hub.pages import MAX_LIMIT, Page
from healthval.hub.ports import Refusal


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
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="16 to 64 letters, digits, - or _: a repetition within a day acts once",
    ),
]


@dataclass(frozen=True, slots=True)
class Callers:
    """Dependencies that check the caller of a route; they run in worker threads.

    FastAPI solves dependencies in order: the caller is known before the body is read.
    """

    auth: Authenticator

    def reads(self, *roles: Role) -> Any:
        """Return the dependency of a GET or PUT."""
        check_head = self._check_head(roles)

        def call(checked: Annotated[CheckedHead, Depends(check_head)], body: Body) -> Call:
            return Call(self.auth.admit(checked, body), body)

        return Depends(call)

    def posts(self, *roles: Role) -> Any:
        """Return the dependency of a POST, which may have an Idempotency-Key."""
        check_head = self._check_head(roles)

        def call(
            checked: Annotated[CheckedHead, Depends(check_head)],
            body: Body,
            idempotency_key: IdempotencyKey = None,
        ) -> Call:
            caller = self.auth.admit(checked, body, idempotency_key)
            return Call(caller, body, idempotency_key)

        return Depends(call)

    def _check_head(self, roles: tuple[Role, ...]) -> Callable[..., CheckedHead]:
        def check_head(head: RequestHead) -> CheckedHead:
            checked = self.auth.check_head(head)
            if checked.caller.role not in roles:
                raise Refusal(403, f"The {checked.caller.role}'s key cannot use this address")
            return checked

        return check_head


def json_response(shape: BaseModel, status: int = 200) -> Response:
    """Return a wire shape as JSON."""
    headers = {"Cache-Control": "no-store"}
    return Response(shape.model_dump_json(), status, headers, media_type="application/json")


def bytes_response(data: bytes) -> Response:
    """Return bytes that a browser must not render as a page of the hub's origin."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(data, 200, headers, media_type="application/octet-stream")


def pending_response(shape: BaseModel) -> Response:
    """Return the status of work that goes on: 202, to be polled after a second."""
    response = json_response(shape, 202)
    response.headers["Retry-After"] = "1"
    return response
