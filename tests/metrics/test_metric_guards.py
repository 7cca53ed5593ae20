"""Input checks of every public function: clear refusals, row labels and missing values."""

import inspect
import itertools
import json
import math
import traceback
import warnings
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import t as student_t

from healthval import metrics as hm
from healthval.errors import MetricError

PLANTED = "Zorro-77"
RNG = np.random.default_rng(3)
N = 60
P = np.round(RNG.uniform(0.05, 0.95, N), 3)
Y = (RNG.uniform(size=N) < P).astype(int)
TIME = np.round(RNG.exponential(5, N), 2)
OWN = np.arange(N)
CELLS = hm.Confusion(tp=20, fp=3, fn=5, tn=40)
MASK = np.eye(6, dtype=bool)
FEW = hm.Bootstrap(20)
OUTLINED = [
    hm.SegmentedCase(
        dice=0.8,
        iou=0.7,
        hd95=2.0,
        nsd=0.9,
        diagonal=9.0,
        reference_empty=False,
        prediction_empty=False,
    )
] * 3

# A usable call of each public function, every parameter given. A new function must join.
CALLS = {
    "achieved_precision": {"result": hm.evaluate(Y, P)},
    "at_threshold": {"reference": Y, "score": P, "threshold": 0.5, "cluster": OWN, "level": 0.9},
    "auroc": {"reference": Y, "score": P, "cluster": OWN, "ci": "delong", "level": 0.9},
    "average_precision": {"reference": Y, "score": P, "cluster": None, "level": 0.9},
    "calibration": {"reference": Y, "score": P, "curve": None, "cluster": OWN, "clip": 1e-6, "level": 0.9},
    "cohen_kappa": {"a": Y, "b": 1 - Y, "quadratic": True, "cluster": OWN, "level": 0.9},
    "compare_auroc": {"reference": Y, "score_a": P, "score_b": P**2, "cluster": OWN, "level": 0.9},
    "compare_auroc_unpaired": {"reference_a": Y, "score_a": P, "reference_b": Y, "score_b": P, "cluster_a": OWN, "cluster_b": OWN, "level": 0.9},
    "concordance": {"time": TIME, "event": Y, "score": P, "method": "uno", "tau": 9.0, "cluster": OWN, "level": 0.9},
    "confusion_at": {"reference": Y, "score": P, "threshold": 0.5, "cluster": OWN},
    "continuous": {"reference": TIME, "prediction": P, "cluster": None, "level": 0.9},
    "data_derived_threshold": {"reference": Y, "score": P, "cluster": OWN},
    "evaluate": {"reference": Y, "score": P, "thresholds": (0.3,), "groups": Y, "cluster": OWN, "seed": 1, "level": 0.9},
    "expected_calibration_error": {"reference": Y, "score": P, "bins": 5, "cluster": OWN},
    "expected_suppressed_cells": {"n": 200, "shares": [0.5, 0.01], "minimum_cell": 5, "zero_is_sensitive": True},
    "froc": {"score": [0.9, 0.3], "lesion": [0, -1], "case": [0, 1], "lesions_per_case": [1, 1], "false_alarms": [1.0], "cluster": [0, 1], "level": 0.9},
    "holm": {"p_values": [0.01, 0.04]},
    "hosmer_lemeshow": {"reference": Y, "score": P, "groups": 5, "cluster": OWN},
    "likelihood_ratios": {"cells": CELLS, "level": 0.9},
    "mcnemar": {"reference": Y, "positive_a": Y, "positive_b": P > 0.5, "cluster": OWN, "level": 0.9},
    "missing_bounds": {"reference": Y, "score": P, "threshold": 0.5},
    "multiclass": {"labels": Y, "scores": np.column_stack([1 - P, P]), "classes": [0, 1], "cluster": OWN, "level": 0.9},
    "net_benefit": {"reference": Y, "score": P, "thresholds": [0.3], "cluster": OWN, "bootstrap": FEW, "level": 0.9},
    "partial_auroc": {"reference": Y, "score": P, "fpr": (0, 0.5), "tpr": None, "corrected": True, "cluster": None, "level": 0.9},
    "predictive_values": {"cells": CELLS, "prevalence": 0.1, "level": 0.9},
    "proportion": {"k": 3, "n": 5, "ci": "wilson", "level": 0.9},
    "reader_agreement": {"ratings": np.column_stack([Y, Y, P > 0.5]), "cluster": OWN, "level": 0.9},
    "recalibrate": {"reference": Y, "score": P, "method": "logistic", "cluster": OWN, "bootstrap": FEW},
    "reference_standard": {"labels": ["sick", "well"], "positive": "sick"},
    "required_sample_size": {"prevalence": 0.1, "c_statistic": 0.8, "lp_mean": -2.0, "lp_sd": 1.0,
                             "precision": hm.Precision(net_benefit=0.2), "action": hm.Action(0.1, 0.8, 0.7)},
    "segment_case": {"reference": MASK, "prediction": MASK, "spacing": (1, 1), "tolerance": 1},
    "segmentation": {"cases": OUTLINED, "cluster": [0, 1, 2], "worst": 9.0, "level": 0.9},
    "subgroups": {"reference": Y, "score": P, "groups": Y, "threshold": 0.5, "cluster": OWN,
                  "confirmatory": True, "intersections": False, "bootstrap": FEW, "level": 0.9},
    "survival": {"time": TIME, "event": Y, "risk": P, "horizon": 4.0, "cluster": OWN, "bootstrap": FEW, "level": 0.9},
    "table_one": {"columns": {"age": TIME}, "reference": Y},
}  # fmt: skip
PARAMETERS = [(name, key) for name, call in CALLS.items() for key in call]

