"""Sentences of the report that a reader can check against the releases and the way data go."""

import json
import re
from dataclasses import replace
from html import unescape

import pytest

from healthval.aggregate import pool
from healthval.errors import ReportError
from healthval.report import Criterion, Figure, build
from healthval.report.findings import Findings, match
from healthval.report.sections.disclosure import what_left
from healthval.report.values.levels import place

DENIALS = re.compile(
    r"\b(no|nothing|never)\b[^.]{0,80}\b(left|leaves?|sent|transferred)\b"
    r"|\b(stay(s|ed)?|remain(s|ed)?) (at|in|inside|within) (the|each|every|its) (hospital|site)",
    re.IGNORECASE,
)
LOWER = re.compile(r"\b(worse|lower|pessimistic|underestimat\w+|too low)\b", re.IGNORECASE)
HIGHER = re.compile(r"\b(better|higher|optimistic|overestimat\w+|too high)\b", re.IGNORECASE)
WITHHELD = re.compile(r"withh|small cell|leave out|other sites|left out", re.IGNORECASE)


def words(section):
    html = re.sub(r'src="data:[^"]*"', "", section._repr_html_())
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def findings_of(released, card, plan):
    study = pool(tuple(released.items()))
    return Findings(study=study, released=match(study, released.values()), card=card, plan=plan)


def withholding(release, names=("tp", "fn")):
    """Withhold the named cells and all estimates at each threshold of a release."""
    values = json.loads(release.model_dump_json())
    for at in values["thresholds"]:
        at["confusion"] |= dict.fromkeys(names, "suppressed")
        for rate in ("sensitivity", "specificity", "ppv", "npv", "net_benefit"):
            at[rate] = {"withheld": "suppressed"}
    return type(release).model_validate_json(json.dumps(values))


def test_no_section_denies_that_de_identified_cases_left(report):
    for section in report.sections:
        assert not DENIALS.search(words(section)), section.id
    assert "de-identified inputs of at least 512 cases" in words(report.section("disclosure"))


def test_cases_that_left_are_not_counted_where_their_number_is_withheld(released, card, plan):
    hidden = {
        s: r.model_copy(update={"n": "suppressed", "n_events": "suppressed"})
        for s, r in released.items()
    }
    assert "de-identified inputs of cases, " in what_left(findings_of(hidden, card, plan))


@pytest.mark.parametrize("cells", [("tp", "fn"), ("fp", "tn"), ("fn",), ("tp", "fp", "fn", "tn")])
def test_no_sentence_names_one_direction_of_withheld_counts(released, card, plan, cells):
    first, *others = released
    partly = {first: withholding(released[first], cells)} | {s: released[s] for s in others}
    report = build(pool(tuple(partly.items())), partly, card, replace(plan, amended=True))
    for section in report.sections:
        for sentence in re.split(r"(?<=[.;:!?])\s+", words(section)):
            if WITHHELD.search(sentence):
                assert bool(LOWER.search(sentence)) == bool(HIGHER.search(sentence)), sentence


def rows_of(html, caption):
    found = next(t for t in re.findall(r"<table.*?</table>", html, re.DOTALL) if caption in t)
    lines = re.findall(r"<tr>(.*?)</tr>", found, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]
    return [[unescape(re.sub(r"<[^>]+>", "", c)).strip() for c in line] for line in cells]


def test_a_flow_without_some_steps_is_a_lower_bound(released, card, plan):
    first, *others = released
    last_step = released[first].model_copy(update={"flow": released[first].flow[-1:]})
    sites = {first: last_step} | {s: released[s] for s in others}
    html = build(pool(tuple(sites.items())), sites, card, plan).section("cohort")._repr_html_()
    rows = rows_of(html, "Cohort flow")[1:]
    assert [row[0] for row in rows] == ["on the list", "eligible", "scored", "with reference"]
    assert [row[-1][0] == "≥" for row in rows] == [True, True, True, False]


