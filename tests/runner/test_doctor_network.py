"""The doctor's answers about a hub, a credential and a FHIR server, over real HTTP."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from healthval.client import Credential
from healthval.contracts.access import AccessGrant
from healthval.runner import doctor_network
from healthval.runner.doctor import diagnose


@pytest.fixture
def serve():
    """Serve JSON by path, with a Date header that is some seconds off."""
    servers = []

    def start(answers, *, off=0.0, status=200):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(answers.get(self.path, {})).encode()
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + off, usegmt=True))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def finding(what, **places):
    return {f.what: f for f in diagnose(**places)}[what]


def test_without_places_only_the_machine_is_checked():
    names = [f.what for f in diagnose()]
    assert {"fonts", "free disk", "clock", "Jupyter kernel"} <= set(names)
    assert not {"hub", "credential", "PACS", "FHIR server"} & set(names)


@pytest.mark.parametrize(("off", "agrees"), [(0, True), (55, True), (-300, False), (300, False)])
def test_a_clock_that_differs_from_the_hubs_is_named(serve, off, agrees):
    found = finding("hub's and own clock", hub=serve({}, off=off))
    assert found.ok == agrees
    assert agrees or "300 s" in found.detail or "299 s" in found.detail or "301 s" in found.detail


def test_a_hub_whose_store_does_not_respond_is_not_ok(serve):
    assert not finding("hub", hub=serve({}, status=503)).ok
    assert finding("hub", hub=serve({})).ok
    assert "does not answer" in finding("hub", hub="http://127.0.0.1:1").detail
    assert not finding("hub", hub="http://example.org").ok  # plain HTTP beyond loopback


def test_a_fhir_server_of_r4_answers(serve):
    right, wrong = ({"/metadata": {"fhirVersion": v}} for v in ("4.0.1", "5.0.0"))
    assert finding("FHIR server", fhir=serve(right)).ok
    assert "R4" in finding("FHIR server", fhir=serve(wrong)).detail
    assert not finding("FHIR server", fhir="http://127.0.0.1:1").ok


def test_a_key_has_access_until_its_end(tmp_path, monkeypatch, serve):
    path = tmp_path / "site.key"
    Credential.create(path)
    assert finding("credential", key=path).ok
    assert not finding("credential", key=tmp_path / "no.key").ok
    end = datetime.now(UTC) + timedelta(days=20, hours=1)
    shared = {"site": "site-aaaaaaaa", "label": "x", "model": "tumour", "version": "1.0"}
    shared |= {"plan_hash": "a" * 64, "status": "approved"}

    def held(*states):
        grants = tuple(
            AccessGrant.model_validate(shared | {"state": s, "not_after": e}, strict=False)
            for s, e in states
        )
        monkeypatch.setattr(doctor_network.Client, "access_requests", lambda _: grants)
        return finding("credential", hub=serve({}), key=path)

    assert "20 days" in held(("active", end), ("approved", end + timedelta(days=9))).detail
    assert held(("approved", None)).detail.endswith("without an end")
    ended = held(("expired", end), ("revoked", None))
    assert not ended.ok
    assert "access request" in ended.detail
