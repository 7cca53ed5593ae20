"""Results that are one hospital's: the same label, or the same patients under another key."""

import math
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from scipy.special import ndtri

from healthval.contracts.submission import Band, Cell, Submission

# Chance that the noise of two releases about the same patients differs more than is accepted.
RARE = 1e-4
ROUNDING = 1e-9
EXPECTED_STEP = 0.1  # the sum of scores is released with one decimal or more


class Received(Protocol):
    """A submission with the label of its site and the time of its arrival."""

    @property
    def site(self) -> str:
        """Name of the site's key."""

    @property
    def label(self) -> str:
        """Name of the hospital, as the operator approved it."""

    @property
    def received(self) -> datetime | None:
        """Time of arrival at the hub."""

    @property
    def submission(self) -> Submission:
        """The released result."""


def counted_elsewhere(found: Sequence[Received], apart: Collection[str] = ()) -> dict[str, str]:
    """Return, for each site whose result is another site's too, the site whose result counts.

    Results with one label, or about the same patients, are one hospital's: the newest one counts.

    Parameters
    ----------
    apart : labels of hospitals that are known to be different ones
    """
    newest_first = sorted(found, key=lambda s: (_seconds(s.received), s.site), reverse=True)
    kept: list[Received] = []
    twice: dict[str, str] = {}
    for item in newest_first:
        same = next((k for k in kept if _is_one(item, k, apart)), None)
        if same is None:
            kept.append(item)
        else:
            twice[item.site] = same.site
    return twice


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _is_one(a: Received, b: Received, apart: Collection[str]) -> bool:
    if a.label == b.label:
        return True
    if a.label in apart and b.label in apart:
        return False
    return are_same_patients(a.submission, b.submission)


def are_same_patients(a: Submission, b: Submission) -> bool:
    """Whether two results agree in number of cases and sum of scores, and in counts up to their noise.

    Two hospitals differ in one of these.
    Names of model, plan and client, and the certificate, are left out of the comparison.
    """
    if not isinstance(a.n, int) or a.n != b.n:
        return False
    if a.calibration is None or b.calibration is None:
        return _numbers(a) == _numbers(b)
    sums = (a.calibration.expected, b.calibration.expected)
    if sums[0] is None or sums[1] is None:
        return _numbers(a) == _numbers(b)
    return abs(sums[0] - sums[1]) < EXPECTED_STEP and _counts_agree(a, b)


def _numbers(sent: Submission) -> dict[str, object]:
    names = {"model", "version", "model_digest", "plan_hash", "plan_amended", "canary"}
    values: dict[str, object] = sent.model_dump(
        exclude=names | {"certificate", "healthval_version"}
    )
    return values


def _counts_agree(a: Submission, b: Submission) -> bool:
    """Whether no count differs by more than the noise of both, allowing for their number."""
    mine, theirs = dict(_counts(a)), dict(_counts(b))
    shared = mine.keys() & theirs.keys()
    most = float(ndtri(1 - RARE / (2 * max(len(shared), 1))))
    return all(
        abs(mine[name][0] - theirs[name][0])
        <= most * math.sqrt(mine[name][1] + theirs[name][1]) + ROUNDING
        for name in shared
    )


def _counts(sent: Submission) -> Iterator[tuple[str, tuple[int, float]]]:
    """Counts by name, each with the variance of its noise."""
    noise = sent.noise
    cut, level = (0.0, 0.0) if noise is None else (noise.variance, noise.level_variance)
    named: list[tuple[str, Cell | Band | None, float]] = [("events", sent.n_events, cut)]
    named += [("indeterminate", sent.n_indeterminate, cut)]
    named += [("missing reference", sent.n_missing_reference, cut)]
    named += [(f"flow {step.step}", step.n, cut) for step in sent.flow]
    for at in sent.thresholds:
        cells = at.confusion
        named += [(f"tp {at.threshold}", cells.tp, cut), (f"fp {at.threshold}", cells.fp, cut)]
    for row in sent.table_one:
        place = f"{row.variable} {row.level}"
        named += [(f"{place} events", row.events, level), (f"{place} not", row.non_events, level)]
    return ((name, (n, variance)) for name, n, variance in named if isinstance(n, int))
