import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval.aggregate import active_submissions, bivariate, meta_analysis, pool, pool_counts
from healthval.contracts.base import canonical_json
from healthval.contracts.submission import SUPPRESSED, CountNoise, ReleasedEstimate
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
    with pytest.raises(MetricError, match="1 of 8 submissions is from a site that has another one"):
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


def test_the_decision_curve_is_that_of_all_rows_together(study, hospitals):
    y = np.concatenate([h.reference for h in hospitals])
    p = np.concatenate([h.score for h in hospitals])
    for point in study.decision_curve:
        t = point.threshold
        positive = p >= t
        expected = np.mean(y & positive) - np.mean(~y & positive) * t / (1 - t)
        assert point.net_benefit.value == pytest.approx(expected, abs=1e-12)
        assert point.treat_all == pytest.approx(y.mean() - (1 - y.mean()) * t / (1 - t), abs=1e-12)
        assert point.net_benefit.k == len(hospitals)


def test_three_estimands_answer_three_questions(study, hospitals):
    y = np.concatenate([h.reference for h in hospitals])
    p = np.concatenate([h.score for h in hospitals])
    mixture = np.mean((p[y][:, None] > p[~y]) + 0.5 * (p[y][:, None] == p[~y]))
    e = study.estimands
    assert abs(e.mixture - mixture) <= e.mixture_bound
    pairs = [int(h.reference.sum()) * int((~h.reference).sum()) for h in hospitals]
    within = np.average([h.auc for h in hospitals], weights=pairs)
    assert e.within_site.value == pytest.approx(within, abs=1e-12)
    assert e.between_sites == study.auroc.value
    assert len({round(x, 6) for x in (e.mixture, e.within_site.value, e.between_sites)}) == 3


def test_random_effects_work_on_the_named_scale_and_go_back(study, network):
    auc = study.auroc
    logits = [np.log(s.auroc.value / (1 - s.auroc.value)) for _, s in network]
    ses = [s.auroc.se / (s.auroc.value * (1 - s.auroc.value)) for _, s in network]
    meta = meta_analysis(logits, np.square(ses))
    assert (auc.meta.mu, auc.meta.se, auc.meta.tau2) == pytest.approx(
        (meta.mu, meta.se, meta.tau2), rel=1e-12
    )
    assert auc.value == pytest.approx(1 / (1 + np.exp(-meta.mu)), rel=1e-14)
    assert auc.ci[0] < auc.value < auc.ci[1]
    assert auc.prediction[0] <= auc.ci[0]
    assert sum(s.weight for s in auc.sites) == pytest.approx(100)
    assert study.oe.value == pytest.approx(np.exp(study.oe.meta.mu), rel=1e-15)
    assert study.slope.value == study.slope.meta.mu


def test_leaving_a_site_out_is_pooling_the_others(study, network):
    for i, left in enumerate(study.auroc.leave_one_out):
        others = pool([s for j, s in enumerate(network) if j != i], bivariate="none").auroc
        assert left.site == network[i][0]
        assert (left.value, left.lo, left.hi) == pytest.approx((others.value, *others.ci), rel=1e-9)


def test_a_new_hospital_gets_prediction_intervals_and_the_chance_of_a_good_slope(study):
    new = study.new_site
    assert new.auroc == study.auroc.prediction
    assert new.approximate
    mu, sd = study.slope.meta.mu, np.hypot(np.sqrt(study.slope.meta.tau2), study.slope.meta.se)
    draws = mu + sd * np.random.default_rng(3).standard_t(study.slope.k - 2, 400_000)
    assert new.p_slope == pytest.approx(np.mean((draws > 0.8) & (draws < 1.2)), abs=0.004)


@pytest.mark.parametrize(
    ("value", "se", "lo", "hi", "reason"),
    [
        (1.0, 0.01, None, None, "at the edge of the logit scale"),
        (0.8, 0.0, None, None, "standard error rounded to zero"),
        (0.8, None, None, None, "no standard error"),
        (None, None, None, None, "suppressed"),
        (0.8, None, 0.7, 0.87, None),
    ],
)
def test_a_site_without_a_usable_estimate_is_named_and_left_out(network, value, se, lo, hi, reason):
    withheld = "suppressed" if value is None else "none"
    auroc = ReleasedEstimate(value=value, se=se, lo=lo, hi=hi, withheld=withheld)
    first = network[0][1].model_copy(update={"auroc": auroc})
    pooled = pool([("site-a", first), *network[1:]], bivariate="none").auroc
    assert [(e.site, e.reason) for e in pooled.excluded] == ([("site-a", reason)] if reason else [])
    assert pooled.k == len(network) - bool(reason)