# What each function takes case by case.
COLUMNS = {
    name: [
        key
        for key, value in call.items()
        if isinstance(value, np.ndarray) and len(value) == N and not key.startswith("cluster")
    ]
    for name, call in CALLS.items()
}
COLUMNS["froc"], COLUMNS["segmentation"] = ["score", "lesion", "case"], ["cases", "cluster"]
BY_CASE = [(name, key) for name, keys in COLUMNS.items() if keys for key in keys]
NOT_ABOUT_PATIENTS = {"froc"}  # its rows are candidates, which `case` gathers
PATIENTS = [
    (name, key)
    for name, key in PARAMETERS
    if key.startswith("cluster") and CALLS[name][key] is not None
]


@pytest.fixture(autouse=True)
def _silent():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hm.DirectionWarning)
        yield


def public_functions():
    return {n: f for n in hm.__all__ if inspect.isfunction(f := getattr(hm, n))}


def called(name, **changed):
    return getattr(hm, name)(**CALLS[name] | changed)


def with_labels(values, index):
    pd = pytest.importorskip("pandas")
    kind = pd.DataFrame if np.ndim(values) == 2 else pd.Series
    return kind(values, index=index)


def length(value):
    return len(value)


def test_every_public_function_and_parameter_is_put_to_the_test():
    functions = public_functions()
    assert set(CALLS) == set(functions)
    for name, function in functions.items():
        assert set(CALLS[name]) == set(inspect.signature(function).parameters), name


@pytest.mark.parametrize("name", CALLS)
def test_the_call_that_is_spoilt_below_works(name):
    called(name)


def planted(value):
    """Spoilt in several ways: alone, in a list, among good values, as a key, as an odd object."""
    yield PLANTED
    yield [PLANTED]
    yield [PLANTED, None, 0.5]
    yield [[PLANTED], [PLANTED, 1]]
    yield {"note": [PLANTED]}
    yield np.array([PLANTED, PLANTED])
    yield np.array([[PLANTED, "a"], ["b", "c"]])
    yield (PLANTED, PLANTED)
    yield PLANTED.encode()
    yield 10**400
    yield complex(1, 2)
    yield np.datetime64("2020-01-01")
    yield float("nan")
    yield type(PLANTED, (), {"__repr__": lambda _: PLANTED})()
    if isinstance(value, np.ndarray | list | tuple) and len(value):
        among = list(np.asarray(value, dtype=object).tolist())
        yield [PLANTED, *among[1:]]
        yield np.array([PLANTED, *among[1:]], dtype=object) if np.ndim(value) == 1 else among[:-1]
        yield [10**400, *among[1:]]


def refused(name, changed):
    """The error of ours that the call ends in, if any; another one is a failure."""
    try:
        called(name, **changed)
    except MetricError as error:
        return error
    return None


