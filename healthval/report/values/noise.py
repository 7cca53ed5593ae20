"""Noise that the sites' gates added to counts, and its words in the report."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from healthval.contracts.submission import Submission
from healthval.report.markup import number
from healthval.report.wording.language import mark, say

_Z = 1.959963984540054
IN_COUNTS = mark("Counts contain noise of the gates; the numbers of cases analysed do not.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Noise in the releases of `k` of `of` sites.

    `count_sd` and `level_sd` are the smallest and the largest standard deviation of a count, and
    of a count in a level, at a site. `events` is the half-width of the 95% interval for
    the noise on the number of cases with the condition over all sites.
    """

    k: int
    of: int
    count_sd: tuple[float, float]
    level_sd: tuple[float, float] | None
    multiples: tuple[int, ...]
    events: float

    def deviations(self) -> str:
        """Return the standard deviations in words.

        >>> Noise(k=1, of=1, count_sd=(2, 2), level_sd=None, multiples=(), events=4).deviations()
        '2.0 for a count'
        """
        text = say("{sd} for a count", sd=_range(self.count_sd))
        return (
            text
            if self.level_sd is None
            else say("{text}, {sd} in a level", text=text, sd=_range(self.level_sd))
        )


def _range(ends: tuple[float, float]) -> str:
    low, high = (number(end, 1) for end in ends)
    return low if low == high else say("{low} to {high}", low=low, high=high)


def noise_in(released: Mapping[str, Submission]) -> Noise | None:
    """Return the noise that the releases state, or None where no release states any."""
    found = [release.noise for release in released.values() if release.noise is not None]
    if not found:
        return None
    counts = [math.sqrt(noise.variance) for noise in found]
    levels = [math.sqrt(noise.level_variance) for noise in found if noise.level_variance]
    return Noise(
        k=len(found),
        of=len(released),
        count_sd=(min(counts), max(counts)),
        level_sd=(min(levels), max(levels)) if levels else None,
        multiples=tuple(sorted({noise.multiple for noise in found if noise.multiple > 1})),
        events=_Z * math.sqrt(math.fsum(noise.variance for noise in found)),
    )
