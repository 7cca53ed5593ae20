"""Section "Performance at the decision threshold": counts, rates and predictive values."""

from markupsafe import Markup

from healthval.aggregate.result import PooledCounts, Rate, ThresholdPool
from healthval.contracts.submission import ReleasedThreshold, Submission
from healthval.errors import counted
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.curves import Curve, predictive_plot
from healthval.report.findings import NO_COUNTS, Findings, estimate, rate
from healthval.report.markup import Shown, count_cell, exact, hatched, number, paragraphs, table

RATES = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
}
_SITE_COLUMNS = (
    "Site",
    "True pos.",
    "False neg.",
    "False pos.",
    "True neg.",
    "Sensitivity",
    "Specificity",
)


def thresholds(findings: Findings) -> Section:
    """Build the section on the pre-specified thresholds; positive means score >= threshold."""
    blocks: list[Block] = []
    for at in findings.study.thresholds:
        blocks += _at_threshold(findings, at)
    if not blocks:
        blocks = [paragraphs("The plan names no threshold, so none is judged.")]
    return Section("thresholds", "Performance at the decision threshold", tuple(blocks))


def _at_threshold(findings: Findings, at: ThresholdPool) -> list[Block]:
    name = f"threshold {exact(at.threshold)}"
    blocks: list[Block] = [_site_matrix(findings, at)]
    if not at.counts.k:
        return [*blocks, paragraphs(f"Counts at {name} were not summed: {NO_COUNTS}.")]
    blocks += [_matrix(at.counts, name), _rates(at, name), _per_thousand(at.counts, name)]
    if figure := _predictive_figure(at):
        blocks.append(figure)
    return blocks


def _site_matrix(findings: Findings, at: ThresholdPool) -> Markup:
    rows: list[list[object]] = []
    for site, release in findings.released.items():
        here = _released_at(release, at.threshold)
        if here is None:
            rows.append([site, *["not released"] * 6])
            continue
        cells = (here.confusion.tp, here.confusion.fn, here.confusion.fp, here.confusion.tn)
        floor = findings.floor(site)
        rates = (estimate(here.sensitivity).text(2), estimate(here.specificity).text(2))
        rows.append([site, *(count_cell(cell, floor) for cell in cells), *rates])
    return table(
        f"Each site at threshold {exact(at.threshold)}",
        _SITE_COLUMNS,
        rows,
        note=hatched(findings.floor(site) for site in findings.released),
    )


def _released_at(release: Submission, threshold: float) -> ReleasedThreshold | None:
    return next(
        (t for t in release.thresholds if t.threshold == threshold and t.origin == "pre-specified"),
        None,
    )


def _matrix(counts: PooledCounts, name: str) -> Markup:
    released = counted(counts.k, "site")
    note = f"Summed over the {released} that released all four counts; row percentages."
    if counts.excluded:
        note += f" Left out because of small cells: {', '.join(x.site for x in counts.excluded)}."
    return table(
        f"All cases together at {name}",
        ["Reference standard", "Model positive", "Model negative", "Total"],
        [
            ["With the condition", *_row_percentages(counts.tp, counts.fn)],
            ["Without the condition", *_row_percentages(counts.fp, counts.tn)],
        ],
        note=note,
    )


def _row_percentages(positive: int, negative: int) -> list[str]:
    whole = positive + negative
    if not whole:
        return ["0", "0", "0"]
    cells = [f"{part} ({number(100 * part / whole, 1)}%)" for part in (positive, negative)]
    return [*cells, str(whole)]


def _rates(at: ThresholdPool, name: str) -> Markup:
    rows: list[list[object]] = []
    for measure, label in RATES.items():
        over_sites = Shown(None, why="–")
        if at.bivariate is not None and measure in {"sensitivity", "specificity"}:
            lo, hi = getattr(at.bivariate, f"{measure}_ci")
            over_sites = Shown(getattr(at.bivariate, measure), lo, hi)
        together: Rate = getattr(at.counts, measure)
        rows.append([label, rate(together, NO_COUNTS), together.k, over_sites])
    note = (
        "All cases together: Wilson intervals, from the sites that released the two counts of the "
        "rate. With the other sites a rate may be higher or lower. Mean over sites: bivariate "
        "random effects."
    )
    if at.bivariate is None and at.bivariate_reason:
        note += f" The bivariate model was not fitted: {at.bivariate_reason}."
    columns = ["Measure", "All cases together (95% CI)", "Sites", "Mean over sites (95% CI)"]
    return table(f"Rates at {name}", columns, rows, note=note)


def _per_thousand(counts: PooledCounts, name: str) -> Markup:
    n = counts.tp + counts.fp + counts.fn + counts.tn
    of = {
        "with the condition, found": counts.tp,
        "with the condition, missed": counts.fn,
        "without the condition, marked": counts.fp,
        "without the condition, not marked": counts.tn,
    }
    rows = [[label, number(1000 * value / n, 0)] for label, value in of.items()]
    return table(
        f"Of 1000 cases like these, at {name}", ["Cases", "Of 1000"], rows, kind="numbers narrow"
    )


def _predictive_figure(at: ThresholdPool) -> Figure | None:
    sens, spec = at.counts.sensitivity.value, at.counts.specificity.value
    here = at.counts.prevalence.value
    if sens is None or spec is None:
        return None
    grid = [i / 50 for i in range(1, 50)]
    ppv = [_bayes(sens * p, (1 - spec) * (1 - p)) for p in grid]
    npv = [_bayes(spec * (1 - p), (1 - sens) * p) for p in grid]
    curves = [
        Curve(RATES[name], tuple((p, value, None, None) for p, value in zip(grid, y, strict=True)))
        for name, y in (("ppv", ppv), ("npv", npv))
    ]
    every_fifth = zip(grid[4::5], ppv[4::5], npv[4::5], strict=True)
    rows = [[number(p, 2), number(a), number(b)] for p, a, b in every_fifth]
    return Figure(
        predictive_plot(curves, here),
        f"Predictive values by prevalence at threshold {exact(at.threshold)}: with sensitivity "
        f"{number(sens, 2)} and specificity {number(spec, 2)}, at the study's prevalence "
        f"{number(here, 2)} the positive predictive value is {rate(at.counts.ppv).text(2)} and the "
        f"negative {rate(at.counts.npv).text(2)}.",
        "Predictive values where the condition is more or less frequent than in this study, if "
        "sensitivity and specificity stay the same.",
        table("Predictive values", ["Prevalence", "Positive", "Negative"], rows),
    )


def _bayes(right: float, wrong: float) -> float:
    return right / (right + wrong) if right + wrong else 0.0
