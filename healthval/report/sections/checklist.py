"""Index to TRIPOD+AI (Collins et al. 2024, BMJ 385:e078378): where each item stands, or who owes it.

Items of an evaluation study; the topics are in our own words. An item counts as covered only when
the report at hand really holds it, so coverage differs from study to study.
"""

from collections.abc import Callable
from dataclasses import dataclass

from healthval.report.document import Section
from healthval.report.findings import Findings
from healthval.report.markup import Markup, paragraphs, show, table

SITE, DEVELOPER = "site to complete", "developer to complete"


@dataclass(frozen=True, slots=True)
class Item:
    """One item: `section` covers it when `held` is true of the findings, else `owner` owes it."""

    number: str
    topic: str
    owner: str
    section: str | None = None
    held: Callable[[Findings], bool] = lambda _: True

    def covered(self, findings: Findings) -> bool:
        """Tell whether this very report covers the item."""
        return self.section is not None and self.held(findings)


ITEMS = (
    Item("1", "Title names evaluation, population and outcome", SITE, "summary"),
    Item("2", "Structured summary", SITE, "summary"),
    Item("3a", "Clinical context and existing models", SITE),
    Item("3b", "Target population, place in care, intended users", DEVELOPER, "summary", lambda f: bool(f.card.intended_use)),
    Item("3c", "Known health inequalities", SITE),
    Item("4", "Objectives", SITE, "summary", lambda f: bool(f.plan.criteria)),
    Item("5a", "Sources of data, representativeness", SITE),
    Item("5b", "Dates of collection and follow-up", SITE),
    Item("6a", "Setting and number of centres", SITE, "cohort"),
    Item("6b", "Eligibility criteria", SITE),
    Item("6c", "Treatments received", SITE),
    Item("7", "Pre-processing and quality checks", SITE, "operations"),
    Item("8a", "Outcome definition and how it was assessed", SITE, "summary", lambda f: bool(f.plan.reference_standard)),
    Item("8b", "Qualification of outcome assessors", SITE),
    Item("8c", "Blinding of outcome assessment", SITE),
    Item("9a", "Choice of predictors", DEVELOPER),
    Item("9b", "Definition of predictors", DEVELOPER),
    Item("9c", "Qualification of predictor assessors", SITE),
    Item("10", "Sample size and its justification", SITE, "cohort", lambda f: bool(f.plan.planned_cases or f.plan.sample_size_rationale)),
    Item("11", "Missing data", SITE, "cohort"),
    Item("12a", "How data were used", SITE, "disclosure"),
    Item("12d", "Heterogeneity between sites", SITE, "heterogeneity", lambda f: f.study.k > 1),
    Item("12e", "Measures of performance", SITE, "discrimination"),
    Item("12f", "Model updating (none: the model is judged as it is)", SITE, "claim"),
    Item("12g", "How predictions were obtained", SITE, "provenance"),
    Item("13", "Class imbalance", DEVELOPER),
    Item("14", "Fairness", SITE, "subgroups", lambda f: bool(f.study.subgroups)),
    Item("15", "Output and thresholds", DEVELOPER, "thresholds", lambda f: bool(f.plan.thresholds)),
    Item("16", "Differences from the development data", DEVELOPER, "claim", lambda f: bool(f.card.training_data)),
    Item("17", "Ethics approval", SITE),
    Item("18a", "Funding", SITE),
    Item("18b", "Conflicts of interest", SITE),
    Item("18c", "Protocol", SITE, "provenance"),
    Item("18d", "Registration", SITE),
    Item("18e", "Data sharing: aggregates only", SITE, "disclosure"),
    Item("18f", "Code sharing", SITE, "provenance"),
    Item("19", "Patient and public involvement", SITE),
    Item("20a", "Flow of participants", SITE, "cohort", lambda f: bool(f.study.flow)),
    Item("20b", "Characteristics of participants", SITE, "cohort", lambda f: bool(f.study.table_one)),
    Item("20c", "Comparison with the development data", DEVELOPER),
    Item("21", "Participants and events in each analysis", SITE, "discrimination"),
    Item("22", "Access to the full model", DEVELOPER),
    Item("23a", "Performance with intervals, overall", SITE, "discrimination"),
    Item("23b", "Heterogeneity of performance between sites", SITE, "heterogeneity", lambda f: f.study.auroc.meta is not None),
    Item("24", "Results of updating (none done)", SITE, "claim"),
    Item("25", "Interpretation, with fairness", SITE),
    Item("26", "Limitations", SITE, "summary"),
    Item("27a", "Poor or missing input", SITE, "operations"),
    Item("27b", "Expertise that users need", DEVELOPER),
    Item("27c", "Next steps", SITE),
)  # fmt: skip


def coverage(findings: Findings) -> tuple[int, int]:
    """Count the items this report covers, and all items."""
    return sum(item.covered(findings) for item in ITEMS), len(ITEMS)


def checklist(findings: Findings, headings: dict[str, str]) -> Section:
    """Build the index; `headings` names the sections by their anchors."""
    done, all_items = coverage(findings)
    rows = [[item.number, item.topic, _where(item, findings, headings)] for item in ITEMS]
    intro = paragraphs(
        f"This report covers {done} of the {all_items} items and parts of items below, wholly or in part. What it cannot know is "
        "marked for the site or the developer to complete."
    )
    sheet = table("TRIPOD+AI item by item", ["Item", "Topic", "Where"], rows, kind="words index")
    return Section("checklist", "Reporting checklist (TRIPOD+AI)", (intro, sheet))


def _where(item: Item, findings: Findings, headings: dict[str, str]) -> Markup:
    if item.section is None or not item.covered(findings):
        return Markup(f'<em class="owed">{show(item.owner)}</em>')
    return Markup(f'<a href="#{item.section}">{show(headings[item.section])}</a>')
