"""DICOMweb retrieval: a study is complete or an error, and nothing damaged has a final name."""

import pytest
from dicomweb_stub import STUDY, TWO, Server, answered, instance, message
from hypothesis import given
from hypothesis import strategies as st

from healthval.cohort import DimsePacs, WebPacs, read_folder
from healthval.cohort.dicom.folder import COMPLETE
from healthval.cohort.dicom.multipart import CutError, boundary_of, parts_of
from healthval.cohort.dicom.pacs import find_studies, named_queries, open_pacs, retrieve_studies
from healthval.contracts.images import PacsChoice
from healthval.errors import CohortError, UsageError

pytest.importorskip("dicomweb_client")


@pytest.fixture
def pacs(serving):
    Server.body, Server.kind = message(*TWO), 'multipart/related; boundary="B"'
    Server.announced, Server.n_retrieved = 2, 0
    Server.answers, Server.status, Server.headers_sent = None, 200, {}
    with serving(Server) as address:
        yield WebPacs(address)


def bytes_in(folder):
    return sorted(path.read_bytes() for path in folder.glob("*.dcm"))


def test_a_complete_study_has_the_bytes_of_the_pacs_and_is_not_requested_again(pacs, tmp_path):
    assert len(list(pacs.retrieve([STUDY], tmp_path))) == 2
    assert bytes_in(tmp_path) == sorted(TWO)
    assert len(list(pacs.retrieve([STUDY], tmp_path))) == 2
    assert Server.n_retrieved == 1
    assert len(read_folder(tmp_path).instances) == 2
    assert read_folder(tmp_path).n_unreadable == 0


def test_a_study_that_has_grown_or_lost_a_file_is_requested_again(pacs, tmp_path):
    Server.announced, Server.body = 1, message(TWO[0])
    list(pacs.retrieve([STUDY], tmp_path))
    Server.announced, Server.body = 2, message(*TWO)
    assert len(list(pacs.retrieve([STUDY], tmp_path))) == 2
    next(tmp_path.glob("*.dcm")).unlink()
    assert len(list(pacs.retrieve([STUDY], tmp_path))) == 2
    assert Server.n_retrieved == 3


@pytest.mark.parametrize(
    "body",
    [
        message(*TWO, end=b""),
        message(*TWO, end=b"\r\n--B\r\n"),
        message(TWO[0]),
        message(TWO[0], TWO[0]),
        message(TWO[0], TWO[1][:-300]),
        message(TWO[0], TWO[1][:-8]),
        message(TWO[0], TWO[1][:-1]),
        message(TWO[0], instance(1, "MR_small.dcm"), TWO[1]),  # one UID with two contents
        message(TWO[0], TWO[0][:2000]),
        message(TWO[0], b"no DICOM at all"),
        message(TWO[0], TWO[1].replace(STUDY.encode(), b"2.25.4712")),
        message(),
        b"",
    ],
)
def test_an_incomplete_study_is_an_error_and_a_healthy_run_replaces_it(pacs, tmp_path, body):
    Server.body = body
    with pytest.raises(CohortError, match="run again"):
        list(pacs.retrieve([STUDY], tmp_path))
    assert set(bytes_in(tmp_path)) <= set(TWO)
    Server.body = message(*TWO)
    assert len(list(pacs.retrieve([STUDY], tmp_path))) == 2
    assert bytes_in(tmp_path) == sorted(TWO)


@pytest.mark.parametrize("how", [{"status": 206}, {"headers_sent": {"Warning": "299 a: some"}}])
def test_a_reply_that_withholds_instances_is_an_error(pacs, tmp_path, how):
    Server.announced = None
    for name, value in how.items():
        setattr(Server, name, value)
    with pytest.raises(CohortError, match=r"did not send a study|not complete"):
        list(pacs.retrieve([STUDY], tmp_path))
    assert bytes_in(tmp_path) == []


MALFORMED = [
    answered(count="many"),
    answered(study="no UID"),
    {"0020000D": {"vr": "UI", "Value": STUDY}},
    {"0020000D": None},
    {"a": 1},
    "text",
]


@pytest.mark.parametrize("answer", MALFORMED)
def test_an_answer_that_is_no_study_is_an_error(pacs, tmp_path, answer):
    Server.answers = [answer]
    with pytest.raises(CohortError, match="DICOM JSON"):
        list(pacs.retrieve([STUDY], tmp_path))


OTHER = answered(study="2.25.99", count=1, **{"00080050": "A2", "00100020": "P2"})


@pytest.mark.parametrize(
    ("by", "asked"), [("accession", "A1"), ("patient", "P1"), ("study", "2.25.1")]
)
def test_a_pacs_that_ignores_an_identifier_is_an_error(pacs, by, asked):
    Server.answers = [OTHER]
    with pytest.raises(CohortError, match="ignores the filter") as caught:
        find_studies(pacs, named_queries(by, [asked]))
    assert asked not in str(caught.value)
    same = {"accession": "a2 ", "patient": "00P2", "study": "2.25.99"}[by]
    assert len(find_studies(pacs, named_queries(by, [same]))[0]) == 1


