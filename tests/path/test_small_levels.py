"""Small levels of subgroups: folded or excluded by the plan, foreseen before anyone is asked."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import yaml
from exact_policy import exact

from healthval.aggregate import pool
from healthval.cohort import read_table
from healthval.cohort.eligibility import analysed_levels, common_cases
from healthval.contracts.model import ModelCard
from healthval.contracts.submission import COMMON_LEVELS, FOLDED, SUPPRESSED
from healthval.disclosure import Ledger, release
from healthval.errors import CohortError
from healthval.evaluation import gate_policy
from healthval.evaluation.compare import compare
from healthval.metrics.calibration import curves
from healthval.metrics.intervals.resampling import Bootstrap
from healthval.plan import Plan
from healthval.plan_checks import problems_of
from healthval.predict import Predictions
from healthval.report import build
from healthval.report.criteria import plan_facts


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """The width of bands is not at stake."""
    monkeypatch.setattr(curves, "PLAN", Bootstrap(reps=20))


PLAN = {
    "study": "small-levels",
    "title": "Invented",
    "target_condition": "sepsis",
    "reference_standard": "chart review",
    "model": {"name": "ward-risk", "version": "1.0"},
    "table": {
        "columns": {
            "visit": {"kind": "id"},
            "age": {"kind": "age", "bands": [40, 65]},
            "sex": {"kind": "category", "levels": ["female", "male", "unknown"]},
            "sepsis": {"kind": "label", "positive": [1], "negative": [0]},
        }
    },
    "inputs": ["age"],
    "thresholds": [0.5],
    "subgroups": ["sex"],
}


def plan_of(levels=None, **changes):
    return Plan.model_validate({**PLAN, "levels": levels, **changes}, strict=False)


def hospital(plan, seed, *, n=700, unknown=31, events_unknown=4):
    """A cohort with few patients of unknown sex, and scores of a model for it."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    sex = rng.choice(["female", "male"], n).astype(object)
    few = np.r_[np.flatnonzero(y)[:events_unknown], np.flatnonzero(~y)[: unknown - events_unknown]]
    sex[few] = "unknown"
    frame = pd.DataFrame(
        {
            "visit": [f"V{i}" for i in range(n)],
            "age": rng.integers(18, 89, n),
            "sex": sex,
            "sepsis": y.astype(int),
        }
    )
    return read_table(frame, plan.table), 1 / (1 + np.exp(-(rng.normal(size=n) + 2 * y - 1)))


def released(plan, seed, folder, *, policy=None, **odd):
    cohort, score = hospital(plan, seed, **odd)
    common = common_cases(cohort, plan.subgroups, plan.levels)
    judged = cohort
    if plan.levels is not None and plan.levels.rule == "exclude":
        judged = cohort.keep(COMMON_LEVELS, common)
    ids = tuple(f"{seed:04d}{i:028x}" for i in np.flatnonzero(common))
    answers = Predictions(
        cases=ids, score=score[common], reasons=("",) * len(ids), model_digest="a" * 64, canary="unchanged"
    )  # fmt: skip
    result = compare(plan, cohort, judged, answers, digests=ids)
    ledger = Ledger(folder / f"{seed}.jsonl")
    return release(result, policy or exact(), ledger).submission


def levels_with_results(submission):
    return {g.level for g in submission.subgroups if g.auroc.value is not None}


def test_31_of_unknown_sex_hide_the_comparison_at_three_sites_and_a_rule_shows_it(tmp_path):
    plain, rule = plan_of(), plan_of({"rule": "exclude", "minimum": 50})
    hidden = [levels_with_results(released(plain, seed, tmp_path)) for seed in (1, 2, 3)]
    assert all(len(levels) < 2 for levels in hidden)
    sites = [(f"site-{seed}", released(rule, seed, tmp_path / "rule")) for seed in (1, 2, 3)]
    assert [levels_with_results(s) for _, s in sites] == [{"female", "male"}] * 3
    assert all(g.level != SUPPRESSED for _, s in sites for g in s.subgroups)
    pooled = pool(sites, bivariate="none")
    assert {g.level: g.auroc.k for g in pooled.subgroups} == {"female": 3, "male": 3}
    # Excluded and counted: the step is in the flow, before the scored cases.
    flow = {step.step: step.n for step in sites[0][1].flow}
    assert flow["rows_read"] - flow[COMMON_LEVELS] == 31
    noisy = released(rule, 4, tmp_path, policy=gate_policy(rule))
    assert levels_with_results(noisy) == {"female", "male"}


def test_small_levels_are_folded_into_one(tmp_path):
    plan = plan_of({"rule": "fold", "minimum": 50}, subgroups=["age", "sex"])
    submission = released(plan, 21, tmp_path, unknown=45, events_unknown=20)
    names = [g.level for g in submission.subgroups if g.variable == "sex"]
    assert names == ["female", "male", FOLDED]
    assert levels_with_results(submission) >= {"female", "male", FOLDED}
    assert "unknown" not in {row.level for row in submission.table_one}


