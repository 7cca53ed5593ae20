"""The content of the report follows from the releases, and from nothing else."""

import json
import pkgutil
import re
from dataclasses import replace
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.aggregate import pool
from healthval.errors import ReportError
from healthval.report import Criterion, Figure, build
from healthval.report.criteria import judge
from healthval.report.figures.forest import AUROC, site_forest
from healthval.report.findings import Findings, match
from healthval.report.markup import as_shown, number, table
from healthval.report.sections import __path__ as sections_path
from healthval.report.sections.checklist import ITEMS, coverage
from healthval.report.sections.claim import claim
from healthval.report.sections.cohort import cohort
from healthval.report.sections.discrimination import discrimination
from healthval.report.sections.heterogeneity import heterogeneity
from healthval.report.sections.summary import verdicts
from healthval.report.sections.thresholds import thresholds
from healthval.report.sections.utility import utility
from healthval.report.values.means import SiteMean
from healthval.report.wording.limitations import limitations
from healthval.report.wording.plain_words import plain_words, risks


def text_of(section):
    parts = []
    for block in section.blocks:
        html = block
        if isinstance(block, Figure):
            html = f"{block.alt} {block.caption} {block.data}"
        parts.append(unescape(re.sub(r"<[^>]+>", " ", str(html))))
    return re.sub(r"\s+", " ", " ".join(parts))


def test_each_section_is_in_the_module_named_after_its_anchor(report):
    modules = {module.name for module in pkgutil.iter_modules(sections_path)}
    anchors = {section.id for section in report.sections}
    assert anchors == modules - {"monitoring"} | {"provenance"}


@pytest.fixture(scope="module")
def findings(study, released, card, plan):
    return Findings(study=study, released=match(study, released.values()), card=card, plan=plan)


def findings_of(released, card, plan):
    study = pool(tuple(released.items()))
    return Findings(study=study, released=match(study, released.values()), card=card, plan=plan)


AT_LEAST = Criterion("auroc", at_least=0.8)
WITHIN = Criterion("slope", at_least=0.8, at_most=1.2)


@pytest.mark.parametrize(
    ("criterion", "lo", "hi", "outcome"),
    [
        (AT_LEAST, 0.801, 0.9, "met"),
        (AT_LEAST, 0.8, 0.9, "met"),
        (AT_LEAST, 0.799, 0.9, "inconclusive"),
        (AT_LEAST, 0.7, 0.801, "inconclusive"),
        (AT_LEAST, 0.7, 0.8, "inconclusive"),
        (AT_LEAST, 0.7, 0.799, "not met"),
        (WITHIN, 0.8, 1.2, "met"),
        (WITHIN, 0.79, 1.2, "inconclusive"),
        (WITHIN, 0.8, 1.21, "inconclusive"),
        (WITHIN, 0.5, 1.9, "inconclusive"),
        (WITHIN, 1.21, 1.9, "not met"),
        (WITHIN, 0.1, 0.79, "not met"),
    ],
)
def test_a_verdict_turns_exactly_at_the_target(criterion, lo, hi, outcome):
    assert judge(criterion, as_shown((lo + hi) / 2, lo, hi)) == outcome


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_wider_interval_never_turns_met_into_not_met(lo, hi, wider):
    lo, hi = min(lo, hi), max(lo, hi)
    narrow = judge(AT_LEAST, as_shown(lo, lo, hi))
    wide = judge(AT_LEAST, as_shown(lo, lo - wider, hi + wider))
    assert wide in {narrow, "inconclusive"}


def test_without_an_interval_nothing_is_met():
    assert judge(AT_LEAST, as_shown(0.99)) == judge(AT_LEAST, as_shown(None)) == "inconclusive"


@pytest.mark.parametrize(
    "wrong",
    [
        {"measure": "Canary", "at_least": 1.0},
        {"measure": "auroc"},
        {"measure": "auroc", "at_least": 0.8, "threshold": 0.5},
        {"measure": "sensitivity", "at_least": 0.8},
    ],
)
def test_a_criterion_that_cannot_be_judged_is_refused(wrong):
    with pytest.raises(ReportError) as told:
        Criterion(**wrong)
    assert "Canary" not in str(told.value)


