"""Who was studied and how: cohort, operation at the sites, disclosure control, the claim."""

from healthval.aggregate.result import SiteSummary, TableOneTotal, Total
from healthval.report.document import Block, Section
from healthval.report.findings import Findings, total
from healthval.report.markup import (
    Markup,
    Shown,
    box,
    bullets,
    counted,
    facts,
    hatched,
    number,
    paragraphs,
    show,
    table,
    words,
)

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


def cohort(findings: Findings) -> Section:
    """Follow cases from the hospitals' lists to the analysis, and who they are."""
    study = findings.study
    blocks: list[Block] = [_sites(findings)]
    if study.flow:
        blocks.insert(0, _flow(findings))
    if study.table_one:
        blocks.append(_table_one(study.table_one))
    blocks += _sample_size(findings)
    if findings.card.population:
        blocks.append(box("Population the developer names", paragraphs(findings.card.population)))
    return Section("cohort", "Cohort and patients", tuple(blocks))


def _sample_size(findings: Findings) -> list[Block]:
    plan = findings.plan
    planned = "" if plan.planned_cases is None else f"Planned: {plan.planned_cases} cases."
    said = [text for text in (planned, plan.sample_size_rationale) if text]
    return [box("Sample size", paragraphs(*said))] if said else []


def _flow(findings: Findings) -> Markup:
    released = findings.released
    by_site = {s: {f.step: f.n for f in r.flow} for s, r in released.items()}
    few = len(released) <= 5
    rows = []
    for step in findings.study.flow:
        cells = (
            [counted(by_site[s].get(step.step), findings.floor(s)) for s in released] if few else []
        )
        rows.append([words(step.step), *cells, total(step.total)])
    return table(
        "Cohort flow: cases left after each step",
        ["Step", *(released if few else ()), "All sites"],
        rows,
    )


def _sites(findings: Findings) -> Markup:
    rows = [
        [
            site,
            *(
                counted(cell, findings.floor(site))
                for cell in (r.n, r.n_events, r.n_indeterminate, r.n_missing_reference)
            ),
        ]
        for site, r in findings.released.items()
    ]
    study = findings.study
    sums = (study.n, study.n_events, study.n_indeterminate, study.n_missing_reference)
    rows.append([Markup("<strong>All sites</strong>"), *(total(cells) for cells in sums)])
    return table(
        "Sites",
        ["Site", "Analysed", "With condition", "Indeterminate", "No reference"],
        rows,
        note="Indeterminate: the model gave no score. No reference: the target condition is unknown."
        f" Neither is analysed. {hatched(map(findings.floor, findings.released))}",
    )


def _table_one(rows: tuple[TableOneTotal, ...]) -> Markup:
    lines: list[list[object]] = []
    for i, row in enumerate(rows):
        first = i == 0 or rows[i - 1].variable != row.variable
        if row.mean is not None:
            spread = f"{number(row.mean, 1)} (SD {number(row.sd, 1)})"
            lines.append([f"{words(row.variable)}, mean (SD)", spread, "–", "–", row.k])
            continue
        if first:
            lines.append([Markup(f"<strong>{show(words(row.variable))}</strong>"), "", "", "", ""])
        cells = (_maybe(cell) for cell in (row.overall, row.events, row.non_events))
        lines.append([f"\N{EM SPACE}{words(row.level)}", *cells, row.k])
    return table(
        "Table 1: patients over all sites",
        ["Characteristic", "All", "With condition", "Without", "Sites"],
        lines,
        note="≥: some sites withheld a small count. Means are weighted by site size.",
    )


def _maybe(cells: Total | None) -> str:
    return "–" if cells is None else total(cells)


def operations(findings: Findings) -> Section:
    """Show what the model and the sites did on the way."""
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
        ["Site", "Indeterminate", "No reference", "Model's answers to fixed inputs", "Dates", "Pixel review", "Software"],
        rows,
        kind="words",
        note="Shares are of the cases analysed plus those left out for the reason of the column.",
    )  # fmt: skip
    return Section("operations", "Operation at the sites", (sheet,))


