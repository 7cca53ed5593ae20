"""Section "Operation at the sites": indeterminate cases, canary, dates, pixel review, software."""

from healthval.aggregate.result import SiteSummary
from healthval.report.document import Section
from healthval.report.findings import Findings
from healthval.report.markup import count_cell, number, table
from healthval.report.values.noise import IN_COUNTS

_CANARY = {
    "unchanged": "same answers throughout",
    "changed": "answers changed during the run",
    "not_run": "not checked",
}
_DATES = {
    "removed": "removed",
    "shifted": "shifted per patient",
    "kept": "kept",
    "none": "no dates in the data",
}
_COLUMNS = (
    "Site",
    "Indeterminate",
    "No reference",
    "Model's answers to fixed inputs",
    "Dates",
    "Pixel review",
    "Software",
)


def operations(findings: Findings) -> Section:
    """Build the section on the operation of model and software at each site."""
    rows = [
        [
            site.site,
            _share(findings, site, "n_indeterminate"),
            _share(findings, site, "n_missing_reference"),
            _CANARY[site.canary],
            _DATES[site.dates],
            "signed off" if site.pixel_sign_off else "not needed or not given",
            site.healthval_version,
        ]
        for site in findings.study.sites
    ]
    sheet = table(
        "Operation",
        _COLUMNS,
        rows,
        kind="words",
        note="Shares are of the cases analysed plus those left out for the reason of the column. "
        f"{findings.noisy(IN_COUNTS)}".rstrip(),
    )
    return Section("operations", "Operation at the sites", (sheet,))


def _share(findings: Findings, site: SiteSummary, name: str) -> object:
    part, analysed = getattr(site, name), site.n
    if part is None or analysed is None:
        release = findings.released[site.site]
        return count_cell(getattr(release, name), findings.floor(site.site))
    whole = part + analysed
    return f"{part} ({number(100 * part / whole, 1)}%)" if whole else str(part)