def test_subgroups_take_sites_with_eleven_events_and_non_events(network):
    def with_events(events, n):
        site, s = network[0]
        first, *rest = s.subgroups
        changed = first.model_copy(update={"n": n, "n_events": events})
        sites = [(site, s.model_copy(update={"subgroups": (changed, *rest)})), *network[1:]]
        return pool(sites, bivariate="none").subgroups[0]

    few = "fewer than 11 events or non-events"
    cases = {
        (10, 90): few,
        (11, 90): None,
        (12, 90): None,
        (80, 90): few,
        (79, 90): None,
        (SUPPRESSED, 90): "number of events not released",
    }
    for (events, n), reason in cases.items():
        group = with_events(events, n)
        for measure in (group.auroc, group.oe, group.sensitivity, group.specificity):
            assert [e.reason for e in measure.excluded] == ([reason] if reason else [])
    assert with_events(SUPPRESSED, 90).n_events.upper is None


def test_noise_of_the_gate_does_not_pull_the_mean_area_down(network):
    """Noise of one size moves areas up and down alike: their mean is the middle one."""
    noise = CountNoise(scale=2.0, variance=4.0)
    areas = (0.82, 0.88, 0.94, 0.85, 0.91)

    def mean_of(noise):
        sites = []
        for (site, s), x in zip(network, areas, strict=False):
            auroc = s.auroc.model_copy(update={"value": x, "se": 0.05, "lo": 0.7, "hi": 0.99})
            sites.append((site, s.model_copy(update={"auroc": auroc, "noise": noise})))
        return pool(sites[: len(areas)], bivariate="none").auroc

    noisy = mean_of(noise)
    assert (noisy.value, noisy.scale) == (pytest.approx(0.88), "logit")
    assert 0 < noisy.ci[0] < 0.88 < noisy.ci[1] < 1
    assert mean_of(None).value < 0.875


@pytest.mark.parametrize("measure", ["auroc", "sensitivity", "specificity"])
def test_noise_of_the_gate_does_not_pull_a_number_of_a_level_down(network, measure):
    def mean_of(values, noise):
        sites = []
        for (site, s), x in zip(network, values, strict=False):
            found = ReleasedEstimate(value=x, se=0.05, lo=x - 0.1, hi=min(1, x + 0.1), n=90)
            group = s.subgroups[0].model_copy(update={measure: found, "n": 300, "n_events": 90})
            changed = {"subgroups": (group,), "noise": noise}
            sites.append((site, s.model_copy(update=changed)))
        return getattr(pool(sites, bivariate="none").subgroups[0], measure)

    noisy = mean_of((0.75, 0.85, 0.95), CountNoise(scale=2.0, variance=4.0, level_variance=60.0))
    assert noisy.value == pytest.approx(0.85)
    assert mean_of((0.75, 0.85, 0.95), None).value < 0.84
    high = mean_of((1.0, 0.98, 1.0), CountNoise(scale=2.0, variance=4.0, level_variance=60.0))
    assert (high.k, high.ci[1]) == (3, 1.0)


def test_a_site_that_found_every_event_stays_in_the_pooled_sensitivity(network):
    site, s = network[0]
    all_found = ReleasedEstimate(
        value=1.0, lo=0.8, hi=1.0, se=0.0, n=20, n_events=20, method="wilson"
    )
    group = s.subgroups[0].model_copy(update={"sensitivity": all_found})
    sites = [(site, s.model_copy(update={"subgroups": (group,)})), *network[1:]]
    pooled = pool(sites, bivariate="none").subgroups[0].sensitivity
    assert pooled.excluded == ()
    assert pooled.funnel[0].effect == pytest.approx(np.log(20.5 / 0.5))
    assert pooled.funnel[0].se == pytest.approx(np.sqrt(1 / 20.5 + 1 / 0.5))


def test_flow_and_table_one_are_summed_and_suppression_travels_on(network, study):
    assert study.flow[1].total.exact == sum(s.n for _, s in network)
    site, s = network[0]
    hidden = s.model_copy(
        update={
            "flow": (s.flow[0], s.flow[1].model_copy(update={"n": SUPPRESSED})),
            "table_one": (s.table_one[0], s.table_one[1].model_copy(update={"events": SUPPRESSED})),
        }
    )
    pooled = pool([(site, hidden), *network[1:]], bivariate="none")
    listed, scored = (f.total for f in pooled.flow)
    assert listed.exact is not None
    assert (scored.lower, scored.upper, scored.n_suppressed) == (
        study.flow[1].total.exact,  # all analysed cases were scored
        study.flow[1].total.exact + 20,
        1,
    )
    events = pooled.table_one[1].events
    assert (events.upper, events.n_suppressed, events.exact) == (None, 1, None)


