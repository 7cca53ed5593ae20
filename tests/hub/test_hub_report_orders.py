"""Standing orders: a due report is made once, tried again after a failure, and never lost."""

import hashlib
from types import SimpleNamespace

import pytest

from healthval.contracts.access import AccessDecision, AccessRequest, PublicKey, site_id
from healthval.contracts.report import ReportOrder, report_record
from healthval.hub import access, registry, report_orders
from healthval.hub.access import Subject
from healthval.hub.arrivals import Arrivals
from healthval.hub.auth import Caller
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects, NoModels
from healthval.hub.keyring import Keyring
from healthval.hub.pages import Page
from healthval.hub.ports import Backend, Refusal
from healthval.hub.report_orders import DUE, Reporter, ReportFailed

KEYS = [PublicKey(x=letter * 42 + "A") for letter in "CDE"]
BOSS, OPERATOR = Caller("site-boss2345", "operator"), PublicKey(x="B" * 42 + "A")


@pytest.fixture
def study(kit, artefact):
    """A hub with one model, three approved hospitals and a plan's file."""
    backend = Backend(MemoryObjects(), MemoryIndex(lambda: 1e9), NoModels(), lambda: 1e9)
    registration = kit.registration_of(artefact)
    registry.store(backend, registration.artefact_sha256, artefact)
    model = registry.register(backend, BOSS, registration)
    subject = Subject("tumour", "1.0", kit.PLAN)
    for key in KEYS:
        asked = AccessRequest(public_key=key, label=key.x[0], **kit.SUBJECT)
        access.request(backend, Keyring(backend=backend, operator=OPERATOR), asked)
        approved = AccessDecision(status="approved")
        access.decide(backend, approved, actor=BOSS, site=site_id(key), subject=subject)
    plan = "a" * 64
    backend.objects.put_if_absent(registry.object_key(plan), b"title: a plan")
    arrivals = Arrivals(backend=backend, has_worker=False)

    def count(key, **more):
        arrivals.receive(site_id(key), kit.payload(model.digest, **more))
        Arrivals(backend=backend).check_waiting()

    yield SimpleNamespace(backend=backend, count=count, plan=plan, subject=kit.SUBJECT)
    arrivals.close()


def order(study, **changes):
    values = {**study.subject, "plan": study.plan, "min_sites": 2, **changes}
    return report_orders.order(study.backend, BOSS, ReportOrder(**values))


def state(study):
    (only,) = report_orders.orders(study.backend, Page()).orders
    return only


def published(study, runs, text="page"):
    """A notebook that publishes a report, as the real one does."""

    def run(ordered, plan):
        runs.append(plan)
        data = f"{text} {len(runs)}".encode()
        sha256 = hashlib.sha256(data).hexdigest()
        registry.store(study.backend, sha256, data)
        record = report_record({"report.html": sha256}, **study.subject, n_sites=2)
        registry.publish(study.backend, BOSS, record)

    return run


def test_a_report_is_made_once_enough_hospitals_have_a_result(study):
    runs = []
    reporter = Reporter(backend=study.backend, notebook=published(study, runs))
    order(study)
    reporter.make_all()
    study.count(KEYS[0])
    reporter.make_all()
    assert (runs, state(study).state) == ([], "waiting")
    study.count(KEYS[1])
    assert state(study).state == "due"
    for _ in range(2):
        reporter.make_all()
    assert runs == [b"title: a plan"]
    assert state(study).state == "made"
    assert (
        state(study).report
        == registry.current_report(study.backend, tuple(study.subject.values())).id
    )
    assert study.backend.index.query(DUE) == []
    study.count(KEYS[2])
    reporter.make_all()
    assert len(runs) == 2


def test_without_an_order_or_with_a_cancelled_one_nothing_is_due(study):
    study.count(KEYS[0])
    assert study.backend.index.query(DUE) == []
    order(study, min_sites=1)
    order(study, min_sites=1, cancelled=True)
    study.count(KEYS[1])
    Reporter(backend=study.backend, notebook=None).make_all()
    assert state(study).state == "cancelled"
    assert study.backend.index.query(DUE) == []
    again = order(study, min_sites=1)
    assert again.state == "due"


def test_the_same_order_again_changes_nothing(study):
    assert order(study) == order(study)
    assert len([i for i in study.backend.index.query("audit") if "given" in str(i.value)]) == 1


def test_a_result_that_counts_while_the_notebook_runs_leaves_the_report_due(study):
    runs = []
    publish = published(study, runs)

    def slow(ordered, plan):
        publish(ordered, plan)
        if len(runs) == 1:
            study.count(KEYS[2])

    order(study)
    study.count(KEYS[0])
    study.count(KEYS[1])
    reporter = Reporter(backend=study.backend, notebook=slow)
    reporter.make_all()
    assert state(study).state == "due"
    reporter.make_all()
    assert (len(runs), state(study).state) == (2, "made")


def test_a_failure_is_tried_three_times_and_its_reason_is_shown(study):
    def broken(ordered, plan):
        raise ReportFailed("Pango is missing")

    order(study, min_sites=1)
    study.count(KEYS[0])
    reporter = Reporter(backend=study.backend, notebook=broken)
    for expected in ("due", "due", "failed", "failed"):
        reporter.make_all()
        assert (state(study).state, state(study).reason) == (expected, "Pango is missing")
    assert order(study, min_sites=1).state == "due"  # given again, it is tried again
    Reporter(backend=study.backend, notebook=published(study, [])).make_all()
    assert (state(study).state, state(study).reason) == ("made", "")


def test_a_killed_process_leaves_the_report_to_the_next(study):
    def killed(ordered, plan):
        raise KeyboardInterrupt

    order(study, min_sites=1)
    study.count(KEYS[0])
    with pytest.raises(KeyboardInterrupt):
        Reporter(backend=study.backend, notebook=killed).make_all()
    Reporter(backend=study.backend, notebook=published(study, [])).make_all()
    assert state(study).state == "made"


def test_an_order_needs_its_model_and_the_stored_plan(study):
    with pytest.raises(Refusal, match="no such model"):
        order(study, model="absent")
    with pytest.raises(Refusal, match="not stored"):
        order(study, plan="b" * 64)
    study.backend.objects.delete(registry.object_key(study.plan))


def test_a_notebook_that_publishes_nothing_is_a_failure(study):
    order(study, min_sites=1)
    study.count(KEYS[0])
    Reporter(backend=study.backend, notebook=lambda *_: None).make_all()
    assert "without a current report" in state(study).reason
