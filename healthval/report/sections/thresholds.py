"""Section "Performance at the decision threshold": counts, rates and predictive values."""

from collections.abc import Mapping

from markupsafe import Markup

from healthval.aggregate.counts import WITHHELD_CELLS, pool_counts
from healthval.aggregate.result import PooledCounts, ThresholdPool
from healthval.contracts.submission import Submission
from healthval.report.document import Block, Figure, Section
from healthval.report.figures.curves import Curve, predictive_plot
from healthval.report.findings import NO_COUNTS, Findings, estimate, left_out, rate, some_sites
from healthval.report.markup import (
    Shown,
    count,
    count_cell,
    exact,
    hatched,
    number,
    paragraphs,
    percent,
    table,
)
from healthval.report.sections.summary import expected
from healthval.report.values.noise import IN_COUNTS
from healthval.report.values.secure_sum import RATES, secure_sum
from healthval.report.values.site_values import released_at
from healthval.report.wording.language import mark, say

_SITE_COLUMNS = (
    mark("Site"),
    mark("True pos."),
    mark("False neg."),
    mark("False pos."),
    mark("True neg."),
    mark("Sensitivity"),
    mark("Specificity"),
)


def thresholds(findings: Findings) -> Section:
    """Build the section on the pre-specified thresholds; positive means score >= threshold."""
    blocks: list[Block] = []
    for at in findings.study.thresholds:
        blocks += _at_threshold(findings, at)
    blocks += secure_sum(findings)
    if not blocks:
        blocks = [paragraphs(say("The plan names no threshold, so none is judged."))]
    return Section("thresholds", say("Performance at the decision threshold"), tuple(blocks))


def _at_threshold(findings: Findings, at: ThresholdPool) -> list[Block]:
    name = say("threshold {threshold}", threshold=exact(at.threshold))
    if findings.study.k == 1:
        return _at_one_site(findings, at, name)
    blocks: list[Block] = [_site_matrix(findings, at), _means(findings, at, name)]
    if not at.counts.k:
        return [
            *blocks,
            paragraphs(
                say(
                    "Counts at {name} were not summed: {no_counts}.",
                    name=name,
                    no_counts=say(NO_COUNTS),
                )
            ),
        ]
    together = say(
        "cases of {k} together at {name}", k=some_sites(at.counts.k, findings.study.k), name=name
    )
    blocks += [
        _matrix(findings, at.counts, together),
        _rates(findings, at, together),
        *_all_sites(findings, at.counts, name),
        _per_thousand(
            at.counts,
            say(
                "cases like those of {k}, at {name}",
                k=some_sites(at.counts.k, findings.study.k),
                name=name,
            ),
        ),
    ]
    if figure := _predictive_figure(findings, at, together):
        blocks.append(figure)
    return blocks


def _at_one_site(findings: Findings, at: ThresholdPool, name: str) -> list[Block]:
    """Return the site's own counts and rates; there is nothing to sum."""
    (release,) = findings.released.values()
    here = released_at(release, at.threshold)
    rows = [
        [say(label), estimate(getattr(here, measure, None))] for measure, label in RATES.items()
    ]
    rates = table(say("Rates at {name}", name=name), [say("Measure"), say("Value (95% CI)")], rows)
    if not at.counts.k:
        return [_site_matrix(findings, at), rates]
    together = say("cases of the site at {name}", name=name)
    cases = say("cases like those of {k}, at {name}", k=some_sites(1, 1), name=name)
    figure = _predictive_figure(findings, at, together)
    blocks = [_site_matrix(findings, at), rates, _per_thousand(at.counts, cases)]
    return [*blocks, figure] if figure else [*blocks]


def _site_matrix(findings: Findings, at: ThresholdPool) -> Markup:
    rows: list[list[object]] = []
    floors = set()
    for site, release in findings.released.items():
        here = released_at(release, at.threshold)
        if here is None:
            rows.append([site, *[say("not released")] * 6])
            continue
        cells = (here.confusion.tp, here.confusion.fn, here.confusion.fp, here.confusion.tn)
        floor = findings.floor(site)
        floors |= {floor} if any(isinstance(cell, str) for cell in cells) else set()
        rates = (estimate(here.sensitivity).text(), estimate(here.specificity).text())
        rows.append([site, *(count_cell(cell, floor) for cell in cells), *rates])
    return table(
        say("Each site at threshold {threshold}", threshold=exact(at.threshold)),
        [say(column) for column in _SITE_COLUMNS],
        rows,
        note=f"{hatched(floors) if floors else ''} {findings.noisy(IN_COUNTS)}".strip(),
    )


def _matrix(findings: Findings, counts: PooledCounts, together: str) -> Markup:
    note = say("Summed over the sites that released all four counts; row percentages.")
    return table(
        together[0].upper() + together[1:],
        [say("Reference standard"), say("Model positive"), say("Model negative"), say("Total")],
        [
            [say("With the condition"), *_row_percentages(counts.tp, counts.fn)],
            [say("Without the condition"), *_row_percentages(counts.fp, counts.tn)],
        ],
        note=" ".join([note, findings.noisy(IN_COUNTS), *left_out(counts.excluded)]).strip(),
    )


def _row_percentages(positive: int, negative: int) -> list[str]:
    whole = positive + negative
    if not whole:
        return ["0", "0", "0"]
    cells = [f"{count(part)} ({percent(100 * part / whole, 1)})" for part in (positive, negative)]
    return [*cells, count(whole)]