def test_flows_in_contradicting_orders_are_shown_apart(released, card, plan):
    first, *others = released
    flow = released[first].flow
    turned = released[first].model_copy(update={"flow": (flow[1], flow[0], *flow[2:])})
    sites = {first: turned} | {s: released[s] for s in others}
    html = build(pool(tuple(sites.items())), sites, card, plan).section("cohort")._repr_html_()
    rows = rows_of(html, "Cohort flow at each site")[1:]
    assert [row[0] for row in rows] == [site for site in sites for _ in flow]
    assert "have no common order in which no number of cases increases" in html


TARGETS = {
    "at least 0.995": {"at_least": 0.995},
    "at most 0.00005": {"at_most": 0.00005},
    "−0.0625 to 0.0625": {"at_least": -0.0625, "at_most": 0.0625},
    "0.8 to 1": {"at_least": 0.8, "at_most": 1.0},
}


@pytest.mark.parametrize(("words_", "ends"), list(TARGETS.items()))
def test_a_target_has_the_digits_of_the_plan(study, released, card, plan, words_, ends):
    criterion = Criterion("citl", **ends)
    report = build(study, released, card, replace(plan, criteria=(criterion,)))
    assert report.numbers["verdicts"][0]["target"] == words_
    assert words_ in words(report.section("summary"))


def test_the_marker_of_withheld_levels_is_no_level(released, card, plan):
    changed = {}
    for site, release in released.items():
        values = json.loads(release.model_dump_json())
        hidden = {"variable": "sex", "level": "suppressed", "n": "suppressed"}
        none = {"withheld": "suppressed"}
        rates = dict.fromkeys(("auroc", "oe", "sensitivity", "specificity"), none)
        values["subgroups"].insert(0, hidden | {"n_events": "suppressed"} | rates)
        marker = {"variable": "sex", "level": "suppressed", "overall": "suppressed"}
        values["table_one"].insert(0, marker)
        changed[site] = type(release).model_validate_json(json.dumps(values))
    report = build(pool(tuple(changed.items())), changed, card, plan)
    for name in ("cohort", "subgroups"):
        html = report.section(name)._repr_html_()
        heads = [h.strip() for h in re.findall(r"<th[^>]*>(.*?)</th>", html, re.DOTALL)]
        assert not [h for h in heads if re.search(r"\bsuppressed\b", h)]
        levels = [h for h in heads if "female" in h or "withheld" in h]
        assert "female" in levels[0]
        assert "levels withheld" in levels[-1]


def test_levels_are_in_the_order_of_the_plan(study, released, card, plan):
    ordered = replace(plan, levels=(("age", ()), ("sex", ("male", "female"))))
    html = build(study, released, card, ordered).section("subgroups")._repr_html_()
    heads = [h.strip() for h in re.findall(r"<th[^>]*>(.*?)</th>", html, re.DOTALL)]
    places = [heads.index(name) for name in ("from 50 to 64", "male", "female")]
    assert places == sorted(places)


def test_bands_are_in_the_order_of_their_edges():
    bands = ["from_100", "from_minus_5_to_below_9", "below_minus_5", "from_9_to_below_100"]
    key = place((), [("age", band) for band in ["suppressed", "missing", *bands]])
    found = sorted(["suppressed", "missing", *bands], key=lambda level: key("age", level))
    assert found == [bands[2], bands[1], bands[3], bands[0], "missing", "suppressed"]


@pytest.mark.parametrize(
    ("mean", "sd", "shown"),
    [(0.096, 0.014, "0.096 (SD 0.014)"), (62.1, 12.3, "62.1 (SD 12.3)"), (61.0, 0.04, "61 ")],
)
def test_means_have_released_digits_and_no_sd_of_zero(released, card, plan, mean, sd, shown):
    row = next(iter(released.values())).table_one[0].model_copy(update={"mean": mean, "sd": sd})
    sites = {s: r.model_copy(update={"table_one": (row,)}) for s, r in released.items()}
    study = pool(tuple(sites.items()))
    printed = words(build(study, sites, card, plan).section("cohort"))
    assert f"age, mean (SD) {shown}" in printed
    assert "SD 0.0)" not in printed


