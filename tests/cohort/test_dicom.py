"""Folder, DICOMweb and DIMSE give the same instances, and no failure names a patient."""

import gc
import json
import logging
import os
import shutil
import threading
import traceback
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from healthval import cohort
from healthval.cohort.dicom import DimsePacs, WebPacs, read_folder
from healthval.cohort.dicom.staging import quiet_pacs, staged_path
from healthval.errors import CohortError

CANARY = "Canary9c1f"
FILES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm")


@pytest.fixture(scope="module")
def originals():
    return {d.SOPInstanceUID: d for d in (pydicom.dcmread(get_testdata_file(n)) for n in FILES)}


def test_a_folder_is_indexed_by_patient_and_study(tmp_path, originals):
    (tmp_path / "deep").mkdir()
    for name in FILES:
        shutil.copy(get_testdata_file(name), tmp_path / "deep")
    (tmp_path / "notes.txt").write_text(
        f"{CANARY} no DICOM at all, but text long enough to parse", encoding="utf-8"
    )
    shutil.copy(get_testdata_file("DICOMDIR"), tmp_path)
    found = read_folder(tmp_path)
    assert {one.instance for one in found.instances} == set(originals)
    assert (found.n_unreadable, found.n_directories) == (1, 1)
    assert len(found.by_study()) == 3
    for one in found.instances:
        assert one.patient == originals[one.instance].PatientID
        assert one.read().PixelData == originals[one.instance].PixelData
        assert str(one.patient) not in repr(one)
    assert CANARY not in repr(found)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_folders_behind_links_are_indexed_once(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(get_testdata_file(FILES[0]), tmp_path / "elsewhere")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "cycle").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "itself").symlink_to("itself")
    found = read_folder(tmp_path / "in")
    assert (len(found.instances), found.n_unreadable) == (1, 1)


def test_a_missing_or_empty_folder_is_refused_without_its_name(tmp_path):
    empty = tmp_path / CANARY
    for path in (empty, empty):
        with pytest.raises(CohortError) as refused:
            read_folder(path)
        assert CANARY not in str(refused.value)
        empty.mkdir(exist_ok=True)