def summed_rates(released: Mapping[str, Submission], at: ThresholdPool) -> Mapping[str, Shown]:
    """Return the rates of the sites that released all four counts; the intervals include noise."""
    here = [(released[site], released_at(released[site], at.threshold)) for site in at.counts.sites]
    sums = pool_counts(
        [found.confusion for _, found in here if found is not None],
        noise=[s.noise.variance if s.noise else 0.0 for s, found in here if found is not None],
    )
    rates = {name: getattr(sums, name) for name in RATES}
    return {name: rate(found, say("no such cases")) for name, found in rates.items()}


def _rates(findings: Findings, at: ThresholdPool, together: str) -> Markup:
    rates = summed_rates(findings.released, at)
    size = findings.noisy(say(" at the size that the noise of the gates leaves"))
    rows = [[say(label), rates[name]] for name, label in RATES.items()]
    return table(
        say("Rates of the {together}", together=together),
        [say("Measure"), say("Value (95% CI)")],
        rows,
        note=say(
            "Wilson intervals for the cases of these sites{size}; differences between sites are "
            "not part of them.",
            size=size,
        ),
    )


def _all_sites(findings: Findings, counts: PooledCounts, name: str) -> list[Block]:
    """Return the rates over all sites; empty where no site withheld a count."""
    if not any(total.n_suppressed for total in counts.totals):
        return []
    shown = [(say(label), rate(getattr(counts, measure))) for measure, label in RATES.items()]
    note = say(
        "Whether a site withholds a count depends on the count, so the rate over all sites "
        "may be higher or lower than that of the sites with counts."
    )
    if any(value.value is None for _, value in shown):
        note += say(" Between: bounds for each value that the withheld counts can have.")
    of = sum(1 for site in counts.excluded if site.reason == WITHHELD_CELLS) + counts.k
    return [
        table(
            say(
                "Rates of the cases of {of} at {name}, withheld counts included",
                of=some_sites(of, findings.study.k),
                name=name,
            ),
            [say("Measure"), say("Value (95% CI)")],
            shown,
            note=note,
        )
    ]


def _means(findings: Findings, at: ThresholdPool, name: str) -> Markup:
    rows = []
    for measure, label in RATES.items():
        mean = findings.mean(measure, at.threshold)
        rows.append([say(label), mean.k, mean.shown(), expected(mean, 3)])
    return table(
        say("Means over sites at {name}", name=name),
        [say("Measure"), say("Sites"), say("Mean (95% CI)"), say("At another hospital (95% PI)")],
        rows,
        note=say(
            "Random effects: REML and Hartung-Knapp; the interval also contains the t interval "
            "of the site values and, from four sites, that of the mean rate. Sites: "
            "those that released the two counts of the rate."
        ),
    )


def _per_thousand(counts: PooledCounts, name: str) -> Markup:
    n = counts.tp + counts.fp + counts.fn + counts.tn
    of = {
        say("with the condition, found"): counts.tp,
        say("with the condition, missed"): counts.fn,
        say("without the condition, marked"): counts.fp,
        say("without the condition, not marked"): counts.tn,
    }
    rows = [[label, number(1000 * value / n, 0)] for label, value in of.items()]
    marked = counts.tp + counts.fp
    rows.append([say("marked in all (workload)"), number(1000 * marked / n, 0)])
    needed = number(marked / counts.tp, 1) if counts.tp else say("none found")
    rows.append([say("cases marked for each one found"), needed])
    return table(
        say("Of 1000 {name}", name=name),
        [say("Cases"), say("Of 1000")],
        rows,
        kind="numbers narrow",
    )


def predictive_values(
    released: Mapping[str, Submission], at: ThresholdPool
) -> list[tuple[float, float, float]]:
    """Return (prevalence, PPV, NPV) at the sensitivity and specificity of the summed counts."""
    rates = summed_rates(released, at)
    sens, spec = rates["sensitivity"].value, rates["specificity"].value
    if sens is None or spec is None:
        return []
    return [
        (p, _bayes(sens * p, (1 - spec) * (1 - p)), _bayes(spec * (1 - p), (1 - sens) * p))
        for p in (i / 50 for i in range(1, 50))
    ]


def _predictive_figure(findings: Findings, at: ThresholdPool, together: str) -> Figure | None:
    rates, here = summed_rates(findings.released, at), at.counts.prevalence.value
    sens, spec = rates["sensitivity"].value, rates["specificity"].value
    if sens is None or spec is None:
        return None
    values = predictive_values(findings.released, at)
    curves = [
        Curve(say(RATES[name]), tuple((row[0], row[i], None, None) for row in values))
        for i, name in ((1, "ppv"), (2, "npv"))
    ]
    rows = [[number(p, 2), number(a), number(b)] for p, a, b in values[4::5]]
    threshold = exact(at.threshold)
    return Figure(
        predictive_plot(curves, here),
        say(
            "Predictive values by prevalence at threshold {threshold}: with sensitivity {sens} "
            "and specificity {spec}, at the prevalence {here} of these cases the positive "
            "predictive value is {ppv} and the negative {npv}.",
            threshold=threshold,
            sens=number(sens, 2),
            spec=number(spec, 2),
            here=number(here, 2),
            ppv=rates["ppv"].text(2),
            npv=rates["npv"].text(2),
        ),
        say(
            "Threshold {threshold}: predictive values where the condition is more or less "
            "frequent, if sensitivity ({sens}) and specificity ({spec}) of the {together} stay "
            "the same. Dotted: prevalence of these cases.",
            threshold=threshold,
            sens=number(sens, 2),
            spec=number(spec, 2),
            together=together,
        ),
        table(
            say("Predictive values at threshold {threshold}", threshold=threshold),
            [say("Prevalence"), say("Positive"), say("Negative")],
            rows,
        ),
    )


def _bayes(right: float, wrong: float) -> float:
    return right / (right + wrong) if right + wrong else 0.0
