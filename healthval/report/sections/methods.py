"""Section "Methods in words": how sites were pooled, and what each interval is about."""

from healthval.report.document import Section
from healthval.report.findings import Findings, some_sites
from healthval.report.markup import facts
from healthval.report.wording.language import mark, say

_ONE = [
    (
        mark("AUROC of a site"),
        mark("Computed at the site from all scores; DeLong's variance on the logit scale."),
    ),
    (mark("Rates at a threshold"), mark("From released counts; Wilson's 95% interval.")),
    (
        mark("Calibration"),
        mark(
            "O:E: observed events over the sum of the predicted risks. Slope and calibration in "
            "the large: logistic regression of the outcome on the logit of the risk. Curves: "
            "restricted cubic splines."
        ),
    ),
    (
        mark("Net benefit"),
        mark(
            "True positives per case, less false positives per case weighted by the odds of the "
            "threshold."
        ),
    ),
    (
        mark("ROC region"),
        mark(
            "The points of the curve that follow from released counts, and every curve through "
            "them."
        ),
    ),
    (
        mark("Withheld values"),
        mark(
            "A count that a site withheld is never taken as zero; sums without it are lower "
            "bounds or name the sites that are in them."
        ),
    ),
]
_MORE = [
    (
        mark("Mean over hospitals"),
        mark(
            "Random effects: each hospital is one of many, and true values differ between them. "
            "The variance between hospitals is estimated by REML, AUROC and rates on the logit "
            "scale, O:E on the log scale, the other measures as they are."
        ),
    ),
    (
        mark("Its 95% CI"),
        mark(
            "Hartung-Knapp with t(k − 1) for k hospitals, never narrower than without it. It also "
            "contains the t interval of the unweighted site values, because hospitals of very "
            "different sizes make Hartung-Knapp intervals too narrow, and for rates of four or more "
            "hospitals the interval of the mean rate. Means of subgroups, differences and means "
            "without one hospital have the Hartung-Knapp interval only."
        ),
    ),
    (
        mark("95% PI (prediction interval)"),
        mark(
            "Where the true value of another hospital is expected: t(k − 2), from five hospitals "
            "on, and nowhere narrower than the CI. The CI is about the average hospital, the PI about a single other one."
        ),
    ),
    (
        mark("Verdict where values are withheld"),
        mark(
            "The mean is computed again with the withheld values from low to high; the verdict "
            "has to be the same over the whole range."
        ),
    ),
]


def methods(findings: Findings) -> Section:
    """Build the section on the methods; a study of one site has no pooling to describe."""
    described = _ONE if findings.study.k == 1 else [*_MORE, *_ONE]
    return Section(
        "methods",
        say("Methods in words"),
        (facts([*((say(name), say(text)) for name, text in described), *_noise(findings)]),),
    )


def _noise(findings: Findings) -> list[tuple[str, str]]:
    noise = findings.noise
    if noise is None:
        return []
    multiples = say(" and ").join(map(str, noise.multiples))
    rounded = (
        say(" Some sites round their counts to multiples of {multiples}.", multiples=multiples)
        if multiples
        else ""
    )
    text = say(
        "At {k} the gate added random noise to the counts, so that the outcome of a patient "
        "cannot be calculated from the numbers. Its standard deviation at a site is "
        "{deviations}. The intervals of rates and statistics include it. The numbers of "
        "cases analysed have no noise. A site's calibration slope can be too small: by about 3% at an "
        "AUROC of 0.86 and 150 cases, and more where the classes are nearly separated.{rounded}",
        k=some_sites(noise.k, noise.of),
        deviations=noise.deviations(),
        rounded=rounded,
    )
    return [(say("Noise of the gates"), text)]
