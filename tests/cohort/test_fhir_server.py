"""Search and Bulk Data against a strict test server on loopback."""

import logging
import os
import subprocess
import sys
import threading
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fhir_stub import CANARY, KEYS, OBSERVATIONS, PATIENTS, pem, serving_fhir

from healthval.cohort.fhir.backend_services import BackendServices
from healthval.cohort.fhir.bulk import BulkExport
from healthval.cohort.fhir.resources import read_resources
from healthval.cohort.fhir.server import FhirServer
from healthval.errors import CohortError, UsageError

LONG = 300.0  # seconds; only a machine that hangs needs as many


@pytest.fixture(params=["ES384"])
def stub(request):
    with serving_fhir(request.param) as found:
        yield found


def access(stub, private_key):
    return BackendServices(
        client_id="site-1", private_key=private_key, token_url=f"{stub.url}/token", key_id="k1"
    )


@pytest.fixture
def server(stub):
    auth = access(stub, pem(KEYS[stub.algorithm]))
    with httpx.Client(timeout=LONG) as http:
        found = FhirServer(base=f"{stub.url}/fhir", auth=auth, http=http)
        found.slept = []
        found.sleep = found.slept.append
        yield found


def exported(export):
    """Resources in the folder after the export has run."""
    done = export.run()
    found = list(read_resources(export.folder))
    assert sum(n for _, n in done.counts) == len(found)
    return found


def refused(run):
    with pytest.raises(CohortError) as caught:
        run()
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown
    assert "evil" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("stub", ["ES384", "RS384"], indirect=True)
def test_a_search_follows_the_pages_with_a_signed_token(stub, server):
    assert list(server.search("Patient", {"_count": "2"})) == PATIENTS
    assert len(stub.jtis) == 1


def test_a_token_is_renewed_when_it_ends_and_when_it_is_refused(stub, server):
    stub.uses = 2
    assert list(server.search("Patient")) == PATIENTS
    assert len(stub.jtis) == 2
    list(server.search("Patient"))
    before, stub.uses, stub.lifetime = len(stub.jtis), 1000, 25
    server.auth.forget()
    list(server.search("Patient"))
    assert (
        len(stub.jtis) == before + 3
    )  # it expires within the renewal time, so every page requests one


def test_a_busy_server_is_given_the_time_it_asks_for(stub, server):
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    stub.busy = ["3", moment, "nonsense", "999999"]
    assert len(list(server.search("Patient"))) == 5
    assert server.slept[0] == 3
    assert 30 < server.slept[1] <= 40
    assert server.slept[2:] == [4, 300]


def test_a_server_that_stays_busy_is_given_up(stub, server):
    stub.busy = ["0"] * 100
    assert "answered 429" in refused(lambda: list(server.search("Patient")))
    assert len(server.slept) == 5


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ("circle", "is an earlier one"),
        ("elsewhere", "points to another host"),
        ("gone", "answered 404"),
        ("wrong", "not a search set"),
    ],
)
def test_a_broken_chain_of_pages_is_refused(stub, server, chain, message):
    stub.chain = chain
    assert message in refused(lambda: list(server.search("Patient")))


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_refusal_is_explained_without_its_body(stub, server, status, caplog):
    stub.status = status
    caplog.set_level(logging.DEBUG)
    assert f"answered {status}" in refused(
        lambda: list(server.search("Patient", {"identifier": CANARY}))
    )
    assert CANARY not in caplog.text


def test_only_r4_is_spoken(stub, server):
    server.check_version()
    stub.version = "5.0.0"
    assert "is not R4" in refused(server.check_version)


def test_an_unknown_key_is_refused_and_nothing_shows_it(stub, server):
    other = ec.generate_private_key(ec.SECP384R1())
    server.auth = access(stub, pem(other))
    assert "refused the key (401)" in refused(lambda: list(server.search("Patient")))
    assert "PRIVATE" not in repr(server)
    for weak in (pem(ec.generate_private_key(ec.SECP256R1())), b"no key"):
        server.auth = access(stub, weak)
        with pytest.raises(UsageError):
            list(server.search("Patient"))


@pytest.mark.parametrize("base", ["http://fhir.example.org/r4", "ftp://127.0.0.1/", "fhir"])
def test_addresses_without_encryption_are_refused(base):
    with pytest.raises(UsageError, match="https"):
        FhirServer(base=base)


