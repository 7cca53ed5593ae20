"""Secondary analyses over sites: tables for the sections on utility, calibration and sites."""

from healthval.aggregate.secondary.records import CaseMix, EventRatio, JointCalibration
from healthval.aggregate.values import PooledMeasure
from healthval.report.document import Block
from healthval.report.findings import Findings, pooled
from healthval.report.markup import (
    Shown,
    as_shown,
    exact,
    number,
    p_value,
    paragraphs,
    percent,
    table,
)
from healthval.report.wording.language import many, mark, reword, say

_MEASURES = {
    "auroc": mark("AUROC"),
    "oe": "O:E",
    "slope": mark("Slope"),
    "citl": mark("In the large"),
}


def chance(p: float) -> str:
    """Format a probability in percent, never as certain.

    >>> chance(0.964), chance(0.9999), chance(0.0)
    ('96%', 'over 99%', 'under 1%')
    """
    if p > 0.99:
        return say("over 99%")
    return say("under 1%") if p < 0.01 else percent(100 * p)


def usefulness_table(findings: Findings) -> list[Block]:
    """Net benefit against the better default, and the chance that it is above 0 elsewhere."""
    if findings.study.k == 1:
        return []
    rows, reasons = [], []
    for at in findings.study.secondary.usefulness:
        if at.reason and not at.gain.k:
            reasons.append(_not_compared(at.threshold, at.reason))
            continue
        shown = _pooled(at.gain, at.reason)
        useful = "–" if at.p_useful is None else chance(at.p_useful)
        rows.append([exact(at.threshold), at.gain.k, shown.text(), _ends(at.gain), useful])
    missing = [paragraphs(*reasons)] if reasons else []
    if not rows:
        return [*missing]
    return [
        *missing,
        table(
            say("Net benefit of the model less that of the better of treating all and none"),
            [
                say("Threshold"),
                say("Sites"),
                say("Mean (95% CI)"),
                say("95% PI"),
                say("Useful at another hospital"),
            ],
            rows,
            note=say(
                "Random effects over sites. Useful: the chance that the difference is above 0 there, "
                "from the prediction interval."
            ),
        ),
    ]


def _not_compared(threshold: float, reason: str) -> str:
    return say(
        "The net benefit at threshold {threshold} was not compared with that of the better of "
        "treating all and none: {reason}.",
        threshold=exact(threshold),
        reason=reword(reason),
    )


def joint_table(findings: Findings) -> list[Block]:
    """Intercept and slope together, and the curve over sites that follows from them."""
    found = findings.study.secondary.calibration
    if found.intercept is None or found.slope is None or found.p is None:
        return []
    rows = [[say("Intercept"), _interval(found.intercept, found.intercept_ci)]]
    rows.append([say("Slope"), _interval(found.slope, found.slope_ci)])
    blocks: list[Block] = [
        table(
            say("Calibration intercept and slope together"),
            [say("Measure"), say("Mean (95% CI)")],
            rows,
            note=say(
                "Over {k}; test of intercept 0 and slope 1 together: {p}.",
                k=many(found.k, "site"),
                p=p_value(found.p),
            ),
        )
    ]
    return [*blocks, *_joint_curve(found)]


def _joint_curve(found: JointCalibration) -> list[Block]:
    rows = [
        [number(x.predicted, 2), _interval(x.observed, x.ci), _interval_only(x.prediction)]
        for x in found.curve
    ]
    if not rows:
        return []
    return [
        table(
            say("Calibration curve over {k}", k=many(found.k, "site")),
            [say("Predicted"), say("Observed, mean (95% CI)"), say("At another hospital (95% PI)")],
            rows,
            note=say(
                "Logistic curve from intercept and slope, within the range of scores of the curve of "
                "each of these sites."
            ),
        )
    ]


def case_mix_table(findings: Findings) -> list[Block]:
    """Spread of the scores at each site, and the AUROC that it implies."""
    found = {c.site: c for c in findings.study.secondary.case_mix if c.model_c is not None}
    if not found:
        return []
    auroc = {site: release.auroc.value for site, release in findings.released.items()}
    rows = [_case_mix_row(c, auroc.get(site)) for site, c in found.items()]
    return [
        table(
            say("Case mix of the sites"),
            [
                say("Site"),
                say("Mean score"),
                say("SD of the logit"),
                say("AUROC implied"),
                say("AUROC"),
            ],
            rows,
            note=say(
                "From the released bins. Implied: the AUROC if the scores were the true risks of "
                "these patients; with more similar patients it is lower for any model."
            ),
        )
    ]


def _case_mix_row(c: CaseMix, auroc: float | None) -> list[object]:
    shown = (c.mean_score, c.sd_linear_predictor, c.model_c, auroc)
    return [c.site, *(number(value) for value in shown)]


def methods_table(findings: Findings) -> list[Block]:
    """Headline results by estimator of the variance between sites, and by test."""
    rows = [
        [say(_MEASURES[c.measure]), c.method, c.test, _interval(c.value, c.ci)]
        for c in findings.study.secondary.choices
        if c.measure in ("auroc", "oe")
    ]
    ratio = findings.study.secondary.oe_poisson
    if ratio.value is not None:
        rows.append(["O:E", "Poisson", say("likelihood"), _interval(ratio.value, ratio.ci)])
    if not rows:
        return []
    return [
        table(
            say("Means by method"),
            [say("Measure"), say("Variance between sites"), say("Interval"), say("Mean (95% CI)")],
            rows,
            note=say(
                "The means of this report are REML; their intervals contain that of hk-truncated and "
                "the t interval of the site values. PM: Paule-Mandel; DL: DerSimonian-Laird; hk: "
                "Hartung-Knapp.{about}",
                about=_about(ratio),
            ),
        )
    ]


def _about(ratio: EventRatio) -> str:
    if ratio.value is None:
        return ""
    if not ratio.no_events and not ratio.withheld:
        return say(" Poisson: {k}.", k=many(ratio.k, "site"))
    return say(
        " Poisson: {k}, of which {no_events} without events and {withheld} with a withheld number.",
        k=many(ratio.k, "site"),
        no_events=ratio.no_events,
        withheld=ratio.withheld,
    )


def _pooled(measure: PooledMeasure, reason: str | None) -> Shown:
    shown, _ = pooled(measure)
    if shown.value is not None:
        return shown
    return as_shown(None, why=say("not estimable") if reason else say("not pooled"))


def _ends(measure: PooledMeasure) -> str:
    return _interval_only(measure.prediction)


def _interval_only(ends: tuple[float, float] | None) -> str:
    return (
        "–" if ends is None else say("{low} to {high}", low=number(ends[0]), high=number(ends[1]))
    )


def _interval(value: float, ends: tuple[float, float] | None) -> str:
    low, high = ends or (None, None)
    return as_shown(value, low, high).text()
