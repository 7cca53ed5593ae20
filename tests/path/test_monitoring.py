"""Monitoring over time: from the plan's periods through the gate to the alarm in the report."""

import ast
import datetime as dt
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from exact_policy import exact

from healthval.aggregate import pool
from healthval.cohort import read_table
from healthval.contracts.model import ModelCard
from healthval.contracts.monitoring import ENDED, PERIOD
from healthval.contracts.submission import foreign_names
from healthval.disclosure import Ledger, release
from healthval.errors import CohortError
from healthval.evaluation.access import plan_names
from healthval.evaluation.compare import compare
from healthval.evaluation.periods import in_ended_periods
from healthval.metrics.calibration import curves
from healthval.metrics.intervals.resampling import Bootstrap
from healthval.plan import Plan
from healthval.plan_checks import problems_of
from healthval.predict import Predictions
from healthval.report import build
from healthval.report.criteria import plan_facts
from healthval.runner import EvaluateParameters
from healthval.runner.batch.matrix import Matrix


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """The width of bands is not at stake."""
    monkeypatch.setattr(curves, "PLAN", Bootstrap(reps=20))


TODAY = dt.date(2027, 12, 31)
WATCHED = {
    "date": "seen",
    "first": "2026-01-01",
    "every": "quarter",
    "periods": 6,
    "alarms": [
        {"measure": "auroc", "target": 0.8915, "direction": "fall"},
        {"measure": "oe", "target": 1.0, "direction": "both", "shift": 0.5, "run_length": 200},
    ],
}
PLAN = {
    "study": "watched",
    "title": "Invented",
    "target_condition": "sepsis",
    "reference_standard": "chart review",
    "model": {"name": "ward-risk", "version": "1.0"},
    "table": {
        "columns": {
            "visit": {"kind": "id"},
            "age": {"kind": "number", "low": 0, "high": 120},
            "seen": {"kind": "date"},
            "sepsis": {"kind": "label", "positive": [1], "negative": [0]},
        }
    },
    "inputs": ["age"],
    "thresholds": [0.5],
}
CARD = ModelCard(
    name="ward-risk",
    version="1.0",
    title="Ward risk",
    developer="Example",
    intended_use="Marks patients for review.",
    target_condition="sepsis",
    population="Adults.",
)


def plan_of(**changes):
    watched = {**WATCHED, **changes}
    return Plan.model_validate({**PLAN, "monitoring": watched}, strict=False)


def hospital(plan, seed, *, quarters, worse_from=99, per_quarter=400, extra=()):
    """Cases of each quarter; from quarter `worse_from` on, the scores hardly separate the classes."""
    rng = np.random.default_rng(seed)
    starts = pd.date_range("2026-01-01", periods=quarters, freq="QS")
    day = np.repeat(starts, per_quarter) + pd.to_timedelta(
        rng.integers(0, 89, quarters * per_quarter), unit="D"
    )
    day = day.append(pd.DatetimeIndex(list(extra)))
    n = len(day)
    quarter = (day.year - 2026) * 4 + (day.month - 1) // 3
    p = 1 / (1 + np.exp(-rng.normal(-1.0, 2.4, n)))
    y = rng.random(n) < p
    score = np.where(quarter >= worse_from, rng.permutation(p), p)
    frame = pd.DataFrame(
        {
            "visit": [f"V{i}" for i in range(n)],
            "age": rng.integers(18, 89, n),
            "seen": day.strftime("%Y-%m-%d"),
            "sepsis": y.astype(int),
        }
    )
    return read_table(frame, plan.table), score


def compared(plan, extract, cohort, score, seed=0):
    """Result on the ended periods of an extract; scores are those of the whole cohort."""
    judged = in_ended_periods(plan, extract, extract, today=TODAY)
    kept = np.isin(cohort.cases, judged.cases)
    ids = tuple(f"{seed:04d}{i:028x}" for i in np.flatnonzero(kept))
    answers = Predictions(
        cases=ids,
        score=score[kept],
        reasons=("",) * len(ids),
        model_digest="a" * 64,
        canary="unchanged",
    )
    return compare(plan, extract, judged, answers, digests=ids)


def released(plan, seed, folder, **odd):
    cohort, score = hospital(plan, seed, **odd)
    result = compared(plan, cohort, cohort, score, seed)
    return release(result, exact(), Ledger(folder / f"{seed}.jsonl")).submission


def report_of(plan, sites):
    study = pool(tuple(sites.items()))
    return build(study, sites, CARD, plan_facts(plan, sites.values()))


