"""Two-page summary for a committee, from the parts of the full report."""

from collections.abc import Iterator
from dataclasses import replace

from markupsafe import Markup

from healthval.errors import ReportError
from healthval.report.document import Block, Figure, Report, Section
from healthval.report.markup import facts, hashed, paragraphs
from healthval.report.render import pdf_within, render_html
from healthval.report.wording.language import say, written_in

COMMITTEE_HTML, COMMITTEE_PDF = "committee.html", "committee.pdf"
PAGES = 2
_SIZES = (9.0, 8.2, 7.4, 6.6, 6.0)  # points
_PARAGRAPH = "<p>"  # a statement that is owed; those that were given are in boxes


def committee(report: Report, *, forest: bool = True) -> Report:
    """Return the summary: first page of the report, AUROC of each hospital, what is owed, proof."""
    with written_in(report.language):
        return _committee(report, forest=forest)


def _committee(report: Report, *, forest: bool) -> Report:
    hospitals = Section("hospitals", say("Each hospital"), tuple(_forest(report, drawn=forest)))
    owed = tuple(b for b in report.section("stated").blocks if str(b).startswith(_PARAGRAPH))
    nothing_owed = paragraphs(say("Plan and developer stated all that this report asks them for."))
    proof = Section("proof", say("Proof"), (_proof(report),))
    sections = (
        report.section("summary"),
        hospitals,
        Section("stated", say("Not stated"), owed or (nothing_owed,)),
        proof,
    )
    return replace(report, title=say("{title} (summary)", title=report.title), sections=sections)


def _forest(report: Report, *, drawn: bool) -> Iterator[Block]:
    """Yield the forest plot of the AUROC if all hospitals are in one figure."""
    figures = [b for b in report.section("discrimination").blocks if isinstance(b, Figure)]
    forests = [figure for figure in figures if figure.caption.startswith("AUROC:")]
    if drawn and len(forests) == 1:
        yield forests[0]
    elif forests:
        yield paragraphs(say("The result of each hospital is in the full report."))
    else:
        yield paragraphs(say("{name}: not released by any site.", name="AUROC"))


def _proof(report: Report) -> Markup:
    signer = report.numbers.get("signer", {}).get("fingerprint")
    return facts(
        [
            (say("Full report"), say("report.html and report.pdf, in the same folder")),
            (say("SHA-256 of the plan"), hashed(report.numbers["study"]["plan_hash"])),
            (say("SHA-256 of the signer's public key"), hashed(signer) if signer else ""),
            (
                say("Signature"),
                say("attestation.dsse.json; check it with: healthval verify committee.html"),
            ),
        ]
    )


def render_committee(report: Report, *, pdf: bool) -> dict[str, bytes]:
    """Render the summary; its PDF has two pages, in the largest type in which it fits.

    Raises
    ------
    ReportError
        If it does not fit on two pages.
    """
    for forest in (True, False):
        html = render_html(committee(report, forest=forest).notebook())
        if not pdf:
            return {COMMITTEE_HTML: html.encode()}
        for size in _SIZES:
            printed = pdf_within(html, PAGES, points=size)
            if printed is not None:
                return {COMMITTEE_HTML: html.encode(), COMMITTEE_PDF: printed}
    raise ReportError(
        f"the summary does not fit on {PAGES} pages; shorten the statements of plan and model card"
    )
