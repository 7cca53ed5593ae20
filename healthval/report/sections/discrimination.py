"""Section "Discrimination": AUROC at each site and pooled, ROC curves, average precision."""

from collections.abc import Sequence

from markupsafe import Markup

from healthval.contracts.submission import Submission
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
from healthval.report.wording.language import many, say

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
    return Section("discrimination", say("Discrimination"), tuple(blocks))


def _estimands(findings: Findings) -> list[Block]:
    if findings.study.k == 1:
        return []
    e, mean = findings.study.estimands, findings.mean("auroc")
    within = say(
        "mean over {k}, weighted by pairs",
        k=some_sites(e.within_site_k, findings.study.k),
    )
    bins = say(
        "bounds from score bins of {k}", k=some_sites(findings.study.display.k, findings.study.k)
    )
    rows = [
        [say("Mean over hospitals (headline)"), mean.shown().text(), mean.basis()],
        [say("Two patients of the same hospital"), rate(e.within_site).text(), within],
        [say("Two patients of any hospitals"), _mixture(findings), bins],
    ]
    sheet = table(
        say("AUROC under three definitions"),
        [say("Comparing"), say("AUROC (95% CI)"), say("Basis")],
        rows,
        kind="words",
    )
    return [sheet]


def _mixture(findings: Findings) -> str:
    e = findings.study.estimands
    if e.mixture is None or e.mixture_bound is None:
        return number(e.mixture)
    lo, hi = max(0.0, e.mixture - e.mixture_bound), min(1.0, e.mixture + e.mixture_bound)
    return say("between {lo} and {hi}", lo=number(lo), hi=number(hi))


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
        return [paragraphs(say("No site released counts from which its ROC curve can be drawn."))]
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
    names = many(len(panels), "site")
    rows = [
        [panel.label, "–" if v.at is None else exact(v.at), number(v.fpr[0]), _sensitivity(v)]
        for panel in panels
        for v in panel.region.inner
    ]
    areas = [panel.region.area() for panel in panels]
    caption = say(
        "ROC of {names}. Dots: from the released counts at a cut of the score. Shaded: where "
        "a curve through the dots can be.{diamonds} Grey line: chance. {noisy}",
        names=names,
        diamonds=_diamonds([p for panel in panels for p in panel.at]),
        noisy=findings.noisy(IN_COUNTS),
    ).rstrip()
    return Figure(
        roc_panels(panels),
        say(
            "ROC of {names}: the smallest possible areas are {least}, the largest {most}.",
            names=names,
            least=_ends([a for a, _ in areas]),
            most=_ends([b for _, b in areas]),
        ),
        caption,
        table(
            say("Points from released counts"),
            [say("Site"), say("Score from"), say("1 − specificity"), say("Sensitivity (95% CI)")],
            rows,
        ),
    )


def _ends(values: Sequence[float]) -> str:
    low, high = number(min(values), 2), number(max(values), 2)
    return low if low == high else say("{low} to {high}", low=low, high=high)


def _sensitivity(v: Vertex) -> str:
    return as_shown(v.tpr[0], *(v.interval or (None, None))).text()


def _diamonds(at: Sequence[OperatingPoint]) -> str:
    drawn = {p.threshold for p in at if None not in (p.sensitivity.value, p.specificity.value)}
    if not drawn:
        return ""
    *others, last = map(exact, sorted(drawn))
    if not others:
        return say(
            " Diamonds: sensitivity and specificity with 95% CI at threshold {named}.", named=last
        )
    return say(
        " Diamonds: sensitivity and specificity with 95% CI at thresholds {named}.",
        named="; ".join(others) + say(" and ") + last,
    )


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
    who = say("cases of {k} together", k=some_sites(study.display.k, study.k))
    rows = [
        ["–" if v.at is None else exact(v.at), _bounds(v.fpr), _bounds(v.tpr)] for v in region.inner
    ]
    dots = any(v.is_counted for v in region.inner)
    caption = say(
        "ROC of the {who}. {dots}Shaded: where the curve can be; its area "
        "is between {low} and {high}, which are bounds and no confidence interval. Grey dots: a "
        "single site.{diamonds} Grey line: chance. {noisy}",
        who=who,
        dots=say("Blue dots: from the released counts. ") if dots else "",
        low=number(low),
        high=number(high),
        diamonds=_diamonds(at),
        noisy=findings.noisy(IN_COUNTS),
    ).rstrip()
    return Figure(
        roc_together(region, panels, at),
        say(
            "ROC of the {who}: the area under the curve is between {low} and {high}.",
            who=who,
            low=number(low),
            high=number(high),
        ),
        caption,
        table(
            say("ROC of the {who}", who=who),
            [say("Score from"), say("1 − specificity"), say("Sensitivity")],
            rows,
        ),
    )


def _bounds(ends: tuple[float, float]) -> str:
    low, high = (number(end) for end in ends)
    return low if low == high else say("{low} to {high}", low=low, high=high)


def _areas(findings: Findings, panels: Sequence[RocPanel]) -> Markup:
    regions = {panel.label: panel.region for panel in panels}
    rows = []
    noise = say(" Both contain noise of the gates, so that an AUROC may be outside the bounds.")
    for site, release in findings.released.items():
        region = regions.get(site)
        bounds = "–" if region is None else _bounds(region.area())
        rows.append([site, estimate(release.auroc).text(), bounds])
    return table(
        say("AUROC and the area that the released counts allow"),
        [say("Site"), say("AUROC (95% CI)"), say("Area from counts")],
        rows,
        note=say(
            "The AUROC was computed at the site from all scores; the released counts alone give "
            "bounds.{noisy}{few}",
            noisy=findings.noisy(noise),
            few=say(" –: too few counts were released.") if len(regions) < len(rows) else "",
        ),
    )


def _average_precision(findings: Findings) -> list[Block]:
    """Add average precision where the condition is rare: the ROC curve hides false positives there."""
    known, events = findings.study.n.exact, findings.study.n_events.exact
    if not known or events is None or events / known >= RARE:
        return []
    rows = [[site, estimate(r.average_precision).text()] for site, r in findings.released.items()]
    return [
        table(
            say("Average precision at each site"),
            [say("Site"), say("Average precision (95% CI)")],
            rows,
            note=say("Shown because fewer than one case in ten has the condition."),
        )
    ]
