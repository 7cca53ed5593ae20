"""Section "Operation at the sites": indeterminate cases, canary, dates, pixel review, software."""

from healthval.aggregate.result import SiteSummary
from healthval.report.document import Section
from healthval.report.findings import Findings
from healthval.report.markup import count_cell, percent, table
from healthval.report.values.noise import IN_COUNTS
from healthval.report.wording.language import mark, say

_CANARY = {
    "unchanged": mark("same answers throughout"),
    "changed": mark("answers changed during the run"),
    "not_run": mark("not checked"),
}
_DATES = {
    "removed": mark("removed"),
    "shifted": mark("shifted per patient"),
    "kept": mark("kept"),
    "none": mark("no dates in the data"),
}
_COLUMNS = (
    mark("Site"),
    mark("Indeterminate"),
    mark("No reference"),
    mark("Model's answers to fixed inputs"),
    mark("Dates"),
    mark("Pixel review"),
    mark("Software"),
)


def operations(findings: Findings) -> Section:
    """Build the section on the operation of model and software at each site."""
    rows = [
        [
            site.site,
            _share(findings, site, "n_indeterminate"),
            _share(findings, site, "n_missing_reference"),
            say(_CANARY[site.canary]),
            say(_DATES[site.dates]),
            say("signed off") if site.pixel_sign_off else say("not needed or not given"),
            site.healthval_version,
        ]
        for site in findings.study.sites
    ]
    sheet = table(
        say("Operation"),
        [say(column) for column in _COLUMNS],
        rows,
        kind="words",
        note=say(
            "Shares are of the cases analysed plus those left out for the reason of the column. "
            "{noisy}",
            noisy=findings.noisy(IN_COUNTS),
        ).rstrip(),
    )
    return Section("operations", say("Operation at the sites"), (sheet,))


def _share(findings: Findings, site: SiteSummary, name: str) -> object:
    part, analysed = getattr(site, name), site.n
    if part is None or analysed is None:
        release = findings.released[site.site]
        return count_cell(getattr(release, name), findings.floor(site.site))
    whole = part + analysed
    return f"{part} ({percent(100 * part / whole, 1)})" if whole else str(part)