@pytest.mark.parametrize("bad", ["Nord\u202etset", "No\u200brd", "Nord\x85", "\u2067x\u2069"])
def test_texts_that_read_as_others_are_refused(study, released, card, plan, bad):
    first, *others = released
    sites = {bad: released[first]} | {s: released[s] for s in others}
    with pytest.raises(ReportError, match="1 of 3 texts of the site labels has") as told:
        build(pool(tuple(sites.items())), sites, card, plan)
    assert bad not in str(told.value)
    with pytest.raises(ReportError, match="of the model card"):
        build(study, released, card.model_copy(update={"title": bad}), plan)
    with pytest.raises(ReportError, match="of the plan"):
        build(study, released, card, replace(plan, title=bad))


def test_each_sites_own_result_is_compared_with_each_criterion(report, released, plan):
    html = report.section("heterogeneity")._repr_html_()
    for criterion in plan.criteria:
        rows = rows_of(html, f"Each site&#39;s own result: {criterion.name()}")[1:]
        assert [row[0] for row in rows] == list(released)
    auroc = rows_of(html, "own result: AUROC")[1:]
    for row, release in zip(auroc, released.values(), strict=True):
        a = release.auroc
        assert row[1] == f"{a.value:.3f} ({a.lo:.3f} to {a.hi:.3f})"
        assert row[2].endswith("met" if a.lo >= 0.85 else "inconclusive")


def test_subgroup_rates_name_their_threshold(report):
    assert "Sensitivity and specificity at threshold 0.5." in words(report.section("subgroups"))


def test_workload_and_number_needed_follow_from_the_counts(report, study):
    c = study.thresholds[0].counts
    n = c.tp + c.fp + c.fn + c.tn
    text = words(report.section("thresholds"))
    assert f"marked in all (workload) {1000 * (c.tp + c.fp) / n:.0f}" in text
    assert f"cases marked for each one found {(c.tp + c.fp) / c.tp:.1f}" in text


def test_wide_tables_are_scrolled_by_keyboard_and_no_header_is_empty(report):
    for section in report.sections:
        html = section._repr_html_()
        assert html.count('<div class="table') == html.count('role="group" tabindex="0"')
        assert not re.search(r"<th[^>]*>\s*</th>", html)


def test_methods_are_described_for_the_study_at_hand(report, simulated, site_of, card, plan):
    assert "Hartung-Knapp" in words(report.section("methods"))
    one = simulated([site_of(500)])
    alone = build(pool(tuple(one.items())), one, card, plan)
    assert not re.search(r"mean over (hospitals|sites)", words(alone.section("methods")), re.I)
    page = " ".join(words(s) for s in alone.sections)
    assert not re.search(r"mean over (hospitals|sites)|random-effects mean", page, re.IGNORECASE)


def test_a_mean_of_two_sites_is_not_pooled_and_the_reason_is_printed_once_a_row(
    simulated, site_of, card, plan
):
    sites = simulated([site_of(300), site_of(280)])
    made = build(pool(tuple(sites.items())), sites, card, plan)
    rows = rows_of(made.section("summary")._repr_html_(), "Acceptance criteria")[1:]
    reason = "not pooled: values of 2 sites, at least 3 needed"
    assert [" ".join(row).count("not pooled") for row in rows] == [1] * len(plan.criteria)
    assert [row[3] for row in rows] == [reason] * len(plan.criteria)
    assert f"The AUROC was {reason}." in words(made.section("summary"))
    there = "hospital outside the study were not estimated: values of 2 sites, at least 5 needed."
    assert there in words(made.section("heterogeneity"))


def test_a_study_of_one_hospital_has_no_weights_no_number_of_it_and_no_plural(
    simulated, site_of, card, plan
):
    sites = simulated([site_of(300)])
    made = build(pool(tuple(sites.items())), sites, card, plan)
    assert "left the hospital: de-identified inputs" in words(made.section("disclosure"))
    for section in made.sections:
        assert "weight of the site" not in words(section)
        assert not re.search(r"\b1 (sites|hospitals|cases)\b", words(section)), section.id