def test_a_model_that_gets_worse_raises_the_alarm_in_the_period_and_not_before(tmp_path):
    plan = plan_of()
    sites = {
        "North": released(plan, 1, tmp_path, quarters=5, worse_from=3),
        "South": released(plan, 2, tmp_path, quarters=5),
    }
    report = report_of(plan, sites)
    found = report.numbers["monitoring"]
    raised = {(a["measure"], a["hospital"], a["period"]) for a in found["alarms"]}
    # The fifth quarter has not ended: no case of a later one is in the table.
    assert ("auroc", "North", "2026 Q4") in raised
    assert not {a for a in raised if a[1] == "South"}
    assert not {a for a in raised if a[2] in ("2026 Q1", "2026 Q2", "2026 Q3")}
    page = report.section("monitoring")._repr_html_()
    assert "2026 Q4" in page
    assert "2027 Q1" not in page
    assert "Monitoring alarm: AUROC, North: 2026 Q4" in report.section("summary")._repr_html_()


def test_a_model_in_control_raises_none_and_the_report_states_the_run_length(tmp_path):
    plan = plan_of()
    report = report_of(plan, {"South": released(plan, 2, tmp_path, quarters=6)})
    assert report.numbers["monitoring"]["alarms"] == []
    for made in report.numbers["monitoring"]["rules"]:
        assert made["limit"]["run_length"] >= made["rule"]["run_length"]
        assert made["limit"]["run_length"] < made["rule"]["run_length"] * 1.01
    summary = report.section("summary")._repr_html_()
    assert "No alarm of the plan&#39;s 2 monitoring rules so far." in summary


def test_a_plan_without_monitoring_has_no_such_section(tmp_path):
    plan = Plan.model_validate(PLAN, strict=False)
    report = report_of(plan, {"South": released(plan, 2, tmp_path, quarters=3)})
    assert report.numbers["monitoring"] is None
    assert "monitoring" not in {section.id for section in report.sections}


def test_only_names_without_dates_leave_and_the_hub_knows_them(tmp_path):
    plan = plan_of()
    sent = released(plan, 2, tmp_path, quarters=4)
    levels = [g.level for g in sent.subgroups if g.variable == PERIOD]
    assert levels == ["p01", "p02", "p03"]
    assert "2026" not in sent.model_dump_json()
    assert not foreign_names(sent, plan_names(plan))
    assert ENDED in [step.step for step in sent.flow]


def test_a_period_with_few_cases_is_withheld_and_leaves_the_chart_unchanged(tmp_path):
    plan = plan_of()
    few = ["2026-04-02"] * 6 + ["2026-07-01"] * 400 + ["2026-10-01"]
    sent = released(plan, 3, tmp_path, quarters=1, extra=few)
    levels = [g.level for g in sent.subgroups if g.variable == PERIOD]
    assert "p02" not in levels
    report = report_of(plan, {"North": sent})
    points = report.numbers["monitoring"]["rules"][0]["charts"][0]["points"]
    hidden = [i for i, p in enumerate(points) if p["z"] is None]
    assert 1 in hidden
    assert all(points[i]["fall"] == (points[i - 1]["fall"] if i else 0.0) for i in hidden)
    assert "withheld" in report.section("monitoring")._repr_html_()


def test_cases_outside_the_periods_and_of_the_unfinished_one_are_not_judged():
    plan = plan_of(first="2026-04-01", periods=2)
    dates = ["2025-12-31", "2026-03-31", "2026-04-01", "2026-06-30", "2026-07-01", ""]
    frame = pd.DataFrame(
        {"visit": list("abcdef"), "age": 50, "seen": dates, "sepsis": [0, 1, 0, 1, 0, 1]}
    )
    cohort = read_table(frame, plan.table)
    judged = in_ended_periods(plan, cohort, cohort, today=TODAY)
    assert list(judged.cases) == ["c", "d"]
    assert judged.steps[-1] == (ENDED, 2)
    first = cohort.keep("first", cohort.cases < "e")
    with pytest.raises(CohortError, match=r"no period of the plan has ended.*2026-07-01"):
        in_ended_periods(plan, first, first, today=TODAY)


@pytest.mark.parametrize(
    ("day", "refused"),
    [("2026-07-02", False), ("2026-07-03", False), ("2026-07-04", True), ("2062-05-11", True)],
)
def test_a_date_after_today_ends_no_period_early(day, refused):
    """Tomorrow is no error: machine and hospital may be in different time zones."""
    plan = plan_of()
    frame = pd.DataFrame(
        {
            "visit": list("abc"),
            "age": 50,
            "seen": ["2026-02-01", "2026-04-01", day],
            "sepsis": [0, 1, 0],
        }
    )
    cohort = read_table(frame, plan.table)
    today = dt.date(2026, 7, 2)
    if not refused:
        assert list(in_ended_periods(plan, cohort, cohort, today=today).cases) == ["a", "b"]
        return
    with pytest.raises(CohortError) as found:
        in_ended_periods(plan, cohort, cohort, today=today)
    assert "column 'seen': 1 of 3 cases is dated after today (2026-07-02)" in str(found.value)
    assert day not in str(found.value)


