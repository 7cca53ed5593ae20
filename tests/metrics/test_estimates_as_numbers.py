"""An estimate is used as a number; one name for each argument; a level in every function."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval.errors import MetricError
from healthval.metrics import (
    Estimate,
    at_threshold,
    auroc,
    calibration,
    compare_auroc,
    compare_auroc_unpaired,
    concordance,
    confusion_at,
    evaluate,
    mcnemar,
    multiclass,
    net_benefit,
    partial_auroc,
    proportion,
    subgroups,
    survival,
)

RNG = np.random.default_rng(4)
REFERENCE = RNG.random(300) < 0.3
SCORE = 1 / (1 + np.exp(-RNG.normal(-1 + 1.2 * REFERENCE, 1.0)))
OTHER = 1 / (1 + np.exp(-RNG.normal(-1 + 0.8 * REFERENCE, 1.0)))


def made(value, **fields):
    given = {"lo": None, "hi": None, "se": None, "level": 0.95, "method": "wald", "n": 5}
    return Estimate(value=value, n_events=2, **given | fields)


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_an_estimate_compares_as_its_value(a, b):
    one, two = made(a), made(b)
    assert (one < two, one <= two, one > two, one >= two) == (a < b, a <= b, a > b, a >= b)
    assert (one < b, b < one) == (a < b, b < a)
    assert float(one) == a
    assert sorted([one, two])[0].value == min(a, b)


def test_a_format_is_that_of_the_value():
    e = made(0.7531, lo=0.7, hi=0.8)
    assert (f"{e:.2f}", f"{e:.0%}", f"{e}") == ("0.75", "75%", str(e))
    assert f"{made(None, reason='no case'):.2f}" == "not estimable (no case)"


def test_what_is_not_estimable_is_no_number():
    e = made(None, reason="no case")
    for use in (float, lambda x: x < 1, lambda x: x <= 1):
        with pytest.raises(MetricError, match=r"not estimable \(no case\)"):
            use(e)
    with pytest.raises(TypeError):
        made(1.0) < "1"  # noqa: B015


def test_plain_values_make_a_table():
    rows = [made(0.7, lo=0.6, hi=0.8), made(None, reason="no case")]
    frame = pd.DataFrame([e.to_dict() for e in rows])
    assert (len(frame), frame.loc[0, "value"], frame.loc[1, "reason"]) == (2, 0.7, "no case")
    assert [e.to_frame().loc[0].to_dict() for e in rows] == [e.to_dict() for e in rows]


def widths(level):
    c = calibration(REFERENCE, SCORE, level=level)
    curve = net_benefit(REFERENCE, SCORE, [0.2], level=level)
    groups = np.arange(REFERENCE.size) % 2
    whole = evaluate(REFERENCE, SCORE, thresholds=0.4, groups=groups, level=level)
    compared = subgroups(REFERENCE, SCORE, groups, threshold=0.4, level=level)
    classes = multiclass(REFERENCE.astype(int), np.column_stack([1 - SCORE, SCORE]), level=level)
    follow_up = np.linspace(1, 8, REFERENCE.size), REFERENCE, SCORE
    at_five = survival(*follow_up, horizon=5, level=level)
    one, found = whole.subgroups[0], at_threshold(REFERENCE, SCORE, 0.4, level=level)
    return [
        auroc(REFERENCE, SCORE, level=level),
        partial_auroc(REFERENCE, SCORE, fpr=(0, 0.3), level=level),
        compare_auroc(REFERENCE, SCORE, OTHER, level=level).difference,
        compare_auroc(REFERENCE, SCORE, OTHER, level=level).a,
        compare_auroc_unpaired(
            REFERENCE[:150], SCORE[:150], REFERENCE[150:], SCORE[150:], level=level
        ).difference,
        mcnemar(REFERENCE, SCORE > 0.4, OTHER > 0.4, level=level).difference,
        c.oe,
        c.citl,
        c.slope,
        c.brier,
        c.ici_rcs5,
        c.curve[3][1],
        curve.estimates[0],
        proportion(40, 90, level=level),
        *(whole.auroc, whole.average_precision, whole.roc[5][1], whole.calibration.brier),
        *(whole.decision_curve.estimates[3], whole.thresholds[0].npv),
        *(one.auroc, one.oe, one.sensitivity, one.citl, one.net_benefit),
        *(found.specificity, found.net_benefit),
        *(compared.differences[0].estimate, compared.gaps[0].estimate),
        *(classes.one_vs_rest[1], classes.macro, classes.accuracy, classes.kappa, classes.brier),
        *(at_five.harrell_c, at_five.uno_c, at_five.auc, at_five.brier, at_five.oe),
        concordance(*follow_up, level=level),
    ]


def test_every_interval_follows_the_level():
    for narrow, wide in zip(widths(0.8), widths(0.99), strict=True):
        assert (narrow.level, wide.level) == (0.8, 0.99)
        assert narrow.value == wide.value
        assert wide.lo < narrow.lo < narrow.hi < wide.hi


@pytest.mark.parametrize("function", [auroc, calibration, partial_auroc])
def test_names_of_other_libraries_are_answered_with_the_names_here(function):
    with pytest.raises(MetricError, match=r"y_true is reference; y_score is score") as caught:
        function(y_true=REFERENCE, y_score=SCORE)
    assert "cluster" in str(caught.value)


def test_weights_and_unknown_names_are_refused_without_repeating_them():
    with pytest.raises(MetricError, match="sample_weight is not supported"):
        auroc(REFERENCE, SCORE, sample_weight=SCORE)
    with pytest.raises(MetricError) as caught:
        confusion_at(REFERENCE, SCORE, 0.5, jane_doe=1)
    assert "jane" not in str(caught.value)


def test_the_interval_has_one_name():
    assert proportion(4, 9, ci="clopper-pearson").method == "clopper-pearson"
    cells = confusion_at(REFERENCE, SCORE, 0.5)
    assert cells.rate("npv", ci="clopper-pearson").method == "clopper-pearson"