@pytest.fixture
def web(originals):
    """A DICOMweb server of three studies; broken while `server.broken` is set."""
    studies = {d.StudyInstanceUID: d for d in originals.values()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path, _, query = self.path.partition("?")
            if server.broken:
                return self.answer(500, "text/plain", CANARY.encode())
            if path == "/studies":
                offset = "offset=0" in query or "offset" not in query
                body = [self.found(d) for d in studies.values()] if offset else []
                return self.answer(200, "application/dicom+json", json.dumps(body).encode())
            server.accepted.append(self.headers["Accept"])
            number = list(studies).index(path.split("/")[2])
            data = Path(get_testdata_file(FILES[number])).read_bytes()
            part = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--x--"
            return self.answer(200, 'multipart/related; type="application/dicom"; boundary=x', part)

        def found(self, dataset):
            keys = {"00100020": str(dataset.PatientID), "0020000D": str(dataset.StudyInstanceUID)}
            made = {tag: {"vr": "LO", "Value": [value]} for tag, value in keys.items()}
            return made | {"00201208": {"vr": "IS", "Value": [1]}}

        def answer(self, status, kind, body):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.broken, server.accepted = False, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_dicomweb_streams_what_the_folder_would_hold(tmp_path, web, originals):
    pacs = WebPacs(f"http://127.0.0.1:{web.server_port}")
    found = list(pacs.search({"Modality": "CT"}))
    assert {s.study for s in found} == {d.StudyInstanceUID for d in originals.values()}
    got = list(pacs.retrieve([s.study for s in found], tmp_path / "stage"))
    assert {one.instance for one in got} == set(originals)
    for one in got:
        assert pydicom.dcmread(one.path).PixelData == originals[one.instance].PixelData
        assert one.path == staged_path(tmp_path / "stage", one.instance)
        if os.name != "nt":
            assert one.path.stat().st_mode & 0o077 == 0
    assert all("transfer-syntax=*" in accepted for accepted in web.accepted)


def test_a_retrieval_deletes_the_unfinished_file_of_an_interrupted_one(tmp_path, web, originals):
    pacs = WebPacs(f"http://127.0.0.1:{web.server_port}")
    studies = [d.StudyInstanceUID for d in originals.values()]
    for _ in range(2):
        (tmp_path / f".{'0' * 32}.dcm.{'1' * 16}").write_bytes(b"half a file")
        assert len(list(pacs.retrieve(studies, tmp_path))) == len(originals)
        found = read_folder(tmp_path)
        assert (len(found.instances), found.n_unreadable) == (len(originals), 0)


def test_an_error_of_a_dicomweb_server_names_no_patient(tmp_path, web, caplog):
    caplog.set_level(logging.DEBUG)
    pacs = WebPacs(f"http://127.0.0.1:{web.server_port}")
    web.broken = True
    for ask in (
        lambda: list(pacs.search({"PatientID": CANARY})),
        lambda: list(pacs.retrieve([CANARY], tmp_path)),
    ):
        with pytest.raises(CohortError) as refused:
            ask()
        assert CANARY not in "".join(traceback.format_exception(refused.value))
    assert CANARY not in caplog.text


@pytest.fixture
def dimse(originals):
    net = pytest.importorskip("pynetdicom")
    from pynetdicom.sop_class import (
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
    )

    def find(event):
        wanted = event.identifier.StudyInstanceUID
        for dataset in originals.values():
            if wanted in ("", dataset.StudyInstanceUID):
                answer = Dataset()
                answer.QueryRetrieveLevel = "STUDY"
                answer.PatientID, answer.StudyInstanceUID = (
                    dataset.PatientID,
                    dataset.StudyInstanceUID,
                )
                answer.NumberOfStudyRelatedInstances = 1
                if "SOPClassesInStudy" in event.identifier:
                    answer.SOPClassesInStudy = dataset.SOPClassUID
                yield 0xFF00, answer
        yield 0x0000, None

    def get(event):
        wanted = event.identifier.StudyInstanceUID
        found = [d for d in originals.values() if d.StudyInstanceUID == wanted]
        yield len(found)
        for dataset in found:
            if broken:
                yield 0xC000, None
            yield 0xFF00, dataset

    broken = []
    entity = net.AE(ae_title="PACS")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
    for context in net.StoragePresentationContexts:
        entity.add_supported_context(
            context.abstract_syntax, net.ALL_TRANSFER_SYNTAXES, scu_role=True, scp_role=True
        )
    handlers = [(net.evt.EVT_C_FIND, find), (net.evt.EVT_C_GET, get)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    pacs = DimsePacs("127.0.0.1", server.socket.getsockname()[1], "PACS")
    yield pacs, broken
    server.shutdown()
    let_go(net)


def let_go(net):
    """pynetdicom leaves its handlers' sockets to the garbage collector; collect them silently."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for thread in threading.enumerate():
            if isinstance(thread, net.association.Association):
                thread.join(timeout=5)
        gc.collect()


def test_dimse_gets_what_the_folder_would_hold(tmp_path, dimse, originals):
    pacs, _ = dimse
    found = list(pacs.search({}))
    assert {s.study for s in found} == {d.StudyInstanceUID for d in originals.values()}
    got = list(pacs.retrieve([s.study for s in found], tmp_path / "stage"))
    assert {one.instance for one in got} == set(originals)
    for one in got:
        after = pydicom.dcmread(one.path)
        assert after.PixelData == originals[one.instance].PixelData
        assert (
            after.file_meta.TransferSyntaxUID == originals[one.instance].file_meta.TransferSyntaxUID
        )


def test_an_error_of_a_dimse_pacs_names_no_patient(tmp_path, dimse, originals, caplog):
    caplog.set_level(logging.DEBUG)
    pacs, broken = dimse
    broken.append(True)
    study = next(iter(originals.values())).StudyInstanceUID
    nobody = DimsePacs("127.0.0.1", 9, "PACS")
    for ask in (
        lambda: list(pacs.retrieve([study], tmp_path)),
        lambda: list(nobody.search({"PatientID": CANARY})),
        lambda: list(pacs.search({CANARY: "x"})),
    ):
        with pytest.raises(CohortError) as refused:
            ask()
        shown = "".join(traceback.format_exception(refused.value))
        assert study not in shown
        assert CANARY not in shown + caplog.text


@pytest.mark.parametrize("name", ["pydicom.pixels", "pynetdicom.ae", "dicomweb_client", "urllib3"])
def test_silence_ends(name):
    with quiet_pacs():
        assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)
    assert logging.getLogger(name).isEnabledFor(logging.CRITICAL)


def test_the_room_exports_its_sources_lazily():
    assert cohort.read_folder is read_folder
    assert (cohort.WebPacs, cohort.DimsePacs) == (WebPacs, DimsePacs)
