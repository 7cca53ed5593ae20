"""Input of the report's sections: pooled study, released results, model card and plan facts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from healthval.aggregate.result import (
    Excluded,
    PooledMeasure,
    Rate,
    StudyResult,
    SubgroupPool,
    TableOneTotal,
    ThresholdPool,
    Total,
)
from healthval.contracts.base import digest
from healthval.contracts.model import ModelCard
from healthval.contracts.monitoring import PERIOD
from healthval.contracts.submission import ReleasedEstimate, Submission
from healthval.errors import ReportError, counted
from healthval.report.conduct import Conduct
from healthval.report.criteria import PlanFacts
from healthval.report.markup import WITHHELD, Shown, as_shown, count, decimals, number
from healthval.report.values.levels import place
from healthval.report.values.means import ONE_SITE, SiteMean, site_mean
from healthval.report.values.noise import Noise, noise_in
from healthval.report.wording.language import many, mark, reword, say

POOLED = mark("random-effects mean over sites")
NO_COUNTS = mark("no site released all four counts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """A study with its released results; `released` is keyed by site, in the study's order."""

    study: StudyResult
    released: Mapping[str, Submission]
    card: ModelCard
    plan: PlanFacts
    conduct: Conduct | None = None

    @property
    def noise(self) -> Noise | None:
        """Return the noise that the sites' gates added to counts, if any."""
        return noise_in(self.released)

    def noisy(self, words: str) -> str:
        """Return the words if a release contains noise, and nothing otherwise."""
        return say(words) if self.noise else ""

    def floor(self, site: str) -> int:
        """Return the minimum cell of the site's policy."""
        return self.released[site].certificate.minimum_cell

    def subgroups(self) -> list[SubgroupPool]:
        """Return the subgroups in the plan's order, without periods; withheld levels are last."""
        watched = self.plan.monitoring is not None
        groups = [g for g in self.study.subgroups if not (watched and g.variable == PERIOD)]
        key = place(self.plan.levels, [(g.variable, g.level) for g in groups])
        return sorted(groups, key=lambda group: key(group.variable, group.level))

    def table_one(self) -> list[TableOneTotal]:
        """Return the rows of table 1 in the plan's order; withheld levels are last."""
        rows = self.study.table_one
        key = place(self.plan.levels, [(row.variable, row.level) for row in rows])
        return sorted(rows, key=lambda row: key(row.variable, row.level))

    def mean(self, measure: str, threshold: float | None = None) -> SiteMean:
        """Return the mean of a measure over the sites that released it."""
        return site_mean(self.released, measure, threshold)

    def result(self, measure: str, threshold: float | None = None) -> tuple[Shown, str]:
        """Return the headline result of a measure and the basis of that result."""
        mean = self.mean(measure, threshold)
        return mean.shown(), mean.basis()

    def at(self, threshold: float) -> ThresholdPool | None:
        """Return the pooled results at a threshold."""
        return next((t for t in self.study.thresholds if t.threshold == threshold), None)


def pooled(measure: PooledMeasure) -> tuple[Shown, str]:
    """Return the pooled value and its basis; in a study of one site, that site's estimate."""
    if measure.value is not None:
        return _shown(measure.value, measure.ci, ""), say(POOLED)
    with_value = [site for site in measure.sites if site.value is not None]
    if len(measure.sites) == 1 and with_value:
        only = with_value[0]
        return as_released(only.value, only.lo, only.hi), say(ONE_SITE)
    return as_shown(None, why=measure.reason or WITHHELD), say("none")


def rate(value: Rate | None, reason: str | None = None) -> Shown:
    """Convert a rate from summed counts to its printed form; without a value, to its bounds."""
    if value is None:
        return as_shown(None, why=reason or WITHHELD)
    if value.value is None and value.bounds is not None:
        low, high = (number(end) for end in value.bounds)
        return as_shown(
            None, why=say("not estimable; between {low} and {high}", low=low, high=high)
        )
    return _shown(value.value, value.ci, reason or say("not estimable"))


def _shown(value: float | None, ci: tuple[float, float] | None, why: str) -> Shown:
    lo, hi = ci or (None, None)
    return as_shown(value, lo, hi, why or WITHHELD)


def estimate(released: ReleasedEstimate | None) -> Shown:
    """Convert a site's released estimate to its printed form."""
    if released is None:
        return as_shown(None, why=say("not released"))
    why = say("not estimable") if released.withheld == "not_estimable" else WITHHELD
    return as_released(released.value, released.lo, released.hi, why)


def as_released(
    value: float | None, lo: float | None, hi: float | None, why: str = WITHHELD
) -> Shown:
    """Return an estimate that is printed with no more decimals than were released."""
    given = [decimals(x) for x in (value, lo, hi) if x is not None]
    return as_shown(value, lo, hi, why, digits=max(given, default=0))


def total(cells: Total) -> str:
    """Format a sum over sites; show a lower bound if any count is withheld.

    An upper bound is not printed: together with the counts of the other sites it would narrow down
    the withheld count.

    >>> total(Total(420, 425, 2, 1)), total(Total(420, 420, 3, 0)), total(Total(0, 9, 1, 2))
    ('≥420', '420', 'withheld')
    """
    if not cells.n_sites or (cells.n_suppressed and not cells.lower):
        return say(WITHHELD)
    return f"≥{count(cells.lower)}" if cells.n_suppressed else count(cells.lower)


def some_sites(k: int, of: int) -> str:
    """Name the number of sites that a sum contains.

    >>> some_sites(3, 5), some_sites(5, 5), some_sites(1, 1)
    ('3 of 5 sites', '5 sites', '1 site')
    """
    return say("{k} of {of}", k=k, of=many(of, "site")) if k < of else many(of, "site")


def some_hospitals(k: int, of: int) -> str:
    """Name the number of hospitals that a mean contains.

    >>> some_hospitals(3, 5), some_hospitals(1, 1)
    ('3 of 5 hospitals', '1 hospital')
    """
    all_of_them = many(of, "hospital")
    return say("{k} of {of}", k=k, of=all_of_them) if k < of else all_of_them


_LEFT_OUT = {
    "suppressed cells": mark("counts withheld"),
    "threshold not submitted": mark("threshold not submitted"),
}


def left_out(excluded: Iterable[Excluded]) -> list[str]:
    """Return one sentence for each reason, with the sites that a sum does not contain."""
    by_reason: dict[str, list[str]] = {}
    for item in excluded:
        by_reason.setdefault(_LEFT_OUT.get(item.reason, item.reason), []).append(item.site)
    return [
        say("Left out ({reason}): {sites}.", reason=reword(reason), sites=", ".join(sites))
        for reason, sites in by_reason.items()
    ]


def match(study: StudyResult, submissions: Iterable[Submission]) -> dict[str, Submission]:
    """Find each site's submission by its hash.

    Raises
    ------
    ReportError
        If a submission of the study is missing, or a given submission is not part of the study.
    """
    by_hash = {digest(submission): submission for submission in submissions}
    missing = [site.site for site in study.sites if site.submission_sha256 not in by_hash]
    if missing:
        raise ReportError(
            f"missing or changed: {len(missing)} of {counted(len(study.sites), 'submission')} of the "
            f"study (first: {missing[0]}); give the submissions that were pooled"
        )
    surplus = len(by_hash) - len(study.sites)
    if surplus > 0:
        verb = counted(surplus, "submission is", "submissions are")
        raise ReportError(f"{verb} not part of the study; pool them first or leave them out")
    return {site.site: by_hash[site.submission_sha256] for site in study.sites}
