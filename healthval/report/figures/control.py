"""Control charts: estimates of each period with intervals above, the sums with their limit below."""

from collections.abc import Sequence
from dataclasses import dataclass

from healthval.report.figures.curves import NAMED
from healthval.report.figures.forest import shortened
from healthval.report.figures.style import COLOURS, GREY, INK, LINES, VERMILION, board
from healthval.report.markup import Shown
from healthval.report.wording.language import say


@dataclass(frozen=True, slots=True)
class Track:
    """One hospital's estimates and sums over the periods; None where a period has no value."""

    label: str
    shown: tuple[Shown | None, ...]
    sums: tuple[float | None, ...]
    alarms: tuple[bool, ...]


def control_plot(
    periods: Sequence[str], tracks: Sequence[Track], *, name: str, target: float, limit: float
) -> str:
    """Draw each hospital's estimates around the target, and the sums of the chart below the limit."""
    with board(6.9, 4.6) as drawn:
        above, below = drawn.figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2]}
        )
        for i, track in enumerate(tracks):
            many = len(tracks) > NAMED
            colour = GREY if many else COLOURS[i % len(COLOURS)]
            offset = 0.0 if many else 0.12 * (i - (len(tracks) - 1) / 2)
            known = [
                (x + offset, s) for x, s in enumerate(track.shown) if s and s.value is not None
            ]
            ends = [
                (s.value if s.lo is None else s.lo, s.value if s.hi is None else s.hi)
                for _, s in known
            ]
            at, values = [x for x, _ in known], [s.value for _, s in known]
            above.plot(at, values, "o", ms=3.5, color=colour)
            for x, (lo, hi) in zip(at, ends, strict=True):
                above.plot([x, x], [lo, hi], color=colour, lw=1)
            label = (
                None
                if many and i
                else say("Each ({k})", k=len(tracks))
                if many
                else shortened(track.label)
            )
            moved = [(x, s) for x, s in enumerate(track.sums) if s is not None]
            line = LINES[i % len(LINES)]
            below.plot(*zip(*moved, strict=True), color=colour, ls=line, label=label)
            raised = [(x, s) for (x, s) in moved if track.alarms[x]]
            if raised:
                below.plot(*zip(*raised, strict=True), "s", ms=6, mfc="none", color=VERMILION)
        above.axhline(target, color=INK, lw=0.8, ls=":")
        above.set_ylabel(name)
        below.axhline(limit, color=VERMILION, lw=1, ls="--")
        below.set_ylabel("CUSUM")
        highest = max([limit, *(s for track in tracks for s in track.sums if s is not None)])
        below.set_ylim(0, 1.1 * highest)
        step = max(1, len(periods) // 12)
        below.set_xticks(list(range(0, len(periods), step)), periods[::step])
        handles, labels = below.get_legend_handles_labels()
        drawn.figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return drawn.svg
