"""Section "Discrimination": AUROC at each site and pooled, ROC curves, average precision."""

from collections.abc import Sequence

from markupsafe import Markup

from healthval.contracts.submission import Submission
from healthval.errors import counted
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.forest import AUROC, site_forest
from healthval.report.figures.panels import (
    MOST_PANELS,
    OperatingPoint,
    RocPanel,
    roc_panels,
    roc_together,
)
from healthval.report.figures.roc_region import Region, Vertex, pooled_region, site_region
from healthval.report.findings import Findings, estimate, rate, some_sites
from healthval.report.markup import as_shown, exact, number, paragraphs, table
from healthval.report.sections.thresholds import summed_rates
from healthval.report.values.noise import IN_COUNTS

LOOSE = 0.2  # a region of all cases whose areas differ by more is not drawn
RARE = 0.1  # prevalence below which average precision is shown beside the ROC curve


def discrimination(findings: Findings) -> Section:
    """Build the section on how well scores separate cases with the condition from the others."""
    blocks: list[Block] = [
        *site_forest(findings, findings.study.auroc, AUROC, "AUROC"),
        *_estimands(findings),
        *_roc(findings),
        *_average_precision(findings),
    ]
    return Section("discrimination", "Discrimination", tuple(blocks))


def _estimands(findings: Findings) -> list[Block]:
    if findings.study.k == 1:
        return []
    e, mean = findings.study.estimands, findings.mean("auroc")
    within = f"mean over {some_sites(e.within_site_k, findings.study.k)}, weighted by pairs"
    bins = f"bounds from score bins of {some_sites(findings.study.display.k, findings.study.k)}"
    rows = [
        ["Mean over hospitals (headline)", mean.shown().text(), mean.basis()],
        ["Two patients of the same hospital", rate(e.within_site).text(), within],
        ["Two patients of any hospitals", _mixture(findings), bins],
    ]
    sheet = table(
        "AUROC under three definitions",
        ["Comparing", "AUROC (95% CI)", "Basis"],
        rows,
        kind="words",
    )
    return [sheet]


def _mixture(findings: Findings) -> str:
    e = findings.study.estimands
    if e.mixture is None or e.mixture_bound is None:
        return number(e.mixture)
    lo, hi = max(0.0, e.mixture - e.mixture_bound), min(1.0, e.mixture + e.mixture_bound)
    return f"between {number(lo)} and {number(hi)}"


def _roc(findings: Findings) -> list[Block]:
    panels = [
        RocPanel(site, region, _site_points(release))
        for site, release in findings.released.items()
        if (region := site_region(release)) is not None
    ]
    together = pooled_region(findings.study.display) if findings.study.k > 1 else None
    blocks: list[Block] = []
    if panels and len(panels) <= MOST_PANELS:
        blocks.append(_site_figure(findings, panels))
    if together is not None and (_is_tight(together) or len(panels) > MOST_PANELS):
        blocks.append(_together_figure(findings, together, panels))
    if not blocks and not panels:
        return [paragraphs("No site released counts from which its ROC curve can be drawn.")]
    return [*blocks, _areas(findings, panels)]


def _is_tight(region: Region) -> bool:
    low, high = region.area()
    return high - low <= LOOSE


def _site_points(release: Submission) -> tuple[OperatingPoint, ...]:
    return tuple(
        OperatingPoint(t.threshold, estimate(t.sensitivity), estimate(t.specificity))
        for t in release.thresholds
        if t.origin == "pre-specified"
    )


