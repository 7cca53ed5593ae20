"""Counts that contain noise of the gates are never called counted, exact or certain."""

import math
import re
from html import unescape

import pytest

from healthval.aggregate import pool
from healthval.contracts.submission import CountNoise
from healthval.report import build, render_html
from healthval.report.values.noise import noise_in

from .test_report_numerals import untraced

NOISE = CountNoise(scale=2.0, variance=4.083, level_variance=62.8)
EXACT = re.compile(
    r"\b(exact|certain|certainly|was counted|were counted|counted at)\b", re.IGNORECASE
)


def words(section):
    html = re.sub(r'src="data:[^"]*"', "", section._repr_html_())
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


@pytest.fixture(scope="module")
def noisy(released, card, plan):
    sites = {s: r.model_copy(update={"noise": NOISE}) for s, r in released.items()}
    return build(pool(tuple(sites.items())), sites, card, plan)


def test_page_one_names_the_noise_of_the_number_with_the_condition(noisy):
    half = 1.96 * math.sqrt(3 * NOISE.variance)
    first = words(noisy.section("summary"))
    assert f"(noise of the gates: ±{half:.0f}, 95%)" in first
    assert "At 3 sites the gate added noise to the counts" in first


@pytest.mark.parametrize(
    "name", ["cohort", "thresholds", "discrimination", "operations", "methods"]
)
def test_each_section_with_counts_names_the_noise(name, noisy):
    assert "noise" in words(noisy.section(name))


def test_no_section_calls_a_perturbed_count_exact(noisy):
    for section in noisy.sections:
        assert not EXACT.search(words(section)), (section.id, EXACT.search(words(section))[0])


def test_without_noise_no_section_names_any(report):
    for section in report.sections:
        assert "noise" not in words(section), section.id


def test_intervals_of_sums_are_wider_by_the_noise(noisy, report):
    def ends(made):
        (at,) = made.numbers["derived"]["thresholds"]
        return at["sums"]

    for name, (value, lo, hi) in ends(report).items():
        assert ends(noisy)[name][0] == value
        assert ends(noisy)[name][1] < lo
        assert hi < ends(noisy)[name][2]


def test_a_site_has_one_interval_for_one_rate(noisy, released):
    for site, release in released.items():
        found = release.thresholds[0].sensitivity
        if found.value is not None:
            printed = f"{site} {found.value:.3f} ({found.lo:.3f} to {found.hi:.3f})"
            assert printed in words(noisy.section("heterogeneity"))


def test_sites_with_and_without_noise_are_told_apart(released):
    first, *_ = released
    some = released | {
        first: released[first].model_copy(
            update={"noise": CountNoise(scale=2, variance=6.083, multiple=5)}
        )
    }
    noise = noise_in(some)
    assert (noise.k, noise.of, noise.multiples, noise.level_sd) == (1, 3, (5,), None)
    assert noise_in(released) is None


def test_every_numeral_of_a_noisy_page_is_traced(noisy):
    assert untraced(render_html(noisy.notebook()), noisy.numbers) == []
