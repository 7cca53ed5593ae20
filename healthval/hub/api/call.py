"""Parts of every route: the caller, the body, one page of a list, and the answer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from healthval.contracts.base import Shape, read_wire
from healthval.hub.auth import Authenticator, Caller, CheckedHead, Head, Role
from healthval.hub.aws_roles import IDENTITY, role_session
from healthval.hub.pages import MAX_LIMIT, Page
from healthval.hub.ports import Refusal

MAX_STRANGERS_BYTES = 16 * 1024
Answer = TypeVar("Answer")


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
    is_bearer, session = scheme.lower() == "bearer", None
    identity = request.scope.get(IDENTITY)
    if identity is not None:
        if is_bearer:
            raise Refusal(401, "The request is signed twice", "sign with a key or by AWS")
        stated = request.headers.get("x-amz-content-sha256")
        session, query = role_session(identity, query, stated)
    target = f"{path}?{query}" if query else path
    return Head(request.method, target, token if is_bearer else "", session)


async def _body(request: Request) -> bytes:
    return await request.body()


def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = MAX_LIMIT,
    cursor: Annotated[str, Query(max_length=700, pattern=r"^[A-Za-z0-9_-]*$")] = "",
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
    """Dependencies that check the caller of a route."""

    auth: Authenticator

    def reads(self, *roles: Role) -> Any:
        """Return the dependency of a GET or PUT."""

        async def call(request: Request) -> Call:
            return await self.handled(request, roles, None, _unchanged)

        return Depends(call)

    def posts(self, *roles: Role) -> Any:
        """Return the dependency of a POST, which may have an Idempotency-Key."""

        async def call(request: Request, idempotency_key: IdempotencyKey = None) -> Call:
            return await self.handled(request, roles, idempotency_key, _unchanged)

        return Depends(call)

    async def handled(
        self,
        request: Request,
        roles: tuple[Role, ...],
        idempotency_key: str | None,
        handle: Callable[[Call], Answer],
        threads: Executor | None = None,
    ) -> Answer:
        """Check the caller of a request and handle it, in a worker thread.

        The body of a stranger is read only if it is small.

        Parameters
        ----------
        threads : where to handle the request; the framework's own threads where this is None
        """
        head = _head(request)

        def admitted(checked: CheckedHead, body: bytes) -> Answer:
            caller = self.auth.admit(checked, body, idempotency_key)
            return handle(Call(caller, body, idempotency_key))

        if (
            int(request.headers.get("content-length", MAX_STRANGERS_BYTES + 1))
            > MAX_STRANGERS_BYTES
        ):
            checked = await run_in_threadpool(self._check_head, head, roles)
            body = await request.body()
            return await _in_thread(threads, partial(admitted, checked, body))
        body = await request.body()

        def handled() -> Answer:
            return admitted(self._check_head(head, roles), body)

        return await _in_thread(threads, handled)

    def _check_head(self, head: Head, roles: tuple[Role, ...]) -> CheckedHead:
        checked = self.auth.check_head(head)
        if checked.caller.role not in roles:
            raise Refusal(403, f"The {checked.caller.role}'s key cannot use this address")
        return checked


async def _in_thread(threads: Executor | None, work: Callable[[], Answer]) -> Answer:
    if threads is None:
        return await run_in_threadpool(work)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Answer] = loop.create_future()

    def tell(deliver: Callable[[Any], None], outcome: Any) -> None:
        if not done.done():  # its caller may have been cancelled
            deliver(outcome)

    def run() -> None:
        try:
            answer = work()
        except BaseException as error:  # raised where the caller waits
            loop.call_soon_threadsafe(tell, done.set_exception, error)
        else:
            loop.call_soon_threadsafe(tell, done.set_result, answer)

    # a loop's run_in_executor copies each outcome through two futures, at twice the cost of this
    threads.submit(run)
    return await done


def _unchanged(call: Call) -> Call:
    return call


def json_response(shape: BaseModel, status: int = 200) -> Response:
    """Return a wire shape as JSON."""
    return json_bytes(shape.model_dump_json().encode(), status)


def json_bytes(data: bytes, status: int = 200) -> Response:
    """Return JSON."""
    headers = {"Cache-Control": "no-store"}
    return Response(data, status, headers, media_type="application/json")


def bytes_response(data: bytes) -> Response:
    """Return bytes that a browser must not render as a page of the hub's origin."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(data, 200, headers, media_type="application/octet-stream")


def pending_response(shape: BaseModel) -> Response:
    """Return the status of work that goes on: 202, to be polled after a second."""
    response = json_response(shape, 202)
    response.headers["Retry-After"] = "1"
    return response
