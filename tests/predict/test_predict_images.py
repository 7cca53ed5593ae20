"""Images are matched to their case and sent complete, in order, and only after the audit."""

import shutil

import pandas as pd
import pydicom
import pytest

from healthval.cohort import read_table
from healthval.contracts.model import InputContract, InputField
from healthval.contracts.prediction import Prediction, PredictionAnswer
from healthval.deid import Policy, Secret, case_id, uid
from healthval.demo import synthetic
from healthval.disclosure import Ledger
from healthval.errors import CohortError, DeidentificationError, PredictionError
from healthval.plan import ImageInputs
from healthval.predict import (
    AnswerCache,
    ImageCases,
    Session,
    deidentify_images,
    find_images,
    image_cases,
    predict,
)

SECRET = Secret(b"k" * 32)
COLUMNS = {"key": {"kind": "id"}, "who": {"kind": "cluster"}}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Twelve films; the last two are further series of the first film's study."""
    folder = tmp_path_factory.mktemp("films")
    site = synthetic.write_site(folder, n=10, seed=8)
    first = sorted(site.images.glob("*.dcm"))[0]
    for number in (2, 3):
        film = pydicom.dcmread(first)
        film.SeriesInstanceUID += f".{number}"
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = (
            f"{film.SeriesInstanceUID}.1"
        )
        film.save_as(site.images / f"more{number}.dcm")
    return site.images


def headers(films):
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(films.glob("0*.dcm"))]


def cohort_by(films, keyword):
    rows = [(str(film[keyword].value), film.PatientID) for film in headers(films)]
    return read_table(pd.DataFrame(rows, columns=["key", "who"]), {"columns": COLUMNS})


def wanted(**changes):
    values = {"modalities": ["CR"], "on": "key", "case": "study", "by": "accession"}
    return ImageInputs.model_validate(values | changes)


@pytest.mark.parametrize(
    ("by", "keyword", "case", "n_first"),
    [
        ("accession", "AccessionNumber", "study", 3),
        ("study", "StudyInstanceUID", "study", 3),
        ("patient", "PatientID", "study", 3),
        ("series", "SeriesInstanceUID", "series", 1),
        ("instance", "SOPInstanceUID", "image", 1),
    ],
)
def test_a_case_finds_its_images_by_what_the_plan_names(films, by, keyword, case, n_first):
    found = find_images(cohort_by(films, keyword), films, wanted(by=by, case=case, patient="who"))
    assert [len(group) for group in found] == [n_first] + [1] * 9


@pytest.mark.parametrize("case", ["series", "image"])
def test_a_key_that_names_several_units_is_refused_by_count_and_row(films, case):
    cohort = cohort_by(films, "AccessionNumber")
    with pytest.raises(
        CohortError, match=rf"cases that name more than one {case}: 1 of 10 .*row 0"
    ):
        find_images(cohort, films, wanted(case=case))


@pytest.fixture
def cases(films, tmp_path):
    cohort = cohort_by(films, "AccessionNumber")
    groups = find_images(cohort, films, wanted())
    files = deidentify_images(groups, tmp_path / "out", Policy(), SECRET)
    return cohort, groups, image_cases(cohort, files, SECRET, None)


def test_files_stay_with_their_case_and_in_their_order(cases):
    cohort, groups, ready = cases
    assert ready.cases == tuple(case_id(SECRET, key) for key in cohort.cases)
    for group, files in zip(groups, ready.files, strict=True):
        assert [uid(SECRET, one.instance) for one in group] == [file.stem for file in files]


def test_a_file_in_two_folders_is_one_image(films, tmp_path):
    for folder in ("a", "b"):
        shutil.copytree(films, tmp_path / "twice" / folder)
    cohort = cohort_by(films, "AccessionNumber")
    groups = find_images(cohort, tmp_path / "twice", wanted())
    assert [len(group) for group in groups] == [6] + [2] * 9
    files = deidentify_images(groups, tmp_path / "out", Policy(), SECRET)
    assert [len(group) for group in files] == [3] + [1] * 9