def test_verdicts_rest_on_the_pooled_results(findings, study):
    auroc, sensitivity, _, slope = verdicts(findings)
    assert (auroc.mean.value, auroc.mean.ci) == (study.auroc.value, study.auroc.ci)
    assert (sensitivity.mean.value, sensitivity.mean.k, sensitivity.mean.of) == (None, 2, 3)
    assert (slope.mean.value, slope.mean.ci) == (study.slope.value, study.slope.ci)


def test_verdicts_are_shown_by_word_and_shape(report):
    page = "".join(report.section("summary").blocks)
    for verdict in report.numbers["verdicts"]:
        assert verdict["outcome"] in page
    shapes = {shape for shape in "●■▲" if f">{shape}<" in page}
    assert len(shapes) == len({v["outcome"] for v in report.numbers["verdicts"]})


def test_one_site_is_judged_by_its_own_estimate(simulated, site_of, card, plan):
    found = findings_of(simulated([site_of(400)]), card, plan)
    (release,) = found.released.values()
    shown, basis = found.result("auroc")
    assert (shown.value, shown.lo, basis) == (release.auroc.value, release.auroc.lo, "the one site")


def test_one_site_has_one_interval_for_each_result_and_no_word_on_sums(
    simulated, site_of, card, plan
):
    sites = simulated([site_of(400)])
    report = build(pool(tuple(sites.items())), sites, card, plan)
    (release,) = sites.values()
    for section in report.sections:
        assert not re.search(r"\btogether\b|differences between sites are", text_of(section))
    own = as_shown(*(getattr(release.thresholds[0].net_benefit, e) for e in ("value", "lo", "hi")))
    assert own.text() in text_of(report.section("utility"))


def test_two_sites_are_shown_but_not_pooled(simulated, site_of, card, plan):
    found = findings_of(simulated([site_of(400), site_of(300)]), card, plan)
    assert {v.outcome for v in verdicts(found) if v.criterion.measure == "auroc"} == {
        "inconclusive"
    }
    for release in found.released.values():
        assert number(release.auroc.value) in text_of(discrimination(found))


def test_a_threshold_that_was_not_pooled_is_inconclusive(findings, plan):
    criterion = Criterion("ppv", at_least=0.5, threshold=0.31)
    (verdict,) = verdicts(replace(findings, plan=replace(plan, criteria=(criterion,))))
    assert (verdict.outcome, verdict.mean.value) == ("inconclusive", None)


def test_three_sentences_agree_with_the_numbers(findings, study):
    ranking, deciding, risk = plain_words(findings)
    assert f"about {study.auroc.value * 100:.0f} of 100 pairs" in ranking
    counts = study.thresholds[0].counts
    found = f"{100 * counts.tp / (counts.tp + counts.fn):.0f} of 100 cases with the condition"
    assert f"marked {found}" in deciding
    assert "in 2 of 3 hospitals" in deciding
    assert f"{study.oe.value:.2f}" in risk


@pytest.mark.parametrize(
    ("lo", "hi", "words"),
    [(1.01, 1.3, "too low"), (0.7, 0.99, "too high"), (0.9, 1.1, "neither"), (1.0, 1.2, "neither")],
)
def test_risks_are_called_too_low_or_too_high_only_by_the_interval(lo, hi, words):
    mean = SiteMean(value=(lo + hi) / 2, ci=(lo, hi), prediction=(0.62, 1.64), k=6, of=6)
    assert words in risks(mean)
    assert "At another hospital, 0.62 to 1.64 events for each event predicted" in risks(mean)
    assert "too few" in risks(replace(mean, prediction=None, k=4))


def test_limitations_name_what_is_small_unchecked_or_amended(findings, plan):
    amended = replace(findings, plan=replace(plan, amended=True))
    words = " ".join(limitations(amended))
    assert "amended" in words
    assert "3 sites: too few" in words
    assert "answers was not checked" in words
    assert "leave out 1 of 3 sites" in words


def test_every_released_number_of_a_site_is_in_the_report(report, released):
    forest = text_of(report.section("discrimination"))
    counts = text_of(report.section("thresholds"))
    for site, release in released.items():
        a = release.auroc
        assert f"{a.value:.3f} ({a.lo:.3f} to {a.hi:.3f})" in forest
        cells = release.thresholds[0].confusion
        if cells.tp != "suppressed":
            assert f"{site} {cells.tp} {cells.fn} {cells.fp} {cells.tn}" in counts


def test_a_withheld_count_is_no_number_and_its_sum_no_exact_one(report, released):
    text = text_of(report.section("cohort"))
    for site, r in released.items():
        assert f"{site} {r.n} {r.n_events} withheld" in text
    assert re.search(r"All sites 512 \d+ withheld withheld", text)
    assert "<11" in text


