"""Section "Comparison with the developer's claim": claimed AUROC against the measured interval."""

from markupsafe import Markup

from healthval.report.document import Section
from healthval.report.findings import Findings
from healthval.report.markup import Shown, facts, number, paragraphs, table
from healthval.report.wording.language import say


def claim(findings: Findings) -> Section:
    """Build the comparison of the developer's claim with the result of the registered model."""
    shown, basis = findings.result("auroc")
    claimed = findings.card.claimed_auroc
    if claimed is None:
        comparison = paragraphs(say("The developer registered no claim about performance."))
    else:
        comparison = table(
            say("Claimed and found"),
            [say("Measure"), say("Claimed"), say("Found (95% CI)"), say("Basis"), say("In words")],
            [["AUROC", number(claimed), shown, basis, _compare(claimed, shown)]],
            kind="words",
        )
    as_registered = paragraphs(
        say(
            "The model was judged as registered, without updating or recalibration, and all results "
            "are of the same artefact."
        )
    )
    blocks = (comparison, as_registered, _training_data(findings))
    return Section("claim", say("Comparison with the developer's claim"), blocks)


def _compare(claimed: float, shown: Shown) -> str:
    if shown.value is None or shown.lo is None or shown.hi is None:
        return say("cannot be compared: the result has no interval")
    if claimed > shown.hi:
        return say("lower than claimed: the claim is above the interval")
    if claimed < shown.lo:
        return say("higher than claimed: the claim is below the interval")
    return say("compatible: the claim is within the interval")


def _training_data(findings: Findings) -> Markup:
    stated = findings.card.training_data
    return (
        facts([(say("Training data, as stated by the developer"), stated)])
        if stated
        else Markup("")
    )