@pytest.mark.parametrize(("name", "key"), PARAMETERS)
def test_a_planted_value_gives_a_result_or_our_error_without_it(name, key):
    for bad in planted(CALLS[name][key]):
        if (error := refused(name, {key: bad})) is not None:
            assert PLANTED not in "".join(traceback.format_exception_only(error)) + repr(error)
            assert error.__cause__ is None
            assert error.__suppress_context__ or error.__context__ is None


def turned(name, key):
    """The column with its row labels in another order than those of `in_order`."""
    return {key: with_labels(CALLS[name][key], range(length(CALLS[name][key]) - 1, -1, -1))}


def in_order(name, key):
    return {key: with_labels(CALLS[name][key], range(length(CALLS[name][key])))}


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        (name, one, other)
        for name, keys in COLUMNS.items()
        for one, other in itertools.combinations(keys, 2)
        if name != "compare_auroc_unpaired"
        or one[-2:] == other[-2:]  # two groups with separate rows
    ],
)
def test_row_labels_that_differ_between_any_two_columns_are_refused(name, one, other):
    columns = in_order(name, one) | turned(name, other)
    with pytest.raises(MetricError, match="row labels"):
        called(name, **columns)


@pytest.mark.parametrize(("name", "key"), BY_CASE)
def test_a_repeated_row_label_needs_a_declared_cluster(name, key):
    call = CALLS[name]
    if name in NOT_ABOUT_PATIENTS or key == "cluster":
        return
    patients = np.arange(length(call[key])) // 2
    column = {key: with_labels(call[key], patients)}
    cluster = next((k for k in ("cluster", f"cluster_{key[-1]}") if k in call), None)
    with pytest.raises(MetricError, match=r"row labels? repeats? .* row 1\b"):
        called(name, **column, **({cluster: None} if cluster else {}))
    if name == "hosmer_lemeshow":  # it has no version for such patients
        called(name, **column)
    elif cluster:
        called(name, **column, **{cluster: patients})


def beside(name, cluster):
    """A column with the cases that the patients own."""
    if name == "froc":
        return "lesions_per_case"
    return "reference" + cluster.removeprefix("cluster") if "_" in cluster else COLUMNS[name][0]


@pytest.mark.parametrize(("name", "key"), PATIENTS)
def test_clusters_of_other_rows_are_refused(name, key):
    column = in_order(name, beside(name, key))
    with pytest.raises(MetricError, match="row labels"):
        called(name, **column, **turned(name, key))


@pytest.mark.parametrize("gap", [None, float("nan"), np.ma.masked])
@pytest.mark.parametrize(("name", "key"), PATIENTS)
def test_every_case_needs_its_patient(name, key, gap):
    patients = np.ma.masked_array(CALLS[name][key], dtype=object)
    patients[1] = gap
    with pytest.raises(MetricError, match=r"1 of \d+ cluster ids is missing .* row 1\b"):
        called(name, **{key: patients})


def test_cases_of_lesions_that_repeat_need_their_patients():
    lesions = {"lesions_per_case": with_labels([1, 1, 1], [0, 0, 1])}
    with pytest.raises(MetricError, match=r"row labels? repeat"):
        called("froc", **lesions, cluster=None)
    called("froc", **lesions, cluster=[0, 0, 1])


@pytest.mark.parametrize("key", ["risk", "horizon"])
def test_a_planted_value_among_several_horizons_is_refused_without_it(key):
    several = {"risk": np.column_stack([P, P]), "horizon": (2.0, 4.0), "bootstrap": FEW}
    called("survival", **several)
    for bad in (*planted(several[key]), [[PLANTED, 1]] * N, [2.0, float("nan")], [2.0, None]):
        with pytest.raises(MetricError) as caught:
            called("survival", **several | {key: bad})
        assert PLANTED not in str(caught.value)


def test_rows_of_the_risks_at_several_horizons_are_those_of_the_times():
    risk = with_labels(np.column_stack([P, P]), range(N))
    with pytest.raises(MetricError, match="row labels"):
        called("survival", **turned("survival", "time"), risk=risk, horizon=(2.0, 4.0))