def test_a_server_that_does_not_answer_is_reported():
    with httpx.Client(timeout=2.0) as http:
        server = FhirServer(base="http://127.0.0.1:9", http=http)
        assert "does not answer" in refused(lambda: list(server.search("Patient")))


def test_an_export_is_started_awaited_and_downloaded(stub, server, tmp_path):
    export = BulkExport(
        server=server, folder=tmp_path / "x", types=["Patient", "Observation"], since="2024-01-01"
    )
    assert exported(export) == PATIENTS + OBSERVATIONS
    assert server.slept == [7, 7]
    assert stub.export_query["_type"] == "Patient,Observation"
    if os.name != "nt":
        assert (tmp_path / "x").stat().st_mode & 0o077 == 0


def test_an_export_may_take_thousands_of_polls(stub, server, tmp_path, monkeypatch):
    refused_once = []
    answer = server.request

    def request(method, url, **options):
        if "status" not in url or len(refused_once) == 1100:
            return answer(method, url, **options)
        refused_once.append(url)
        return httpx.Response(202)

    monkeypatch.setattr(server, "request", request)
    stub.polls = 0
    assert len(exported(BulkExport(server=server, folder=tmp_path / "x"))) == 8
    assert set(server.slept[6:]) == {60}


def test_a_group_can_be_exported(stub, server, tmp_path):
    assert len(exported(BulkExport(server=server, folder=tmp_path / "x", group="g1"))) == 8


def test_a_broken_download_resumes_where_it_broke(stub, server, tmp_path):
    export = BulkExport(server=server, folder=tmp_path / "x")
    stub.files["Observation"], whole = b"", stub.files["Observation"]
    stub.manifest = stub.whole_manifest()
    stub.manifest["output"][1]["count"] = 3
    assert "has 0 resources, the manifest lists 3" in refused(lambda: exported(export))
    stub.files["Observation"] = whole
    n_asked = len(stub.asked)
    again = BulkExport(server=server, folder=tmp_path / "x")
    assert exported(again) == PATIENTS + OBSERVATIONS
    assert [path for _, path, _ in stub.asked[n_asked:]] == ["/fhir/files/Observation"]


def test_a_truncated_file_is_noticed(stub, server, tmp_path):
    stub.truncate = 10
    assert "file 1 of 2 of the export is interrupted at each attempt" in refused(
        lambda: exported(BulkExport(server=server, folder=tmp_path / "x"))
    )
    assert not list(tmp_path.rglob("*.ndjson"))


def test_a_token_that_ends_during_the_download_is_renewed(stub, server, tmp_path):
    stub.uses = 5
    assert len(exported(BulkExport(server=server, folder=tmp_path / "x"))) == 8
    assert len(stub.jtis) == 2


def test_files_without_token_are_not_shown_one(stub, server, tmp_path):
    stub.manifest = stub.whole_manifest(base="open", requiresAccessToken=False)
    assert len(exported(BulkExport(server=server, folder=tmp_path / "x"))) == 8


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"output": "x"}, "no list of files"),
        ({"output": [{"type": CANARY}]}, "no list of files"),
        ({"output": [], "error": [{"url": CANARY}]}, "message file 1 of the export is no longer"),
        ({"output": [], "link": [{"relation": "next", "url": CANARY}]}, "several pages"),
        ({"output": [{"url": "http://[x"}], "requiresAccessToken": False}, "cannot be read"),
        ({"output": [{"url": f"https://evil.example.org/{CANARY}"}]}, "another host"),
        (
            {
                "output": [{"url": f"http://evil.example.org/{CANARY}"}],
                "requiresAccessToken": False,
            },
            "another host",
        ),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(stub, server, tmp_path, manifest, message):
    stub.manifest = manifest
    assert message in refused(lambda: exported(BulkExport(server=server, folder=tmp_path / "x")))


def test_a_failed_export_starts_again(stub, server, tmp_path):
    export = BulkExport(server=server, folder=tmp_path / "x")
    stub.manifest = {"resourceType": "OperationOutcome"}
    refused(lambda: exported(export))
    stub.status = 500
    assert "answered 500" in refused(
        lambda: exported(BulkExport(server=server, folder=tmp_path / "x"))
    )
    stub.status, stub.manifest, stub.polls = 200, {}, 0
    assert len(exported(BulkExport(server=server, folder=tmp_path / "x"))) == 8


