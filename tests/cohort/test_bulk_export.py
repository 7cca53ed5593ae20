"""An export arrives byte for byte through the troubles of servers and storages, or is refused."""

import gzip
import json
import os
import subprocess
import sys
import time
import zlib
from email.utils import formatdate

import httpx
import pytest
from bulk_server import World, serving
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from healthval.cohort import BackendServices, BulkExport, FhirServer, read_resources
from healthval.errors import CohortError

KEY = ec.generate_private_key(ec.SECP384R1()).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
CANARY = "Zyxwolf-Qargh-7719"
LONG = 300.0  # seconds; only a machine that hangs needs as many


@pytest.fixture
def world():
    with serving(World()) as served:
        yield served


@pytest.fixture
def export(world, tmp_path):
    """Begin or resume the export of the world; `slept` of the function are its pauses."""
    slept = []
    with httpx.Client(timeout=LONG) as http:

        def begin():
            auth = BackendServices("site-1", KEY, token_url=f"{world.ehr}/token")
            server = FhirServer(f"{world.ehr}/fhir", auth, http=http, sleep=slept.append)
            return BulkExport(server, tmp_path / "x")

        begin.slept = slept
        yield begin


def check_arrival(world, done, n_exports=1):
    """What was served is what is in the folder: bytes, resources, and nothing else."""
    assert [file.read_bytes() for file in done.files] == list(world.files.values())
    served = [
        json.loads(x)["id"] for f in world.files.values() for x in f.split(b"\n") if x.strip()
    ]
    folder = done.files[0].parent
    assert [resource["id"] for resource in read_resources(folder)] == served
    assert sum(n for _, n in done.counts) == len(served)
    assert sorted(folder.iterdir()) == sorted(done.files)
    assert world.n_exports == n_exports
    assert world.tokens_at_storage == 0


def send(status, body=b"", headers=None):
    return lambda handler, _: handler.send(status, body, headers)