def test_the_dotted_line_of_a_calibration_forest_is_named(report):
    text = words(report.section("calibration"))
    assert "On the dotted line, at 1, prediction and observation agree." in text
    assert "On the dotted line, at 0, prediction and observation agree." in text
    assert "dotted line" not in words(report.section("discrimination"))


def test_a_legend_explains_only_what_is_printed(released, card, plan):
    def page(sites):
        return build(pool(tuple(sites.items())), sites, card, plan)

    first, *others = released
    partly = {first: withholding(released[first], ("tp", "fn"))} | {s: released[s] for s in others}
    shown = released[others[0]]
    whole = shown.model_copy(
        update={"table_one": tuple(t for t in shown.table_one if isinstance(t.overall, int))}
    )
    nearly = {f"site-{i:08d}": whole for i in range(12)} | {first: withholding(whole)}
    seen = []
    for made in (page(released), page(partly), page(nearly)):
        rates = rows_of_all(made.section("thresholds")._repr_html_())
        between = any("between" in cell for row in rates for cell in row)
        assert ("Between: bounds" in words(made.section("thresholds"))) == between
        cohort = made.section("cohort")._repr_html_()
        table_one = rows_of(cohort, "Table 1")
        note = words(made.section("cohort")).partition("Sites: those whose release")[2]
        least = any("≥" in c for row in table_one for c in row)
        assert ("≥: some sites withheld" in note) == least
        seen.append((between, least))
    assert seen == [(True, True), (True, True), (False, False)]


def rows_of_all(html):
    return [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>.*?</tr>", html)
    ]


def test_a_level_that_a_site_may_have_withheld_is_a_lower_bound_wherever_it_is_counted(
    released, card, plan
):
    """A site with a row for withheld levels may have cases of each level that it does not name."""
    first, *others = released
    values = json.loads(released[first].model_dump_json())
    values["subgroups"] = [g for g in values["subgroups"] if g["level"] != "female"]
    values["subgroups"].append({"variable": "sex", "level": "suppressed", "n": "suppressed"})
    for name in ("auroc", "oe", "sensitivity", "specificity"):
        values["subgroups"][-1][name] = {"withheld": "suppressed"}
    values["subgroups"][-1]["n_events"] = "suppressed"
    hidden = type(released[first]).model_validate_json(json.dumps(values))
    sites = {first: hidden} | {s: released[s] for s in others}
    study = pool(tuple(sites.items()))
    found = next(g for g in study.subgroups if (g.variable, g.level) == ("sex", "female"))
    true = {s: next(g for g in r.subgroups if g.level == "female") for s, r in released.items()}
    assert found.n.n_suppressed == 1
    assert found.n.lower == sum(true[s].n for s in others)
    assert found.n.lower + true[first].n <= found.n.upper
    rows = rows_of(build(study, sites, card, plan).section("subgroups")._repr_html_(), "AUROC by")
    assert next(row for row in rows if row[0] == "female")[1] == f"≥{found.n.lower}"


def test_net_benefit_of_all_cases_is_one_number_in_figure_and_table(released, card, plan):
    """Each site released its net benefit at the threshold, and one withheld the counts behind it."""
    first, *others = released
    partly = {first: withholding(released[first])} | {s: released[s] for s in others}
    html = build(pool(tuple(partly.items())), partly, card, plan).section("utility")._repr_html_()
    drawn = next(row for row in rows_of(html, "Decision curve of the cases") if row[0] == "0.5")
    printed = next(row for row in rows_of(html, "Net benefit of the cases") if row[0] == "0.5")
    assert printed[1:3] == drawn[1:3]
    assert "of treating all and none: 2 of 3 sites withheld counts." in html


def test_a_subgroup_figure_without_an_estimate_is_a_sentence(released, card, plan):
    def without(release):
        values = json.loads(release.model_dump_json())
        for group in values["subgroups"]:
            group["auroc"] = {"withheld": "suppressed"}
        return type(release).model_validate_json(json.dumps(values))

    sites = {site: without(release) for site, release in released.items()}
    made = build(pool(tuple(sites.items())), sites, card, plan).section("subgroups")
    assert "AUROC by subgroup: not released by any site." in words(made)
    assert not [block for block in made.blocks if isinstance(block, Figure)]
