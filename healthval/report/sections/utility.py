"""Section "Clinical utility": decision curves, net benefit at the pre-specified thresholds."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from healthval.aggregate.counts import WITHHELD_CELLS
from healthval.contracts.submission import Submission
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.curves import Curve, Point
from healthval.report.figures.panels import (
    MOST_PANELS,
    DecisionPanel,
    decision_panels,
    decision_together,
)
from healthval.report.findings import Findings, as_released, estimate, rate, some_sites
from healthval.report.markup import as_shown, exact, number, paragraphs, table
from healthval.report.secondary import usefulness_table
from healthval.report.sections.summary import expected
from healthval.report.values.site_values import released_at
from healthval.report.wording.language import many, mark, say


def utility(findings: Findings) -> Section:
    """Build the section on the net benefit of the model, against treating all or none."""
    panels = [_panel(site, release) for site, release in findings.released.items()]
    panels = [panel for panel in panels if panel.model.points]
    together = _together(findings)
    blocks: list[Block] = []
    if panels and len(panels) <= MOST_PANELS:
        blocks.append(_site_figure(panels))
    if together is not None:
        blocks.append(_together_figure(findings, together, panels))
    elif len(panels) > MOST_PANELS:
        blocks.append(_many_figure(panels))
    if findings.study.thresholds:
        blocks += [*_net_benefit(findings), *usefulness_table(findings)]
    if not blocks:
        blocks = [paragraphs(say("No site released a decision curve."))]
    return Section("utility", say("Clinical utility"), tuple(blocks))


def _panel(site: str, release: Submission) -> DecisionPanel:
    points = [p for p in release.decision_curve if p.model.value is not None]
    model: list[Point] = [
        (p.threshold, p.model.value, p.model.lo, p.model.hi)
        for p in points
        if p.model.value is not None
    ]
    everyone = _line((p.threshold, p.treat_all) for p in points)
    return DecisionPanel(site, Curve(say("Model"), tuple(model)), Curve(say("Treat all"), everyone))


def _line(points: Iterable[tuple[float, float | None]]) -> tuple[Point, ...]:
    return tuple((x, y, None, None) for x, y in points if y is not None)


_MEANING = mark(
    "Net benefit: true positives gained per case, less false positives weighted by the "
    "odds of the threshold; below 0 the model does harm. Dots are released values with "
    "their 95% CI, joined by straight lines. Treat none is 0. Where the model is above "
    "both other lines, deciding by the model is the better choice."
)


def _site_figure(panels: Sequence[DecisionPanel]) -> Figure:
    heights = [y for panel in panels for _, y, *_ in panel.model.points]
    names = many(len(panels), "site")
    return Figure(
        decision_panels(panels),
        say(
            "Decision curves of {names}; net benefit of the model from {min} to {max}.",
            names=names,
            min=number(min(heights)),
            max=number(max(heights)),
        ),
        say(
            "Decision curves of {names}, by threshold probability. {meaning}",
            names=names,
            meaning=say(_MEANING),
        ),
        table(
            say("Decision curves of the sites"),
            [say("Site"), say("Threshold"), say("Model (95% CI)"), say("Treat all")],
            [[panel.label, *row] for panel in panels for row in _rows(panel)],
        ),
    )


def _rows(panel: DecisionPanel) -> list[list[str]]:
    everyone = {x: y for x, y, *_ in panel.treat_all.points}
    return [
        [exact(x), as_released(y, lo, hi).text(), number(everyone.get(x))]
        for x, y, lo, hi in panel.model.points
    ]


def _together(findings: Findings) -> DecisionPanel | None:
    """Return the decision curve of the cases of all sites.

    It contains only thresholds that every site released: with a changing set of sites its shape
    would show the missing sites rather than the model.
    """
    every = findings.study.k
    chosen = [at for at in findings.study.decision_curve if at.net_benefit.k == every]
    if every < 2 or len(chosen) < 2:
        return None
    model: list[Point] = []
    for at in chosen:
        shown = rate(at.net_benefit)
        if shown.value is not None:
            model.append((at.threshold, shown.value, shown.lo, shown.hi))
    treat_all = Curve(say("Treat all"), _line((at.threshold, at.treat_all) for at in chosen))
    return DecisionPanel("", Curve(say("Model"), tuple(model)), treat_all)


def _many_figure(panels: Sequence[DecisionPanel]) -> Figure:
    heights = [y for panel in panels for _, y, *_ in panel.model.points]
    names = many(len(panels), "site")
    return Figure(
        decision_together(None, panels),
        say(
            "Decision curves of {names}; net benefit of the model from {min} to {max}.",
            names=names,
            min=number(min(heights)),
            max=number(max(heights)),
        ),
        say(
            "Decision curves of {names}, by threshold probability. Grey: model at each site; "
            "dashed: treat all at each site. The sites released different thresholds, so that "
            "they are not summed. Net benefit below 0 is harm; treat none is 0.",
            names=names,
        ),
        table(
            say("Decision curves of the sites"),
            [say("Site"), say("Threshold"), say("Model (95% CI)"), say("Treat all")],
            [[panel.label, *row] for panel in panels for row in _rows(panel)],
        ),
    )


def _together_figure(
    findings: Findings, panel: DecisionPanel, panels: Sequence[DecisionPanel]
) -> Figure:
    who = say("cases of {k} together", k=many(findings.study.k, "site"))
    heights = [y for _, y, *_ in panel.model.points]
    everyone = {x: y for x, y, *_ in panel.treat_all.points}
    rows = [
        [exact(x), as_shown(y, lo, hi).text(), number(everyone.get(x))]
        for x, y, lo, hi in panel.model.points
    ]
    return Figure(
        decision_together(panel, panels),
        say(
            "Decision curve of the {who}; net benefit of the model from {min} to {max}.",
            who=who,
            min=number(min(heights)),
            max=number(max(heights)),
        ),
        say(
            "Decision curve of the {who}, at the thresholds that every site released. {meaning} "
            "The 95% CI are for these cases; differences between sites are not part of them. "
            "Grey lines: model at each site.",
            who=who,
            meaning=say(_MEANING),
        ),
        table(
            say("Decision curve of the {who}", who=who),
            [say("Threshold"), say("Model (95% CI)"), say("Treat all")],
            rows,
        ),
    )


def _net_benefit(findings: Findings) -> list[Block]:
    """Return one table for each set of sites with a threshold, and the means over sites."""
    if findings.study.k == 1:
        return [_own_net_benefit(findings)]
    sums: dict[tuple[str, ...], list[list[str]]] = {}
    curve = {at.threshold: at for at in findings.study.decision_curve}
    for at in findings.study.thresholds:
        absent = {x.site for x in at.counts.excluded if x.reason != WITHHELD_CELLS}
        sites = tuple(site for site in findings.released if site not in absent)
        drawn = curve.get(at.threshold)
        of_all = drawn is not None and drawn.net_benefit.value is not None and not absent
        found = (
            drawn if drawn is not None and of_all else at
        )  # as in the figure, if it has the point
        row = [
            exact(at.threshold),
            rate(found.net_benefit).text(),
            number(found.treat_all),
            number(0.0),
        ]
        sums.setdefault(sites, []).append(row)
    blocks: list[Block] = [
        table(
            say(
                "Net benefit of the cases of {sites} together",
                sites=some_sites(len(sites), findings.study.k),
            ),
            [say("Threshold"), say("Model (95% CI)"), say("Treat all"), say("Treat none")],
            rows,
            note=_note(findings, sites, rows),
        )
        for sites, rows in sums.items()
    ]
    return [*blocks, _mean_net_benefit(findings)]


def _own_net_benefit(findings: Findings) -> Markup:
    """Return the net benefit that the one site released."""
    (release,) = findings.released.values()
    rows = []
    for at in findings.study.thresholds:
        here = released_at(release, at.threshold)
        shown = estimate(here.net_benefit if here else None)
        rows.append([exact(at.threshold), shown.text(), number(at.treat_all), number(0.0)])
    return table(
        say("Net benefit at the thresholds of the plan"),
        [say("Threshold"), say("Model (95% CI)"), say("Treat all"), say("Treat none")],
        rows,
    )


def _note(findings: Findings, sites: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    named = "" if len(sites) == findings.study.k else say("Sites: {sites}.", sites=", ".join(sites))
    hidden = any(say("not estimable") in cell for row in rows for cell in row)
    why = say("Not estimable: a site withheld a count that the value needs.") if hidden else ""
    return f"{named} {why}".strip()


def _mean_net_benefit(findings: Findings) -> Markup:
    rows = []
    for at in findings.study.thresholds:
        mean = findings.mean("net_benefit", at.threshold)
        rows.append([exact(at.threshold), mean.k, mean.shown().text(), expected(mean, 3)])
    return table(
        say("Net benefit of the model, mean over sites"),
        [say("Threshold"), say("Sites"), say("Mean (95% CI)"), say("At another hospital (95% PI)")],
        rows,
    )
