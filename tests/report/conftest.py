"""Synthetic releases: simulated sites, counted and suppressed here without the code under test."""

import hashlib
import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest

from healthval.aggregate import pool
from healthval.contracts.model import ModelCard
from healthval.contracts.submission import (
    AttackPassed,
    Certificate,
    CurvePoint,
    DecisionPoint,
    FlowCount,
    ReleasedBin,
    ReleasedCalibration,
    ReleasedConfusion,
    ReleasedEstimate,
    ReleasedSubgroup,
    ReleasedThreshold,
    RocPoint,
    Submission,
    TableOneRow,
)
from healthval.report import Criterion, PlanFacts, build

FLOOR = 11
PLAN_HASH = hashlib.sha256(b"plan").hexdigest()
MODEL_HASH = hashlib.sha256(b"model").hexdigest()


def cell(count):
    return "suppressed" if 0 < count < FLOOR else int(count)


def proportion(successes, n, *, open_cells):
    if not open_cells or not n:
        return ReleasedEstimate(withheld="suppressed" if n else "not_estimable", method="wilson")
    p, z = successes / n, 1.959964
    middle, half = (
        (p + z * z / (2 * n)) / (1 + z * z / n),
        z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)),
    )
    return ReleasedEstimate(
        value=round(p, 3),
        lo=round(max(0, middle - half), 3),
        hi=round(min(1, middle + half), 3),
        se=round(math.sqrt(p * (1 - p) / n), 4) or 0.001,
        method="wilson",
        n=cell(n),
        n_events=cell(successes),
    )


def around(value, se, n, events, *, digits=3, low=-9.0, high=9.0):
    return ReleasedEstimate(
        value=round(value, digits),
        lo=round(max(low, value - 1.96 * se), digits),
        hi=round(min(high, value + 1.96 * se), digits),
        se=round(se, 4),
        method="simulated",
        n=cell(n),
        n_events=cell(events),
    )


def area(y, p):
    pos, neg = p[y], p[~y]
    wins = (pos[:, None] > neg[None, :]).mean() + 0.5 * (pos[:, None] == neg[None, :]).mean()
    q1, q2 = wins / (2 - wins), 2 * wins**2 / (1 + wins)
    se = math.sqrt(
        (wins * (1 - wins) + (len(pos) - 1) * (q1 - wins**2) + (len(neg) - 1) * (q2 - wins**2))
        / (len(pos) * len(neg))
    )
    return around(wins, se, len(y), y.sum(), low=0.01, high=0.999)


def at_threshold(y, p, t):
    positive = p >= t
    tp, fp = int((positive & y).sum()), int((positive & ~y).sum())
    fn, tn = int((~positive & y).sum()), int((~positive & ~y).sum())
    is_open = "suppressed" not in {cell(c) for c in (tp, fp, fn, tn)}
    cells = (tp, fp, fn, tn) if is_open else ("suppressed",) * 4
    benefit = tp / len(y) - fp / len(y) * t / (1 - t)
    return ReleasedThreshold(
        threshold=t,
        origin="pre-specified",
        confusion=ReleasedConfusion(**dict(zip(("tp", "fp", "fn", "tn"), cells, strict=True))),
        sensitivity=proportion(tp, tp + fn, open_cells=is_open),
        specificity=proportion(tn, tn + fp, open_cells=is_open),
        ppv=proportion(tp, tp + fp, open_cells=is_open),
        npv=proportion(tn, tn + fn, open_cells=is_open),
        net_benefit=around(benefit, 0.02, len(y), y.sum())
        if is_open
        else ReleasedEstimate(withheld="suppressed"),
    )


def roc_points(y, p):
    cuts = np.quantile(p[~y], 1 - np.linspace(0, 1, 19)[1:-1])
    tpr = [(p[y] >= c).mean() for c in cuts]
    grid = np.linspace(0, 1, 19)[1:-1]
    return tuple(
        RocPoint(
            fpr=round(float(f), 3),
            tpr=round(float(t), 3),
            lo=round(max(0, float(t) - 0.06), 3),
            hi=round(min(1, float(t) + 0.06), 3),
        )
        for f, t in zip(grid, tpr, strict=True)
    )


