"""Section "Stated by study and developer": facts that cannot be measured, and who has not stated them."""

from healthval.report.document import Block, Section
from healthval.report.findings import Findings
from healthval.report.markup import box, facts, paragraphs

STUDY = {
    "context": "Clinical context and existing models",
    "inequalities": "Known health inequalities",
    "data_sources": "Sources of data, representativeness",
    "recruitment_dates": "Dates of recruitment and follow-up",
    "setting": "Setting of the centres",
    "eligibility": "Eligibility",
    "sampling": "Sampling (consecutive, random or convenience)",
    "treatments": "Treatments received",
    "reference_assessors": "Qualification of outcome assessors",
    "blinding": "Blinding of outcome assessment",
    "verification": "Verification and agreement of the reference standard",
    "predictor_assessors": "Qualification of predictor assessors",
    "missing_predictors": "Missing predictors",
    "independence": "Independence from the training data",
    "ethics": "Ethics approval",
    "funding": "Funding",
    "conflicts": "Conflicts of interest",
    "registration": "Registration",
    "involvement": "Patient and public involvement",
}
DEVELOPER = {
    "users": "Place in care and intended users",
    "predictors": "Choice of predictors",
    "predictor_definitions": "Definition of predictors",
    "class_imbalance": "Class imbalance",
    "development_comparison": "Comparison with the development data",
    "model_access": "Access to the full model",
    "expertise": "Expertise that users need",
}


def statement(findings: Findings, field: str) -> str:
    """Return what the plan or the model card states on a field, or nothing."""
    source = findings.plan.reporting if field in STUDY else findings.card.reporting
    return str(getattr(source, field, "") or "")


def stated(findings: Findings) -> Section:
    """Build the section of statements, and the list of those that are owed."""
    blocks: list[Block] = []
    for heading, labels, owner in (
        ("Stated in the plan", STUDY, "the sites"),
        ("Stated by the developer", DEVELOPER, "the developer"),
    ):
        given = [(label, statement(findings, field)) for field, label in labels.items()]
        owed = [label for label, text in given if not text]
        if len(owed) < len(given):
            blocks.append(box(heading, facts(given)))
        if owed:
            listed = "; ".join(label[0].lower() + label[1:] for label in owed)
            blocks.append(paragraphs(f"Not stated by {owner}: {listed}."))
    return Section("stated", "Stated by study and developer", tuple(blocks))
