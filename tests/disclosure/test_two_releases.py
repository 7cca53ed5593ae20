"""Two releases about the same cases: no number follows from how their noise is related."""

from dataclasses import replace

import numpy as np
import pytest

from healthval.disclosure import load_policy
from healthval.disclosure.payload.keyed_noise import KeyedNoise
from healthval.disclosure.payload.noisy_estimates import precision_reach
from healthval.disclosure.payload.protect import perturbed_flow, protected
from healthval.metrics import average_precision, table_one

SECRETS = [f"secret {i}".encode().ljust(32) for i in range(24)]


def level_of(site, secret, groups, preset="cms", **changes):
    """Perturbed cases and events of the level "in" of the ward, and its hits."""
    site.groups = groups
    result = site.result(table_one=table_one(groups, site.outcome), **changes)
    shown = protected(result, load_policy(preset), secret, site.score.tolist()).evaluation
    s = next(s for s in shown.subgroups if s.level == "in")
    return np.array([s.n, s.n_events, s.sensitivity.value * s.n_events])


def wards(n, inside=120):
    return np.where(np.arange(n) < inside, "in", "out")


def test_the_same_number_under_two_presets_has_two_independent_noises(make_site):
    """With one draw at deviations 2 and 4, twice the first count less the second would be the true one."""
    site, left = make_site(400), []
    for secret in SECRETS:
        a, b = (
            protected(site.result(), load_policy(preset), secret, site.score.tolist()).evaluation
            for preset in ("cms", "dp")
        )
        left.append(2 * a.n_events - b.n_events - int(site.outcome.sum()))
    assert np.std(left) > 3.5  # 5.7 of independent noise, 0.7 of one draw


def test_a_level_beside_more_variables_has_independent_noise(make_site):
    """Nine variables have three times the noise of one: with one draw it could be solved for."""
    site, left = make_site(300), []
    more = {f"v{k}": np.where(np.arange(300) % (k + 2) == 0, "x", "y") for k in range(8)}
    for secret in SECRETS:
        one = level_of(site, secret, {"ward": wards(300)})
        many = level_of(site, secret, {"ward": wards(300)} | more)
        left.append(one - (many - one) / 2)
    assert (np.std(left, axis=0) > 3.5).all()


@pytest.mark.parametrize("change", ["outcome of another level", "member of another variable"])
def test_a_correction_changes_the_noise_of_all_levels(make_site, change):
    """Else the levels whose numbers changed would be those of the corrected case."""
    site = make_site(300)
    other = np.where(np.arange(300) % 3 == 0, "x", "y")
    before = [level_of(site, s, {"ward": wards(300), "type": other}) for s in SECRETS]
    if change == "outcome of another level":
        site.outcome[299] = not site.outcome[299]
    else:
        other = np.where(np.arange(300) == 299, "x", other)
    after = [level_of(site, s, {"ward": wards(300), "type": other}) for s in SECRETS]
    assert (np.mean(np.equal(before, after), axis=0) < 0.5).all()


def test_a_threshold_moved_past_one_case_changes_the_noise_of_a_rate(make_site):
    """Else equal hits at both thresholds would state the outcome of the case between them."""
    site = make_site(300)
    site.score[5] = 0.505
    site.score[(site.score >= 0.5) & (site.score < 0.51) & (np.arange(300) != 5)] = 0.52
    site.outcome[5] = False
    shown = [
        [level_of(site, s, {"ward": wards(300)}, thresholds=(at,))[2] for at in (0.5, 0.51)]
        for s in SECRETS
    ]
    assert np.mean([a == b for a, b in shown]) < 0.5


def test_a_step_that_excluded_nobody_looks_like_one_that_excluded_somebody(make_site):
    """Also under two plans: that two counts differ would state that a patient is between them."""
    result = make_site(300).result(selection="first")
    seen = {}
    for listed in (300, 301):
        flow = (("listed", listed), ("scored", 300))
        for plan in ("first", "second"):
            site = replace(result, flow=flow, selection=plan)
            noises = [KeyedNoise(secret=s, about="0", sd=2.0) for s in SECRETS]
            seen[listed, plan] = [perturbed_flow(site, noise, 300)[0][1] for noise in noises]
    assert len({*seen[300, "first"]}) > 2
    assert {*seen[300, "first"]} & {*seen[301, "first"]} > {300}
    assert seen[300, "first"] != seen[300, "second"]


@pytest.mark.parametrize("strength", [0.5, 1.5, 6.0])
def test_one_outcome_moves_the_average_precision_by_its_reach_at_most(make_site, strength):
    site = make_site(120, strength=strength)
    value, most = average_precision(site.outcome, site.score).value, 0.0
    for i in range(120):
        changed = site.outcome.copy()
        changed[i] = not changed[i]
        most = max(most, abs(average_precision(changed, site.score).value - value))
    reach = precision_reach(value, int(site.outcome.sum()))
    assert 0.6 * reach < most < 1.05 * reach


def test_one_outcome_cannot_move_the_slope_of_separated_classes_far(make_site):
    site, seen = make_site(150, strength=8.0, prevalence=0.27), []
    site.score[3] = 0.9999
    for value in (True, False):
        site.outcome[3] = value
        shown = [
            protected(site.result(), load_policy("cms"), s, site.score.tolist()).evaluation
            for s in SECRETS
        ]
        seen.append([ev.calibration.slope.value for ev in shown])
    spread = np.sqrt(np.mean(np.var(seen, axis=1)))
    assert abs(np.mean(seen[0]) - np.mean(seen[1])) < 1.7 * spread
