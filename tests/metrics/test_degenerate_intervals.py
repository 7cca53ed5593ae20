"""No interval has width zero, and none leaves the range of its statistic."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import healthval.metrics as hm
from healthval.metrics.estimate import NO_SPREAD, Estimate, Sample

CLASSES = np.tile([0, 1], 8)
PERFECT = np.where(CLASSES, 0.75, 0.25)


def estimates_in(found):
    if isinstance(found, Estimate):
        yield found
    elif isinstance(found, tuple | list):
        for part in found:
            yield from estimates_in(part)
    elif is_dataclass(found):
        for field in fields(found):
            yield from estimates_in(getattr(found, field.name))


def square(shift):
    reference, prediction = np.zeros((24, 24), bool), np.zeros((24, 24), bool)
    reference[4:10, 4:10] = True
    prediction[4 + shift : 10 + shift, 4:10] = True
    return hm.segment_case(reference, prediction, spacing=(1, 1), tolerance=1)


MEASURED = np.arange(1.0, 10.0)
WITHOUT_SPREAD = {
    "detection": lambda: hm.froc(
        [0.7, 0.6, 0.4], [0, 0, 0], [0, 1, 2], lesions_per_case=[1, 1, 1], false_alarms=[1]
    ),
    "kappa": lambda: hm.cohen_kappa([0, 1, 2, 0], [0, 1, 2, 0]),
    "kappa below": lambda: hm.cohen_kappa([0, 1], [1, 0]),
    "weighted kappa": lambda: hm.cohen_kappa([0, 1, 2], [0, 1, 2], quadratic=True),
    "four readers": lambda: hm.reader_agreement([["x"] * 4, ["y"] * 4, ["x"] * 4]),
    "outlines": lambda: hm.segmentation([square(2)] * 5),
    "calibration": lambda: hm.calibration(CLASSES, PERFECT),
    "never positive": lambda: hm.at_threshold(CLASSES, PERFECT, 0.9),
    "decision curve": lambda: hm.net_benefit(CLASSES, PERFECT, [0.5, 0.9]).estimates,
    "accuracy": lambda: hm.mcnemar(CLASSES, CLASSES, CLASSES),
    "offset": lambda: hm.continuous(MEASURED, MEASURED - 0.1),
    "classes": lambda: hm.multiclass([0, 1] * 5, np.eye(2)[[0, 1] * 5] * 0.5 + 0.25),
    "equal models": lambda: hm.compare_auroc(CLASSES, PERFECT, PERFECT),
    "evaluation": lambda: hm.evaluate(CLASSES, PERFECT, thresholds=(0.5, 0.9)),
}


@pytest.mark.parametrize("run", WITHOUT_SPREAD.values(), ids=WITHOUT_SPREAD)
def test_an_interval_has_a_width_or_a_reason(run):
    found = list(estimates_in(run()))
    assert found
    for e in found:
        if e.lo is None:
            assert e.reason or e.p is not None or "spiegelhalter" in e.method
        else:
            assert e.hi - e.lo > 1e-6


def test_detection_of_every_lesion_has_wilsons_interval():
    (_, found), *_ = WITHOUT_SPREAD["detection"]()
    assert found.method == "wilson (cases)"
    # R: prop.test(3, 3, correct = FALSE)$conf.int
    np.testing.assert_allclose((found.lo, found.hi), (0.4385030, 1), atol=1e-6)


@pytest.mark.parametrize("width", [0.0, 1e-16])
def test_bounds_that_are_equal_are_not_given(width):
    found = Sample(10, 5).with_bounds(0.3, (0.3, 0.3 + width), width, "wald")
    assert (found.value, found.lo, found.hi, found.se) == (0.3, None, None, None)
    assert found.reason == NO_SPREAD


@given(st.lists(st.tuples(st.booleans(), st.floats(1e-6, 1 - 1e-6)), min_size=2, max_size=30))
@settings(max_examples=60, deadline=None)
def test_brier_score_and_log_loss_stay_in_their_range(rows):
    reference, score = (np.array(column) for column in zip(*rows, strict=True))
    found = hm.calibration(reference, score, curve=None)
    for e, low, high in (
        (found.brier, 0, 1),
        (found.log_loss, 0, np.inf),
        (found.scaled_brier, -np.inf, 1),
    ):
        assert e.lo is None or low <= e.lo < e.hi <= high


def test_a_roc_point_reached_in_nearly_all_replicates_has_wilsons_interval():
    rng = np.random.default_rng(0)
    reference = np.repeat([True, False], [100, 200])
    score = np.where(reference, rng.uniform(0.5, 1, 300), rng.uniform(0, 0.52, 300))
    for _, e in hm.evaluate(reference, score, thresholds=(0.5,)).roc:
        assert e.hi - e.lo > 1e-6


def test_few_scores_between_tied_extremes_give_no_curve():
    score = np.repeat([0.01, 0.1, 0.2, 0.4, 0.5, 0.7, 0.8, 0.99], [20, 1, 1, 1, 1, 1, 1, 20])
    reference = np.arange(score.size) % 2
    found = hm.evaluate(reference, score, thresholds=(0.5,)).calibration
    assert found.ici_rcs5.value is None
    assert "too few distinct scores" in found.ici_rcs5.reason
    assert found.brier.value is not None
