"""The whole path over real HTTP: request access, approve, predict, submit, publish, read."""

import json

import pytest

from healthval.client import wire_bytes
from healthval.contracts.access import AccessDecision, VendorKey
from healthval.contracts.base import canonical_json
from healthval.contracts.report import ReportRecord, report_record
from healthval.contracts.submission import FlowCount
from healthval.errors import AccessDenied, HubError, SubmissionError

KEY = {"Idempotency-Key": "k" * 16}


def test_a_site_goes_from_request_to_receipt(kit, operator, model, new_site):
    site = new_site()
    grant = site.request_access(label="St. Elsewhere", **kit.SUBJECT)
    assert (grant.site, grant.status) == (site.site, "requested")
    operator.decide_access(grant, AccessDecision(status="approved"))
    assert site.wait_for_access(**kit.SUBJECT).status == "approved"

    answer = site.predict(kit.batch(2.0, None, 400.0, 8.0))
    assert [(p.case, p.score, p.reason) for p in answer.predictions] == [
        (kit.case(0), 0.5, "none"),
        (kit.case(1), None, "model_declined"),
        (kit.case(2), None, "input_out_of_range"),
        (kit.case(3), 1.0, "none"),
    ]
    assert answer.model_digest == model.digest

    receipt = site.submit(kit.payload(model.digest))
    assert (receipt.repeated, receipt.supersedes) == (False, None)
    held = {s.site: s for s in operator.submissions(**kit.SUBJECT)}
    assert held[site.site].payload == kit.payload(model.digest)
    assert held[site.site].label == "St. Elsewhere"


def test_access_is_not_approved_by_default(kit, operator, model, new_site):
    site = new_site()
    site.request_access(label="New", **kit.SUBJECT)
    with pytest.raises(AccessDenied, match="requested"):
        site.predict(kit.batch(1.0))
    with pytest.raises(AccessDenied, match="requested"):
        site.submit(kit.payload(model.digest))


def test_the_same_bytes_get_the_same_receipt_and_others_supersede(kit, operator, site, model):
    first, second = kit.payload(model.digest, n=100), kit.payload(model.digest, n=101)
    one = site.submit(first)
    again = site.submit(first)
    assert again == one.model_copy(update={"repeated": True})
    other = site.submit(second)
    assert other.supersedes == one.submission_sha256
    assert one.active == one.submission_sha256
    late = site.submit(first)
    assert (late.repeated, late.active) == (True, other.submission_sha256)
    active = [s for s in operator.submissions(**kit.SUBJECT) if s.site == site.site]
    assert [s.payload for s in active] == [second]


def test_a_report_is_read_by_operator_and_its_vendor_only(kit, operator, model, new_site, site):
    files = {"report.html": b"<p>report", "metrics.json": b"{}"}
    about = {"model": "tumour", "version": "1.0", "plan_hash": kit.PLAN, "n_sites": 1}
    report = operator.publish_report(**about, files=files)
    assert operator.publish_report(**about, files=files) == report
    vendor, other = new_site(), new_site()
    operator.enrol_vendor(_vendor(vendor, "tumour"))
    operator.enrol_vendor(_vendor(other, "another"))
    assert report in vendor.reports()
    assert vendor.report_file(report, "report.html") == b"<p>report"
    assert other.reports() == ()
    with pytest.raises(Exception, match="no such report file"):
        other.report_file(report, "report.html")
    with pytest.raises(AccessDenied, match="site's key cannot use this address"):
        site.reports()