def histogram(y, p):
    edges, bins, low = np.linspace(0, 1, 21), [], 0.0
    events = non_events = 0
    score_sum = 0.0
    for a, b in itertools.pairwise(edges):
        inside = (p >= a) & ((p < b) | (b == 1))
        events += int((inside & y).sum())
        non_events += int((inside & ~y).sum())
        score_sum += float(p[inside].sum())
        if all(c == 0 or c >= FLOOR for c in (events, non_events)) and events + non_events:
            bins.append([low, float(b), events, non_events, score_sum])
            low, events, non_events, score_sum = float(b), 0, 0, 0.0
    if events + non_events and bins:
        bins[-1][1:] = [
            1.0,
            bins[-1][2] + events,
            bins[-1][3] + non_events,
            bins[-1][4] + score_sum,
        ]
    return tuple(
        ReleasedBin(
            low=round(a, 4), high=round(b, 4), events=e, non_events=n, score_sum=round(s, 2)
        )
        for a, b, e, n, s in bins
    )


def calibration(y, p, shift):
    events, expected, n = int(y.sum()), float(p.sum()), len(y)
    grid = np.linspace(0.1, 0.9, 9)
    observed = 1 / (1 + np.exp(-(np.log(grid / (1 - grid)) + shift)))
    return ReleasedCalibration(
        observed=cell(events),
        expected=round(expected, 1),
        oe=around(events / expected, math.sqrt(1 / events) * events / expected, n, events, low=0.1),
        citl=around(shift, 0.15, n, events),
        intercept=around(shift, 0.15, n, events),
        slope=around(1.02 + shift / 4, 0.12, n, events),
        brier=around(float(((p - y) ** 2).mean()), 0.01, n, events),
        scaled_brier=around(0.5, 0.03, n, events),
        ici_rcs5=around(0.03, 0.01, n, events),
        e50=around(0.02, 0.01, n, events),
        e90=around(0.06, 0.02, n, events),
        curve=tuple(
            CurvePoint(
                predicted=round(float(g), 2),
                observed=round(float(o), 3),
                lo=round(max(0, float(o) - 0.07), 3),
                hi=round(min(1, float(o) + 0.07), 3),
            )
            for g, o in zip(grid, observed, strict=True)
        ),
    )


def decision(y, p):
    points = []
    for t in np.arange(0.05, 0.75, 0.05):
        tp, fp = (p[y] >= t).sum() / len(y), (p[~y] >= t).sum() / len(y)
        points.append(
            DecisionPoint(
                threshold=round(float(t), 2),
                model=around(float(tp - fp * t / (1 - t)), 0.02, len(y), y.sum()),
                treat_all=round(float(y.mean() - (1 - y.mean()) * t / (1 - t)), 4),
            )
        )
    return tuple(points)


def subgroup(variable, level, y, p):
    n, events = len(y), int(y.sum())
    if min(events, n - events) < FLOOR:
        none = ReleasedEstimate(withheld="suppressed")
        return ReleasedSubgroup(
            variable=variable,
            level=level,
            n=cell(n),
            n_events="suppressed",
            auroc=none,
            oe=none,
            sensitivity=none,
            specificity=none,
        )
    here = at_threshold(y, p, 0.5)
    return ReleasedSubgroup(
        variable=variable,
        level=level,
        n=n,
        n_events=events,
        auroc=area(y, p),
        oe=around(events / p.sum(), 0.08, n, events, low=0.1),
        sensitivity=here.sensitivity,
        specificity=here.specificity,
    )


@dataclass(frozen=True)
class Simulated:
    n: int
    prevalence: float = 0.35
    shift: float = 0.0
    canary: str = "unchanged"


