"""DIMSE retrieval against a scripted PACS: a study is complete or an error."""

import io

import pydicom
import pytest

from healthval.cohort import DimsePacs
from healthval.cohort.dicom.pacs import find_studies, named_queries
from healthval.errors import CohortError

from .test_pacs_retrieve import STUDY, TWO, bytes_in

pynetdicom = pytest.importorskip("pynetdicom")
FIND, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 3))
SUCCESS, PENDING, WARNING = 0x0000, 0xFF00, 0xB000


def datasets(*contents):
    return [pydicom.dcmread(io.BytesIO(content)) for content in contents]


def without_pixels(dataset):
    del dataset.PixelData
    return dataset


class Script:
    """What the PACS answers: a study, its objects, and the last status."""

    def __init__(self):
        self.study, self.objects = STUDY, datasets(*TWO)
        self.last, self.ends_after, self.others = SUCCESS, None, 0

    def find(self, _):
        for number in range(self.others):
            other = pydicom.Dataset()
            other.QueryRetrieveLevel, other.StudyInstanceUID = "STUDY", f"2.25.9{number}"
            other.NumberOfStudyRelatedInstances = 1
            yield PENDING, other
        answer = pydicom.Dataset()
        answer.QueryRetrieveLevel, answer.StudyInstanceUID = "STUDY", self.study
        answer.PatientID, answer.NumberOfStudyRelatedInstances = "P1", 2
        answer.SOPClassesInStudy = sorted({one.SOPClassUID for one in self.objects})
        yield PENDING, answer

    def get(self, event):
        yield len(self.objects) + (self.last != SUCCESS)
        for number, one in enumerate(self.objects):
            if number == self.ends_after:
                event.assoc.abort()
                return
            yield PENDING, one
        if self.last != SUCCESS:
            failed = pydicom.Dataset()
            failed.FailedSOPInstanceUIDList = ["2.25.9"]
            yield self.last, failed


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def pacs(script):
    entity = pynetdicom.AE(ae_title="SCRIPTED")
    entity.supported_contexts = pynetdicom.StoragePresentationContexts
    for context in entity.supported_contexts:
        context.transfer_syntax = pynetdicom.ALL_TRANSFER_SYNTAXES
        context.scu_role, context.scp_role = False, True
    for model in (FIND, GET):
        entity.add_supported_context(model)
    handlers = [
        (pynetdicom.evt.EVT_C_FIND, script.find),
        (pynetdicom.evt.EVT_C_GET, script.get),
    ]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    yield DimsePacs("127.0.0.1", server.server_address[1], "SCRIPTED", timeout=30)
    server.shutdown()


def pixels_in(folder):
    return sorted(bytes(pydicom.dcmread(path).PixelData) for path in folder.glob("*.dcm"))


def test_a_complete_study_is_copied(pacs, tmp_path):
    assert len(list(pacs.retrieve([STUDY], tmp_path))) == 2
    assert pixels_in(tmp_path) == sorted(bytes(one.PixelData) for one in datasets(*TWO))


FAULTS = {
    "a connection that is dropped": {"ends_after": 1},
    "failed objects": {"last": WARNING},
    "refused": {"last": 0xA701},
    "fewer than announced": {"objects": datasets(TWO[0])},
    "the same object twice": {"objects": datasets(TWO[0], TWO[0])},
    "a cut object": {"objects": [*datasets(TWO[0]), without_pixels(datasets(TWO[1])[0])]},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_incomplete_study_is_an_error_and_a_healthy_run_replaces_it(
    pacs, script, tmp_path, fault
):
    healthy = dict(vars(script))
    for name, value in FAULTS[fault].items():
        setattr(script, name, value)
    with pytest.raises(CohortError, match="run again"):
        list(pacs.retrieve([STUDY], tmp_path))
    whole = sorted(bytes(one.PixelData) for one in datasets(*TWO))
    assert set(pixels_in(tmp_path)) <= set(whole)
    vars(script).update(healthy)
    assert len(list(pacs.retrieve([STUDY], tmp_path))) == 2
    assert pixels_in(tmp_path) == whole
    assert len(bytes_in(tmp_path)) == 2


@pytest.mark.parametrize(("by", "asked"), [("study", "2.25.1"), ("patient", "P2")])
def test_a_pacs_that_ignores_an_identifier_is_an_error(pacs, by, asked):
    with pytest.raises(CohortError, match="ignores the filter"):
        find_studies(pacs, named_queries(by, [asked]))


def test_a_study_is_not_complete_by_the_number_of_another_one(pacs, script, tmp_path):
    script.others, script.objects = 1, datasets(TWO[0])
    with pytest.raises(CohortError, match="1 of 2"):
        list(pacs.retrieve([STUDY], tmp_path))


def test_an_answer_without_a_study_is_an_error(pacs, script, tmp_path):
    script.study = ""
    with pytest.raises(CohortError, match="cannot be read"):
        list(pacs.retrieve([STUDY], tmp_path))
