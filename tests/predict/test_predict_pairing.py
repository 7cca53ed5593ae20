"""Answers are paired by case id, requested once, and a model that changes is noticed."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval.cohort import read_table
from healthval.contracts.model import InputContract, InputField, Probe
from healthval.contracts.prediction import Prediction
from healthval.deid import Policy, Secret, deidentify_cases
from healthval.demo.inputs import record_inputs
from healthval.disclosure import Ledger
from healthval.errors import PredictionError
from healthval.plan import load_plan
from healthval.predict import AnswerCache, canary_cases, predict, predictions
from healthval.predict.session import Session, _pair
from healthval.runner.provision import read_registration

CASE = st.from_regex(r"case-[0-9a-f]{16}", fullmatch=True)


def answer(case, score=0.5):
    return Prediction(case=case, score=score)


@given(st.lists(CASE, min_size=1, max_size=20, unique=True), st.randoms())
def test_pairing_does_not_depend_on_the_order_of_the_answers(cases, random):
    answers = [answer(case, i / len(cases)) for i, case in enumerate(cases)]
    random.shuffle(answers)
    paired = _pair(cases, answers)
    assert [paired[case].score for case in cases] == [i / len(cases) for i in range(len(cases))]


@given(st.lists(CASE, min_size=2, max_size=20, unique=True))
def test_a_missing_a_doubled_and_a_foreign_answer_are_refused(cases):
    whole = [answer(case) for case in cases]
    for bad in (
        whole[1:],
        [*whole, whole[0]],
        [*whole[1:], answer("case-" + "f" * 16)],
    ):
        if {a.case for a in bad} == set(cases) and len(bad) == len(cases):
            continue
        with pytest.raises(PredictionError) as caught:
            _pair(cases, bad)
        assert not any(case in str(caught.value) for case in cases)


def test_a_canary_is_made_of_the_contract_alone_and_stays_within_it():
    contract = InputContract(
        fields=(
            InputField(name="a", low=2, high=3),
            InputField(name="b", low=0, high=300),
            InputField(name="c", kind="category", levels=("x", "y")),
        )
    )
    ids, rows = canary_cases(contract, "a" * 64)
    assert (ids, rows) == canary_cases(contract, "a" * 64)
    assert not set(ids) & set(canary_cases(contract, "b" * 64)[0])
    assert len(set(ids)) == len(ids) == len(rows)
    assert all(2 <= a <= 3 and 0 <= b <= 300 and c in {"x", "y"} for a, b, c in rows)
    assert len(set(rows)) > 4


class Drifting:
    """A hub client whose model answers by a rule that the test can change."""

    def __init__(self, digest):
        self.digest, self.asked, self.shift = digest, [], 0.0
        self.kinds, self.probe_score = [], 0.25

    def predict(self, request):
        from healthval.contracts.prediction import PredictionAnswer

        self.asked += request.cases
        self.kinds.append(request.instances.kind)
        if request.instances.kind == "probes":
            scores = [self.probe_score for _ in request.cases]
        else:
            scores = [min(1.0, row[0] / 60 + self.shift) for row in request.instances.rows]
        return PredictionAnswer(
            id="prediction-" + "0" * 32,
            status="done",
            model_digest=self.digest,
            predictions=tuple(answer(c, s) for c, s in zip(request.cases, scores, strict=True)),
        )


@pytest.fixture
def bench(tmp_path):
    """Real cohort, de-identification, ledger and cache; only the model is invented by the test."""
    from healthval.contracts.model import ModelRecord

    record_inputs(tmp_path / "inputs")
    plan = load_plan(tmp_path / "inputs" / "plan.yaml")
    cohort = read_table(tmp_path / "inputs" / "valley" / "cohort.csv", plan.table)
    vendor = tmp_path / "inputs" / "vendor"
    digest = "a" * 64
    model = ModelRecord(
        registration=read_registration(vendor / "registration.yaml", vendor / "artefact"),
        digest=digest,
        status="serving",
    )
    columns = [f.name for f in model.registration.inputs.fields]
    cases = deidentify_cases(cohort, columns, Policy(), Secret(b"k" * 32))
    client = Drifting(digest)
    session = Session(
        client=client,
        ledger=Ledger(tmp_path / "ledger.jsonl"),
        cache=AnswerCache(tmp_path / "answers.sqlite"),
        plan_hash=plan.hash,
    )
    return cases, model, session


def test_every_payload_is_in_the_ledger_before_it_is_sent(bench):
    cases, model, session = bench
    seen = []
    ask = session.client.predict

    def watching(request):
        from healthval.client import wire_bytes

        seen.append(hashlib.sha256(wire_bytes(request)).hexdigest())
        assert session.ledger.entries()[-1].body["sha256"] == seen[-1]
        return ask(request)

    session.client.predict = watching
    predict(cases, model, session)
    assert [e.body["sha256"] for e in session.ledger.entries()] == seen


def test_cached_answers_are_not_requested_again(bench):
    cases, model, session = bench
    first = predict(cases, model, session)
    session.client.asked.clear()
    again = predict(cases, model, session)
    assert np.array_equal(first.score, again.score)
    assert not set(session.client.asked) & set(cases.cases)


def test_a_model_that_changes_during_the_run_is_noticed(bench):
    cases, model, session = bench
    assert predict(cases, model, session).canary == "unchanged"
    calls = []
    ask = session.client.predict

    def drifting(request):
        calls.append(1)
        session.client.shift = 0.01 * len(calls)
        return ask(request)

    session.client.predict = drifting
    assert predict(cases, model, session).canary == "changed"


def with_probes(model, *scores):
    row = {f.name: f.levels[0] if f.levels else f.low for f in model.registration.inputs.fields}
    probes = tuple(Probe(row=row, score=score) for score in scores)
    changed = model.registration.model_copy(update={"probes": probes})
    return model.model_copy(update={"registration": changed})


def test_probes_are_asked_before_halfway_and_after(bench, monkeypatch):
    monkeypatch.setattr(predictions, "BATCH", 25)
    cases, model, session = bench
    model = with_probes(model, 0.25, 0.25)
    assert predict(cases, model, session).canary == "unchanged"
    places = [i for i, kind in enumerate(session.client.kinds) if kind == "probes"]
    n_batches = len(session.client.kinds) - 6  # each time the canary cases as well
    assert n_batches >= 2
    assert places == [0, 2 + n_batches // 2, len(session.client.kinds) - 2]


def test_a_change_between_the_probes_of_a_run_is_noticed(bench, monkeypatch):
    monkeypatch.setattr(predictions, "BATCH", 25)
    cases, model, session = bench
    ask = session.client.predict

    def only_halfway(request):
        is_halfway = session.client.kinds.count("probes") == 1
        session.client.probe_score = 0.5 if is_halfway else 0.25
        return ask(request)

    session.client.predict = only_halfway
    assert predict(cases, with_probes(model, 0.25), session).canary == "changed"


def test_no_case_is_sent_to_a_model_with_another_score_of_a_probe(bench):
    cases, model, session = bench
    with pytest.raises(PredictionError, match=r"1 of 2 probes.*first: probe 2.*no case was sent"):
        predict(cases, with_probes(model, 0.25, 0.3), session)
    assert session.client.kinds == ["probes"]
    assert [e.body["fields"] for e in session.ledger.entries()] == [["registered probes"]]


def test_answers_of_another_build_are_refused(bench):
    cases, model, session = bench
    session.client.digest = "b" * 64
    with pytest.raises(PredictionError, match="another model version"):
        predict(cases, model, session)


def test_a_repr_of_predictions_shows_no_case_and_no_score(bench):
    cases, model, session = bench
    shown = repr(predict(cases, model, session))
    assert cases.cases[0] not in shown
    assert "score" not in shown
