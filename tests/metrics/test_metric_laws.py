"""One law suite that every public metric must join, as scikit-learn's test_common.py does.

CALLS has a call of each public function on one small set of cases; LAWS has the laws that it
obeys. A public function in no law fails `test_every_public_metric_has_joined`.
"""

import inspect
import json
from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthval import metrics as hm
from healthval.errors import MetricError
from healthval.metrics.result import CaseRows

QUICK = hm.Bootstrap(reps=120)
pytestmark = pytest.mark.filterwarnings("ignore::healthval.metrics.DirectionWarning")


@dataclass(frozen=True)
class Data:
    """Cases as the laws transform them."""

    y: np.ndarray
    p: np.ndarray
    q: np.ndarray
    group: np.ndarray
    patient: np.ndarray | None = None

    def rows(self, index):
        patient = None if self.patient is None else self.patient[index]
        return Data(self.y[index], self.p[index], self.q[index], self.group[index], patient)


def some_data(seed=0, n=120):
    rng = np.random.default_rng(seed)
    lp = rng.normal(-0.5, 1.4, n)
    y = rng.random(n) < 1 / (1 + np.exp(-lp))
    p = np.round(1 / (1 + np.exp(-(lp * 0.8 + rng.normal(0, 0.5, n)))), 3)
    q = np.round(1 / (1 + np.exp(-(lp * 0.3 + rng.normal(0, 1, n)))), 3)
    return Data(y, np.clip(p, 0.002, 0.998), np.clip(q, 0.002, 0.998), rng.integers(2, size=n))


def three_columns(d):
    return np.column_stack([1 - d.p, d.p * d.q, d.p * (1 - d.q)])


def three_labels(d):
    return np.where(d.y, 1 + (d.group > 0), 0)


def outlines(d):
    side = int(np.sqrt(d.p.size))
    take = slice(0, side * side)
    return d.y[take].reshape(side, side), (d.p[take] > 0.5).reshape(side, side)


def rates_of(cells):
    names = ("prevalence", "sensitivity", "specificity", "ppv", "npv", "accuracy")
    return cells, {name: getattr(cells, name) for name in names}


