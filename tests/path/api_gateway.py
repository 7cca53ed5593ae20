"""Stand-in for API Gateway: checks AWS signatures with botocore's signer and calls the Lambda handler.

It stands in for the network of `healthval.client.Client`, or is called with a raw request. The route
``/iam/...`` needs a signature, as `AuthorizationType: AWS_IAM` does; every other path goes through.
"""

import asyncio
import base64
import hashlib
import re
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from healthval.contracts.aws_role import named_role
from healthval.credential import RoleCredential

ACCOUNT = "123456789012"
HOST = "abc1234567.execute-api.eu-central-1.amazonaws.com"
ORIGIN = f"https://{HOST}"
REGION, SERVICE, SKEW_SECONDS = "eu-central-1", "execute-api", 300
_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


@contextmanager
def event_loop():
    """A loop of this thread, which Mangum expects and does not close."""
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        yield
        asyncio.set_event_loop(None)


class Role(RoleCredential):
    """A role whose temporary credentials the test knows, as one session of it has them."""

    def __init__(self, name: str, session: str = "session-1", role_id: str | None = None) -> None:
        super().__init__(named_role(f"arn:aws:iam::{ACCOUNT}:role/{name}"))
        key = "ASIA" + hashlib.sha256(name.encode()).hexdigest()[:16].upper()
        self.keys = Credentials(key, f"secret of {name}", "token")
        self.identity = {
            "accessKey": self.keys.access_key,
            "accountId": ACCOUNT,
            "callerId": f"{role_id or 'AROA' + '0' * 17}:{session}",
            "cognitoIdentity": None,
            "principalOrgId": "aws:PrincipalOrgID",
            "userArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
            "userId": f"{role_id or 'AROA' + '0' * 17}:{session}",
        }

    def _credentials(self) -> Credentials:
        return self.keys


class ApiGateway(httpx.BaseTransport):
    """One HTTP API in front of a Lambda handler; `now` is its clock."""

    def __init__(self, handler) -> None:
        self.handler, self.known, self.now = handler, {}, lambda: datetime.now(UTC)
        self.hosts = {HOST}

    def knows(self, *roles: Role) -> None:
        for role in roles:
            self.known[role.keys.access_key] = role

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        query = request.url.query.decode()
        return self.answer(
            request.method,
            request.url.raw_path.decode().partition("?")[0],
            query=query,
            headers=dict(request.headers),
            body=request.read(),
        )

    def answer(self, method, path, *, query="", headers=None, body=b"", event=None):
        """Answer one request; `event` replaces parts of the event that the handler gets."""
        headers = {
            name.lower(): value for name, value in ({"host": HOST} | (headers or {})).items()
        }
        route, context = "$default", {}
        if path.startswith("/iam/"):
            route, role = "ANY /iam/{proxy+}", self._checked(method, path, query, headers, body)
            if role is None:
                return httpx.Response(403, json={"message": "Forbidden"})
            context = {"authorizer": {"iam": role.identity}}
        context |= {
            "accountId": ACCOUNT,
            "apiId": HOST.partition(".")[0],
            "domainName": HOST,
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
            },
            "requestId": "id",
            "routeKey": route,
            "stage": "$default",
        }
        made = {
            "version": "2.0",
            "routeKey": route,
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": context,
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }
        with event_loop():
            answer = self.handler({**made, **(event or {})}, SimpleNamespace(aws_request_id="id"))
        content = answer["body"].encode()
        if answer["isBase64Encoded"]:
            content = base64.b64decode(content)
        return httpx.Response(answer["statusCode"], headers=answer["headers"], content=content)

    def _checked(self, method, path, query, headers, body):
        """The role whose secret made the signature, for this region, service, time and body."""
        found = _HEADER.fullmatch(headers.get("authorization", ""))
        at = headers.get("x-amz-date", "")
        if found is None or not re.fullmatch(r"\d{8}T\d{6}Z", at):
            return None
        key, day, region, service, names, signature = found.groups()
        role = self.known.get(key)
        moment = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        is_late = abs((self.now() - moment).total_seconds()) > SKEW_SECONDS
        if role is None or is_late or (day, region, service) != (at[:8], REGION, SERVICE):
            return None
        if headers.get("x-amz-security-token") != role.keys.token:
            return None
        if headers["host"] not in self.hosts:
            return None
        signed = names.split(";")
        if not {"host", "x-amz-date"} <= set(signed) <= headers.keys():
            return None
        url = f"https://{headers['host']}{path}" + (f"?{query}" if query else "")
        request = AWSRequest(method, url, data=body, headers={n: headers[n] for n in signed})
        request.context["timestamp"] = at
        auth = SigV4Auth(role.keys, SERVICE, REGION)
        expected = auth.signature(
            auth.string_to_sign(request, auth.canonical_request(request)), request
        )
        return role if expected == signature else None

    def close(self) -> None:
        """A client closes its transport; the stand-in serves others too."""


@contextmanager
def served(gateway: ApiGateway):
    """The stand-in on loopback, one request at a time; yields its address."""

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = gateway.answer(self.command, path, query=query, headers=headers, body=body)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["content-type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_PUT = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Keep the tests quiet."""

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host = f"127.0.0.1:{server.server_address[1]}"
    gateway.hosts.add(host)
    yield f"http://{host}"
    server.shutdown()
    thread.join()
    server.server_close()