def test_two_rules_of_one_measure_have_each_their_sentence_and_chart(tmp_path):
    early = {"measure": "auroc", "target": 0.8915, "direction": "fall", "shift": 0.5}
    plan = plan_of(alarms=[WATCHED["alarms"][0], early | {"run_length": 400}])
    report = report_of(plan, {"North": released(plan, 1, tmp_path, quarters=6, worse_from=2)})
    raised = report.numbers["monitoring"]["alarms"]
    assert {alarm["rule"] for alarm in raised} == {1, 2}
    summary = report.section("summary")._repr_html_()
    for shift, length, rule in (("1", 100, 1), ("0.5", 400, 2)):
        periods = ", ".join(alarm["period"] for alarm in raised if alarm["rule"] == rule)
        name = f"AUROC (a fall from 0.8915, shift {shift}, run length {length})"
        assert f"Monitoring alarm: {name}, North: {periods}." in summary
        assert f"Control chart: {name}" in report.section("monitoring")._repr_html_()


def test_the_rule_is_part_of_the_hash_and_a_plan_without_it_keeps_its_hash():
    without = Plan.model_validate(PLAN, strict=False)
    other = {**WATCHED["alarms"][0], "run_length": 101}
    hashes = {without.hash, plan_of().hash, plan_of(alarms=[other]).hash}
    assert len(hashes) == 3
    assert Plan.model_validate({**PLAN, "monitoring": None}, strict=False).hash == without.hash


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"date": "age"}, "column 'age', which is declared 'number', not 'date'"),
        ({"alarms": [WATCHED["alarms"][0]] * 2}, "1 entry is repeated"),
    ],
)
def test_a_rule_that_does_not_fit_the_plan_is_named(change, words):
    assert any(words in problem for problem in problems_of(plan_of(**change)))


@pytest.mark.parametrize(
    "change",
    [
        {"first": "2026-02-01"},
        {"first": "2026-01-02"},
        {"first": "9998-01-01"},
        {"alarms": []},
        {"alarms": [{"measure": "auroc", "target": 1.0, "direction": "fall"}]},
        {"alarms": [{"measure": "auroc", "target": 0.9, "direction": "down"}]},
        {"date": "no_such_column"},
    ],
)
def test_a_rule_without_meaning_is_refused(change):
    with pytest.raises(ValueError, match="validation error"):
        plan_of(**change)


def released_again(plan, folder, *, late=()):
    """Release three quarters, then five of the same hospital, from one ledger."""
    ledger = Ledger(folder / "ledger.jsonl")
    cohort, score = hospital(plan, 2, quarters=6, extra=late)
    seen = cohort.frame["seen"].to_numpy()
    old = cohort.keep(
        "extract", (seen < np.datetime64("2026-12-01")) & (np.arange(len(seen)) < 2400)
    )
    for extract in (old, cohort):
        yield release(compared(plan, extract, cohort, score), exact(), ledger).submission


def test_the_next_quarter_passes_the_gate_and_old_periods_keep_their_numbers(tmp_path):
    first, second = released_again(plan_of(), tmp_path)
    before, after = ({g.level: g for g in s.subgroups} for s in (first, second))
    assert list(before) == ["p01", "p02", "p03"]
    assert list(after) == ["p01", "p02", "p03", "p04", "p05"]
    for level, group in before.items():
        again = after[level]
        assert (again.n, again.auroc, again.oe) == (group.n, group.auroc, group.oe)


def test_a_few_late_cases_of_a_released_period_do_not_show_by_subtraction(tmp_path):
    first, second = released_again(plan_of(), tmp_path, late=["2026-02-03"] * 3)
    before, after = ({g.level: g.n for g in s.subgroups} for s in (first, second))
    assert "p01" in before
    assert "p01" not in after


def test_the_documented_rule_and_schedules_are_valid():
    text = (Path(__file__).parents[2] / "docs/monitoring.md").read_text(encoding="utf-8")
    blocks = dict.fromkeys(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))
    parsed = [yaml.safe_load(body) for kind, body in blocks if kind == "yaml"]
    assert (
        plan_of(**(parsed[0]["monitoring"] | {"date": "seen"})).monitoring.labels[-1] == "2028 Q4"
    )
    assert Matrix.model_validate(parsed[1]).timeout == 7200
    assert set(parsed[1]["parameters"] | parsed[1]["matrix"]) <= set(
        EvaluateParameters.model_fields
    )
    assert all(ast.parse(body) for kind, body in blocks if kind == "python")


def test_sensitivity_without_a_threshold_is_named():
    rule = {"measure": "sensitivity", "target": 0.9, "direction": "fall"}
    values = {**PLAN, "thresholds": [], "monitoring": {**WATCHED, "alarms": [rule]}}
    plan = Plan.model_validate(values, strict=False)
    assert any("sensitivity needs one of the plan's 'thresholds'" in p for p in problems_of(plan))
