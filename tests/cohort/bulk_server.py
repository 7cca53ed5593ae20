"""Server of bulk exports with a storage of another origin, and scripted troubles."""

import gzip
import json
import socket
import struct
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXTS = ("Jürgen Łukasz", "line\u2028separator", "日本語", "\ufeffmark", 'quote " and \\n')


def lines(kind, n, end=b"\n"):
    """Resources in odd but valid NDJSON, without an end of the last line."""
    made = [
        {"resourceType": kind, "id": f"{kind[0].lower()}{i}", "note": TEXTS[i % len(TEXTS)] * 3}
        for i in range(n)
    ]
    return end.join(json.dumps(r, ensure_ascii=i % 2 == 0).encode() for i, r in enumerate(made))


class Answers(BaseHTTPRequestHandler):
    """Hands each request to the world, and sends what a script wants."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.world.handle(self, is_storage=self.server.is_storage)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def send(self, status, body=b"", headers=None, *, cut=None, closed=False):
        """Answer; `cut` breaks the connection after as many bytes, `closed` announces no length."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if closed:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:cut])
        self.close_connection = closed or cut is not None

    def reset(self):
        """Break the connection without an answer."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()


class World:
    """What the server has, how it answers, and what it was asked.

    `scripts` gives for a path's last part a list of answers that come before the usual one: functions
    of the handler and the content.
    """

    def __init__(self):
        self.files = {
            "Patient.1": lines("Patient", 200),
            "Patient.2": lines("Patient", 20, b"\r\n") + b"\r\n",
            "Observation.1": lines("Observation", 300, b"\n\n") + b"\n",
            "Encounter.1": b"",
        }
        self.aside = {}  # content of message and deletion files
        self.scripts, self.manifest = {}, {}
        self.place = "ehr"  # or "redirect", "storage": where files are
        self.counts, self.packed = True, ""
        self.asked, self.tokens_at_storage, self.n_exports = [], 0, 0

    def handle(self, handler, *, is_storage):
        path = handler.path.partition("?")[0]
        name = path.rpartition("/")[2]
        self.asked.append(name)
        has_token = handler.headers.get("Authorization") == "Bearer invented"
        if is_storage and handler.headers.get("Authorization"):
            self.tokens_at_storage += 1
            return handler.send(400)
        content = self.files.get(name, self.aside.get(name, b""))
        if script := self.scripts.get(name):
            return script.pop(0)(handler, content)
        if name == "token":
            return handler.send(200, {"access_token": "invented", "expires_in": 300})
        if not is_storage and not has_token:
            return handler.send(401)
        if name == "$export":
            self.n_exports += 1
            return handler.send(202, headers={"Content-Location": f"{self.ehr}/fhir/job"})
        if name == "job":
            return handler.send(200, self.whole_manifest())
        if self.place == "redirect" and not is_storage:
            return handler.send(307, headers={"Location": f"{self.storage}/{name}?signature=x"})
        known = name in self.files or name in self.aside
        return self.send_file(handler, content) if known else handler.send(404)

    def send_file(self, handler, content):
        if not self.packed:
            return handler.send(200, content)
        half = len(content) // 2
        packed = gzip.compress(content[:half]) + gzip.compress(content[half:])
        headers = {"Content-Encoding": "gzip"} if self.packed == "encoding" else {}
        return handler.send(200, packed, headers)

    def whole_manifest(self):
        where = self.storage if self.place == "storage" else f"{self.ehr}/fhir/file"
        output = [
            {"type": name.partition(".")[0], "url": f"{where}/{name}"}
            | ({"count": content.count(b'{"')} if self.counts else {})
            for name, content in self.files.items()
        ]
        parts = {
            kind: [{"url": f"{where}/{name}"} for name in self.aside if name.startswith(kind)]
            for kind in ("error", "deleted")
        }
        return {
            "requiresAccessToken": self.place != "storage",
            "output": output,
            **parts,
            **self.manifest,
        }


@contextmanager
def serving(world):
    """Serve a world on loopback: `world.ehr` and `world.storage` are the two origins."""
    servers = []
    for is_storage in (False, True):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        server.daemon_threads, server.world, server.is_storage = True, world, is_storage
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
    world.ehr, world.storage = (f"http://127.0.0.1:{s.server_port}" for s, _ in servers)
    try:
        yield world
    finally:
        for server, thread in servers:
            server.shutdown()
            server.server_close()
            thread.join()