def test_a_cancelled_export_is_deleted_at_the_server(stub, server, tmp_path):
    export = BulkExport(server=server, folder=tmp_path / "x")
    export._kick_off()
    export.cancel()
    assert stub.cancelled
    assert [path.name for path in tmp_path.rglob("*")] == ["x"]
    (tmp_path / ".x.export-state.json").write_text("{", encoding="utf-8")
    with pytest.raises(CohortError, match="cannot be read"):
        BulkExport(server=server, folder=tmp_path / "x")


TRANSIENT = {
    "resourceType": "OperationOutcome",
    "issue": [{"code": "transient", "diagnostics": CANARY}],
}


@pytest.mark.parametrize(
    "troubles",
    [
        [(429,)] * 9,
        [(503, None, {"Retry-After": "20"})] * 150,
        [(500, TRANSIENT)] * 5,
        [(500,)] * 3,
    ],
    ids=["429", "503", "transient", "500"],
)
def test_troubles_while_an_export_runs_cost_time_and_never_the_job(
    stub, server, tmp_path, troubles
):
    stub.troubles = list(troubles)
    assert len(exported(BulkExport(server, tmp_path / "x"))) == 8
    assert stub.n_exports == 1


@pytest.mark.parametrize("troubles", [[(503,)] * 99, [(500,)] * 4], ids=["an hour", "failed"])
def test_an_export_that_stays_in_trouble_is_given_up(stub, server, tmp_path, troubles):
    stub.troubles = list(troubles)
    refused(lambda: BulkExport(server, tmp_path / "x").run())
    stub.troubles = []
    assert len(exported(BulkExport(server, tmp_path / "x"))) == 8


@pytest.mark.parametrize("severity", ["information", "warning", "error", "fatal"])
def test_remarks_are_counted_and_errors_stop_the_export(stub, server, tmp_path, severity):
    stub.manifest = stub.whole_manifest(
        error=[{"url": f"{stub.url}/fhir/messages/{severity}"}],
        deleted=[{"url": f"{stub.url}/fhir/files/gone", "count": 4}],
    )
    export = BulkExport(server, tmp_path / "x")
    if severity in {"error", "fatal"}:
        assert "reports 1 error" in refused(export.run)
    else:
        done = export.run()
        assert done.messages == ((f"{severity} informational", 1),)
        assert done.counts == (("Observation", 3), ("Patient", 5))
        assert done.deleted == 4
        assert [file.name for file in done.files] == ["00000.ndjson", "00001.ndjson"]


def test_a_cut_file_is_fetched_again_without_a_count_too(stub, server, tmp_path):
    stub.manifest = stub.whole_manifest()
    for output in stub.manifest["output"]:
        del output["count"]
    stub.cuts = 2
    assert len(exported(BulkExport(server, tmp_path / "x"))) == 8
    stub.cuts = 9
    assert "truncated or not NDJSON" in refused(BulkExport(server, tmp_path / "y").run)
    assert not list((tmp_path / "y").glob("[0-9]*"))


def test_files_that_are_gone_start_one_new_export(stub, server, tmp_path):
    stub.manifest = stub.whole_manifest(base="fhir/gone")
    stub.manifest["output"][0]["url"] = f"{stub.url}/fhir/gone/nothing"
    export = BulkExport(server, tmp_path / "x")
    assert "is no longer given by the server (status 404)" in refused(export.run)
    assert stub.n_exports == 2
    stub.manifest = {}
    assert len(exported(export)) == 8


