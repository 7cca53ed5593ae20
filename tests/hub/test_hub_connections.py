"""Connections: half-sent requests end, and above the cap the one that waited longest ends first."""

import asyncio
import contextlib
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from healthval.hub.api import connections
from healthval.hub.api.connections import TimedProtocol
from healthval.hub.api.system import Health
from healthval.hub.ports import StoreUnavailable

LONG = 300
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: here\r\nX-Half: "
HALF_BODY = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nhalf"
CHUNKED = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.fixture
def serve(monkeypatch):
    """Serve an app that reads the body and sleeps; return its port."""
    running = []

    def start(*, sleep=0.0, most=100):
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                return
            while scope["path"] != "/early" and (await receive()).get("more_body"):
                pass
            await asyncio.sleep(sleep)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"served"})

        monkeypatch.setattr(connections, "TICK_SECONDS", 0.05)
        monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
        monkeypatch.setattr(connections, "PAUSE_SECONDS", 0.3)
        monkeypatch.setattr(TimedProtocol, "most", most)
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=TimedProtocol, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        running.append((server, thread))
        return listening.getsockname()[1]

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(LONG)


def connect(port, sent):
    link = socket.create_connection(("127.0.0.1", port), timeout=LONG)
    link.sendall(sent)
    return link


def is_closed_by_hub(link) -> bool:
    try:
        return link.recv(1) == b""
    except ConnectionError:
        return True


def await_answer(link) -> None:
    answer = b""
    while b"served" not in answer:
        part = link.recv(4096)
        assert part
        answer += part


def is_refused(link) -> bool:
    try:
        return link.recv(4096).startswith(b"HTTP/1.1 400")
    except ConnectionError:
        return True


@pytest.mark.parametrize("sent", [b"", HALF_HEAD, HALF_BODY], ids=["nothing", "head", "body"])
def test_a_half_sent_request_ends(serve, sent):
    with connect(serve(), sent) as link:
        assert is_closed_by_hub(link)


def test_a_second_request_that_is_half_sent_ends_too(serve):
    with connect(serve(), WHOLE) as link:
        await_answer(link)
        link.sendall(HALF_HEAD)
        while link.recv(4096):
            pass


def test_a_whole_request_is_answered_however_long_it_takes(serve):
    port = serve(sleep=1.0)
    answer = httpx.post(f"http://127.0.0.1:{port}/", content=b"body", timeout=LONG, trust_env=False)
    assert answer.text == "served"


def test_a_request_after_one_that_was_answered_before_its_end_has_a_time_limit(serve, monkeypatch):
    answered = b"POST /early HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\n"
    port = serve()
    monkeypatch.setattr(connections, "PAUSE_SECONDS", LONG)  # that of a head must end it
    with connect(port, answered) as link:
        await_answer(link)
        link.sendall(b"rest" + HALF_HEAD)
        assert is_closed_by_hub(link)


@pytest.mark.parametrize("sent", [b"\r\n", b"\r\n\r\nG"], ids=["empty lines", "a letter"])
def test_what_follows_a_request_has_a_time_limit(serve, sent):
    with connect(serve(), WHOLE) as link:
        await_answer(link)
        link.sendall(sent)
        assert is_closed_by_hub(link)


ENDLESS = {
    "address": b"GET /" + b"a" * 300_000,
    "name": b"GET / HTTP/1.1\r\n" + b"a" * 300_000,
    "value": HALF_HEAD + b"a" * 300_000,
    "headers": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50_000,
    "empty lines": b"\r\n" * 150_000,
    "extension of a chunk": CHUNKED + b"1;" + b"a" * 300_000,
    "trailer": CHUNKED + b"0\r\n" + b"a: b\r\n" * 50_000,
    "value of a trailer": CHUNKED + b"0\r\na: " + b"b" * 300_000,
}


@pytest.mark.parametrize("sent", ENDLESS.values(), ids=ENDLESS)
def test_what_is_no_body_has_a_size_limit(serve, sent, monkeypatch):
    port = serve()
    for name in ("HEAD_SECONDS", "PAUSE_SECONDS"):
        monkeypatch.setattr(connections, name, LONG)
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as link:
        with contextlib.suppress(ConnectionError):
            link.sendall(sent)
        assert is_refused(link)


def test_a_body_of_small_chunks_is_read(serve):
    chunks = b"1\r\na\r\n" * 100_000
    with connect(serve(), CHUNKED + chunks + b"0\r\n\r\n") as link:
        await_answer(link)


SMUGGLED = {
    "two hosts": b"Host: there\r\n\r\n",
    "two lengths": b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks that are not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "space before the colon": b"Content-Length : 4\r\n\r\nbody",
    "sign": b"Content-Length: +4\r\n\r\nbody",
    "folded line": b"X-A: b\r\n c\r\nContent-Length : 0\r\n\r\n",
    "bare line feed": b"X-A: b\nContent-Length: 4\r\n\r\nbody",
    "zero byte": b"X-A: b\x00c\r\n\r\n",
    "chunk without its size": b"Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
}


@pytest.mark.parametrize("rest", SMUGGLED.values(), ids=SMUGGLED)
def test_a_request_that_two_servers_read_differently_is_refused(serve, rest):
    with connect(serve(), b"POST / HTTP/1.1\r\nHost: here\r\n" + rest) as link:
        assert link.recv(4096).startswith(b"HTTP/1.1 400")


def test_a_request_without_a_host_is_refused(serve):
    with connect(serve(), b"GET / HTTP/1.1\r\n\r\n") as link:
        assert link.recv(4096).startswith(b"HTTP/1.1 400")


def test_above_the_cap_the_longest_half_request_makes_room(serve, monkeypatch):
    port = serve(most=3)
    monkeypatch.setattr(connections, "HEAD_SECONDS", LONG)
    monkeypatch.setattr(connections, "PAUSE_SECONDS", LONG)
    links = [connect(port, HALF_HEAD) for _ in range(3)]
    answer = httpx.get(f"http://127.0.0.1:{port}/", timeout=LONG, trust_env=False)
    assert answer.text == "served"
    assert is_closed_by_hub(links[0])
    for link in links:
        link.close()


def test_health_is_answered_while_the_store_hangs_and_when_it_is_back():
    class Store:
        go = threading.Event()
        fails = False

        def get(self, partition, key):
            self.go.wait(LONG)
            if self.fails:
                raise StoreUnavailable

    class Backend:
        index = Store()

    async def ask():
        health = Health(Backend())
        began = time.monotonic()
        hanging = [await health.is_good() for _ in range(2)]
        assert time.monotonic() - began < LONG / 2
        Backend.index.go.set()
        while not await health.is_good():
            pass
        Backend.index.fails = True
        return hanging, await health.is_good()

    assert asyncio.run(ask()) == ([False, False], False)