CALLS = {
    "auroc": lambda d: hm.auroc(d.y, d.p, cluster=d.patient),
    "average_precision": lambda d: hm.average_precision(d.y, d.p, cluster=d.patient),
    "partial_auroc": lambda d: hm.partial_auroc(d.y, d.p, fpr=(0, 0.3), cluster=d.patient),
    "compare_auroc": lambda d: hm.compare_auroc(d.y, d.p, d.q, cluster=d.patient),
    "compare_auroc_unpaired": lambda d: hm.compare_auroc_unpaired(
        d.y, d.p, d.y, d.q, cluster_a=d.patient, cluster_b=d.patient
    ),
    "confusion_at": lambda d: rates_of(hm.confusion_at(d.y, d.p, 0.4, cluster=d.patient)),
    "at_threshold": lambda d: hm.at_threshold(d.y, d.p, 0.4, cluster=d.patient),
    "data_derived_threshold": lambda d: hm.data_derived_threshold(d.y, d.p, cluster=d.patient),
    "likelihood_ratios": lambda d: hm.likelihood_ratios(
        hm.confusion_at(d.y, d.p, 0.4, cluster=d.patient)
    ),
    "predictive_values": lambda d: hm.predictive_values(
        hm.confusion_at(d.y, d.p, 0.4, cluster=d.patient), 0.1
    ),
    "proportion": lambda d: hm.proportion(int(d.y.sum()), d.y.size),
    "mcnemar": lambda d: hm.mcnemar(d.y, d.p > 0.4, d.q > 0.4, cluster=d.patient),
    "cohen_kappa": lambda d: hm.cohen_kappa(
        (d.p * 3).astype(int), (d.q * 3).astype(int), quadratic=True, cluster=d.patient
    ),
    "calibration": lambda d: hm.calibration(d.y, d.p, cluster=d.patient),
    "expected_calibration_error": lambda d: hm.expected_calibration_error(
        d.y, d.p, cluster=d.patient
    ),
    "hosmer_lemeshow": lambda d: hm.hosmer_lemeshow(d.y, d.p, groups=5, cluster=d.patient),
    "net_benefit": lambda d: hm.net_benefit(d.y, d.p, [0.1, 0.4], cluster=d.patient),
    "evaluate": lambda d: hm.evaluate(d.y, d.p, groups=d.group, cluster=d.patient),
    "subgroups": lambda d: hm.subgroups(d.y, d.p, d.group, cluster=d.patient, bootstrap=QUICK),
    "multiclass": lambda d: hm.multiclass(three_labels(d), three_columns(d), cluster=d.patient),
    "continuous": lambda d: hm.continuous(d.p, d.q, cluster=d.patient),
    "survival": lambda d: hm.survival(
        10 * d.q, d.y, d.p, horizon=5, bootstrap=QUICK, cluster=d.patient
    ),
    "concordance": lambda d: hm.concordance(10 * d.q, d.y, d.p, cluster=d.patient),
    "recalibrate": lambda d: hm.recalibrate(d.y, d.p, bootstrap=QUICK, cluster=d.patient),
    "missing_bounds": lambda d: hm.missing_bounds(d.y, np.where(d.q > 0.9, np.nan, d.p), 0.4),
    "segment_case": lambda d: hm.segment_case(*outlines(d), spacing=(1, 2), tolerance=1),
    "segmentation": lambda d: hm.segmentation(
        [
            hm.SegmentedCase(
                dice=x,
                iou=x / 2,
                hd95=10 * x,
                nsd=x,
                diagonal=9.0,
                reference_empty=False,
                prediction_empty=False,
            )
            for x in d.p.tolist()
        ],
        cluster=d.patient,
    ),
    "froc": lambda d: hm.froc(
        d.p,
        np.where(d.y, 0, -1),
        np.arange(d.p.size),
        lesions_per_case=[1] * d.p.size,
        cluster=d.patient,
    ),
    "achieved_precision": lambda d: hm.achieved_precision(hm.evaluate(d.y, d.p, cluster=d.patient)),
    "required_sample_size": lambda d: hm.required_sample_size(
        float(d.y.mean()), 0.8, lp_mean=-1, lp_sd=1
    ),
    "expected_suppressed_cells": lambda d: hm.expected_suppressed_cells(d.y.size, [0.1, 0.9]),
    "reader_agreement": lambda d: hm.reader_agreement(
        np.column_stack([d.p > 0.4, d.q > 0.4, d.y]), cluster=d.patient
    ),
    "table_one": lambda d: hm.table_one({"side": d.group.astype(str), "age": 50 + 30 * d.p}, d.y),
    "holm": lambda d: hm.holm(d.p),
    "reference_standard": lambda d: hm.reference_standard(d.y.astype(str), positive="True"),
}

RANKS_ONLY = {
    "auroc",
    "average_precision",
    "partial_auroc",
    "compare_auroc",
    "compare_auroc_unpaired",
    "concordance",
}
PER_CASE = set(CALLS) - {
    "proportion",
    "segment_case",
    "required_sample_size",
    "expected_suppressed_cells",
    "holm",
    "reference_standard",
}
# Values (not intervals) that do not move when every case is there twice.
SCALE_FREE = PER_CASE - {
    "compare_auroc",
    "compare_auroc_unpaired",
    "mcnemar",
    "hosmer_lemeshow",
    "subgroups",
    "calibration",
    "evaluate",
    "achieved_precision",
    "recalibrate",
    "table_one",
    "data_derived_threshold",
    "missing_bounds",
    "froc",
    "continuous",
    "concordance",
    "survival",
}
CLUSTERED = {
    n for n in CALLS if {"cluster", "cluster_a"} & set(inspect.signature(getattr(hm, n)).parameters)
} | {"likelihood_ratios", "predictive_values", "achieved_precision"}
# With one case per patient, their clustered variance is the usual one (but for K / (K - 1)).
REDUCES = {
    "auroc",
    "compare_auroc",
    "compare_auroc_unpaired",
    "confusion_at",
    "at_threshold",
    "likelihood_ratios",
    "predictive_values",
    "cohen_kappa",
    "mcnemar",
    "reader_agreement",
    "multiclass",
    "expected_calibration_error",
    "data_derived_threshold",
    "concordance",
    "segmentation",
    "froc",
}
NEEDS_CLASSES = {
    "auroc",
    "average_precision",
    "partial_auroc",
    "compare_auroc",
    "compare_auroc_unpaired",
    "data_derived_threshold",
    "multiclass",
    "recalibrate",
}
LAWS = {
    "repeatable": set(CALLS),
    "permutation": PER_CASE,
    "permutation of clusters": CLUSTERED - {"hosmer_lemeshow"},
    "inside": CLUSTERED - {"hosmer_lemeshow"},
    "monotone": RANKS_ONLY,
    "duplication": SCALE_FREE,
    "clusters": CLUSTERED - {"achieved_precision"},
    "alone": REDUCES,
    "degenerate": PER_CASE,
    "single class": NEEDS_CLASSES,
}