def test_cells_hold_counted_patients_or_none():
    with pytest.raises(MetricError, match="patients must be") as caught:
        hm.Confusion(tp=20, fp=3, fn=5, tn=40, patients=PLANTED)
    assert PLANTED not in str(caught.value)


def test_columns_of_table_one_share_their_rows():
    spoilt = with_labels(TIME, range(N - 1, -1, -1))
    with pytest.raises(MetricError, match="row labels"):
        hm.table_one({"age": with_labels(TIME, range(N)), "dose": spoilt}, Y)


MISSING = [float("nan"), None, np.float64("nan")]


@pytest.mark.parametrize("gap", MISSING)
@pytest.mark.parametrize("kind", [list, tuple])
def test_what_is_missing_in_a_list_of_texts_is_seen(gap, kind):
    texts = kind(["a", "b", gap, gap] * 5)
    with pytest.raises(MetricError, match=r"10 of 20 labels are missing .* row 2"):
        hm.reference_standard(texts, positive="a")
    with pytest.raises(MetricError, match=r"10 of 20 cluster ids are missing .* row 2"):
        hm.auroc(Y[:20], P[:20], cluster=texts)
    levels = hm.evaluate(Y[:20], P[:20], groups=texts).subgroups
    assert [(g.level, g.n) for g in levels] == [("a", 5), ("b", 5), ("missing", 10)]
    assert [r.level for r in hm.table_one({"x": texts}, Y[:20])] == ["a", "b", "missing"]
    with pytest.raises(MetricError, match="labels are none"):
        hm.multiclass(texts, np.full((20, 2), 0.5), classes=["a", "b"])
    assert hm.reader_agreement([(t, "a" if i % 3 else "b") for i, t in enumerate(texts)]).n == 10


def masked(values, hidden=10):
    cover = np.zeros(np.shape(values), bool)
    cover[:hidden] = True
    return np.ma.masked_array(values, mask=cover)


def test_no_function_looks_behind_a_mask():
    assert hm.missing_bounds(masked(Y), P, 0.5).n_without_reference == 10
    found = hm.missing_bounds(Y, masked(P), 0.5)
    assert found.n_without_score_events + found.n_without_score_non_events == 10
    levels = hm.subgroups(Y, P, masked(np.where(OWN % 2, "a", "b")), bootstrap=FEW).results
    assert {g.level: g.n for g in levels} == {"a": 25, "b": 25, "missing": 10}
    assert hm.reader_agreement(masked(np.column_stack([Y, Y]))).n == 50
    mean, gap = hm.table_one({"x": masked(TIME)}, Y)
    assert (gap.level, gap.overall) == ("missing", 10)
    np.testing.assert_allclose((mean.mean, mean.sd), (TIME[10:].mean(), TIME[10:].std(ddof=1)))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (n, k)
        for n, k in BY_CASE
        if n not in {"missing_bounds", "reader_agreement"} and k != "groups"
    ],
)
def test_what_a_mask_hides_is_refused_where_no_gap_may_be(name, key):
    if name in {"froc", "segmentation"}:
        return
    with pytest.raises(MetricError):
        called(name, **{key: masked(CALLS[name][key])})


def test_a_mask_that_hides_nothing_changes_nothing():
    assert hm.auroc(np.ma.masked_array(Y), np.ma.masked_array(P)) == hm.auroc(Y, P)


def test_one_patient_keeps_one_name_whatever_the_type_of_the_number():
    y, p = [0, 1, 1, 0, 0, 1], [0.1, 0.2, 0.9, 0.4, 0.3, 0.5]
    plain = hm.auroc(y, p, cluster=[1, 1, 2, 2, 3, 3])
    mixed = np.array([1, np.int64(1), 2.0, np.int8(2), np.float32(3), 3], dtype=object)
    assert hm.auroc(y, p, cluster=mixed) == plain
    texts = np.array([1, "1", 2, "2", 3, "3"], dtype=object)
    assert hm.auroc(y, p, cluster=texts) == hm.auroc(y, p, cluster=np.arange(6))


def test_readers_agree_on_1_and_1_point_0():
    pd = pytest.importorskip("pandas")
    apart = pd.DataFrame({"a": Y, "b": pd.Series(Y, dtype=float)}).astype({"a": object})
    assert hm.reader_agreement(apart).value == 1