def test_means_and_deviations_are_those_of_all_cases_together(network, study):
    rng = np.random.default_rng(5)
    ages = [rng.normal(60 + i, 10, s.n) for i, (_, s) in enumerate(network)]
    sites = [
        (
            site,
            s.model_copy(
                update={
                    "table_one": (
                        s.table_one[0].model_copy(update={"mean": a.mean(), "sd": a.std(ddof=1)}),
                    )
                }
            ),
        )
        for (site, s), a in zip(network, ages, strict=True)
    ]
    row = pool(sites, bivariate="none").table_one[0]
    together = np.concatenate(ages)
    assert (row.mean, row.sd) == pytest.approx((together.mean(), together.std(ddof=1)), rel=1e-12)


CELLS = st.tuples(*[st.one_of(st.integers(0, 500), st.just(SUPPRESSED))] * 4)


@given(st.lists(st.tuples(CELLS, st.tuples(*[st.integers(0, 500)] * 4)), min_size=1, max_size=8))
def test_suppressed_is_never_zero_and_the_bounds_hold_the_truth(rows):
    """Each site has true counts; some are shown, the others suppressed."""
    true = [t for _, t in rows]
    shown = [
        tuple(
            c if m == SUPPRESSED else v for m, v, c in zip(mask, t, (SUPPRESSED,) * 4, strict=True)
        )
        for mask, t in rows
    ]
    margins = [(sum(t), t[0] + t[2]) for t in true]
    pooled = pool_counts(shown, margins=margins)
    for cell in range(4):
        total = pooled.totals[cell]
        assert total.lower <= sum(t[cell] for t in true) <= total.upper
        assert total.n_suppressed == sum(row[cell] == SUPPRESSED for row in shown)
        blind = pool_counts(shown).totals[cell]
        assert (blind.upper is None) == (total.n_suppressed > 0)
    whole = [t for t, row in zip(true, shown, strict=True) if SUPPRESSED not in row]
    assert (pooled.tp, pooled.fp, pooled.fn, pooled.tn) == tuple(
        sum(t[c] for t in whole) for c in range(4)
    )
    events = [t for t, row in zip(true, shown, strict=True) if SUPPRESSED not in (row[0], row[2])]
    assert pooled.sensitivity.k == len(events)
    assert pooled.sensitivity.denominator == sum(t[0] + t[2] for t in events)


def test_notes_name_the_facts_about_all_submissions(network):
    first = network[0][1].model_copy(
        update={
            "plan_amended": True,
            "dates": "kept",
            "canary": "changed",
            "healthval_version": "0.2.0",
        }
    )
    data_derived = (
        network[1][1].thresholds[0].model_copy(update={"origin": "data-derived", "threshold": 0.31})
    )
    second = network[1][1].model_copy(update={"thresholds": (data_derived,)})
    study = pool(
        [("site-a", first), ("site-b", second), ("site-z", network[2][1]), *network[2:]],
        bivariate="none",
    )
    said = " ".join(study.notes)
    for what in (
        "amended the plan: site-a",
        "model change while it ran: site-a",
        "kept dates: site-a",
        "different versions",
        "not pooled",
        "identical results, perhaps the same patients: site-z, site-c",
    ):
        assert what in said
    assert {t.threshold for t in study.thresholds} == {0.2, 0.5}
    assert [e.reason for e in study.thresholds[0].counts.excluded] == ["threshold not submitted"]


def test_pool_gives_the_bivariate_model_over_complete_sites(study, network):
    at = study.thresholds[0]
    complete = [s.thresholds[0].confusion for _, s in network]
    assert at.bivariate == bivariate(complete)
    assert at.bivariate_normal == bivariate(complete, "normal")
    two = pool(network[:2]).thresholds[0]
    assert (two.bivariate, two.bivariate_normal) == (None, None)
    assert "2 of at least 3 sites" in two.bivariate_reason


def test_no_message_of_a_refused_study_quotes_a_value_of_a_site(network):
    canary = network[0][1].model_copy(update={"n": 271828, "model": "canary-model"})
    with pytest.raises(MetricError) as caught:
        pool([*network, ("site-z", canary)])
    assert "271828" not in str(caught.value)
    assert "canary" not in str(caught.value)


def test_suppressed_events_are_bounded_by_the_cases_and_never_taken_for_none(network, study):
    site, s = network[0]
    hidden = s.model_copy(update={"n_events": SUPPRESSED, "n_indeterminate": SUPPRESSED})
    pooled = pool([(site, hidden), *network[1:]], bivariate="none")
    others = study.n_events.exact - s.n_events
    assert (pooled.n_events.lower, pooled.n_events.upper) == (others, others + s.n)
    assert (pooled.n_indeterminate.lower, pooled.n_indeterminate.upper) == (0, None)
    assert pooled.sites[0].n_events is None
    assert pooled.estimands.within_site_k == len(network) - 1
