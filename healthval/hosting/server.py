"""HTTP server of one model, by the SageMaker container contract: GET /ping, POST /invocations.

The limits are those of SageMaker Serverless (4 MB per request, 60 s per response), so that a model that
works here works there. Answers and log lines contain no part of a request.
"""

import base64
import binascii
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from healthval.errors import HostingError
from healthval.hosting.artefact import Predict

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_SECONDS = 60.0
# Error types of the SageMaker runtime, so that boto3 raises the same errors as on AWS.
_ERROR_TYPES = {
    429: "ThrottlingException",
    503: "ServiceUnavailable",
    500: "ModelError",
    504: "ModelError",
}
_RUNTIME_PATH = re.compile(r"/endpoints/[A-Za-z0-9-]{1,63}/invocations")


class Refused(Exception):
    """Refusal of a request: HTTP status and a fixed sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class ModelServer(ThreadingHTTPServer):
    """Serves one model; refuses more than `max_concurrency` simultaneous requests with 429.

    `address` is a host and port, or a Unix socket that listens already.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int] | socket.socket,
        predict: Predict,
        *,
        max_concurrency: int = 4,
        seconds: float = MAX_SECONDS,
        inputs: str = "",
    ) -> None:
        if isinstance(address, socket.socket):
            super().__init__(("", 0), _UnixHandler, bind_and_activate=False)
            self.socket.close()
            self.socket = address
        else:
            super().__init__(address, _Handler)
        self.seconds = seconds
        self._inputs = inputs
        self.stuck = False
        self.timeout_sent = threading.Event()
        self.last_used = time.monotonic()
        self._predict = predict
        self._pool = ThreadPoolExecutor(max_concurrency)
        self._places = threading.BoundedSemaphore(max_concurrency)
        self._count = threading.Lock()
        self._in_flight = 0
        self._unsent = 0

    @property
    def port(self) -> int:
        """Port of the server; 0 on a Unix socket."""
        name = self.socket.getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request ended; 0 while one runs."""
        return 0.0 if self._in_flight else time.monotonic() - self.last_used

    def answer(self, body: bytes) -> bytes:
        """Score the instances in an invocation's body."""
        instances = read_instances(body, self._inputs)
        if not self._places.acquire(blocking=False):
            raise Refused(429, "the model is busy; try again")
        with self._count:
            self._in_flight += 1
        work: Future[list[float | None]] = self._pool.submit(self._predict, instances)
        work.add_done_callback(self._is_done)
        try:
            scores = work.result(self.seconds)
        except OutOfTime:
            # A thread cannot be stopped: this process ends and a new one replaces it.
            self.stuck = True
            raise Refused(504, f"the model took longer than {self.seconds:g} s") from None
        except HostingError as error:
            raise Refused(500, str(error)) from None
        except MemoryError:
            raise Refused(500, "the model exceeded its memory") from None
        except Exception as error:
            raise Refused(500, f"the model raised {type(error).__name__}") from None
        return json.dumps({"scores": scores}).encode()

    def _is_done(self, _: object) -> None:
        with self._count:
            self._in_flight -= 1
            self.last_used = time.monotonic()
        self._places.release()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Count an answer as unsent until the block has sent it."""
        with self._count:
            self._unsent += 1
        try:
            yield
        finally:
            with self._count:
                self._unsent -= 1

    def drain(self, seconds: float) -> None:
        """Wait until the answers of running requests are sent, at most `seconds`."""
        end = time.monotonic() + seconds
        while self._unsent and not self.stuck and time.monotonic() < end:
            time.sleep(0.01)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing; the base class prints a traceback, which may contain values."""