def test_a_study_is_not_complete_by_the_number_of_another_one(pacs, tmp_path):
    Server.answers, Server.body = [OTHER, answered()], message(TWO[0])
    with pytest.raises(CohortError, match="1 of 2"):
        list(pacs.retrieve([STUDY], tmp_path))


def test_a_full_disk_at_the_mark_of_a_study_is_not_the_fault_of_the_pacs(pacs, tmp_path):
    (tmp_path / COMPLETE).write_text("a file in its place", encoding="utf-8")
    with pytest.raises(CohortError, match="local disk"):
        list(pacs.retrieve([STUDY], tmp_path))


def test_a_reply_of_a_single_part_is_one_instance(pacs, tmp_path):
    Server.body, Server.kind = TWO[0], "application/dicom"
    with pytest.raises(CohortError, match="fewer instances"):
        list(pacs.retrieve([STUDY], tmp_path))
    Server.announced = 1
    assert len(list(pacs.retrieve([STUDY], tmp_path))) == 1
    assert bytes_in(tmp_path) == [TWO[0]]


def test_a_full_disk_is_not_the_fault_of_the_pacs(pacs, tmp_path):
    resource = pytest.importorskip("resource", reason="this system has no limit of file sizes")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CohortError, match="local disk") as caught:
            list(pacs.retrieve([STUDY], tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "PACS" not in str(caught.value)
    assert bytes_in(tmp_path) == []
    assert len(list(pacs.retrieve([STUDY], tmp_path))) == 2


def test_failures_are_counted_by_reason(pacs, tmp_path):
    Server.body = message(*TWO, end=b"")
    studies, n_missing = find_studies(pacs, named_queries("accession", ["A1", "A2"]))
    done = retrieve_studies(pacs, studies, tmp_path, n_not_found=n_missing)
    assert done.failed.total() == len(studies) == 1
    assert "early" in next(iter(done.failed))


@pytest.mark.parametrize("value", ["A*", "A?", "A\\B"])
def test_an_identifier_that_is_a_wildcard_is_refused_without_its_value(value):
    with pytest.raises(UsageError) as caught:
        list(named_queries("accession", ["B", value]))
    assert value not in str(caught.value)


@given(st.lists(st.binary(max_size=50), max_size=5), st.data())
def test_parts_do_not_depend_on_the_chunks(parts, data):
    whole = message(*parts)
    chunks, at = [], 0
    while at < len(whole):
        size = data.draw(st.integers(1, 40))
        chunks.append(whole[at : at + size])
        at += size
    assert list(parts_of(chunks, b"B")) == parts
    cut = data.draw(st.integers(0, len(whole) - 5))
    with pytest.raises(CutError):
        list(parts_of([whole[:cut]], b"B"))


def test_the_boundary_is_read_in_every_spelling():
    assert boundary_of('multipart/related; type="application/dicom"; boundary=a-1') == b"a-1"
    assert boundary_of('Multipart/Related; boundary="a 1"; type=x') == b"a 1"
    assert boundary_of("application/dicom") is None


def test_a_token_is_never_sent_in_clear_nor_printed(monkeypatch):
    monkeypatch.setenv("PACS_TOKEN", "canary-token")
    with pytest.raises(UsageError, match="in clear"):
        open_pacs(PacsChoice(url="http://pacs.example/dicom-web", token="PACS_TOKEN"))
    web = open_pacs(PacsChoice(url="https://pacs.example/dicom-web", token="PACS_TOKEN"))
    assert "canary-token" not in repr(web)
    monkeypatch.setenv("PACS_TOKEN", "")
    with pytest.raises(UsageError, match="not set"):
        open_pacs(PacsChoice(url="https://pacs.example/dicom-web", token="PACS_TOKEN"))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"url": "http://127.0.0.1", "dimse": "127.0.0.1:104:PACS"},
        {"url": "http://127.0.0.1", "tls": True},
        {"dimse": "127.0.0.1:104:PACS", "token": "PACS_TOKEN"},
        {"dimse": "127.0.0.1:104:PACS", "ca": "ca.pem"},
        {"dimse": "127.0.0.1:104:PACS", "tls": True, "certificate": "own.pem"},
        {"dimse": "127.0.0.1:PACS"},
    ],
)
def test_a_pacs_that_is_not_one_is_refused(given):
    with pytest.raises(ValueError, match="PacsChoice"):
        PacsChoice(**given)


def test_a_pacs_that_does_not_answer_is_an_error_of_the_network():
    pytest.importorskip("pynetdicom")
    pacs = DimsePacs("127.0.0.1", 1, "PACS", timeout=2)
    with pytest.raises(CohortError, match="did not accept"):
        list(pacs.search({}))