def flat(value, path=""):
    """Every number in a result, by its path; places and members of cases are none."""
    if isinstance(value, CaseRows | bytes):
        return
    if isinstance(value, hm.Estimate):
        yield from ((f"{path}.{f}", getattr(value, f)) for f in ("value", "lo", "hi", "se", "p"))
    elif isinstance(value, hm.Confusion) or (is_dataclass(value) and not isinstance(value, type)):
        for f in fields(value):
            yield from flat(getattr(value, f.name), f"{path}.{f.name}")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{path}.{key}")
    elif isinstance(value, tuple | list | np.ndarray):
        for i, item in enumerate(value):
            yield from flat(item, f"{path}[{i}]")
    else:
        yield path, value


def numbers(result):
    return {
        k: v for k, v in flat(result) if isinstance(v, int | float | np.number) and v is not None
    }


def points(result):
    """Values only: neither bounds nor standard errors nor bootstrap results."""
    found = numbers(result)
    return {
        k: v
        for k, v in found.items()
        if not k.endswith((".lo", ".hi", ".se", ".p", ".n", ".n_events"))
    }


def assert_same(a, b, rtol=1e-9):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_allclose(a[key], b[key], rtol=rtol, atol=1e-12, err_msg=key)


def joined(law):
    return pytest.mark.parametrize("name", sorted(LAWS[law]))


def test_every_public_metric_has_joined():
    public = {n for n in hm.__all__ if inspect.isfunction(getattr(hm, n))}
    assert public == set(CALLS)
    assert public == set().union(*LAWS.values())


@joined("repeatable")
def test_the_same_data_give_the_same_bits_and_stay_untouched(name):
    data, copy = some_data(), some_data()
    assert list(flat(CALLS[name](data))) == list(flat(CALLS[name](data)))
    for f in ("y", "p", "q", "group"):
        np.testing.assert_array_equal(getattr(data, f), getattr(copy, f))


@joined("permutation")
def test_the_order_of_cases_does_not_matter(name):
    data = some_data()
    shuffled = data.rows(np.random.default_rng(1).permutation(data.y.size))
    assert_same(numbers(CALLS[name](data)), numbers(CALLS[name](shuffled)), rtol=1e-12)


def of_patients(seed=0):
    """120 patients with one to three cases each that resemble each other."""
    rng = np.random.default_rng(seed)
    data, patient = some_data(seed), np.repeat(np.arange(120), rng.integers(1, 4, size=120))
    near = replace(data.rows(patient), patient=patient)
    noise = rng.normal(0, 0.05, (2, patient.size))
    p, q = (
        np.clip(np.round(x + e, 3), 0.002, 0.998)
        for x, e in zip((near.p, near.q), noise, strict=True)
    )
    flip = rng.random(patient.size) < 0.1
    return replace(
        near, p=p, q=q, y=near.y ^ flip, group=near.group ^ (rng.random(patient.size) < 0.3)
    )


