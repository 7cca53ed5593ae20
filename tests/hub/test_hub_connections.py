"""Connections: half-sent requests end, and above the cap the one that waited longest ends first."""

import asyncio
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
WHOLE = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.fixture
def serve(monkeypatch):
    """Serve an app that reads the body and sleeps; return its port."""
    running = []

    def start(*, sleep=0.0, most=100):
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                return
            while (await receive()).get("more_body"):
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


@pytest.mark.parametrize("sent", [b"", HALF_HEAD, HALF_BODY], ids=["nothing", "head", "body"])
def test_a_half_sent_request_ends(serve, sent):
    with connect(serve(), sent) as link:
        assert is_closed_by_hub(link)


def test_a_second_request_that_is_half_sent_ends_too(serve):
    with connect(serve(), WHOLE) as link:
        answer = b""
        while b"served" not in answer:
            answer += link.recv(4096)
        link.sendall(HALF_HEAD)
        while link.recv(4096):
            pass


def test_a_whole_request_is_answered_however_long_it_takes(serve):
    port = serve(sleep=1.0)
    answer = httpx.post(f"http://127.0.0.1:{port}/", content=b"body", timeout=LONG, trust_env=False)
    assert answer.text == "served"


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
