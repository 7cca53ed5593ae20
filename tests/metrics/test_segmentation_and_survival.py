"""Segmentation, detection and survival against plain counting."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from healthval import metrics as hm
from healthval.errors import MetricError
from healthval.metrics.outcomes.segmentation import _surface


def box(*sides, shape=(12, 12, 6)):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


def test_overlap_is_exact_voxel_counting():
    a, b = box((2, 8), (2, 8), (1, 4)), box((4, 10), (2, 8), (1, 4))
    found = hm.segment_case(a, b, spacing=(1, 1, 2), tolerance=1)
    np.testing.assert_allclose([found.dice, found.iou], [2 * 72 / 216, 72 / 144])


def test_surface_distances_are_those_of_all_pairs_in_millimetres():
    rng = np.random.default_rng(0)
    a, b = (rng.random((9, 8, 7)) < 0.2 for _ in range(2))
    spacing = np.array([0.7, 1.1, 2.5])
    d = cdist(np.argwhere(_surface(a)) * spacing, np.argwhere(_surface(b)) * spacing)
    to_b, to_a = d.min(axis=1), d.min(axis=0)
    found = hm.segment_case(a, b, spacing=spacing, tolerance=1.1)
    np.testing.assert_allclose(found.hd95, max(np.quantile(to_b, 0.95), np.quantile(to_a, 0.95)))
    near = np.sum(to_b < 1.1001) + np.sum(to_a < 1.1001)
    np.testing.assert_allclose(found.nsd, near / (to_a.size + to_b.size))


EMPTY, SOME = np.zeros((5, 5), bool), box((1, 3), (1, 3), shape=(5, 5))


@pytest.mark.parametrize(
    ("a", "b", "dice", "hd95", "nsd"),
    [(EMPTY, EMPTY, None, None, None), (SOME, EMPTY, 0, None, 0), (EMPTY, SOME, 0, None, 0)],
)
def test_the_rule_for_empty_masks(a, b, dice, hd95, nsd):
    found = hm.segment_case(a, b, spacing=(1, 1), tolerance=1)
    assert (found.dice, found.hd95, found.nsd) == (dice, hd95, nsd)


def test_the_summary_counts_missed_and_invented():
    cases = [
        hm.segment_case(a, b, spacing=(1, 1), tolerance=1)
        for a, b in ((SOME, SOME), (SOME, EMPTY), (EMPTY, SOME), (EMPTY, EMPTY))
    ]
    found = hm.segmentation(cases)
    assert (found.n_reference_empty, found.n_missed, found.n_invented) == (2, 1, 1)
    assert (found.n, found.n_both_empty, found.hd95.n, found.dice.n) == (4, 1, 3, 3)
    np.testing.assert_allclose(found.dice.value, 1 / 3)
    np.testing.assert_allclose(found.hd95.value, np.hypot(5, 5))  # two of three count as the worst


def shifted(by, found=True, lesion=True):
    reference, prediction = (
        box((4, 9), (4, 9), shape=(40, 40)) if lesion else np.zeros((40, 40), bool),
        box((4 + by, 9 + by), (4, 9), shape=(40, 40)) if found else np.zeros((40, 40), bool),
    )
    return hm.segment_case(reference, prediction, spacing=(1, 2), tolerance=1)


@pytest.mark.parametrize("missed", range(11))
def test_no_summary_improves_when_lesions_are_missed(missed):
    whole = hm.segmentation([shifted(i) for i in range(1, 11)])
    found = hm.segmentation([shifted(i, found=i <= 10 - missed) for i in range(1, 11)])
    assert found.n_missed == missed
    assert found.hd95.value >= whole.hd95.value
    for name in ("dice", "iou", "nsd"):
        assert getattr(found, name).value <= getattr(whole, name).value


def test_cases_without_any_mask_change_no_summary_and_are_counted():
    lesions, healthy = [shifted(i) for i in range(1, 9)], [shifted(0, False, False)] * 5
    alone, mixed = hm.segmentation(lesions), hm.segmentation(lesions + healthy)
    assert (alone.dice, alone.iou, alone.hd95, alone.nsd) == (
        mixed.dice,
        mixed.iou,
        mixed.hd95,
        mixed.nsd,
    )
    assert (mixed.n, mixed.n_both_empty) == (13, 5)


def test_the_worst_distance_is_declared_and_never_smaller_than_a_measured_one():
    cases = [shifted(2), shifted(4), shifted(6, found=False), shifted(6, found=False)]
    assert hm.segmentation(cases, worst=50).hd95.value == (4 + 50) / 2
    for worst in (3, 0, -1, np.inf):
        with pytest.raises(MetricError, match="worst: "):
            hm.segmentation(cases, worst=worst)


def test_an_interval_over_patients_needs_their_ids_and_has_the_level():
    cases = [shifted(i) for i in range(1, 9)]
    assert hm.segmentation(cases).hd95.method == "case bootstrap percentile"
    found = hm.segmentation(cases, cluster=list("aabbccdd"), level=0.8)
    assert (found.dice.method, found.dice.level) == ("patient bootstrap percentile", 0.8)
    assert found.dice.lo > hm.segmentation(cases, cluster=list("aabbccdd")).dice.lo


def test_froc_by_hand():
    # case 0: lesions 0 and 1; case 1: none; lesion 0 hit twice
    score, lesion, case = [0.9, 0.8, 0.7, 0.6, 0.5], [0, -1, 0, -1, 1], [0, 0, 0, 1, 0]
    found = hm.froc(score, lesion, case, lesions_per_case=[2, 0], false_alarms=[0.0, 0.5, 1.0])
    assert [e.value for _, e in found] == [0.5, 0.5, 1.0]


def test_harrells_c_is_the_share_of_comparable_pairs():
    rng = np.random.default_rng(1)
    t, e, s = rng.integers(1, 9, 60), rng.random(60) < 0.6, rng.integers(5, size=60)
    good = total = 0.0
    for i in range(60):
        for j in range(60):
            if e[i] and (t[i] < t[j] or (t[i] == t[j] and not e[j])):
                total += 1
                good += (s[i] > s[j]) + 0.5 * (s[i] == s[j])
    np.testing.assert_allclose(hm.concordance(t, e, s).value, good / total)


def test_without_censoring_time_dependent_metrics_are_the_binary_ones():
    rng = np.random.default_rng(2)
    risk = rng.uniform(size=300)
    t = rng.exponential(1 / (0.2 + risk))
    y = t <= 1
    found = hm.survival(t, np.ones(300, bool), risk, horizon=1, bootstrap=hm.Bootstrap(150))
    c = hm.calibration(y, risk, curve=None)
    np.testing.assert_allclose(found.auc.value, hm.auroc(y, risk).value)
    np.testing.assert_allclose(found.brier.value, c.brier.value)
    np.testing.assert_allclose(found.scaled_brier.value, c.scaled_brier.value)
    np.testing.assert_allclose(found.oe.value, c.oe.value)


def test_censoring_weights_recover_the_uncensored_answer():
    rng = np.random.default_rng(3)
    n = 20_000
    risk = rng.uniform(0.05, 0.95, n)
    t = rng.exponential(-1 / np.log(1 - risk))
    censored = rng.exponential(1.5, n)
    seen = hm.survival(
        np.minimum(t, censored), t <= censored, risk, horizon=1, bootstrap=hm.Bootstrap(100)
    )
    whole = hm.calibration(t <= 1, risk, curve=None)
    np.testing.assert_allclose(seen.auc.value, hm.auroc(t <= 1, risk).value, atol=0.01)
    np.testing.assert_allclose(seen.brier.value, whole.brier.value, atol=0.005)
    assert seen.oe.lo <= 1 <= seen.oe.hi


def test_the_surface_is_every_voxel_with_a_face_outside():
    assert _surface(box((1, 6), (1, 6), shape=(7, 7))).sum() == 16
    assert _surface(box((0, 5), (0, 5), shape=(5, 5))).sum() == 16
    assert _surface(box((1, 6), (1, 6), (1, 6), shape=(7, 7, 7))).sum() == 125 - 27
