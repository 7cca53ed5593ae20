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
    table,
)
from healthval.report.sections.summary import expected
from healthval.report.values.noise import IN_COUNTS
from healthval.report.values.secure_sum import RATES, secure_sum
from healthval.report.values.site_values import released_at

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
    blocks += secure_sum(findings)
    if not blocks:
        blocks = [paragraphs("The plan names no threshold, so none is judged.")]
    return Section("thresholds", "Performance at the decision threshold", tuple(blocks))


def _at_threshold(findings: Findings, at: ThresholdPool) -> list[Block]:
    name = f"threshold {exact(at.threshold)}"
    blocks: list[Block] = [_site_matrix(findings, at)]
    if findings.study.k > 1:
        blocks.append(_means(findings, at, name))
    if not at.counts.k:
        return [*blocks, paragraphs(f"Counts at {name} were not summed: {NO_COUNTS}.")]
    together = f"cases of {some_sites(at.counts.k, findings.study.k)} together at {name}"
    blocks += [
        _matrix(findings, at.counts, together),
        _rates(findings, at, together),
        *_all_sites(findings, at.counts, name),
        _per_thousand(
            at.counts, f"cases like those of {some_sites(at.counts.k, findings.study.k)}, at {name}"
        ),
    ]
    if figure := _predictive_figure(findings, at, together):
        blocks.append(figure)
    return blocks


def _site_matrix(findings: Findings, at: ThresholdPool) -> Markup:
    rows: list[list[object]] = []
    floors = set()
    for site, release in findings.released.items():
        here = released_at(release, at.threshold)
        if here is None:
            rows.append([site, *["not released"] * 6])
            continue
        cells = (here.confusion.tp, here.confusion.fn, here.confusion.fp, here.confusion.tn)
        floor = findings.floor(site)
        floors |= {floor} if any(isinstance(cell, str) for cell in cells) else set()
        rates = (estimate(here.sensitivity).text(2), estimate(here.specificity).text(2))
        rows.append([site, *(count_cell(cell, floor) for cell in cells), *rates])
    return table(
        f"Each site at threshold {exact(at.threshold)}",
        _SITE_COLUMNS,
        rows,
        note=f"{hatched(floors) if floors else ''} {findings.noisy(IN_COUNTS)}".strip(),
    )


def _matrix(findings: Findings, counts: PooledCounts, together: str) -> Markup:
    note = "Summed over the sites that released all four counts; row percentages."
    return table(
        together[0].upper() + together[1:],
        ["Reference standard", "Model positive", "Model negative", "Total"],
        [
            ["With the condition", *_row_percentages(counts.tp, counts.fn)],
            ["Without the condition", *_row_percentages(counts.fp, counts.tn)],
        ],
        note=" ".join([note, findings.noisy(IN_COUNTS), *left_out(counts.excluded)]).strip(),
    )


def _row_percentages(positive: int, negative: int) -> list[str]:
    whole = positive + negative
    if not whole:
        return ["0", "0", "0"]
    cells = [f"{count(part)} ({number(100 * part / whole, 1)}%)" for part in (positive, negative)]
    return [*cells, count(whole)]


def summed_rates(released: Mapping[str, Submission], at: ThresholdPool) -> Mapping[str, Shown]:
    """Return the rates of the sites that released all four counts; the intervals include noise."""
    here = [(released[site], released_at(released[site], at.threshold)) for site in at.counts.sites]
    sums = pool_counts(
        [found.confusion for _, found in here if found is not None],
        noise=[s.noise.variance if s.noise else 0.0 for s, found in here if found is not None],
    )
    rates = {name: getattr(sums, name) for name in RATES}
    return {name: rate(found, "no such cases") for name, found in rates.items()}


def _rates(findings: Findings, at: ThresholdPool, together: str) -> Markup:
    rates = summed_rates(findings.released, at)
    size = findings.noisy(" at the size that the noise of the gates leaves")
    rows = [[label, rates[name]] for name, label in RATES.items()]
    return table(
        f"Rates of the {together}",
        ["Measure", "Value (95% CI)"],
        rows,
        note=f"Wilson intervals for the cases of these sites{size}; differences between sites are not "
        "part of them.",
    )


def _all_sites(findings: Findings, counts: PooledCounts, name: str) -> list[Block]:
    """Return the rates over all sites; empty where no site withheld a count."""
    if not any(total.n_suppressed for total in counts.totals):
        return []
    of = sum(1 for site in counts.excluded if site.reason == WITHHELD_CELLS) + counts.k
    return [
        table(
            f"Rates of the cases of {some_sites(of, findings.study.k)} at {name}, withheld counts included",
            ["Measure", "Value (95% CI)"],
            [[label, rate(getattr(counts, measure))] for measure, label in RATES.items()],
            note="Whether a site withholds a count depends on the count, so the rate over all sites "
            "may be higher or lower than that of the sites with counts. Between: bounds for "
            "each value that the withheld counts can have.",
        )
    ]


def _means(findings: Findings, at: ThresholdPool, name: str) -> Markup:
    rows = []
    for measure, label in RATES.items():
        mean = findings.mean(measure, at.threshold)
        rows.append([label, mean.k, mean.shown(), expected(mean, 3)])
    return table(
        f"Means over sites at {name}",
        ["Measure", "Sites", "Mean (95% CI)", "At another hospital (95% PI)"],
        rows,
        note="Random effects: REML and Hartung-Knapp; the interval also contains the t interval of "
        "the site values and that of the mean rate. Sites: those that released the two counts of the rate.",
    )


def _per_thousand(counts: PooledCounts, name: str) -> Markup:
    n = counts.tp + counts.fp + counts.fn + counts.tn
    of = {
        "with the condition, found": counts.tp,
        "with the condition, missed": counts.fn,
        "without the condition, marked": counts.fp,
        "without the condition, not marked": counts.tn,
    }
    rows = [[label, number(1000 * value / n, 0)] for label, value in of.items()]
    marked = counts.tp + counts.fp
    rows.append(["marked in all (workload)", number(1000 * marked / n, 0)])
    needed = number(marked / counts.tp, 1) if counts.tp else "none found"
    rows.append(["cases marked for each one found", needed])
    return table(f"Of 1000 {name}", ["Cases", "Of 1000"], rows, kind="numbers narrow")


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
        Curve(RATES[name], tuple((row[0], row[i], None, None) for row in values))
        for i, name in ((1, "ppv"), (2, "npv"))
    ]
    rows = [[number(p, 2), number(a), number(b)] for p, a, b in values[4::5]]
    threshold = exact(at.threshold)
    return Figure(
        predictive_plot(curves, here),
        f"Predictive values by prevalence at threshold {threshold}: with sensitivity "
        f"{number(sens, 2)} and specificity {number(spec, 2)}, at the prevalence "
        f"{number(here, 2)} of these cases the positive predictive value is "
        f"{rates['ppv'].text(2)} and the negative {rates['npv'].text(2)}.",
        f"Threshold {threshold}: predictive values where the condition is more or less frequent, if "
        f"sensitivity ({number(sens, 2)}) and specificity ({number(spec, 2)}) of the {together} "
        "stay the same. Dotted: prevalence of these cases.",
        table(
            f"Predictive values at threshold {threshold}",
            ["Prevalence", "Positive", "Negative"],
            rows,
        ),
    )


def _bayes(right: float, wrong: float) -> float:
    return right / (right + wrong) if right + wrong else 0.0
