"""Sentences of the report that a reader can check against the releases and the way data go."""

import json
import re
from dataclasses import replace
from html import unescape

import pytest

from healthval.aggregate import pool
from healthval.report import build
from healthval.report.findings import Findings, match
from healthval.report.sections.disclosure import what_left

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
    return Findings(study, match(study, released.values()), card, plan)


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