def test_table_one_reads_the_reference_as_all_others_do():
    for bad in (["0", "1", "0"], [0, float("nan"), 1], [0, 2, 1], [True, None, False]):
        with pytest.raises(MetricError):
            hm.table_one({"x": ["a", "b", "a"]}, bad)


@pytest.mark.parametrize("values", [[1, None, 3], np.array([1, 2.5, None], dtype=object)])
def test_a_number_with_gaps_is_no_list_of_levels(values):
    assert [r.level for r in hm.table_one({"x": values}, [0, 1, 1])] == ["mean", "missing"]
    assert {r.level for r in hm.table_one({"x": [True, None, False]}, [0, 1, 1])} == {
        "True",
        "False",
        "missing",
    }


def test_a_metric_error_is_a_value_error():
    with pytest.raises(ValueError, match="79 cases"):
        hm.auroc(np.arange(80) % 2, np.ones(79))


def reread(result):
    return json.loads(result.to_json(), parse_constant=pytest.fail)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the logistic fit to such scores
def test_an_observed_to_expected_ratio_beyond_the_floats_is_not_estimable():
    result = hm.evaluate([0, 1] * 40, np.full(80, 1e-310))
    assert result.calibration.oe.value is None
    assert "not finite" in result.calibration.oe.reason
    reread(result)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["value", "lo", "hi"])
def test_no_estimate_holds_what_is_not_finite(field, bad):
    good = {
        "value": 0.5,
        "lo": 0.4,
        "hi": 0.6,
        "se": 0.1,
        "level": 0.95,
        "method": "wald",
        "n": 9,
        "n_events": 4,
    }
    e = hm.Estimate(**good | {field: bad})
    assert (e.value, e.lo, e.hi, e.se) == (None, None, None, None)
    assert e.reason
    assert hm.Estimate(**good | {"se": bad}).se is None


def test_all_events_leave_no_interval_of_observed_to_expected():
    oe = hm.calibration([1] * 20, [0.5] * 20, curve=None).oe
    assert (oe.value, oe.lo, oe.hi) == (2.0, None, None)
    assert "every case" in oe.reason


def test_counts_of_any_integer_type_are_the_same_and_reach_json():
    one, other = hm.proportion(np.int32(90_000), np.int32(100_000)), hm.proportion(90_000, 100_000)
    assert one == other
    assert json.dumps(one.to_dict()) == json.dumps(other.to_dict())
    many = 2_000_000_000
    big = [
        hm.Confusion(tp=kind(many), fp=kind(100), fn=kind(50), tn=kind(many))
        for kind in (np.int32, int)
    ]
    assert big[0].sensitivity == big[1].sensitivity
    assert hm.likelihood_ratios(big[0]) == hm.likelihood_ratios(big[1])
    with pytest.raises(MetricError):
        hm.proportion(1.5, 3)


@pytest.mark.parametrize("ci", ["bootstrap", hm.Bootstrap(50)])
@pytest.mark.parametrize(
    "y", [[0] * 40 + [1] * 40, [1] * 40 + [0] * 40, [0] * 79 + [1], [1] + [0] * 79]
)
@pytest.mark.parametrize("paired", [False, True])
def test_a_bootstrap_of_an_auroc_that_cannot_vary_gives_way_to_newcombe(y, ci, paired):
    cluster = np.arange(80) // 2 if paired else None
    e = hm.auroc(y, np.arange(80.0), ci=ci, cluster=cluster)
    assert e.method.startswith("newcombe-5")
    assert e.se is None
    assert e.hi - e.lo > 0.01