def test_a_partly_withheld_sum_is_only_bounded_from_below(simulated, site_of, card, plan):
    sites = simulated([site_of(900), site_of(260), site_of(180)])
    n_known = [r.n_missing_reference for r in sites.values()]
    assert n_known == [36, "suppressed", "suppressed"]
    built = cohort(findings_of(sites, card, plan))
    assert re.search(r"All sites 1\W340 \d+ \S+ ≥36 ", text_of(built))


def test_a_site_with_withheld_cells_enters_no_sum_of_counts(findings, released):
    counts = findings.study.thresholds[0].counts
    whole = [r.thresholds[0].confusion for r in released.values()]
    whole = [c for c in whole if c.tp != "suppressed"]
    assert len(whole) == 2
    assert counts.tp == sum(c.tp for c in whole)


def test_subgroups_keep_their_order_and_show_the_small_ones(report):
    text = text_of(report.section("subgroups"))
    places = [
        text.index(word) for word in ("female", "male", "under 50", "from 50 to 64", "from 65")
    ]
    assert places == sorted(places)


def test_the_claim_is_compared_by_the_interval(findings, study, card):
    words = {
        0.5: "higher than claimed",
        round(study.auroc.value, 3): "compatible",
        0.999: "lower than claimed",
    }
    for claimed, expected in words.items():
        told = card.model_copy(update={"claimed_auroc": claimed})
        assert expected in text_of(claim(replace(findings, card=told)))


def test_the_checklist_counts_what_this_report_holds(findings, released, card, plan):
    done, items = coverage(findings)
    assert items == len(ITEMS) == len({item.number for item in ITEMS})
    assert 0 < done < items
    bare = {
        k: r.model_copy(update={"subgroups": (), "flow": (), "table_one": ()})
        for k, r in released.items()
    }
    fewer = findings_of(
        bare,
        card.model_copy(update={"training_data": ""}),
        replace(plan, criteria=(), thresholds=()),
    )
    assert coverage(fewer)[0] == done - 6


def test_items_not_covered_name_who_must_supply_them(report):
    html = report.section("checklist").blocks[-1]
    assert html.count("<tr>") == len(ITEMS) + 1
    assert html.count('class="owed"') + html.count('<a href="#') == len(ITEMS)


def test_a_study_without_curves_groups_thresholds_and_criteria_still_gives_a_report(
    released, card, plan
):
    bare = {
        k: r.model_copy(
            update={
                "roc": (),
                "thresholds": (),
                "calibration": None,
                "decision_curve": (),
                "histogram": (),
                "subgroups": (),
                "table_one": (),
                "flow": (),
                "n_missing_reference": "suppressed",
            }
        )
        for k, r in released.items()
    }
    study = pool(tuple(bare.items()))
    report = build(
        study,
        bare,
        card.model_copy(update={"claimed_auroc": None}),
        replace(plan, criteria=(), thresholds=()),
    )
    page = " ".join(text_of(section) for section in report.sections)
    for words in (
        "no acceptance criteria",
        "No site released counts from which its ROC curve",
        "names no threshold",
        "no claim",
    ):
        assert words in page
    assert "None" not in page
    assert "nan" not in page.lower().split()


COUNTS = frozenset(
    [
        "n",
        "n_events",
        "n_indeterminate",
        "n_missing_reference",
        "tp",
        "fp",
        "fn",
        "tn",
        "overall",
        "events",
        "non_events",
    ]
)


def withhold(value):
    """Suppress every count and every estimate of a release."""
    if isinstance(value, dict):
        if "withheld" in value:
            return {"withheld": "suppressed"}
        return {k: "suppressed" if k in COUNTS else withhold(v) for k, v in value.items()}
    return [withhold(v) for v in value] if isinstance(value, list) else value


def test_a_study_in_which_everything_is_withheld_still_gives_a_report(released, card, plan):
    hidden = {}
    for site, release in released.items():
        values = withhold(release.model_dump(mode="json"))
        values |= {"histogram": [], "roc": []}
        hidden[site] = type(release).model_validate_json(json.dumps(values))
    report = build(pool(tuple(hidden.items())), hidden, card, plan)
    assert {v["outcome"] for v in report.numbers["verdicts"]} == {"inconclusive"}
    assert "withheld" in text_of(report.section("summary"))


