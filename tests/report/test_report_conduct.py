"""Selective reporting shows: every hospital that asked for access is in the report."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from healthval.contracts.access import AccessGrant
from healthval.errors import ReportError
from healthval.report import Conduct, Hospital, build
from healthval.report.conduct import conduct_of

ALL = Conduct(
    (
        Hospital(
            label="Fenland", status="revoked", sent=False, inputs=310, reason="left the study"
        ),
        Hospital(label="Harbour", status="approved", sent=True, replaced=True),
        Hospital(label="Moor", status="rejected", sent=False),
        Hospital(label="Quayside", status="approved", sent=False),
        Hospital(label="Tarn", status="requested", sent=False),
    ),
    elsewhere=("Harbour",),
)


def words(report, name):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", report.section(name)._repr_html_()))


def test_every_hospital_is_named_with_its_access_and_result(study, released, card, plan):
    report = build(study, released, card, plan, ALL)
    cohort = words(report, "cohort")
    for row in (
        "Fenland revoked by the operator left the study none, although 310 inputs were scored",
        "Harbour approved – in this report, replaced an earlier one",
        "Moor rejected by the operator – none",
        "Quayside approved – none",
        "Tarn requested, not decided – none",
        "under another plan: Harbour.",
    ):
        assert row in cohort
    assert "2 hospitals with access sent no result: Fenland" in words(report, "summary")
    assert report.numbers["conduct"]["hospitals"][0]["reason"] == "left the study"


def test_nothing_is_met_while_a_hospital_with_access_is_missing(study, released, card, plan):
    easy = replace(plan, criteria=(replace(plan.criteria[0], at_least=0.5),))
    whole = Conduct(ALL.hospitals[1:3])
    assert build(study, released, card, easy, whole).numbers["verdicts"][0]["outcome"] == "met"
    found = build(study, released, card, easy, ALL).numbers["verdicts"][0]
    assert found["outcome"] == "inconclusive"
    assert found["reason"] == "2 hospitals with access sent no result"


def test_without_the_hubs_list_the_report_does_not_imply_completeness(report):
    assert "without the hub" in words(report, "cohort")


def test_names_and_reasons_are_checked(study, released, card, plan):
    bad = Conduct((replace(ALL.hospitals[0], reason="x\u202ey"),))
    with pytest.raises(ReportError, match="reasons for access"):
        build(study, released, card, plan, bad)


def grant(site, label, status, plan_hash, **more):
    return AccessGrant(
        site=site,
        label=label,
        model="node-risk",
        version="1.4.2",
        plan_hash=plan_hash,
        status=status,
        **more,
    )


def test_conduct_follows_from_grants_and_submissions():
    plan = SimpleNamespace(model=SimpleNamespace(name="node-risk", version="1.4.2"), hash="a" * 64)
    grants = [
        grant("site-aaaaaaaa", "B", "approved", "a" * 64, used_cases=12),
        grant("site-bbbbbbbb", "A", "revoked", "a" * 64, reason="withdrew"),
        grant("site-cccccccc", "C", "approved", "b" * 64),
        grant("site-dddddddd", "D", "approved", "a" * 64).model_copy(update={"version": "9"}),
    ]
    sent = [
        SimpleNamespace(
            site="site-aaaaaaaa", supersedes="c" * 64, label="B", received=None, submission=None
        )
    ]
    found = conduct_of(plan, grants, sent)
    assert [h.label for h in found.hospitals] == ["A", "B"]
    assert (found.hospitals[0].reason, found.hospitals[0].is_missing) == ("withdrew", True)
    assert (found.hospitals[1].sent, found.hospitals[1].replaced) == (True, True)
    assert found.hospitals[1].inputs == 0
    assert found.elsewhere == ("C",)