@pytest.mark.parametrize(
    "found",
    [
        lambda: hm.partial_auroc([0] * 40 + [1] * 40, np.arange(80.0), fpr=(0, 0.2)),
        lambda: hm.partial_auroc(
            [0] * 40 + [1], np.arange(41.0)[::-1], fpr=(0, 0.2), corrected=False
        ),
        lambda: hm.partial_auroc(
            [0, 1] * 20,
            np.arange(40.0) % 7,
            fpr=(0, 0.2),
            corrected=False,
            cluster=[k if k % 2 == 0 else 1 for k in range(40)],
        ),
        lambda: hm.multiclass([0, 1, 2] * 4, np.eye(3)[[0, 1, 2] * 4]).hand_till,
        lambda: hm.multiclass([0, 1] * 5 + [2], RNG.dirichlet([1, 1, 1], 11)).hand_till,
        lambda: hm.multiclass([0, 1] * 5 + [2], RNG.dirichlet([1, 1, 1], 11)).macro,
        lambda: hm.concordance(np.arange(1, 9), np.ones(8), -np.arange(8)),
        lambda: hm.concordance(np.arange(1, 9), [0, 0, 1, 0, 0, 0, 0, 0], [1, 2, 3, 4, 1, 2, 5, 1]),
        lambda: (
            hm.survival(
                np.arange(1, 41), np.arange(40) < 20, np.arange(40)[::-1] / 40, horizon=20
            ).auc
        ),
    ],
)
def test_what_cannot_vary_in_these_cases_has_no_interval_and_says_why(found):
    e = found()
    assert e.value is not None
    assert (e.lo, e.hi) == (None, None)
    assert e.reason


def test_a_float32_below_the_threshold_stays_below_it():
    c = hm.confusion_at([1], np.array([0.35], np.float32), 0.35)
    assert (c.tp, c.fn) == (0, 1)


@pytest.mark.parametrize(
    "p",
    [
        P.astype(np.float16),
        list(P.astype(np.float16)),
        np.ma.masked_array(P.astype(np.float16), mask=OWN == 3),
    ],
)
def test_float16_is_refused_however_it_is_wrapped(p):
    scores = p if isinstance(p, np.ma.MaskedArray) else np.array([*p, None], dtype=object)[:-1]
    with pytest.raises(MetricError, match="float16"):
        hm.auroc(Y, scores)


def test_clip_moves_scores_of_exactly_0_and_1_and_no_other():
    near = np.append(P, [1e-9, 1 - 1e-9])
    y = np.append(Y, [0, 1])
    assert hm.calibration(y, near, clip=1e-6).slope.value == hm.calibration(y, near).slope.value
    edge = hm.calibration(np.append(Y, [0, 1]), np.append(P, [0, 1]), clip=1e-6)
    moved = hm.calibration(np.append(Y, [0, 1]), np.append(P, [1e-6, 1 - 1e-6]))
    assert edge.slope.value == moved.slope.value


def test_clip_may_move_a_score_past_others_of_many():
    rng = np.random.default_rng(1)
    p = np.append(rng.uniform(size=60_000), [0, 1, 0, 1e-9, 1 - 1e-9])
    y = rng.uniform(size=p.size) < p
    moved = hm.calibration(y, np.select([p == 0, p == 1], [1e-6, 1 - 1e-6], p), curve=None)
    found = hm.calibration(y, p, clip=1e-6, curve=None)
    for name in ("citl", "intercept", "slope", "joint_test"):
        a, b = getattr(found, name), getattr(moved, name)
        np.testing.assert_allclose([a.value, a.se or 0], [b.value, b.se or 0], rtol=1e-9)


@pytest.mark.parametrize("low", [0.5, np.nextafter(0.5, 0), 0.1, 1e308, 5e-324, -1e-300])
def test_a_data_derived_threshold_parts_even_neighbouring_floats(low):
    found = hm.data_derived_threshold([0, 1], [low, np.nextafter(low, np.inf)])
    assert (found.confusion.tp, found.confusion.tn) == (1, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: hm.compare_auroc(Y, 1 - P, P),
        lambda: hm.compare_auroc(Y, P, 1 - P),
        lambda: hm.compare_auroc_unpaired(Y, P, Y, 1 - P),
        lambda: hm.multiclass(Y, np.column_stack([P, 1 - P])),
    ],
)
def test_an_inverted_score_raises_a_warning_in_a_comparison_too(call):
    with pytest.warns(hm.DirectionWarning, match="inverted") as told:
        call()
    assert told[0].filename == __file__


@pytest.mark.parametrize("thresholds", [0.3, np.float64(0.3), [0.3], (0.3,), np.array([0.3])])
def test_a_single_threshold_may_stand_alone(thresholds):
    assert [t.threshold for t in hm.evaluate(Y, P, thresholds=thresholds).thresholds] == [0.3]