def test_redirects_are_followed_and_the_token_stays_at_home(stub, server, tmp_path):
    with_token = []

    class Storage(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            with_token.append("Authorization" in self.headers)
            content = stub.files[self.path.rpartition("/")[2]]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    storage = ThreadingHTTPServer(("127.0.0.1", 0), Storage)
    thread = threading.Thread(target=storage.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        stub.redirect = f"http://127.0.0.1:{storage.server_port}/bucket/"
        assert len(exported(BulkExport(server, tmp_path / "x"))) == 8
    finally:
        storage.shutdown()
        storage.server_close()
        thread.join()
    assert with_token == [False, False]
    stub.redirect = "http://evil.example.org/"
    assert "without https" in refused(BulkExport(server, tmp_path / "y").run)
    stub.redirect = "/fhir/files/"
    assert "in a circle" in refused(BulkExport(server, tmp_path / "y").run)


def test_only_finished_files_are_in_the_folder(stub, server, tmp_path):
    export = BulkExport(server, tmp_path / "x")
    export._manifest()
    (tmp_path / "x/.00000.part").write_bytes(b"{")
    assert len(exported(BulkExport(server, tmp_path / "x"))) == 8
    assert stub.n_exports == 1
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [
        "00000.ndjson",
        "00001.ndjson",
    ]


@pytest.mark.parametrize("busy", [["60"] * 58, ["300"] * 12], ids=["a minute", "five minutes"])
def test_a_server_that_is_busy_for_an_hour_before_the_export_is_awaited(
    stub, server, tmp_path, busy
):
    server.auth.token(server.http, server.now())
    stub.busy = list(busy)
    assert len(exported(BulkExport(server, tmp_path / "x"))) == 8
    assert stub.n_exports == 1
    assert sum(server.slept) == sum(map(int, busy)) + 14


@pytest.mark.parametrize(
    "troubles",
    [[(503, None, {"Retry-After": "60"})] * 59, [(500,)], [(500, TRANSIENT)] * 2],
    ids=["busy for an hour", "500", "transient"],
)
def test_troubles_of_a_file_cost_time_and_never_the_export(stub, server, tmp_path, troubles):
    stub.file_troubles = list(troubles)
    assert len(exported(BulkExport(server, tmp_path / "x"))) == 8
    assert stub.n_exports == 1


def test_a_file_that_stays_in_trouble_stops_the_run_and_resumes_later(stub, server, tmp_path):
    stub.file_troubles = [(500,)] * 3
    assert "status 500" in refused(BulkExport(server, tmp_path / "x").run)
    assert len(exported(BulkExport(server, tmp_path / "x"))) == 8
    assert stub.n_exports == 1


KILLED = """
import os, signal, sys
import httpx
from healthval.cohort.fhir import bulk
from healthval.cohort.fhir.backend_services import BackendServices
from healthval.cohort.fhir.server import FhirServer

url, folder, key = sys.argv[1:]
auth = BackendServices(client_id="site-1", private_key=key.encode(), token_url=f"{url}/token", key_id="k1")
server = FhirServer(base=f"{url}/fhir", auth=auth, http=httpx.Client(), sleep=lambda _: None)
bulk.flush_folder = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # the first file is finished
bulk.BulkExport(server, folder).run()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_an_export_killed_after_its_first_file_resumes_with_the_second(stub, server, tmp_path):
    key = pem(KEYS[stub.algorithm]).decode()
    arguments = [sys.executable, "-c", KILLED, stub.url, str(tmp_path / "x"), key]
    done = subprocess.run(arguments, timeout=LONG, check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    n_asked = len(stub.asked)
    assert exported(BulkExport(server, tmp_path / "x")) == PATIENTS + OBSERVATIONS
    assert [path for _, path, _ in stub.asked[n_asked:]] == ["/fhir/files/Observation"]
    assert stub.n_exports == 1
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == [".x.export-state.json"]


@pytest.mark.parametrize(
    "other", [{"types": ["Patient"]}, {"group": "g1"}, {"since": "2024-01-01T00:00:00Z"}], ids=str
)
def test_an_export_of_something_else_is_not_taken_for_this_one(stub, server, tmp_path, other):
    assert len(exported(BulkExport(server, tmp_path / "x"))) == 8
    assert "another server, group" in refused(lambda: BulkExport(server, tmp_path / "x", **other))
    assert len(exported(BulkExport(server, tmp_path / "x"))) == 8
    assert stub.n_exports == 1


def test_files_of_an_earlier_export_are_no_files_of_a_new_one(stub, server, tmp_path):
    exported(BulkExport(server, tmp_path / "x"))
    (tmp_path / ".x.export-state.json").unlink()
    assert "2 files of an earlier export" in refused(BulkExport(server, tmp_path / "x").run)
    assert stub.n_exports == 1


@pytest.mark.parametrize("text", ["[", "[]", "3"])
def test_a_state_that_cannot_be_read_is_refused(server, tmp_path, text):
    (tmp_path / ".x.export-state.json").write_text(text, encoding="utf-8")
    assert "cannot be read" in refused(lambda: BulkExport(server, tmp_path / "x"))
