"""Section "Stated by study and developer": facts that cannot be measured, and who has not stated them."""

from healthval.report.document import Block, Section
from healthval.report.findings import Findings
from healthval.report.markup import box, facts, paragraphs
from healthval.report.wording.language import lowered, mark, say

STUDY = {
    "context": mark("Clinical context and existing models"),
    "inequalities": mark("Known health inequalities"),
    "data_sources": mark("Sources of data, representativeness"),
    "recruitment_dates": mark("Dates of recruitment and follow-up"),
    "setting": mark("Setting of the centres"),
    "eligibility": mark("Eligibility"),
    "sampling": mark("Sampling (consecutive, random or convenience)"),
    "treatments": mark("Treatments received"),
    "reference_assessors": mark("Qualification of outcome assessors"),
    "blinding": mark("Blinding of outcome assessment"),
    "verification": mark("Verification and agreement of the reference standard"),
    "predictor_assessors": mark("Qualification of predictor assessors"),
    "missing_predictors": mark("Missing predictors"),
    "independence": mark("Independence from the training data"),
    "ethics": mark("Ethics approval"),
    "funding": mark("Funding"),
    "conflicts": mark("Conflicts of interest"),
    "registration": mark("Registration"),
    "involvement": mark("Patient and public involvement"),
}
DEVELOPER = {
    "users": mark("Place in care and intended users"),
    "predictors": mark("Choice of predictors"),
    "predictor_definitions": mark("Definition of predictors"),
    "class_imbalance": mark("Class imbalance"),
    "development_comparison": mark("Comparison with the development data"),
    "model_access": mark("Access to the full model"),
    "expertise": mark("Expertise that users need"),
}


def statement(findings: Findings, field: str) -> str:
    """Return what the plan or the model card states on a field, or nothing."""
    source = findings.plan.reporting if field in STUDY else findings.card.reporting
    return str(getattr(source, field, "") or "")


def stated(findings: Findings) -> Section:
    """Build the section of statements, and the list of those that are owed."""
    blocks: list[Block] = []
    for heading, labels, owner in (
        (say("Stated in the plan"), STUDY, say("the sites")),
        (say("Stated by the developer"), DEVELOPER, say("the developer")),
    ):
        given = [(say(label), statement(findings, field)) for field, label in labels.items()]
        owed = [label for label, text in given if not text]
        if len(owed) < len(given):
            blocks.append(box(heading, facts(given)))
        if owed:
            listed = "; ".join(lowered(label) for label in owed)
            blocks.append(
                paragraphs(say("Not stated by {owner}: {listed}.", owner=owner, listed=listed))
            )
    return Section("stated", say("Stated by study and developer"), tuple(blocks))