@pytest.mark.parametrize(("minimum", "kept"), [(30, 700), (31, 700), (32, 669)])
def test_the_minimum_is_the_smallest_common_level(minimum, kept):
    plan = plan_of({"rule": "exclude", "minimum": minimum})
    cohort, _ = hospital(plan, 5)
    assert common_cases(cohort, plan.subgroups, plan.levels).sum() == kept
    fold = plan_of({"rule": "fold", "minimum": minimum})
    found = Counter(analysed_levels(cohort, fold.subgroups, fold.levels)["sex"])
    assert found[FOLDED] == 700 - kept


def test_an_exclusion_that_makes_another_level_small_is_repeated():
    plan = plan_of({"rule": "exclude", "minimum": 10}, subgroups=["age", "sex"])
    frame = pd.DataFrame(
        {
            "visit": range(63),
            "age": [30] * 30 + [50] * 24 + [70] * 9,  # nine of 65 or more
            "sex": ["female"] * 50 + ["unknown"] * 4 + ["unknown"] * 6 + ["female"] * 3,
            "sepsis": [0, 1, 0] * 21,
        }
    )
    kept = common_cases(read_table(frame, plan.table), plan.subgroups, plan.levels)
    assert kept.tolist() == [True] * 50 + [False] * 13  # then four of unknown sex are left: small


def test_missing_values_are_a_level_of_their_own():
    plan = plan_of({"rule": "exclude", "minimum": 10})
    frame = pd.DataFrame(
        {
            "visit": range(50),
            "age": 50,
            "sex": ["female"] * 22 + ["male"] * 22 + [None] * 6,
            "sepsis": [0, 1] * 25,
        }
    )
    cohort = read_table(frame, plan.table)
    assert common_cases(cohort, plan.subgroups, plan.levels).sum() == 44
    fold = plan_of({"rule": "fold", "minimum": 10})
    assert Counter(analysed_levels(cohort, fold.subgroups, fold.levels)["sex"])[FOLDED] == 6
    large = plan_of({"rule": "fold", "minimum": 5})
    assert analysed_levels(cohort, large.subgroups, large.levels)["sex"][-1] is None


def test_a_rule_that_leaves_no_case_is_an_error_with_the_remedy():
    plan = plan_of({"rule": "exclude", "minimum": 5000})
    with pytest.raises(CohortError, match=r"no case is left of 700 cases.*lower 'minimum'"):
        common_cases(hospital(plan, 5)[0], plan.subgroups, plan.levels)


def test_the_rule_is_part_of_the_hash_and_its_short_form_is_the_same_rule():
    hashes = [
        plan_of(levels).hash
        for levels in (None, "fold", "exclude", {"rule": "fold", "minimum": 40})
    ]
    assert len(set(hashes)) == 4
    assert plan_of("exclude").hash == plan_of({"rule": "exclude", "minimum": 50}).hash
    without = {n: v for n, v in PLAN.items() if n != "levels"}
    assert Plan.model_validate(without, strict=False).hash == hashes[0]


def test_a_rule_that_does_not_fit_the_plan_is_refused():
    assert any("no subgroups" in p for p in problems_of(plan_of("fold", subgroups=[])))
    table = yaml.safe_load(yaml.safe_dump(PLAN["table"]))
    table["columns"]["sex"]["levels"].append(FOLDED)
    assert any(FOLDED in p for p in problems_of(plan_of("fold", table=table)))
    assert not any(FOLDED in p for p in problems_of(plan_of("exclude", table=table)))


def test_no_total_is_exact_where_a_site_folded_the_level(tmp_path):
    plan = plan_of({"rule": "fold", "minimum": 50})
    small = released(plan, 31, tmp_path, unknown=45, events_unknown=20)
    large = [released(plan, s, tmp_path, unknown=120, events_unknown=40) for s in (32, 33)]
    pooled = pool([("a", small), ("b", large[0]), ("c", large[1])], bivariate="none")
    total = next(r.overall for r in pooled.table_one if (r.variable, r.level) == ("sex", "unknown"))
    assert total.exact is None
    assert (total.lower, total.upper) == (240, 285)


@pytest.mark.parametrize("rule", ["fold", "exclude"])
def test_the_report_states_the_rule(rule, tmp_path):
    plan = plan_of({"rule": rule, "minimum": 50})
    sites = {
        f"site-{s}": released(plan, s + 40, tmp_path, unknown=45, events_unknown=20)
        for s in (1, 2, 3)
    }
    card = ModelCard(
        name="ward-risk", version="1.0", title="Invented", developer="Invented", intended_use="None.",
        target_condition="sepsis",
    )  # fmt: skip
    made = build(pool(tuple(sites.items()), bivariate="none"), sites, card, plan_facts(plan))
    page = made.section("subgroups")._repr_html_()
    assert "with fewer than 50 cases at a hospital" in page
    assert ("other levels" in page) == (rule == "fold")
    assert made.numbers["plan"]["small_levels"] == {"rule": rule, "minimum": 50}
