"""Gaps between levels are differences inside the sites, adjusted for their number."""

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from healthval.aggregate import meta_analysis, pool
from healthval.report.values.gaps import Gap, adjusted, gaps


def gap(p):
    return Gap(
        measure="auroc", variable="sex", level="f", reference="m", k=5, value=0.1, ci=(0, 0.2), p=p
    )


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_and_keeps_their_order(ps):
    found = [g.p for g in adjusted([gap(p) for p in ps])]
    assert all(a >= p for a, p in zip(found, ps, strict=True))
    assert all(a <= 1 for a in found)
    order = np.argsort(ps, kind="stable")
    assert all(a <= b for a, b in itertools.pairwise(np.array(found)[order]))


def test_holm_as_published():
    # Holm's rule by hand: 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1, each at least the one before.
    found = [g.p for g in adjusted([gap(p) for p in (0.02, 0.01, 0.04, 0.03)])]
    assert found == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_a_gap_is_the_mean_difference_inside_the_sites(simulated, site_of):
    sites = simulated([site_of(600 + i) for i in range(5)])
    study = pool(tuple(sites.items()), bivariate="none")
    found = gaps(sites, study.subgroups)
    (sex,) = [g for g in found if (g.variable, g.measure) == ("sex", "auroc")]
    assert (sex.level, sex.reference, sex.k) == ("male", "female", 5)
    inside = []
    for release in sites.values():
        by = {g.level: g.auroc for g in release.subgroups if g.variable == "sex"}
        inside.append(
            (by["male"].value - by["female"].value, math.hypot(by["male"].se, by["female"].se))
        )
    mean = meta_analysis([d for d, _ in inside], [se**2 for _, se in inside])
    assert sex.value == pytest.approx(mean.mu)
    raw = 2 * t.sf(abs(mean.mu) / mean.se, 4)
    assert sex.p >= raw
    assert sex.p <= min(1, raw * len(found)) + 1e-12


def test_gaps_are_in_the_report_and_in_its_numbers(simulated, site_of, card, plan):
    from healthval.report import build

    sites = simulated([site_of(600 + i) for i in range(4)])
    report = build(pool(tuple(sites.items()), bivariate="none"), sites, card, plan)
    html = re.sub(r"<[^>]+>", " ", report.section("subgroups")._repr_html_())
    text = re.sub(r"\s+", " ", html)
    assert "sex: male less female AUROC 4 " in text
    first = report.numbers["subgroup_gaps"][0]
    assert f"{first['value']:.3f}".replace("-", "−") in text


def test_below_three_sites_nothing_is_estimated(report):
    assert (
        "Differences between levels were not estimated" in report.section("subgroups")._repr_html_()
    )