NASTY = '"><script>alert(1)</script>&amp; $x^2$ [a](b) ' + "long " * 20


def test_words_of_others_are_shown_as_words(released, card, plan):
    sites = {f"{NASTY}{i}": r for i, r in enumerate(released.values())}
    told = card.model_copy(update={"title": NASTY, "limitations": NASTY, "training_data": NASTY})
    report = build(pool(tuple(sites.items())), sites, told, replace(plan, title=NASTY))
    from healthval.report import render_html

    html = render_html(report.notebook())
    assert "<script" not in html
    assert "alert(1)" in html
    assert "<script" not in "".join(
        b.svg for s in report.sections for b in s.blocks if isinstance(b, Figure)
    )
    assert 'href="b"' not in html


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"card": {"version": "9"}}, "model card is for another"),
        ({"card": {"name": "other-model"}}, "model card is for another"),
        ({"plan": {"plan_hash": "0" * 64}}, "plan's hash"),
    ],
)
def test_what_does_not_belong_together_is_refused(study, released, card, plan, change, says):
    card = card.model_copy(update=change.get("card", {}))
    with pytest.raises(ReportError, match=says):
        build(study, released, card, replace(plan, **change.get("plan", {})))


def test_a_submission_that_was_not_pooled_or_was_changed_is_refused(
    study, released, simulated, card, plan
):
    first, *others = released.values()
    with pytest.raises(ReportError, match="1 of 3 submissions"):
        build(study, others, card, plan)
    changed = first.model_copy(update={"n_indeterminate": 77})
    with pytest.raises(ReportError, match="1 of 3 submissions"):
        build(study, [changed, *others], card, plan)
    with pytest.raises(ReportError, match="not part of the study"):
        build(study, [*released.values(), changed], card, plan)


def test_many_sites_are_split_over_figures_and_only_the_influential_listed(
    simulated, site_of, card, plan
):
    sites = simulated([site_of(130 + i) for i in range(40)])
    study = pool(tuple(sites.items()), bivariate="none")
    found = Findings(study=study, released=match(study, sites.values()), card=card, plan=plan)
    forests = site_forest(found, study.auroc, AUROC, "AUROC")
    assert len(forests) == 2
    assert "random-effects mean" in forests[1].alt
    text = text_of(heterogeneity(found))
    assert "The 12 sites of 40 that change the mean most" in text
    assert "Funnel plot of the AUROC of 40 sites" in text


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_a_printed_number_reads_back(value, digits):
    text = number(value, digits).replace("−", "-")
    assert float(text) == pytest.approx(value, abs=0.51 * 10**-digits)
    assert text not in {"-0", "-0.0", "-0.00", "-0.000", "-0.0000"}


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_words_in_a_table_stay_words(words):
    html = table(words, [words], [[words]], note=words)
    assert html.count("<") == table("", [""], [[""]], note=words and "x").count("<")


def test_the_decision_curve_of_all_cases_is_drawn_only_where_every_site_is_in_it(
    findings, released, card, plan
):
    whole = text_of(utility(findings))
    assert "Decision curve of the cases of 3 sites together" in whole
    first, *others = released
    bare = {first: released[first].model_copy(update={"decision_curve": ()})}
    bare |= {site: released[site] for site in others}
    part = text_of(utility(findings_of(bare, card, plan)))
    assert "Decision curves of 2 sites;" in part
    assert "Decision curve of the cases" not in part


def test_sums_are_of_one_set_of_sites_which_is_named(findings):
    text = text_of(thresholds(findings))
    c = findings.study.thresholds[0].counts
    assert "All cases" not in text
    assert "Cases of 2 of 3 sites together at threshold 0.5" in text
    shown = re.search(
        r"Specificity (0\.\d+) \(", text[text.index("Rates of the cases of 2 of 3") :]
    )
    assert float(shown[1]) == pytest.approx(c.tn / (c.tn + c.fp), abs=0.0006)
    assert f"Left out (counts withheld): {c.excluded[0].site}." in text


def test_a_plan_amended_at_a_site_is_called_amended(simulated, study, released, card, plan):
    amended = {k: r.model_copy(update={"plan_amended": True}) for k, r in released.items()}
    report = build(pool(tuple(amended.items())), amended, card, plan)
    page = text_of(report.section("summary"))
    assert "fixed before data were seen" not in page
    assert "The plan was amended" in page