@joined("permutation of clusters")
def test_neither_the_order_of_cases_nor_the_labels_of_patients_matter(name):
    data, rng = of_patients(), np.random.default_rng(1)
    shuffled = data.rows(rng.permutation(data.y.size))
    renamed = replace(shuffled, patient=rng.permutation(120)[shuffled.patient])
    assert_same(numbers(CALLS[name](data)), numbers(CALLS[name](renamed)), rtol=1e-12)


@pytest.mark.parametrize("ci", ["bootstrap", "delong", "newcombe"])
@pytest.mark.parametrize("clustered", [True, False])
def test_neither_matters_for_any_interval_of_the_auroc(ci, clustered):
    data, rng = of_patients(), np.random.default_rng(1)
    shuffled = data.rows(rng.permutation(data.y.size))
    label = rng.permutation(120)[shuffled.patient]
    a = hm.auroc(data.y, data.p, cluster=data.patient if clustered else None, ci=ci)
    b = hm.auroc(shuffled.y, shuffled.p, cluster=label if clustered else None, ci=ci)
    assert_same(numbers(a), numbers(b), rtol=1e-13)


@pytest.mark.parametrize("ci", ["logit-delong", "bootstrap", "delong", "newcombe"])
def test_repeated_cases_of_few_patients_add_no_precision_to_the_auroc(ci):
    data = of_patients()
    data = data.rows(data.patient < 20)
    twice = data.rows(np.repeat(np.arange(data.y.size), 2))
    assert_same(*(judged(hm.auroc(d.y, d.p, cluster=d.patient, ci=ci)) for d in (data, twice)))


@joined("inside")
def test_repeated_cases_of_a_patient_add_no_precision(name):
    data = of_patients()
    twice = data.rows(np.repeat(np.arange(data.y.size), 2))
    assert_same(*(judged(CALLS[name](d)) for d in (data, twice)), rtol=1e-8)


def judged(result):
    """Values, intervals, errors and p-values: everything but counts.

    Left out where n itself is in the definition: knots and quantiles of type 7, an SD's n - 1.
    """
    counts = (
        ".n",
        ".n_events",
        ".observed",
        ".expected",
        ".n_boundary",
        ".tp",
        ".fp",
        ".fn",
        ".tn",
    )
    among = ("confusion", "histogram", "patients", ".actions", ".only_", ".facts.")
    among += (".ici_rcs5", ".e50", ".e90", ".curve", ".lower_limit", ".upper_limit")
    return {
        k: v
        for k, v in numbers(result).items()
        if not k.endswith(counts) and not any(word in k for word in among)
    }


@joined("monotone")
def test_only_the_ranks_matter(name):
    data = some_data()
    bent = replace(data, p=data.p**3 / 7, q=np.log(data.q))
    if name == "concordance":
        bent = replace(data, p=np.exp(5 * data.p))
    assert_same(numbers(CALLS[name](data)), numbers(CALLS[name](bent)))


@joined("duplication")
def test_seeing_every_case_twice_changes_no_value(name):
    data = some_data()
    assert_same(
        points_no_counts(CALLS[name](data)),
        points_no_counts(CALLS[name](data.rows(np.repeat(np.arange(120), 2)))),
    )


def points_no_counts(result):
    """Values without counts, and without the bounds that are arrays (decision curve)."""
    counts = ("confusion", ".tp", ".fp", ".fn", ".tn", ".df")
    return {
        k: v
        for k, v in points(result).items()
        if isinstance(v, float)
        and not any(c in k for c in counts)
        and not k.startswith((".se[", ".lo[", ".hi["))
        and not any(f".{bound}[" in k for bound in ("se", "lo", "hi"))
    }


@joined("clusters")
def test_patients_with_one_case_each_change_no_value(name):
    # Tests are Wald instead of likelihood ratio with clusters, and weights K / (K - 1) larger;
    # Spiegelhalter's variance is then that between patients, and no exact test is left.
    data = some_data()
    alone = replace(data, patient=np.arange(data.y.size))
    found = [
        {
            k: v
            for k, v in points_no_counts(CALLS[name](d)).items()
            if not any(word in k for word in ("joint", ".q", "spiegelhalter", "exact_p"))
        }
        for d in (data, alone)
    ]
    assert_same(*found)