def test_image_cases_cannot_be_built_by_hand():
    with pytest.raises(DeidentificationError, match="by hand"):
        ImageCases(cases=(), files=(), columns=(), rows=())


def test_a_repr_shows_no_case_and_no_path(cases):
    assert "case-" not in repr(cases[2])
    assert "dcm" not in repr(cases[2])


class Counting:
    """A hub client that scores a case by its number of uploads."""

    def __init__(self):
        self.uploaded, self.asked, self.changes_after = [], [], None

    def upload(self, data, **_):
        self.uploaded.append(data)
        return f"upload-{len(self.uploaded):032x}"

    def predict(self, request):
        self.asked.append(request)
        is_new = self.changes_after is not None and len(self.asked) > self.changes_after
        scores = [len(files) / 10 + is_new / 100 for files in request.instances.uploads]
        return PredictionAnswer(
            id="prediction-" + "0" * 32,
            status="done",
            model_digest="a" * 64,
            predictions=tuple(
                Prediction(case=c, score=s) for c, s in zip(request.cases, scores, strict=True)
            ),
        )


@pytest.fixture
def session(tmp_path):
    return Session(
        client=Counting(),
        ledger=Ledger(tmp_path / "ledger.jsonl"),
        cache=AnswerCache(tmp_path / "a.sqlite"),
        plan_hash="b" * 64,
    )


def model_of(contract):
    from healthval.contracts.model import ModelCard, ModelRecord, ModelRegistration

    words = dict.fromkeys(("title", "developer", "intended_use", "target_condition"), "x")
    registration = ModelRegistration(
        card=ModelCard(name="reader", version="1.0", **words),
        inputs=contract,
        artefact_sha256="c" * 64,
    )
    return ModelRecord(registration=registration, digest="a" * 64, status="serving")


def test_all_files_of_a_case_reach_the_model_once(cases, session):
    *_, ready = cases
    model = model_of(InputContract(kind="combined"))
    answers = predict(ready, model, session)
    assert answers.score.tolist() == pytest.approx([0.3] + [0.1] * 9)
    sent = [file.read_bytes() for group in ready.files for file in group]
    assert sorted(session.client.uploaded[:12]) == sorted(sent)
    again = [file.read_bytes() for group in ready.files[:3] for file in group]
    assert sorted(session.client.uploaded[12:]) == sorted(again), "the first cases, as canary"
    assert answers.canary == "unchanged"
    predict(ready, model, session)
    assert len(session.client.uploaded) == 12 + 2 * len(again), "only the canary is asked again"


@pytest.mark.parametrize("is_second_run", [False, True])
def test_a_model_of_images_that_changes_silently_is_noticed(cases, session, is_second_run):
    *_, ready = cases
    model = model_of(InputContract(kind="combined"))
    if is_second_run:  # all answers are in the cache of the first run
        assert predict(ready, model, session).canary == "unchanged"
    session.client.changes_after = len(session.client.asked) + (not is_second_run)
    assert predict(ready, model, session).canary == "changed"


def test_a_model_of_one_file_a_case_is_not_sent_a_study_of_three(cases, session):
    *_, ready = cases
    with pytest.raises(PredictionError, match=r"cases with several images: 1 of 10 .*case 0"):
        predict(ready, model_of(InputContract(kind="dicom")), session)
    assert not session.client.uploaded
    assert not session.ledger.entries()


def test_a_field_called_files_would_hide_the_files():
    with pytest.raises(ValueError, match="'files'"):
        InputContract(kind="combined", fields=(InputField(name="files"),))


def test_a_batch_holds_no_more_bytes_than_its_limit(cases, session, monkeypatch):
    *_, ready = cases
    sizes = [sum(file.stat().st_size for file in files) for files in ready.files]
    monkeypatch.setattr("healthval.predict.predictions.IMAGE_BATCH_BYTES", 3 * max(sizes[1:]))
    predict(ready, model_of(InputContract(kind="combined")), session)
    sent = [request.cases for request in session.client.asked]
    assert tuple(case for batch in sent[:-1] for case in batch) == ready.cases
    assert len(sent[0]) == 1, "a study of three films fills a batch"
    assert max(map(len, sent[:-1])) == 2