def _share(findings: Findings, site: SiteSummary, name: str) -> object:
    part, analysed = getattr(site, name), site.n
    if part is None or analysed is None:
        release = findings.released[site.site]
        return counted(getattr(release, name), findings.floor(site.site))
    whole = part + analysed
    return f"{part} ({number(100 * part / whole, 1)}%)" if whole else str(part)


def disclosure(findings: Findings) -> Section:
    """Name the policy that kept patients from being recognised, and what it held back."""
    rows = [_policy_row(findings, site) for site in findings.study.sites]
    sheet = table(
        "Disclosure control at each site",
        ["Site", "Policy", "Smallest count released", "Cells held back", "Attacks withstood"],
        rows,
        kind="words",
    )
    intro = paragraphs(
        "No record of a patient left a hospital. Each site's gate checked the aggregates below "
        "against its policy and attacked them itself before they were released. This report is made "
        "from the released numbers alone: it holds nothing that they do not."
    )
    return Section("disclosure", "Disclosure control", (intro, sheet, _attacks(findings)))


def _policy_row(findings: Findings, site: SiteSummary) -> list[object]:
    release = findings.released[site.site]
    attacks = release.certificate.attacks
    return [
        site.site,
        f"{site.policy}, version {site.policy_version}",
        site.minimum_cell,
        held_back(release.model_dump(mode="json")),
        f"{len(attacks)} kinds, {sum(a.checked for a in attacks)} checks"
        if attacks
        else "none recorded",
    ]


def held_back(released: object) -> int:
    """Count the cells and estimates of a release that were suppressed.

    >>> held_back({"n": "suppressed", "auroc": {"withheld": "suppressed", "n": 40}})
    2
    """
    if isinstance(released, dict):
        return sum(held_back(value) for value in released.values())
    if isinstance(released, list | tuple):
        return sum(held_back(value) for value in released)
    return int(released == "suppressed")


def _attacks(findings: Findings) -> Markup:
    kinds: dict[str, int] = {}
    for release in findings.released.values():
        for attack in release.certificate.attacks:
            kinds[attack.name] = kinds.get(attack.name, 0) + attack.checked
    if not kinds:
        return paragraphs("The certificates record no attack on the releases.")
    items = [
        f"{words(name).replace('-', ' ')}: {checked} checks" for name, checked in kinds.items()
    ]
    return box("Attacks that the releases withstood", bullets(items), "box columns")


def claim(findings: Findings) -> Section:
    """Set the developer's claim beside the result, which is that of the model as it was registered."""
    shown, basis = findings.result("auroc")
    claimed = findings.card.claimed_auroc
    if claimed is None:
        said = paragraphs("The developer registered no claim about performance.")
    else:
        said = table(
            "Claimed and found",
            ["Measure", "Claimed", "Found (95% CI)", "Basis", "In words"],
            [["AUROC", number(claimed), shown, basis, _compare(claimed, shown)]],
            kind="words",
        )
    as_it_is = paragraphs(
        "The model was judged as registered: it was not updated or recalibrated, before or after, "
        "and all sites used the same artefact."
    )
    blocks = (said, as_it_is, _card(findings))
    return Section("claim", "Comparison with the developer's claim", blocks)


def _compare(claimed: float, shown: Shown) -> str:
    if shown.value is None or shown.lo is None or shown.hi is None:
        return "cannot be compared: the result has no interval"
    if claimed > shown.hi:
        return "lower than claimed: the claim lies above the interval"
    if claimed < shown.lo:
        return "higher than claimed: the claim lies below the interval"
    return "compatible: the claim lies within the interval"


def _card(findings: Findings) -> Markup:
    card = findings.card
    inside = facts([("Training data, as the developer states", card.training_data)])
    return inside if card.training_data else Markup("")