@joined("alone")
def test_patients_with_one_case_each_leave_the_interval(name):
    data = some_data()
    alone = replace(data, patient=np.arange(data.y.size))
    usual, clustered = (judged(CALLS[name](d)) for d in (data, alone))
    usual.pop(".exact_p", None)
    assert_same(usual, clustered, rtol=0.02)


@joined("degenerate")
@pytest.mark.parametrize("kind", ["empty", "one case", "constant score", "one class"])
def test_degenerate_cases_are_refused_or_marked_never_nan(name, kind):
    data = some_data()
    data = {
        "empty": lambda: data.rows(slice(0, 0)),
        "one case": lambda: data.rows(slice(0, 1)),
        "constant score": lambda: replace(
            data, p=np.full(data.p.size, 0.5), q=np.full(data.p.size, 0.5)
        ),
        "one class": lambda: replace(data, y=np.zeros(data.y.size, bool)),
    }[kind]()
    try:
        result = CALLS[name](data)
    except MetricError:
        return
    for key, value in numbers(result).items():
        assert np.isfinite(value), key
    json.dumps(dict(flat(result)), allow_nan=False, default=float)


@joined("single class")
def test_a_missing_class_is_a_clear_error(name):
    data = some_data()
    with pytest.raises(MetricError, match=r"class|positives"):
        CALLS[name](replace(data, y=np.zeros(data.y.size, bool)))


# ---- laws with a separate formula -------------------------------------------------------------

cases = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8).map(lambda k: k / 8)), min_size=4, max_size=40
).filter(lambda rows: len({y for y, _ in rows}) == 2)
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def columns(rows):
    y, p = zip(*rows, strict=True)
    return np.array(y), np.array(p)


@few
@given(cases)
def test_auroc_is_the_share_of_ordered_pairs_with_half_for_ties(rows):
    y, p = columns(rows)
    pairs = np.subtract.outer(p[y], p[~y])
    expected = (np.sum(pairs > 0) + 0.5 * np.sum(pairs == 0)) / pairs.size
    np.testing.assert_allclose(hm.auroc(y, p).value, expected, rtol=1e-14, atol=1e-15)


@few
@given(cases)
def test_auroc_of_the_complement_and_of_swapped_classes(rows):
    y, p = columns(rows)
    straight, turned, swapped = hm.auroc(y, p), hm.auroc(y, 1 - p), hm.auroc(~y, 1 - p)
    np.testing.assert_allclose(straight.value + turned.value, 1)
    np.testing.assert_allclose(
        [swapped.value, swapped.lo, swapped.hi], [straight.value, straight.lo, straight.hi]
    )


@few
@given(cases)
def test_packed_and_general_scores_agree(rows):
    y, p = columns(rows)
    a, b = hm.auroc(y, p), hm.auroc(y, p - 2)
    assert (a.value, a.se) == (b.value, b.se)


@few
@given(cases)
def test_the_interval_holds_the_auroc_and_stays_within_0_and_1(rows):
    y, p = columns(rows)
    e = hm.auroc(y, p)
    assert 0 <= e.lo <= e.value <= e.hi <= 1
    assert e.lo < e.hi


@settings(few, max_examples=8)
@given(cases)
def test_the_whole_partial_area_is_the_area(rows):
    y, p = columns(rows)
    whole = hm.auroc(y, p).value
    for where in ({"fpr": (0, 1)}, {"tpr": (0, 1)}):
        found = hm.partial_auroc(y, p, **where, corrected=False).value
        np.testing.assert_allclose(found, whole, atol=1e-12)


@few
@given(cases, st.floats(0, 1))
def test_every_case_is_counted_once(rows, threshold):
    y, p = columns(rows)
    c = hm.confusion_at(y, p, threshold)
    assert c.n == len(rows)
    assert c.n_events == y.sum()
    assert c.tp + c.fp == np.sum(p >= threshold)