def read_instances(body: bytes, inputs: str = "") -> list[Any]:
    """Read instances from JSON.

    The body has ``columns`` and ``rows`` of a table; or ``files`` in base64; or ``addresses`` of
    files too large for the call, which must be below `inputs`; or rows with a list of files or
    addresses each; or ``instances``, which are returned unchanged.

    >>> read_instances(b'{"columns": ["age"], "rows": [[61], [null]]}')
    [{'age': 61}, {'age': None}]
    """
    try:
        sent = json.loads(body)
        if "rows" in sent:
            columns = sent["columns"]
            rows = [dict(zip(columns, row, strict=True)) for row in sent["rows"]]
            return _with_files(rows, sent, inputs)
        if "files" in sent or "addresses" in sent:
            return _files(sent, inputs)
        return list(sent["instances"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error):
        raise Refused(
            400, "the body is not JSON with columns and rows, files or instances"
        ) from None


def _with_files(rows: list[Any], sent: dict[str, Any], inputs: str) -> list[Any]:
    """Add the files of each case to its named inputs, as ``files``."""
    for kind in ("files", "addresses"):
        if kind in sent:
            pairs = zip(rows, sent[kind], strict=True)
            return [{**row, "files": _files({kind: files}, inputs)} for row, files in pairs]
    return rows


def _files(sent: dict[str, Any], inputs: str) -> list[bytes]:
    if "files" in sent:
        return [base64.b64decode(text, validate=True) for text in sent["files"]]
    return [_fetch(address, inputs) for address in sent["addresses"]]


def _fetch(address: str, inputs: str) -> bytes:
    """Read a file below `inputs`; refuse all other addresses."""
    place = address.removeprefix(inputs)
    if not inputs or place == address or ".." in place or "%" in place:
        raise Refused(400, "an address is outside the inputs of this server")
    parts = urlsplit(address)
    if parts.scheme == "file":
        try:
            return Path(unquote(parts.path)).read_bytes()
        except OSError:
            raise Refused(400, "an address has no file") from None
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        data: bytes = (
            boto3.client("s3").get_object(Bucket=parts.netloc, Key=parts.path[1:])["Body"].read()
        )
    except (BotoCoreError, ClientError):
        raise Refused(400, "an address has no file") from None
    return data


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "healthval", ""
    # Head and body in one segment: two segments cost 44 ms per call (Nagle and delayed ACK).
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 65

    def do_GET(self) -> None:
        if self.path != "/ping":
            self._send(404, b'{"error": "GET /ping or POST /invocations"}')
        else:
            self._send(503 if self.server.stuck else 200, b"{}")

    def do_POST(self) -> None:
        with self.server.sending():
            try:
                self._send(200, self.server.answer(self._body()))
            except Refused as refused:
                self._send(refused.status, json.dumps({"error": refused.message}).encode())
            self.wfile.flush()
        if self.server.stuck:
            self.server.timeout_sent.set()

    def _body(self) -> bytes:
        if self.path != "/invocations" and not _RUNTIME_PATH.fullmatch(self.path):
            raise self._refuse_unread(404, "GET /ping or POST /invocations")
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,12}", length):
            raise self._refuse_unread(411, "the request needs a Content-Length")
        if int(length) > MAX_BODY_BYTES:
            raise self._refuse_unread(413, "a request has at most 4 MB")
        kind = self.headers.get("Content-Type", "application/json").split(";")[0].strip().lower()
        if kind != "application/json":
            raise self._refuse_unread(415, "the body must be application/json")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise self._refuse_unread(400, "the body is shorter than its Content-Length")
        return body

    def _refuse_unread(self, status: int, message: str) -> Refused:
        self.close_connection = True  # the unread body must not be read as the next request
        return Refused(status, message)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 200:
            self.send_header("x-amzn-errortype", _ERROR_TYPES.get(status, "ValidationError"))
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a malformed request; the base class would quote its first line."""
        self.close_connection = True
        self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
        self._send(code, b'{"error": "the request is malformed"}')

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of the base class
        """Write no access log: a path or header may contain a value."""


class _UnixHandler(_Handler):
    disable_nagle_algorithm = False  # an option of TCP