def test_superseded_and_withdrawn_reports_stay_and_say_so(kit, operator, model, site):
    about = {"model": "tumour", "version": "1.0", "plan_hash": kit.PLAN, "n_sites": 2}
    about |= {"sites": ("North", "Harbour")}
    first = operator.publish_report(**about, files={"report.html": b"first"})
    other = operator.publish_report(**about, files={"report.html": b"second"})
    assert (first.status, other.status) == ("current", "current")
    assert other.published is not None
    assert other.sites == ("North", "Harbour")
    now = {r.id: r for r in operator.reports()}
    assert (now[first.id].status, now[first.id].superseded_by) == ("superseded", other.id)
    assert operator.publish_report(**about, files={"report.html": b"first"}) == now[first.id]
    gone = operator.withdraw_report(other.id, "a site withdrew its result")
    assert (gone.status, gone.reason) == ("withdrawn", "a site withdrew its result")
    assert operator.withdraw_report(other.id, "a site withdrew its result") == gone
    with pytest.raises(Exception, match="another reason"):
        operator.withdraw_report(other.id, "something else")
    with pytest.raises(Exception, match="was withdrawn"):
        operator.publish_report(**about, files={"report.html": b"second"})
    assert operator.report_file(gone, "report.html") == b"second"
    assert gone in operator.reports()
    with pytest.raises(Exception, match="no such report"):
        operator.withdraw_report("report-" + "0" * 16, "none")
    with pytest.raises(AccessDenied):
        site.withdraw_report(first.id, "mine")


def test_the_state_of_a_report_is_the_hubs(kit, operator, model):
    about = {"model": "tumour", "version": "1.0", "plan_hash": kit.PLAN, "n_sites": 1}
    draft = report_record({"report.html": operator._store(b"forged state")}, **about)
    forged = draft.model_copy(update={"status": "withdrawn", "reason": "forged"})
    stored = operator._post("/v1/reports", forged, ReportRecord)
    assert (stored.status, stored.reason) == ("current", None)


def _vendor(client, model):
    key = client.credential.public_key
    return VendorKey(public_key=key, label="Vendor", models=(model,))


def test_the_limit_of_cases_holds_and_a_repetition_is_not_counted(kit, operator, model, new_site):
    site = new_site()
    kit.approve(operator, site, max_cases=3)
    body = wire_bytes(kit.batch(1.0, 2.0))
    answers = [site.transport.send("POST", "/v1/predictions", body, headers=KEY) for _ in range(3)]
    assert len({json.loads(answer)["id"] for answer in answers}) == 1
    with pytest.raises(AccessDenied, match="2 cases requested, 1 left"):
        site.predict(kit.batch(1.0, 3.0))
    site.predict(kit.batch(4.0))
    with pytest.raises(AccessDenied, match="1 case requested, 0 left"):
        site.predict(kit.batch(4.0))
    kit.approve(operator, site, max_cases=1)  # fewer than were used
    with pytest.raises(AccessDenied, match="1 case requested, 0 left in the grant; the operator"):
        site.predict(kit.batch(4.0))


def test_an_idempotency_key_holds_to_its_first_request(kit, site):
    def ask(body, key):
        return site.transport.send(
            "POST", "/v1/predictions", wire_bytes(body), headers={"Idempotency-Key": key}
        )

    ask(kit.batch(1.0), "k" * 16)
    with pytest.raises(HubError, match="used before with another request"):
        ask(kit.batch(2.0), "k" * 16)
    for bad in ("k" * 15, "k" * 65, "k" * 15 + "."):
        with pytest.raises(HubError, match="Idempotency-Key has 16 to 64"):
            ask(kit.batch(1.0), bad)


def test_a_submission_with_too_much_detail_is_declined_by_the_hub_too(kit, site, model):
    for change, place in (
        ({"n": 12, "n_events": 5}, "n_events"),
        (
            {"certificate": {"policy": "none", "policy_version": 1, "minimum_cell": 3}},
            "certificate",
        ),
    ):
        payload = {**json.loads(kit.payload(model.digest)), **change}
        with pytest.raises(SubmissionError, match=place):
            site.submit(canonical_json(payload))


def test_a_result_about_another_build_of_the_model_is_declined(kit, site):
    with pytest.raises(SubmissionError, match="another build"):
        site.submit(kit.payload("0" * 64))


def test_a_submission_with_names_outside_its_plan_is_declined(kit, operator, model, new_site):
    site = new_site()
    grant = site.request_access(label="St. Elsewhere", names=("sex",), **kit.SUBJECT)
    operator.decide_access(grant, AccessDecision(status="approved"))
    for step, is_taken in (("scored", True), ("sex", True), ("xNEENNE", False)):
        payload = kit.payload(model.digest, flow=(FlowCount(step=step, n=120),))
        if is_taken:
            assert site.submit(payload)
            continue
        with pytest.raises(SubmissionError, match="1 name of variables") as declined:
            site.submit(payload)
        assert step not in str(declined.value)