def simulate(site: Simulated, rng, **changes):
    y = rng.random(site.n) < site.prevalence
    logit = np.where(y, 1.1, -1.3) + rng.normal(0, 1.25, site.n)
    p = np.clip(1 / (1 + np.exp(-logit)), 0.005, 0.995)
    sex, age = rng.random(site.n) < 0.55, rng.normal(62, 12, site.n)
    bands = [
        ("under_50", age < 50),
        ("50_to_64", (age >= 50) & (age < 65)),
        ("65_and_over", age >= 65),
    ]
    bands = [
        (name.replace("50_to", "from_50_to").replace("65_and", "from_65_and"), at)
        for name, at in bands
    ]
    groups = [
        ("sex", "female", sex),
        ("sex", "male", ~sex),
        *(("age", name, at) for name, at in bands),
    ]
    values = {
        "model": "node-risk",
        "version": "1.4.2",
        "model_digest": MODEL_HASH,
        "plan_hash": PLAN_HASH,
        "healthval_version": "0.1.0",
        "dates": "shifted",
        "canary": site.canary,
        "n": cell(site.n),
        "n_events": cell(int(y.sum())),
        "n_indeterminate": cell(site.n // 60),
        "n_missing_reference": cell(site.n // 25),
        "flow": tuple(
            FlowCount(step=s, n=cell(c))
            for s, c in (
                ("on_the_list", site.n + 60),
                ("eligible", site.n + site.n // 25 + site.n // 60),
                ("scored", site.n + site.n // 25),
                ("with_reference", site.n),
            )
        ),
        "auroc": area(y, p),
        "roc": roc_points(y, p),
        "thresholds": (at_threshold(y, p, 0.5),),
        "calibration": calibration(y, p, site.shift),
        "decision_curve": decision(y, p),
        "histogram": histogram(y, p),
        "subgroups": tuple(subgroup(v, level, y[at], p[at]) for v, level, at in groups),
        "table_one": (
            TableOneRow(
                variable="age",
                level="years",
                mean=round(float(age.mean()), 1),
                sd=round(float(age.std()), 1),
            ),
            *(
                TableOneRow(
                    variable=v,
                    level=level,
                    overall=cell(at.sum()),
                    events=cell((at & y).sum()),
                    non_events=cell((at & ~y).sum()),
                )
                for v, level, at in groups[:2]
            ),
        ),
        "certificate": Certificate(
            policy="cms-11",
            policy_version=1,
            minimum_cell=FLOOR,
            attacks=(
                AttackPassed(name="interval-bounds", checked=140),
                AttackPassed(name="differencing", checked=2),
            ),
        ),
    }
    return Submission(**{**values, **changes})


CARD = ModelCard(
    name="node-risk",
    version="1.4.2",
    title="Node risk",
    developer="Example Diagnostics",
    intended_use="Marks breast masses whose cytology suggests malignancy, for earlier review by a pathologist.",
    target_condition="Malignant breast mass",
    population="Adults with a palpable breast mass.",
    out_of_scope="Patients under 18; masses biopsied before.",
    training_data="1 200 fine-needle aspirates from two centres, 2014 to 2019.",
    limitations="Trained on two centres with one scanner type.",
    claimed_auroc=0.94,
)
PLAN = PlanFacts(
    title="External validation of Node risk",
    target_condition="Malignant breast mass",
    reference_standard="Histology after excision, read by two pathologists",
    thresholds=(0.5,),
    criteria=(
        Criterion("auroc", at_least=0.85),
        Criterion("sensitivity", at_least=0.9, threshold=0.5),
        Criterion("specificity", at_least=0.8, threshold=0.5),
        Criterion("slope", at_least=0.8, at_most=1.2),
    ),
    plan_hash=PLAN_HASH,
)
THREE = (Simulated(260, 0.37), Simulated(190, 0.3, 0.2), Simulated(62, 0.45, -0.3, "not_run"))


def released_by(sites=THREE, seed=7, **changes):
    rng = np.random.default_rng(seed)
    return {
        f"site-{chr(97 + i % 26) * 6}{i:02d}": simulate(s, rng, **changes)
        for i, s in enumerate(sites)
    }


@pytest.fixture(scope="session")
def released():
    return released_by()


@pytest.fixture(scope="session")
def study(released):
    return pool(tuple(released.items()))


@pytest.fixture(scope="session")
def card():
    return CARD


@pytest.fixture(scope="session")
def plan():
    return PLAN


@pytest.fixture(scope="session")
def report(study, released, card, plan):
    return build(study, released, card, plan)


@pytest.fixture(scope="session")
def simulated():
    """Build releases of other sites than the three: `simulated([Simulated(...)], seed=1)`."""
    return released_by


@pytest.fixture(scope="session")
def site_of():
    return Simulated
