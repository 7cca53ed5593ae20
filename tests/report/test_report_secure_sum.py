"""Sentences of the report about a secure sum are true in each of its states."""

import re
from html import unescape

import pytest

from healthval.aggregate import pool
from healthval.aggregate.secondary.secure_total import secure_total
from healthval.errors import MetricError
from healthval.report import build, render_html
from healthval.report.publish import metrics_json
from healthval.secure_sum.checks import Terms
from healthval.secure_sum.outcome import Outcome

from .test_report_numerals import untraced
from .test_report_sentences import DENIALS

TERMS = Terms(n_cells=6, minimum_sites=3, floor=11)


def words(section):
    html = re.sub(r'src="data:[^"]*"', "", section._repr_html_())
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


@pytest.fixture(scope="module")
def report_with(released, card, plan):
    """Build the report of the three sites with a secure sum of this outcome."""

    def make(**outcome):
        total = secure_total(Outcome(**outcome), TERMS, (0.2, 0.5))
        study = pool(tuple(released.items()), secure_sum=total)
        return build(study, released, card, plan)

    return make


@pytest.fixture(scope="module")
def complete(report_with, released):
    first, second, _ = released
    return report_with(
        status="total",
        kept=(1,),
        cells=(20, 80, 190, 310),
        sites=(first, second, "Elsewhere"),
        dropped=(("Hill", "shares"),),
        opened_by=3,
    )


def test_a_report_without_a_secure_sum_does_not_mention_one(report):
    assert not any("secure sum" in words(section).lower() for section in report.sections)


def test_the_total_stands_beside_the_means_with_its_sites_named(complete, released):
    first, second, third = released
    text = words(complete.section("thresholds"))
    assert f"Secure sum over 3 sites ({first}, {second}, Elsewhere)" in text
    assert "3 sites opened the sum and found the same total" in text
    assert "Not shown at 0.2: between neighbouring thresholds a class would have fewer" in text
    assert "Not in the sum: Hill (joined, and dropped out in round 'shares')." in text
    assert f"With a result in this report and not in the sum: {third}." in text
    assert "In the sum and without a result in this report: Elsewhere." in text
    assert "Sensitivity 0.800 (0.711 to 0.867)" in text
    assert "Specificity 0.380 (0.339 to 0.423)" in text
    counts = "true positives 80, false negatives 20, false positives 310, true negatives 190"
    assert counts in text


def test_the_total_is_named_as_a_source_of_the_report(complete, report):
    text = words(complete.section("disclosure"))
    assert "the released aggregates and the total of the secure sum only" in text
    assert "from those that joined the secure sum its messages" in text
    assert "from the released aggregates only" in words(report.section("disclosure"))
    for section in complete.sections:
        assert not DENIALS.search(words(section)), section.id


def test_every_number_of_the_sum_is_in_the_numbers_of_the_report(complete):
    assert b'"fn": 20' in metrics_json(complete)
    assert not untraced(render_html(complete.notebook()), complete.numbers)


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ({"status": "none"}, "no site had joined it"),
        ({"status": "open", "sites": ("A",)}, "was not complete when this report was made"),
        (
            {"status": "failed", "reason": "1 hospital has sent a message"},
            "failed: 1 hospital has sent a message.",
        ),
        (
            {"status": "below floor", "sites": ("A", "B", "C"), "opened_by": 3},
            "below or above each threshold the total has fewer than 11 cases of a class",
        ),
        (
            {"status": "contradictory", "sites": ("A", "B", "C"), "opened_by": 2},
            "2 sites opened it and found different totals, so none is shown",
        ),
    ],
)
def test_without_a_total_the_report_says_why_and_shows_no_number_of_it(
    report_with, outcome, sentence
):
    report = report_with(**outcome)
    text = words(report.section("thresholds"))
    assert sentence in text
    assert "without any site's table" not in text
    assert "from the released aggregates only" in words(report.section("disclosure"))
    assert report.numbers["study"]["secure_sum"]["thresholds"] == []


def test_a_table_of_another_plan_is_refused():
    with pytest.raises(MetricError, match="6 cells, not the 4 of 1 threshold"):
        secure_total(Outcome(status="none"), TERMS, (0.5,))
