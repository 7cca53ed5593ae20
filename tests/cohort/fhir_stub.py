"""A strict FHIR server on loopback: search, tokens of backend services, Bulk Data, and simulated faults."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CANARY = "Zyxwolf-Qargh-7719"
PATIENTS = [{"resourceType": "Patient", "id": f"p{i}"} for i in range(5)]
OBSERVATIONS = [{"resourceType": "Observation", "id": f"o{i}", "status": "final"} for i in range(3)]
FHIR = "application/fhir+json"


class Protocol(BaseHTTPRequestHandler):
    """Answers by the specifications, and 400 to a request that does not follow them."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.handle_request("GET")

    def do_DELETE(self):
        self.handle_request("DELETE")

    def do_POST(self):
        stub = self.server.stub
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path != "/token" or "x-www-form-urlencoded" not in self.headers["Content-Type"]:
            return self.answer(400)
        form = {k: v[0] for k, v in parse_qs(body).items()}
        return self.answer(*stub.grant(form))

    def handle_request(self, method):
        stub = self.server.stub
        url = urlsplit(self.path)
        stub.asked.append((method, self.path, self.headers.get("Authorization")))
        if stub.busy:
            return self.answer(429, {"retry": CANARY}, {"Retry-After": stub.busy.pop(0)})
        open_file = url.path.startswith("/open/")
        if open_file and self.headers.get("Authorization"):
            return self.answer(400)
        if not open_file and not stub.knows(self.headers.get("Authorization")):
            return self.answer(401, {"issue": CANARY})
        return self.answer(*stub.respond(method, url, self.headers), truncate=stub.truncate)

    def answer(self, status, body=None, headers=None, truncate=0):
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if truncate and isinstance(body, bytes):
            self.wfile.write(content[:-truncate])
            self.close_connection = True
        else:
            self.wfile.write(content)


class Stub:
    """State of the server: known keys, issued tokens, simulated faults."""

    def __init__(self, url, public_key, algorithm):
        self.url, self.public_key, self.algorithm = url, public_key, algorithm
        self.asked, self.busy, self.tokens, self.jtis = [], [], [], set()
        self.uses, self.polls, self.truncate, self.lifetime = 1000, 2, 0, 300
        self.version, self.chain, self.page_size = "4.0.1", "good", 2
        self.manifest, self.cancelled, self.status = {}, False, 200
        self.troubles, self.n_exports, self.cuts, self.redirect = [], 0, 0, ""
        self.file_troubles = []
        self.messages = {
            severity: json.dumps(
                {
                    "resourceType": "OperationOutcome",
                    "issue": [
                        {"severity": severity, "code": "informational", "diagnostics": CANARY}
                    ],
                }
            ).encode()
            for severity in ("information", "warning", "error", "fatal")
        }
        self.files = {
            "Patient": b"".join(json.dumps(p).encode() + b"\n" for p in PATIENTS),
            "Observation": b"".join(json.dumps(o).encode() + b"\n" for o in OBSERVATIONS),
        }

    def grant(self, form):
        wanted = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "scope": "system/*.rs",
        }
        if {k: form.get(k) for k in wanted} != wanted:
            return 400, {"error": "invalid_request"}
        try:
            claims = jwt.decode(
                form["client_assertion"],
                self.public_key,
                algorithms=[self.algorithm],
                audience=f"{self.url}/token",
                issuer="site-1",
                options={"require": ["exp", "jti", "sub"]},
            )
        except jwt.PyJWTError:
            return 401, {"error": "invalid_client", "error_description": CANARY}
        header = jwt.get_unverified_header(form["client_assertion"])
        fresh = claims["jti"] not in self.jtis and claims["exp"] <= time.time() + 300
        if not fresh or claims["sub"] != "site-1" or header.get("kid") != "k1":
            return 401, {"error": "invalid_client"}
        self.jtis.add(claims["jti"])
        self.tokens = [f"token-{len(self.jtis)}"]
        self.left = self.uses
        return 200, {
            "access_token": self.tokens[0],
            "token_type": "bearer",
            "expires_in": self.lifetime,
        }

    def knows(self, header):
        if header not in [f"Bearer {t}" for t in self.tokens] or self.left == 0:
            return False
        self.left -= 1
        return True

    def respond(self, method, url, headers):
        if self.status != 200:
            return self.status, {
                "resourceType": "OperationOutcome",
                "issue": [{"diagnostics": CANARY}],
            }
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        if url.path == "/fhir/metadata":
            return 200, {"resourceType": "CapabilityStatement", "fhirVersion": self.version}
        if url.path == "/fhir/Patient":
            return self.page(query)
        if url.path in {"/fhir/$export", "/fhir/Group/g1/$export"}:
            asked_right = (headers["Prefer"], headers["Accept"]) == ("respond-async", FHIR)
            self.export_query = query
            self.n_exports += 1
            location = {"Content-Location": f"{self.url}/fhir/status/1"}
            return (202, None, location) if asked_right else (400,)
        if url.path == "/fhir/status/1":
            if method == "DELETE":
                self.cancelled = True
                return (202,)
            if self.troubles:
                return self.troubles.pop(0)
            self.polls -= 1
            if self.polls >= 0:
                return 202, None, {"Retry-After": "7", "X-Progress": CANARY}
            return 200, self.manifest or self.whole_manifest()
        return self.file(url.path, headers)

    def file(self, path, headers):
        kind = path.rpartition("/")[2]
        if kind in self.messages:
            return 200, self.messages[kind]
        if self.file_troubles and kind in self.files:
            return self.file_troubles.pop(0)
        if self.redirect and path.startswith("/fhir/files/"):
            return 307, None, {"Location": self.redirect + kind}
        if self.cuts and kind == "Patient":
            self.cuts -= 1
            return 200, self.files[kind][:-5]
        if kind in self.files and headers["Accept"] == "application/fhir+ndjson":
            return 200, self.files[kind]
        return (404,)

    def whole_manifest(self, base="fhir/files", **more):
        output = [
            {"type": t, "url": f"{self.url}/{base}/{t}", "count": c.count(b"\n")}
            for t, c in self.files.items()
        ]
        return {"requiresAccessToken": True, "output": output, "error": [], **more}

    def page(self, query):
        start = int(query.get("start", 0))
        found = PATIENTS[start : start + self.page_size]
        remark = {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
        entries = [{"resource": p, "search": {"mode": "match"}} for p in found] + [remark]
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entries, "link": []}
        following = start + self.page_size
        if following < len(PATIENTS):
            url = {
                "good": f"Patient?start={following}",
                "circle": "Patient?start=0",
                "elsewhere": f"https://evil.example.org/?{CANARY}",
                "gone": "nothing/here",
                "wrong": "metadata",
            }[self.chain]
            bundle["link"] = [{"relation": "self", "url": "x"}, {"relation": "next", "url": url}]
        return 200, bundle


KEYS = {
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "RS384": rsa.generate_private_key(public_exponent=65537, key_size=2048),
}


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@contextmanager
def serving_fhir(algorithm):
    """State of a running server whose only client has the key of this algorithm."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), Protocol)
    http.daemon_threads = True
    url = f"http://127.0.0.1:{http.server_port}"
    http.stub = Stub(url, KEYS[algorithm].public_key(), algorithm)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield http.stub
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
