"""Comparison of two reports from their ``metrics.json``: verdicts, means, differences at each hospital.

Hospitals are matched by their label. The interval of a difference treats both results as independent;
where both versions scored the same patients, results go up and down together, and the true interval
is narrower.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from healthval.aggregate.effects import IDENTITY, effect_of
from healthval.aggregate.meta import MIN_SITES_POOLED, meta_analysis
from healthval.contracts.report import Language
from healthval.contracts.submission import ReleasedEstimate
from healthval.errors import MetricError, ReportError
from healthval.report.criteria import NAMES, Criterion
from healthval.report.document import Block, Report, Section
from healthval.report.markup import as_shown, exact, hashed, number, paragraphs, table
from healthval.report.wording.language import many, mark, say, written_in

Numbers = Mapping[str, Any]
FORMAT = "healthval-metrics-1"
_Z = 1.959963984540054
_MEANS = {
    "auroc": mark("AUROC"),
    "oe": "O:E",
    "slope": mark("Calibration slope"),
    "citl": mark("Calibration in the large"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Second result less first result at one hospital, or the mean over hospitals (`site` None)."""

    measure: str
    site: str | None
    value: float
    lo: float
    hi: float


def compare(first: Numbers, second: Numbers, *, language: Language = "en") -> Report:
    """Build the comparison of two reports.

    Raises
    ------
    ReportError
        If one of them has another format, both are the same, or the language is unknown.
    """
    for numbers in (first, second):
        if numbers.get("format") != FORMAT:
            raise ReportError(f"metrics.json is not in the format {FORMAT}; make the report again")
    if first == second:
        raise ReportError("both reports are the same; give two reports")
    names = [f"{n['study']['model']} {n['study']['version']}" for n in (first, second)]
    with written_in(language):
        found = _differences(differences(first, second))
        return Report(
            title=say("Comparison of {first} and {second}", first=names[0], second=names[1]),
            subtitle=say("A is the first report, B the second; differences are B less A"),
            sections=(
                Section("subjects", say("What is compared"), tuple(_subjects(first, second))),
                Section("verdicts", say("Verdicts"), (_verdicts(first, second),)),
                Section("means", say("Means over hospitals"), (_means(first, second),)),
                Section("differences", say("Differences at each hospital"), found),
            ),
            numbers=_numbers(first, second),
            language=language,
        )


def _numbers(first: Numbers, second: Numbers) -> dict[str, Any]:
    """Return the content of ``comparison.json``, in English."""
    with written_in("en"):
        found = differences(first, second)
    return {
        "format": "healthval-comparison-1",
        "verdicts": [first["verdicts"], second["verdicts"]],
        "differences": [
            {"measure": d.measure, "site": d.site, "value": d.value, "lo": d.lo, "hi": d.hi}
            for d in found
        ],
    }


def _subjects(first: Numbers, second: Numbers) -> Iterator[Block]:
    about = [_about(numbers) for numbers in (first, second)]
    rows = [[name, about[0][name], about[1][name]] for name in about[0]]
    yield table(say("Reports"), ["", "A", "B"], rows, kind="words")
    yield paragraphs(*_cautions(first, second))


def _about(numbers: Numbers) -> dict[str, object]:
    study = numbers["study"]
    return {
        say("Model and version"): f"{study['model']} {study['version']}",
        say("SHA-256 of the model"): hashed(study["model_digest"]),
        say("SHA-256 of the plan"): hashed(study["plan_hash"]),
        say("Hospitals"): str(study["k"]),
        say("Software"): f"healthval {numbers['healthval_version']}",
    }


def _cautions(first: Numbers, second: Numbers) -> Iterator[str]:
    a, b = set(first["released"]), set(second["released"])
    if first["study"]["plan_hash"] != second["study"]["plan_hash"]:
        yield say("The plans differ: cohort, thresholds and targets need not be the same.")
    else:
        yield say("Both reports are under the same plan.")
    if a == b:
        yield say("Both reports are about the same {a}.", a=many(len(a), "hospital"))
    for only, name in ((sorted(a - b), "A"), (sorted(b - a), "B")):
        if only:
            yield say("Only in {name}: {only}.", name=name, only=", ".join(only))
    if a != b:
        yield (
            say(
                "Means over different hospitals differ also because the hospitals do; the "
                "differences at each hospital do not."
            )
        )


def _verdicts(first: Numbers, second: Numbers) -> Markup:
    found = [_by_criterion(n) for n in (first, second)]
    criteria = list(dict.fromkeys([*found[0], *found[1]]))
    if not criteria:
        return paragraphs(say("Neither plan names an acceptance criterion."))
    rows = [[c.name(), c.target(), *(_verdict(v.get(c)) for v in found)] for c in criteria]
    return table(
        say("Acceptance criteria"), [say("Criterion"), say("Target"), "A", "B"], rows, kind="words"
    )


