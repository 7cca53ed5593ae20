"""Report of one hospital for itself, from its own release: it has nothing that the gate withheld."""

from dataclasses import replace

from healthval.aggregate import pool
from healthval.contracts.model import ModelCard
from healthval.contracts.report import Language
from healthval.disclosure import Release
from healthval.errors import ReportError
from healthval.plan import Plan
from healthval.report.build import build
from healthval.report.criteria import plan_facts
from healthval.report.document import Report
from healthval.report.wording.language import say, written_in


def site_report(
    release: Release, plan: Plan, card: ModelCard, *, label: str, language: Language = "en"
) -> Report:
    """Build the report of a hospital's own release.

    The report is for the hospital itself and is not published; because all its numbers passed the
    gate, a copy that leaves the hospital discloses no more than the release.

    Raises
    ------
    ReportError
        If the result did not pass the gate, or plan, card and release do not belong together.
    """
    if not isinstance(release, Release):
        raise ReportError(
            "a site report is made from a release; pass the result through healthval.disclosure."
            "release first"
        )
    own = {label: release.submission}
    facts = plan_facts(plan, own.values())
    report = build(pool(tuple(own.items())), own, card, facts, language=language)
    with written_in(language):
        return replace(
            report,
            title=say("{title} at {label}", title=card.title, label=label),
            subtitle=say(
                "{subtitle}. Report for the hospital itself, from its released numbers",
                subtitle=report.subtitle,
            ),
        )
