"""DICOMweb search: each study once, or an error that the list is not complete."""

import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlparse

import pytest

from healthval.cohort import WebPacs
from healthval.errors import CohortError

pytest.importorskip("dicomweb_client")
HELD = 230


class Server(BaseHTTPRequestHandler):
    cap, honours_offset, overlap, n_asked = 100, True, 0, 0

    def do_GET(self):
        kind = type(self)
        kind.n_asked += 1
        query = parse_qs(urlparse(self.path).query)
        offset = int(query["offset"][0]) if kind.honours_offset else 0
        start = max(0, offset - kind.overlap) if offset < HELD + kind.overlap else HELD
        numbers = range(start, min(HELD, start + kind.cap))
        rows = [{"0020000D": {"vr": "UI", "Value": [f"2.25.{n + 1}"]}} for n in numbers]
        body = json.dumps(rows).encode() if rows else b""
        self.send_response(200 if rows else 204)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


@pytest.fixture
def address(serving):
    Server.cap, Server.honours_offset, Server.overlap, Server.n_asked = 100, True, 0, 0
    with serving(Server) as address:
        yield address


@pytest.mark.parametrize(("cap", "overlap"), [(100, 0), (500, 0), (50, 3), (1, 0)])
def test_every_study_is_found_once_whatever_the_pages(address, cap, overlap):
    Server.cap, Server.overlap = cap, overlap
    found = [one.study for one in WebPacs(address).search({})]
    assert len(found) == len(set(found)) == HELD


def test_a_list_that_may_be_incomplete_is_an_error(address):
    Server.honours_offset = False
    with pytest.raises(CohortError, match="not complete"):
        list(WebPacs(address).search({}))


def test_an_unknown_keyword_is_refused_before_the_server_is_asked(address):
    with pytest.raises(CohortError, match="not a DICOM keyword"):
        list(WebPacs(address).search({"StudyDat": "2023"}))
    assert Server.n_asked == 0


@pytest.mark.parametrize("address", ["127.0.0.1:80", "ftp://127.0.0.1/x", "", "https://"])
def test_an_address_without_scheme_or_host_is_refused(address):
    with pytest.raises(CohortError, match="not a web address"):
        WebPacs(address)