@few
@given(cases)
def test_counts_of_two_sites_add_up(rows):
    y, p = columns(rows)
    half = len(rows) // 2
    parts = [hm.confusion_at(y[s], p[s], 0.5) for s in (slice(None, half), slice(half, None))]
    whole = hm.confusion_at(y, p, 0.5)
    assert [getattr(parts[0], f) + getattr(parts[1], f) for f in ("tp", "fp", "fn", "tn")] == [
        whole.tp,
        whole.fp,
        whole.fn,
        whole.tn,
    ]


@few
@given(cases)
def test_net_benefit_starts_at_prevalence_and_treating_all_is_worth_nothing_at_it(rows):
    y, p = columns(rows)
    prevalence = float(y.mean())
    curve = hm.net_benefit(y, p, [0.0, prevalence])
    np.testing.assert_allclose(curve.net_benefit[0], prevalence)
    np.testing.assert_allclose(curve.treat_all[1], 0, atol=1e-15)
    assert curve.treat_none.tolist() == [0, 0]


def test_decision_curve_and_single_threshold_agree():
    data = some_data()
    curve = hm.net_benefit(data.y, data.p, [0.2, 0.4])
    for t, value in zip(curve.thresholds, curve.net_benefit, strict=True):
        np.testing.assert_allclose(hm.at_threshold(data.y, data.p, t).net_benefit.value, value)


def test_recalibrated_scores_have_intercept_0_and_slope_1():
    data = some_data(n=2000)
    update = hm.recalibrate(data.y, data.p, bootstrap=QUICK)
    again = hm.calibration(data.y, update.apply(data.p), curve=None)
    np.testing.assert_allclose(
        [again.intercept.value, again.slope.value, again.citl.value], [0, 1, 0], atol=1e-9
    )
    np.testing.assert_allclose(again.oe.value, 1)


def test_doubling_rows_inside_their_patient_leaves_obuchowskis_variance_unchanged():
    data, twice = some_data(), np.repeat(np.arange(120), 2)
    single = hm.auroc(data.y, data.p, cluster=np.arange(120))
    double = hm.auroc(data.y[twice], data.p[twice], cluster=twice)
    np.testing.assert_allclose(double.se, single.se, rtol=1e-12)
    naive = hm.auroc(data.y[twice], data.p[twice])
    np.testing.assert_allclose(naive.se**2 / single.se**2, 0.5, rtol=0.02)


def test_doubling_rows_as_new_patients_about_halves_the_variance():
    data, twice = some_data(), np.repeat(np.arange(120), 2)
    single = hm.auroc(data.y, data.p, cluster=np.arange(120))
    double = hm.auroc(data.y[twice], data.p[twice], cluster=np.arange(240))
    np.testing.assert_allclose(double.se**2 / single.se**2, 0.5, rtol=0.02)


def test_a_patient_may_own_both_classes():
    data = some_data()
    patient = np.arange(120) // 3
    e = hm.auroc(data.y, data.p, cluster=patient)
    assert e.value == hm.auroc(data.y, data.p).value
    assert "obuchowski" in e.method


def test_an_estimate_survives_json_bit_for_bit():
    e = hm.auroc(some_data().y, some_data().p)
    assert hm.Estimate.from_dict(json.loads(json.dumps(e.to_dict()))) == e


def test_merge_tree_sums_equal_plain_sums():
    from healthval.metrics.outcomes.survival import weight_below

    rng = np.random.default_rng(2)
    for n in (1, 2, 7, 64, 65):
        rank, weight = rng.integers(5, size=n), rng.random(n)
        start, limit = rng.integers(n + 1, size=9), rng.integers(7, size=9)
        plain = [weight[s:][rank[s:] < r].sum() for s, r in zip(start, limit, strict=True)]
        np.testing.assert_allclose(weight_below(rank, weight, start, limit), plain, atol=1e-12)


