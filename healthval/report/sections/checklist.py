"""Section "Reporting checklist": where each item of TRIPOD+AI is reported, or who must supply it.

The items are those of an evaluation study; the topics are in our own words. An item is covered only
if this report contains it, so that the coverage differs from study to study.

References
----------
TRIPOD+AI: Collins et al. 2024, BMJ 385:e078378.
"""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from healthval.aggregate.result import PooledMeasure, TableOneTotal
from healthval.report.document import Section
from healthval.report.findings import Findings
from healthval.report.markup import paragraphs, table
from healthval.report.sections.stated import statement
from healthval.report.wording.language import many, mark, say

SITE, DEVELOPER = mark("site to complete"), mark("developer to complete")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the checklist, with the section that covers it and who must supply it otherwise."""

    number: str
    topic: str
    owner: str
    section: str | None = None

    def place(self, findings: Findings) -> str | None:
        """Return the anchor of the section that covers the item in this report."""
        field = _STATED.get(self.number)
        return "stated" if field and statement(findings, field) else self.section

    def covered(self, findings: Findings) -> bool:
        """Return whether this report covers the item."""
        place, holds = self.place(findings), _CONDITIONS.get(self.number)
        if place == "stated":
            return True
        return place is not None and (holds is None or holds(findings))


# Field of the plan or of the model card that covers an item where it is filled in.
_STATED = {
    "3a": "context",
    "3c": "inequalities",
    "5a": "data_sources",
    "5b": "recruitment_dates",
    "6a": "setting",
    "6b": "eligibility",
    "6c": "treatments",
    "8b": "reference_assessors",
    "8c": "blinding",
    "9a": "predictors",
    "9b": "predictor_definitions",
    "9c": "predictor_assessors",
    "13": "class_imbalance",
    "17": "ethics",
    "18a": "funding",
    "18b": "conflicts",
    "18d": "registration",
    "19": "involvement",
    "20c": "development_comparison",
    "22": "model_access",
    "27b": "expertise",
}

# Condition under which the section really covers the item; without an entry it always does.
_CONDITIONS: dict[str, Callable[[Findings], bool]] = {
    "3b": lambda f: bool(f.card.intended_use),
    "4": lambda f: bool(f.plan.criteria),
    "8a": lambda f: bool(f.plan.reference_standard),
    "10": lambda f: bool(f.plan.planned_cases or f.plan.sample_size_rationale),
    "11": lambda f: bool(f.study.n_missing_reference.n_sites),
    "12d": lambda f: f.study.k > 1,
    "14": lambda f: any(_has_value(g.auroc) for g in f.study.subgroups),
    "15": lambda f: bool(f.plan.thresholds),
    "16": lambda f: bool(f.card.training_data),
    "20a": lambda f: any(step.total.n_sites for step in f.study.flow),
    "20b": lambda f: any(_has_row(row) for row in f.study.table_one),
    "21": lambda f: bool(f.study.n.n_sites and f.study.n_events.n_sites),
    "23a": lambda f: bool(_sites_with_value(f)),
    "23b": lambda f: f.study.auroc.meta is not None,
    "27a": lambda f: bool(f.study.n_indeterminate.n_sites),
}

# Items whose numbers come from the releases: not covered means withheld or not estimable.
_FROM_RELEASES = {"11", "14", "20a", "20b", "21", "23a", "23b", "27a"}


def _has_value(measure: PooledMeasure) -> bool:
    return any(site.value is not None for site in measure.sites)


def _has_row(row: TableOneTotal) -> bool:
    return row.mean is not None or bool(row.overall and row.overall.n_sites)


def _sites_with_value(findings: Findings) -> int:
    return sum(r.auroc.value is not None for r in findings.released.values())


# Sites that did not release the numbers of an item, which is then covered in part.
_WITHHELD_AT: dict[str, Callable[[Findings], int]] = {
    "21": lambda f: max(f.study.n.n_suppressed, f.study.n_events.n_suppressed),
    "23a": lambda f: f.study.k - _sites_with_value(f),
}


ITEMS = (
    Item("1", mark("Title names evaluation, population and outcome"), SITE, "summary"),
    Item("2", mark("Structured summary"), SITE, "summary"),
    Item("3a", mark("Clinical context and existing models"), SITE),
    Item("3b", mark("Target population, place in care, intended users"), DEVELOPER, "summary"),
    Item("3c", mark("Known health inequalities"), SITE),
    Item("4", mark("Objectives"), SITE, "summary"),
    Item("5a", mark("Sources of data, representativeness"), SITE),
    Item("5b", mark("Dates of collection and follow-up"), SITE),
    Item("6a", mark("Setting and number of centres"), SITE, "cohort"),
    Item("6b", mark("Eligibility criteria"), SITE),
    Item("6c", mark("Treatments received"), SITE),
    Item("7", mark("Pre-processing and quality checks"), SITE, "operations"),
    Item("8a", mark("Outcome definition and how it was assessed"), SITE, "summary"),
    Item("8b", mark("Qualification of outcome assessors"), SITE),
    Item("8c", mark("Blinding of outcome assessment"), SITE),
    Item("9a", mark("Choice of predictors"), DEVELOPER),
    Item("9b", mark("Definition of predictors"), DEVELOPER),
    Item("9c", mark("Qualification of predictor assessors"), SITE),
    Item("10", mark("Sample size and its justification"), SITE, "cohort"),
    Item("11", mark("Missing data"), SITE, "cohort"),
    Item("12a", mark("How data were used"), SITE, "disclosure"),
    Item("12d", mark("Heterogeneity between sites"), SITE, "methods"),
    Item("12e", mark("Measures of performance"), SITE, "methods"),
    Item("12f", mark("Model updating (none: the model is judged as it is)"), SITE, "claim"),
    Item("12g", mark("How predictions were obtained"), SITE, "provenance"),
    Item("13", mark("Class imbalance"), DEVELOPER),
    Item("14", mark("Fairness"), SITE, "subgroups"),
    Item("15", mark("Output and thresholds"), DEVELOPER, "thresholds"),
    Item("16", mark("Differences from the development data"), DEVELOPER, "claim"),
    Item("17", mark("Ethics approval"), SITE),
    Item("18a", mark("Funding"), SITE),
    Item("18b", mark("Conflicts of interest"), SITE),
    Item("18c", mark("Protocol"), SITE, "provenance"),
    Item("18d", mark("Registration"), SITE),
    Item("18e", mark("Availability of the data"), SITE, "disclosure"),
    Item("18f", mark("Code sharing"), SITE, "provenance"),
    Item("19", mark("Patient and public involvement"), SITE),
    Item("20a", mark("Flow of participants"), SITE, "cohort"),
    Item("20b", mark("Characteristics of participants"), SITE, "cohort"),
    Item("20c", mark("Comparison with the development data"), DEVELOPER),
    Item("21", mark("Participants and events in each analysis"), SITE, "discrimination"),
    Item("22", mark("Access to the full model"), DEVELOPER),
    Item("23a", mark("Performance with intervals, overall"), SITE, "discrimination"),
    Item("23b", mark("Heterogeneity of performance between sites"), SITE, "heterogeneity"),
    Item("24", mark("Results of updating (none done)"), SITE, "claim"),
    Item("25", mark("Interpretation, with fairness"), SITE),
    Item("26", mark("Limitations"), SITE, "summary"),
    Item("27a", mark("Poor or missing input"), SITE, "operations"),
    Item("27b", mark("Expertise that users need"), DEVELOPER),
    Item("27c", mark("Next steps"), SITE),
)


def held(findings: Findings) -> list[str]:
    """Return the numbers of the items this report covers."""
    return [item.number for item in ITEMS if item.covered(findings)]


def coverage(findings: Findings) -> tuple[int, int]:
    """Count the items this report covers, and all items."""
    return len(held(findings)), len(ITEMS)


def checklist(findings: Findings, headings: dict[str, str]) -> Section:
    """Build the index of the items; `headings` contains the heading of each section by anchor."""
    done, all_items = coverage(findings)
    rows = [[item.number, say(item.topic), _place(item, findings, headings)] for item in ITEMS]
    intro = paragraphs(
        say(
            "This report covers {done} of the {all_items} items and parts of items below, wholly "
            "or in part. An item is covered only if its numbers are in this report. The other "
            "items are marked for the site or the developer to complete, or as not released.",
            done=done,
            all_items=all_items,
        )
    )
    sheet = table(
        say("TRIPOD+AI item by item"),
        [say("Item"), say("Topic"), say("Where")],
        rows,
        kind="words index",
    )
    return Section("checklist", say("Reporting checklist (TRIPOD+AI)"), (intro, sheet))


def _place(item: Item, findings: Findings, headings: dict[str, str]) -> Markup:
    place = item.place(findings)
    if place is None or not item.covered(findings):
        withheld = item.section is not None and item.number in _FROM_RELEASES
        owed = say("not released or not estimable") if withheld else say(item.owner)
        return Markup('<em class="owed">{}</em>').format(owed)
    link = Markup('<a href="#{}">{}</a>').format(place, headings[place])
    withheld_at = _WITHHELD_AT.get(item.number)
    sites = withheld_at(findings) if withheld_at else 0
    return link + (
        say(", in part: withheld by {sites}", sites=many(sites, "site")) if sites else ""
    )