def _site_figure(findings: Findings, panels: Sequence[RocPanel]) -> Figure:
    names = counted(len(panels), "site")
    rows = [
        [panel.label, "–" if v.at is None else exact(v.at), number(v.fpr[0]), _sensitivity(v)]
        for panel in panels
        for v in panel.region.inner
    ]
    areas = [panel.region.area() for panel in panels]
    caption = (
        f"ROC of {names}. Dots: from the released counts at a cut of the score. Shaded: where a curve "
        f"through the dots can be.{_diamonds([p for panel in panels for p in panel.at])} Grey line: "
        f"chance. {findings.noisy(IN_COUNTS)}".rstrip()
    )
    return Figure(
        roc_panels(panels),
        f"ROC of {names}: the smallest possible areas are {_ends([a for a, _ in areas])}, the "
        f"largest {_ends([b for _, b in areas])}.",
        caption,
        table(
            "Points from released counts",
            ["Site", "Score from", "1 − specificity", "Sensitivity (95% CI)"],
            rows,
        ),
    )


def _ends(values: Sequence[float]) -> str:
    low, high = number(min(values), 2), number(max(values), 2)
    return low if low == high else f"{low} to {high}"


def _sensitivity(v: Vertex) -> str:
    return as_shown(v.tpr[0], *(v.interval or (None, None))).text()


def _diamonds(at: Sequence[OperatingPoint]) -> str:
    drawn = {p.threshold for p in at if None not in (p.sensitivity.value, p.specificity.value)}
    if not drawn:
        return ""
    named = ", ".join(map(exact, sorted(drawn)))
    return f" Diamonds: sensitivity and specificity with 95% CI at threshold {named}."


def _together_figure(findings: Findings, region: Region, panels: Sequence[RocPanel]) -> Figure:
    study = findings.study
    left = {site.site for site in study.display.excluded}
    same = [
        t for t in study.thresholds if t.counts.k and {x.site for x in t.counts.excluded} == left
    ]
    at = [
        OperatingPoint(t.threshold, rates["sensitivity"], rates["specificity"])
        for t in same
        if (rates := summed_rates(findings.released, t))
    ]
    low, high = region.area()
    who = f"cases of {some_sites(study.display.k, study.k)} together"
    rows = [
        ["–" if v.at is None else exact(v.at), _bounds(v.fpr), _bounds(v.tpr)] for v in region.inner
    ]
    caption = (
        f"ROC of the {who}. Dots: from the released counts. Shaded: where a curve through the dots "
        f"can be; its area is between {number(low)} and {number(high)}, which are bounds and no "
        f"confidence interval. Grey dots: a single site.{_diamonds(at)} Grey line: chance. "
        f"{findings.noisy(IN_COUNTS)}".rstrip()
    )
    return Figure(
        roc_together(region, panels, at),
        f"ROC of the {who}: the area under the curve is between {number(low)} and {number(high)}.",
        caption,
        table(f"ROC of the {who}", ["Score from", "1 − specificity", "Sensitivity"], rows),
    )


def _bounds(ends: tuple[float, float]) -> str:
    low, high = (number(end) for end in ends)
    return low if low == high else f"{low} to {high}"


def _areas(findings: Findings, panels: Sequence[RocPanel]) -> Markup:
    regions = {panel.label: panel.region for panel in panels}
    rows = []
    noise = " Both contain noise of the gates, so that an AUROC may be outside the bounds."
    for site, release in findings.released.items():
        region = regions.get(site)
        bounds = "–" if region is None else "{} to {}".format(*map(number, region.area()))
        rows.append([site, estimate(release.auroc).text(), bounds])
    return table(
        "AUROC and the area that the released counts allow",
        ["Site", "AUROC (95% CI)", "Area from counts"],
        rows,
        note="The AUROC was computed at the site from all scores; the released counts alone give "
        f"bounds.{findings.noisy(noise)} –: too few counts were released.",
    )


def _average_precision(findings: Findings) -> list[Block]:
    """Add average precision where the condition is rare: the ROC curve hides false positives there."""
    known, events = findings.study.n.exact, findings.study.n_events.exact
    if not known or events is None or events / known >= RARE:
        return []
    rows = [[site, estimate(r.average_precision).text()] for site, r in findings.released.items()]
    return [
        table(
            "Average precision at each site",
            ["Site", "Average precision (95% CI)"],
            rows,
            note="Shown because fewer than one case in ten has the condition.",
        )
    ]