def test_a_recalibration_is_applied_to_probabilities_only():
    for method in ("logistic", "isotonic"):
        update = hm.recalibrate(Y, P, method=method, bootstrap=FEW)
        for bad in ([50.0], [np.nan], [-3.0], [PLANTED], [None], [[0.5]]):
            with pytest.raises(MetricError) as caught:
                update.apply(bad)
            assert PLANTED not in str(caught.value)
        assert np.all(np.isfinite(update.apply([0.0, 0.5, 1.0])))


@pytest.mark.parametrize(("changed", "named"), [
    ({"lp_mean": np.nan}, "lp_mean"), ({"lp_mean": -np.inf}, "lp_mean"), ({"lp_mean": -1e4}, "lp_mean"),
    ({"lp_sd": np.inf}, "lp_sd"), ({"lp_sd": "1"}, "lp_sd"), ({"prevalence": "1"}, "prevalence"),
    ({"c_statistic": None}, "c_statistic"), ({"precision": hm.Precision(c_statistic=5)}, "c_statistic"),
    ({"precision": hm.Precision(c_statistic=1e-12)}, "c_statistic"), ({"precision": hm.Precision(oe=np.nan)}, "oe"),
    ({"precision": hm.Precision(slope="x")}, "slope"), ({"action": hm.Action(np.nan, 0.5, 0.5)}, "threshold"),
    ({"precision": 0.1}, "precision"), ({"precision": hm.Precision(oe=1e-200)}, "precision"),
])  # fmt: skip
def test_a_sample_size_needs_finite_assumptions_and_names_the_one_that_is_not(changed, named):
    with pytest.raises(MetricError, match=named):
        called("required_sample_size", **changed)


@pytest.mark.parametrize(("oe", "prevalence"), [(0.4, 0.07), (0.3, 0.1), (0.1, 0.055)])
def test_events_are_counted_without_the_fuzz_of_floats(oe, prevalence):
    size = hm.required_sample_size(
        prevalence, 0.8, lp_mean=-2, lp_sd=1, precision=hm.Precision(oe, None, None)
    )
    exact = Fraction(str(prevalence)) * size.n
    assert size.n_events == math.ceil(exact)


def test_the_unpaired_interval_agrees_with_its_p_value():
    rng = np.random.default_rng(0)
    y1, y2 = np.arange(20) % 2, np.arange(24) % 3 == 0
    found = hm.compare_auroc_unpaired(y1, rng.normal(size=20) + y1, y2, rng.normal(size=24))
    d = found.difference
    tail = 2 * student_t.sf((d.hi - d.value) / d.se, found.df)
    np.testing.assert_allclose(tail, 0.05, rtol=1e-8)  # scipy 1.12 is that exact
    assert (d.lo > 0 or d.hi < 0) == (found.p < 0.05)


def test_one_perfect_group_is_compared_by_the_variance_of_the_other():
    perfect = (np.repeat([0, 1], 30), np.arange(60.0))
    found = hm.compare_auroc_unpaired(*perfect, Y, P)
    other = hm.auroc(Y, P)
    np.testing.assert_allclose(found.difference.se, other.se)
    np.testing.assert_allclose(found.z, (1 - other.value) / other.se)
    assert found.df == N - 1
    assert found.p < 0.05
    assert hm.compare_auroc_unpaired(*perfect, *perfect).difference.value is None
    assert hm.compare_auroc_unpaired([0, 0, 1], [1, 2, 3], Y, P).difference.value is None


@pytest.mark.parametrize(
    ("k", "n"), [(0, 5), (1, 3), (1, 10**8), (5, 10**10), (2, 5), (3, 5), (49, 100)]
)
def test_wilsons_lower_bound_keeps_its_digits(k, n):
    with localcontext() as context:
        context.prec = 50
        z, m = Decimal(float(ndtri(0.975))), Decimal(n)
        p = Decimal(k) / m
        root = (p * (1 - p) / m + z * z / (4 * m * m)).sqrt()
        exact = (p + z * z / (2 * m) - z * root) / (1 + z * z / m)
    np.testing.assert_allclose(
        hm.proportion(k, n).lo, float(exact), rtol=1e-12, atol=0 if k else 1e-30
    )
