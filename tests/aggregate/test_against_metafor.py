"""Against metafor 3.8.1 on invented networks; reference.R is the script that made them."""

import json
from pathlib import Path

import numpy as np
import pytest

from healthval.aggregate import meta_analysis, meta_regression
from healthval.aggregate.effects import leave_one_out

META = json.loads((Path(__file__).parent / "reference.json").read_text(encoding="utf-8"))["meta"]
CASES = [(n, *key.split(" ")) for n, network in META.items() for key in network["fits"]]


def close(value, expected, rel=1e-6):
    return value == pytest.approx(expected, rel=rel, abs=1e-9)


@pytest.mark.parametrize(("name", "method", "test"), CASES)
def test_pooled_mean_and_heterogeneity_are_metafors(name, method, test):
    n = META[name]
    expected = n["fits"][f"{method} {test}"]
    r = meta_analysis(n["y"], n["v"], method=method, test=test)
    for field in ("mu", "se", "tau2", "i2", "q", "q_p"):
        assert close(getattr(r, field), expected[field]), field
    if len(n["y"]) >= 3:
        assert close(r.ci, expected["ci"])
    if len(n["y"]) >= 5 and method != "FE":
        assert close(r.prediction, expected["prediction"])


@pytest.mark.parametrize("name", META)
def test_q_profile_is_metafors(name):
    r = meta_analysis(META[name]["y"], META[name]["v"])
    assert close(r.tau2_ci, META[name]["profile"]["tau2"])
    assert close(r.i2_ci, META[name]["profile"]["i2"])


@pytest.mark.parametrize("name", [name for name in META if "without" in META[name]])
def test_leaving_one_site_out_is_metafors(name):
    y, v, expected = np.array(META[name]["y"]), np.array(META[name]["v"]), META[name]["without"]
    got = leave_one_out(y, v, meta_analysis(y, v).tau2)
    for j, (mu, half, tau2, i2) in enumerate(got):
        assert close(
            (mu, mu - half, mu + half, tau2, i2),
            [expected[x][j] for x in ("mu", "lo", "hi", "tau2", "i2")],
        )


@pytest.mark.parametrize("test", ["z", "hk", "hk-truncated"])
@pytest.mark.parametrize("name", [name for name in META if "lines" in META[name]])
def test_meta_regression_is_metafors(name, test):
    n = META[name]
    expected = n["lines"][test]
    r = meta_regression(n["y"], n["v"], n["x"], test=test)
    assert close((r.intercept, r.slope), expected["beta"])
    assert close((r.intercept_se, r.slope_se), expected["se"])
    assert close((r.intercept_ci[0], r.slope_ci[0]), expected["lo"])
    assert close((r.intercept_ci[1], r.slope_ci[1]), expected["hi"])
    assert close(
        (r.p, r.tau2, r.i2, r.q, r.q_p),
        [expected["p"][1], *(expected[x] for x in ("tau2", "i2", "qe", "qe_p"))],
    )
    if r.r2 is not None:  # metafor prints 0 where there is no heterogeneity to explain
        assert close(r.r2, expected["r2"])