def test_obuchowskis_variance_is_its_formula_over_all_pairs():
    data = some_data()
    patient = np.arange(120) // 4
    win = np.subtract.outer(data.p[data.y], data.p[~data.y])
    win = (win > 0) + 0.5 * (win == 0)
    m, n = win.shape
    auc, v10, v01 = win.mean(), win.mean(axis=1), win.mean(axis=0)
    clusters = np.unique(patient)
    a = np.array([np.sum(v10[patient[data.y] == k] - auc) for k in clusters])
    b = np.array([np.sum(v01[patient[~data.y] == k] - auc) for k in clusters])
    i10, i01 = len(set(patient[data.y])), len(set(patient[~data.y]))
    s10, s01 = i10 / (i10 - 1) / m * np.sum(a**2), i01 / (i01 - 1) / n * np.sum(b**2)
    s11 = clusters.size / (clusters.size - 1) * np.sum(a * b)
    expected = s10 / m + s01 / n + 2 * s11 / (m * n)
    found = hm.auroc(data.y, data.p, cluster=patient).se
    np.testing.assert_allclose(found**2, expected, rtol=1e-12)


def test_the_bootstrap_agrees_with_delong():
    data = some_data(n=1500)
    exact, drawn = hm.auroc(data.y, data.p), hm.auroc(data.y, data.p, ci="bootstrap")
    np.testing.assert_allclose(drawn.se, exact.se, rtol=0.08)
    np.testing.assert_allclose([drawn.lo, drawn.hi], [exact.lo, exact.hi], atol=0.004)


def test_the_patient_bootstrap_agrees_with_obuchowski_and_the_sandwich():
    rng = np.random.default_rng(8)
    patient = np.repeat(np.arange(150), 4)
    shared = rng.normal(size=150)[patient]
    y = rng.random(600) < 1 / (1 + np.exp(1 - shared))
    p = 1 / (1 + np.exp(1 - shared - 0.5 * rng.normal(size=600)))
    exact = hm.auroc(y, p, cluster=patient)
    drawn = hm.auroc(y, p, cluster=patient, ci=hm.Bootstrap(800))
    np.testing.assert_allclose(drawn.se, exact.se, rtol=0.12)
    c = hm.calibration(y, p, cluster=patient)
    draws = []
    for _ in range(150):
        rows = (4 * rng.integers(150, size=150)[:, None] + np.arange(4)).ravel()
        again = hm.calibration(y[rows], p[rows])
        draws.append(
            [
                again.slope.value,
                again.citl.value,
                again.oe.value,
                again.brier.value,
                again.scaled_brier.value,
                again.ici_rcs5.value,
            ]
        )
    names = ("slope", "citl", "oe", "brier", "scaled_brier")
    ours = [getattr(c, name).se for name in names]
    np.testing.assert_allclose(ours, np.std(draws, axis=0)[:5], rtol=0.2)
    np.testing.assert_allclose(c.ici_rcs5.se, np.std(draws, axis=0)[5], rtol=0.35)


def test_the_roc_band_agrees_with_resampling_cases():
    data = some_data(n=800)
    rng, grid = np.random.default_rng(0), (0.1, 0.3)
    ours = dict(hm.evaluate(data.y, data.p).roc)
    reps = []
    pos, neg = data.p[data.y], data.p[~data.y]
    for _ in range(400):
        a, b = rng.choice(pos, pos.size), np.sort(rng.choice(neg, neg.size))[::-1]
        reps.append([np.mean(a > b[int(f * neg.size)]) for f in grid])
    for f, se in zip(grid, np.std(reps, axis=0), strict=True):
        np.testing.assert_allclose(ours[f].se, se, rtol=0.2)


@few
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_cases_fall_into_the_zones_that_comparison_puts_them_in(seed, count):
    from healthval.metrics.cases import Cases
    from healthval.metrics.net_benefit import _slots

    rng = np.random.default_rng(seed)
    thresholds = np.unique(rng.choice([0.15, 0.3, 0.5, 0.5001, 0.50011, rng.random()], size=count))
    score = np.concatenate([rng.random(50), thresholds, np.nextafter(thresholds, 0), [0.0, 1.0]])
    cases = Cases(np.arange(score.size) % 2 == 0, score, None)
    expected = (score[:, None] >= thresholds).sum(axis=1) + (thresholds.size + 1) * cases.reference
    np.testing.assert_array_equal(_slots(cases, thresholds), expected)