def cut(handler, content):
    handler.send(200, content, cut=len(content) // 2)


def reset(handler, _):
    handler.reset()


@pytest.mark.parametrize("place", ["ehr", "redirect", "storage"])
@pytest.mark.parametrize("packed", ["", "encoding", "file"])
def test_an_export_arrives_byte_for_byte(world, export, place, packed):
    world.place, world.packed = place, packed
    check_arrival(world, export().run())


def cut_gzip(headers):
    """Whole lines, compressed, without the end of the compressed stream and without a length."""

    def answer(handler, content):
        packer = zlib.compressobj(wbits=31)
        whole = content[: content.index(b"\n", len(content) // 2) + 1]
        handler.send(
            200, packer.compress(whole) + packer.flush(zlib.Z_FULL_FLUSH), headers, closed=True
        )

    return answer


@pytest.mark.parametrize(
    "trouble",
    [
        cut,
        cut_gzip({"Content-Encoding": "gzip"}),
        cut_gzip({}),
        lambda handler, content: handler.send(200, gzip.compress(content)[:-3], closed=True),
        lambda handler, content: handler.send(200, b"\x1f\x8b" + content),
        lambda handler, content: handler.send(200, content[:-9], closed=True),
        reset,
        send(500),
        send(503, b"", {"Retry-After": "600"}),
    ],
    ids=["cut", "gzip", "gzip file", "gzip end", "no gzip", "cut without length", "reset", "500", "503"],
)  # fmt: skip
def test_a_file_in_trouble_is_fetched_again(world, export, trouble):
    """The manifest gives no counts, so that only the file itself shows that it is cut."""
    world.counts = False
    world.scripts = {"Patient.1": [trouble], "Observation.1": [trouble, trouble]}
    check_arrival(world, export().run())


@pytest.mark.parametrize(
    "answers",
    [
        {"job": [reset, send(202), reset]},
        {"job": [send(202, b"", {"Retry-After": "0"})] * 300},
        {"job": [send(429, b"", {"Retry-After": "3600"})]},
        {"$export": [send(500), send(500)]},
        {"$export": [send(503, b"", {"Retry-After": "1800"})] * 2},
        {"token": [send(503), send(429, b"", {"Retry-After": "30"})]},
    ],
    ids=["reset", "no pause", "429 for an hour", "500 at the start", "503 at the start", "token"],
)
def test_troubles_before_the_files_cost_time_only(world, export, answers):
    world.scripts = {name: list(script) for name, script in answers.items()}
    check_arrival(world, export().run())
    assert min(export.slept) >= 1


@pytest.mark.parametrize("skew", [-3600, 0, 3600], ids=["behind", "right", "ahead"])
def test_a_date_is_read_by_the_clock_of_the_server(world, export, skew):
    now = time.time() + skew
    headers = {
        "Date": formatdate(now, usegmt=True),
        "Retry-After": formatdate(now + 90, usegmt=True),
    }
    world.scripts = {"job": [send(202, b"", headers)]}
    check_arrival(world, export().run())
    assert export.slept == [90]


def test_a_pause_is_never_shorter_than_the_server_asks(world, export):
    world.scripts = {
        "job": [send(202, b"", {"Retry-After": "1800"})],
        "Patient.1": [send(503, b"", {"Retry-After": "1200"})],
    }
    check_arrival(world, export().run())
    assert export.slept == [1800, 1200]


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_an_address_of_a_storage_that_has_expired_starts_one_new_export(world, export, status):
    world.place = "storage"
    world.scripts = {"Patient.2": [send(status)]}
    check_arrival(world, export().run(), n_exports=2)


def test_an_expired_redirect_is_asked_for_again(world, export):
    world.place = "redirect"
    world.scripts = {"Patient.2": [lambda handler, _: handler.send(307, headers={"Location": f"{world.storage}/old"})]}  # fmt: skip
    world.scripts["old"] = [send(403)]
    check_arrival(world, export().run())


def outcome(severity):
    issue = [{"severity": severity, "code": "informational", "diagnostics": CANARY}]
    return json.dumps({"resourceType": "OperationOutcome", "issue": issue}).encode()


@pytest.mark.parametrize("trouble", [send(500), cut, reset, send(503)], ids=["500", "cut", "reset", "503"])  # fmt: skip
def test_trouble_with_the_servers_remarks_is_no_remark(world, export, trouble):
    world.aside = {"error1": outcome("information") + b"\n" + outcome("warning"), "error2": b""}
    world.scripts = {"error1": [trouble]}
    done = export().run()
    check_arrival(world, done)
    assert done.messages == (("information informational", 1), ("warning informational", 1))
    assert CANARY not in repr(done)


def test_remarks_that_are_gone_start_a_new_export(world, export):
    world.aside = {"error1": outcome("information")}
    world.scripts = {"error1": [send(404)]}
    check_arrival(world, export().run(), n_exports=2)


def test_another_resource_among_the_remarks_is_an_error(world, export):
    world.aside = {"error1": outcome("information") + b'\n{"resourceType": "Patient"}'}
    with pytest.raises(CohortError, match="reports 1 error"):
        export().run()


def test_deletions_are_counted_in_their_bundles(world, export):
    entries = [
        {"request": {"method": m, "url": f"Patient/{CANARY}"}} for m in ("DELETE", "DELETE", "PUT")
    ]
    bundle = json.dumps(
        {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    ).encode()
    world.aside = {"deleted1": bundle, "deleted2": bundle + b"\n" + bundle}
    done = export().run()
    check_arrival(world, done)
    assert done.deleted == 6


def test_a_manifest_in_pages_is_not_taken_for_a_whole_one(world, export):
    world.manifest = {"link": [{"relation": "next", "url": "page2"}]}
    with pytest.raises(CohortError, match="several pages"):
        export().run()


def test_a_file_that_stays_cut_leaves_nothing_half_written(world, export, tmp_path):
    world.scripts = {"Patient.2": [cut] * 3}
    with pytest.raises(
        CohortError, match="file 2 of 4 of the export is interrupted at each attempt"
    ):
        export().run()
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["00000.ndjson"]
    n = len(world.asked)
    check_arrival(world, export().run())
    assert "Patient.1" not in world.asked[n:]


RUN = """
import sys
from healthval.cohort import BackendServices, BulkExport, FhirServer
ehr, folder, key = sys.argv[1:]
auth = BackendServices("site-1", key.encode(), token_url=f"{ehr}/token")
BulkExport(FhirServer(f"{ehr}/fhir", auth), folder).run()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_an_export_that_is_killed_within_a_file_resumes_with_it(world, export, tmp_path):
    killed = []

    def stalled(handler, content):
        handler.send_response_only(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:5000])
        handler.wfile.flush()
        while not (tmp_path / "x/.00002.part").exists():
            time.sleep(0.01)
        killed[0].kill()

    world.scripts = {"Observation.1": [stalled]}
    arguments = [sys.executable, "-c", RUN, world.ehr, str(tmp_path / "x"), KEY.decode()]
    killed.append(subprocess.Popen(arguments))
    assert killed[0].wait(timeout=LONG) == -9
    n = len(world.asked)
    check_arrival(world, export().run())
    assert world.asked[n:] == ["token", "Observation.1", "Encounter.1"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".x.export-state.json", "x"]


def test_a_state_that_cannot_be_written_is_refused(export, tmp_path):
    begun = export()
    (tmp_path / ".x.export-state.json").mkdir()
    with pytest.raises(CohortError, match="cannot be written beside its folder"):
        begun.run()