def _by_criterion(numbers: Numbers) -> dict[Criterion, Numbers]:
    criteria = [Criterion(**given) for given in numbers["plan"]["criteria"]]
    return dict(zip(criteria, numbers["verdicts"], strict=True))


def _verdict(verdict: Numbers | None) -> str:
    if verdict is None:
        return say("no such criterion")
    result = verdict["result"]
    shown = as_shown(
        result["value"], result["lo"], result["hi"], result.get("why", mark("withheld"))
    )
    return f"{say(verdict['outcome'])}: {shown.text()}"


def _means(first: Numbers, second: Numbers) -> Markup:
    rows = [
        [
            say(name),
            *(cell for n in (first, second) for cell in _mean(n["derived"]["means"][measure])),
        ]
        for measure, name in _MEANS.items()
    ]
    columns = [
        say("Measure"),
        say("A (95% CI)"),
        say("A, other hospital"),
        say("B (95% CI)"),
        say("B, other hospital"),
    ]
    note = say(
        "CI: as behind the verdicts; it contains the Hartung-Knapp interval of the mean and the t "
        "interval of the site values. Other hospital: 95% prediction interval, from five hospitals on."
    )
    return table(say("Random-effects means"), columns, rows, note=note)


def _mean(mean: Numbers) -> tuple[str, str]:
    if mean["k"] < MIN_SITES_POOLED:
        return say("not pooled"), "–"
    lo, hi = mean["ci"] or (None, None)
    shown = as_shown(mean["value"], lo, hi, say("not pooled")).text()
    expected = mean["prediction"]
    if expected is None:
        return shown, "–"
    return shown, say("{low} to {high}", low=number(expected[0]), high=number(expected[1]))


def differences(first: Numbers, second: Numbers) -> list[Difference]:
    """Return the differences at the hospitals of both reports, and their means from three on."""
    both = [site for site in first["released"] if site in second["released"]]
    found: list[Difference] = []
    for measure in _measures(first, second):
        at_sites = []
        for site in both:
            pair = [_effect(n["released"][site], measure) for n in (first, second)]
            if pair[0] is not None and pair[1] is not None:
                at_sites.append((site, pair[1][0] - pair[0][0], math.hypot(pair[0][1], pair[1][1])))
        name = _named(measure)
        found += [
            Difference(measure=name, site=site, value=d, lo=d - _Z * se, hi=d + _Z * se)
            for site, d, se in at_sites
        ]
        found += _mean_difference(name, [(d, se) for _, d, se in at_sites])
    return found


def _measures(first: Numbers, second: Numbers) -> list[tuple[str, float | None]]:
    thresholds = [t for t in first["plan"]["thresholds"] if t in second["plan"]["thresholds"]]
    rates = [(name, t) for t in thresholds for name in ("sensitivity", "specificity")]
    return [("auroc", None), ("brier", None), *rates]


def _named(measure: tuple[str, float | None]) -> str:
    name, threshold = measure
    words = say(NAMES[name])
    return (
        words
        if threshold is None
        else say("{words} at threshold {threshold}", words=words, threshold=exact(threshold))
    )


def _effect(release: Numbers, measure: tuple[str, float | None]) -> tuple[float, float] | None:
    name, threshold = measure
    at = [t for t in release["thresholds"] if t["threshold"] == threshold]
    places = {"auroc": release, "brier": release.get("calibration") or {}}
    value = places.get(name, at[0] if at else {}).get(name)
    if value is None:
        return None
    found = effect_of(ReleasedEstimate.model_validate(value), IDENTITY)
    return None if isinstance(found, str) else found


def _mean_difference(name: str, pairs: list[tuple[float, float]]) -> list[Difference]:
    if len(pairs) < MIN_SITES_POOLED:
        return []
    try:
        mean = meta_analysis([d for d, _ in pairs], [se**2 for _, se in pairs])
    except MetricError:
        return []
    if mean.ci is None:
        return []
    return [Difference(measure=name, site=None, value=mean.mu, lo=mean.ci[0], hi=mean.ci[1])]


def _differences(found: list[Difference]) -> tuple[Block, ...]:
    if not found:
        return (paragraphs(say("No hospital of both reports released the same measure twice.")),)
    sheets = []
    for name in dict.fromkeys(d.measure for d in found):
        rows = [
            [
                d.site or Markup("<strong>{}</strong>").format(say("Mean over hospitals")),
                as_shown(d.value, d.lo, d.hi),
            ]
            for d in found
            if d.measure == name
        ]
        sheets.append(
            table(
                say("{name}: B less A", name=name),
                [say("Hospital"), say("Difference (95% CI)")],
                rows,
            )
        )
    return (
        paragraphs(
            say(
                "The intervals treat both results of a hospital as independent. Where both versions "
                "scored the same patients, the true intervals are narrower. A hospital is left out "
                "where one of its results is withheld, or is 0 or 1 and so has no standard error. "
                "Mean: random effects over hospitals (REML, Hartung-Knapp), from three hospitals on."
            )
        ),
        *sheets,
    )
