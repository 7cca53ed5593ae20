import json

import numpy as np
import pytest

from healthval.aggregate import active_submissions, pool
from healthval.contracts.base import canonical_json
from healthval.contracts.submission import SUPPRESSED
from healthval.errors import MetricError


@pytest.fixture(scope="module")
def study(network):
    return pool(network)


def test_the_study_survives_json_bit_for_bit(study):
    plain = study.to_dict()
    assert json.loads(canonical_json(plain)) == plain


def test_summed_counts_are_those_of_all_rows_together(study, hospitals):
    for at in study.thresholds:
        each = [h.confusion(at.threshold) for h in hospitals]
        for cell in ("tp", "fp", "fn", "tn"):
            assert getattr(at.counts, cell) == sum(getattr(c, cell) for c in each)
        n, t = sum(len(h.score) for h in hospitals), at.threshold
        assert at.net_benefit.value == pytest.approx(
            at.counts.tp / n - at.counts.fp / n * t / (1 - t)
        )


def test_oe_and_brier_are_those_of_all_rows_together(study, hospitals):
    y = np.concatenate([h.reference for h in hospitals])
    p = np.concatenate([h.score for h in hospitals])
    assert study.calibration.oe == pytest.approx(y.sum() / p.sum(), rel=1e-12)
    assert study.calibration.brier == pytest.approx(np.mean((p - y) ** 2), rel=1e-12)


def test_order_of_sites_changes_no_pooled_number(network, study):
    other = pool(tuple(reversed(network)))
    assert other.auroc.value == study.auroc.value
    assert other.thresholds[0].counts.tp == study.thresholds[0].counts.tp
    assert other.display.auc == pytest.approx(study.display.auc, rel=1e-14)


def test_below_three_sites_nothing_is_pooled_by_random_effects(network):
    for k in (1, 2):
        few = pool(network[:k])
        assert few.auroc.value is None
        assert few.auroc.ci is None
        assert "not pooled" in few.auroc.reason
        assert len(few.auroc.sites) == k
    three = pool(network[:3])
    assert three.auroc.value is not None
    assert three.auroc.prediction is None
    assert pool(network[:5]).auroc.prediction is not None


def test_a_site_whose_cells_are_suppressed_leaves_the_sum_and_widens_the_bounds(
    network, released, hospitals
):
    whole = network[0][1]
    first = whole.thresholds[0]
    hidden = first.model_copy(
        update={
            "confusion": first.confusion.model_copy(update={"fn": SUPPRESSED, "fp": SUPPRESSED})
        }
    )
    sites = [
        ("site-a", whole.model_copy(update={"thresholds": (hidden, whole.thresholds[1])})),
        *network[1:],
    ]
    at = pool(sites).thresholds[0]
    assert at.counts.k == len(network) - 1
    assert [(e.site, e.reason) for e in at.counts.excluded] == [("site-a", "suppressed cells")]
    true_fn = sum(h.confusion(0.2).fn for h in hospitals)
    fn = at.counts.totals[2]
    assert fn.n_suppressed == 1
    assert fn.lower <= true_fn <= fn.upper
    assert fn.exact is None


def test_one_site_twice_is_refused_and_the_later_submission_supersedes(
    network, released, hospitals
):
    later = released(hospitals[0], n_indeterminate=30)
    arrivals = [*network, ("site-a", later)]
    with pytest.raises(MetricError, match="second one"):
        pool(arrivals)
    active = active_submissions(arrivals)
    assert len(active) == len(network)
    assert dict(active)["site-a"] is later


@pytest.mark.parametrize("field", ["model", "version", "plan_hash", "model_digest"])
def test_different_models_or_plans_are_never_pooled(network, field):
    other = {"model": "other", "version": "2.0", "plan_hash": "c" * 64, "model_digest": "c" * 64}
    mixed = [*network, ("site-z", network[0][1].model_copy(update={field: other[field]}))]
    with pytest.raises(MetricError, match=f"^{field}: 2 different") as caught:
        pool(mixed)
    assert other[field] not in str(caught.value).replace(field, "").replace("others", "").replace(
        "other at", ""
    )


def test_no_site_is_refused():
    with pytest.raises(MetricError, match="no site"):
        pool([])
