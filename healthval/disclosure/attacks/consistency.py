"""Consistency of numbers that follow from others; an inconsistent one may be a covert channel (pure)."""

import math
from collections.abc import Iterable
from itertools import pairwise

from healthval.contracts.submission import (
    SUPPRESSED,
    Cell,
    ReleasedCalibration,
    ReleasedEstimate,
    Submission,
)
from healthval.disclosure.attacks.confusions import (
    AGAIN,
    WITHHOLD,
    check_follows,
    minus,
    net_benefit_limits,
    plus,
)
from healthval.disclosure.payload.curves import net_benefit, roc_through
from healthval.disclosure.payload.thresholds import shown_cuts
from healthval.disclosure.policy import Policy, counts_of, is_on_grid, is_rounding
from healthval.errors import DisclosureRefused


def check_curves(submission: Submission, policy: Policy) -> int:
    """ROC and decision curve are functions of shown counts; bins cover 0 to 1 without overlap."""
    cuts = _whole_cuts(submission)
    _check_bins(submission)
    _check_roc(submission, cuts, policy)
    n, m = submission.n, submission.n_events
    bands = {t.threshold: t.confusion for t in submission.thresholds}
    for i, point in enumerate(submission.decision_curve):
        path, t = f"decision_curve[{i}]", point.threshold
        if not isinstance(n, int) or not isinstance(m, int) or t >= 1:
            raise DisclosureRefused(path, "reveals counts that are not shown", "drop the point")
        known = net_benefit_limits(bands[t], n, t) if t in bands else None
        if t in cuts:
            known = (net_benefit(*cuts[t], n, t),) * 2
        if known is None:
            raise DisclosureRefused(path, "reveals counts that are not shown", "drop the point")
        check_follows(f"{path}.model", point.model, known, {n, m})
        everyone = net_benefit(m, n - m, n, t)
        if point.treat_all is not None and not is_rounding(point.treat_all, everyone):
            raise DisclosureRefused(f"{path}.treat_all", "does not follow from its counts", AGAIN)
    return len(submission.decision_curve) + len(submission.roc) + len(submission.histogram)


def _whole_cuts(submission: Submission) -> dict[float, tuple[int, int]]:
    """True and false positives of every cut that is shown in both classes."""
    m, n = submission.n_events, submission.n
    if not isinstance(m, int) or not isinstance(n, int):
        return {}
    tp, fp = {0.0: m, math.inf: 0}, {0.0: n - m, math.inf: 0}
    for kind, at, count in shown_cuts(submission):
        (tp if kind == "true" else fp).setdefault(at, count)
    return {at: (tp[at], fp[at]) for at in tp if at in fp}


def _check_bins(submission: Submission) -> None:
    bins = submission.histogram
    if not bins:
        return
    edges = [0.0, *(b.high for b in bins)]
    if [*(b.low for b in bins), 1.0] != edges or edges != sorted(set(edges)):
        raise DisclosureRefused(
            "histogram", "bins do not cover 0 to 1", "merge neighbouring bins only"
        )
    n, m = submission.n, submission.n_events
    sums = {
        "events": (_total(b.events for b in bins), m),
        "non_events": (_total(b.non_events for b in bins), minus(n, m)),
    }
    for name, (total, size) in sums.items():
        if SUPPRESSED not in (total, size) and total != size:
            raise DisclosureRefused(f"histogram.{name}", "bins do not add up to the class", AGAIN)
    _check_means_of_bins(submission)


def _check_means_of_bins(submission: Submission) -> None:
    for i, b in enumerate(submission.histogram):
        path, count = f"histogram[{i}].score_sum", plus(b.events, b.non_events)
        if b.score_sum is None:
            continue
        if not isinstance(count, int) or submission.histogram_noise is not None:
            raise DisclosureRefused(path, "a sum without a shown count", "leave it out")
        if not b.low * count - 0.06 <= b.score_sum <= b.high * count + 0.06:
            raise DisclosureRefused(path, "a mean outside its bin", "merge bins, never fill them")


def _check_roc(submission: Submission, cuts: dict[float, tuple[int, int]], policy: Policy) -> None:
    if not submission.roc:
        return
    if not isinstance(submission.n_events, int) or len(cuts) < 3:
        raise DisclosureRefused("roc", "reveals counts that are not shown", "leave it out")
    grid = [p.fpr for p in submission.roc]
    ordered = [(at, tp, fp) for at, (tp, fp) in cuts.items()]
    finest = policy.decimals(submission.n_events)
    v = 0.0 if submission.noise is None else submission.noise.variance
    drawn = (roc_through(ordered, grid, d, variance=v) for d in range(finest + 1))
    if submission.roc not in drawn:
        raise DisclosureRefused("roc", "not the curve through the shown cuts", AGAIN)


def check_calibration(submission: Submission, policy: Policy) -> int:
    """Observed events are the events; O:E, score sums and the curve fit the released counts."""
    c, n, m = submission.calibration, submission.n, submission.n_events
    if c is None or not isinstance(n, int) or not isinstance(m, int):
        return 0
    if c.observed != m:
        raise DisclosureRefused("calibration.observed", "not the number of events", AGAIN)
    _check_expected(c, n, m)
    _check_score_sums(submission, c.expected)
    _check_curve(c, policy.decimals(n / 10))
    return 10 + len(c.curve)


def _check_score_sums(submission: Submission, expected: float | None) -> None:
    sums = [b.score_sum for b in submission.histogram]
    total = math.fsum(x for x in sums if x is not None)
    if expected is None or not sums or None in sums:
        return
    if abs(total - expected) > 0.05 * (len(sums) + 1) + 1e-6:
        raise DisclosureRefused("histogram", "its score sums do not add up to the expected", AGAIN)


def _check_curve(c: ReleasedCalibration, decimals: int) -> None:
    for i, p in enumerate(c.curve):
        path = f"calibration.curve[{i}]"
        if not p.lo <= p.observed <= p.hi:
            raise DisclosureRefused(path, "value and interval contradict each other", AGAIN)
        if not all(is_on_grid(x, decimals) for x in (p.observed, p.lo, p.hi)):
            raise DisclosureRefused(path, "more decimals than its cases allow", "round it")


def _check_expected(c: ReleasedCalibration, n: int, m: int) -> None:
    if c.expected is None:
        return
    if not 0 <= c.expected <= n:
        raise DisclosureRefused("calibration.expected", "outside 0 to the number of cases", AGAIN)
    if c.oe.value is not None:
        lo, hi = m / (c.expected + 0.05), m / max(c.expected - 0.05, 1e-9)
        if not lo - 0.06 <= c.oe.value <= hi + 0.06:
            raise DisclosureRefused("calibration.oe", "does not follow from its counts", AGAIN)


def check_cuts(submission: Submission, policy: Policy) -> int:
    """The number of cases between two shown cuts is 0 or at least the floor, in each class."""
    n, m = submission.n, submission.n_events
    if not isinstance(m, int) or not isinstance(n, int):
        return 0
    known = {"true": {0.0: m, math.inf: 0}, "false": {0.0: n - m, math.inf: 0}}
    for name, at, count in shown_cuts(submission):
        if known[name].setdefault(at, count) != count:
            raise DisclosureRefused("histogram", "contradicts a threshold", AGAIN)
    for name, cuts in known.items():
        counts = [cuts[at] for at in sorted(cuts)]
        if not all(a >= b and policy.shows_gap(a - b) for a, b in pairwise(counts)):
            raise DisclosureRefused(
                "thresholds",
                f"two cuts differ by fewer than {policy.minimum_cell} {name} positives",
                "drop one of two neighbouring thresholds or merge bins",
            )
    _check_mixed(submission)
    return sum(map(len, known.values()))


def _check_mixed(submission: Submission) -> None:
    """Both classes or neither at a cut, and no gap of one class: the scores are known."""
    for i, t in enumerate(submission.thresholds):
        if (t.confusion.tp == SUPPRESSED) != (t.confusion.fp == SUPPRESSED):
            raise DisclosureRefused(
                f"thresholds[{i}]", "one class is shown, the other follows", WITHHOLD
            )
    cuts = sorted(_whole_cuts(submission).items())
    for (_, (tp, fp)), (_, (tp_next, fp_next)) in pairwise(cuts):
        if (tp == tp_next) != (fp == fp_next):
            raise DisclosureRefused(
                "thresholds", "all cases between two cuts have the same outcome", "merge the cuts"
            )


def check_tables(submission: Submission, policy: Policy) -> int:
    """Each total less the shown rows is 0 or at least the floor, as are the rows themselves."""
    tables = _tables_of(submission)
    for variable, levels in tables.items():
        shown = [(a, b) for a, b in levels.values() if isinstance(a, int)]
        split = [(a, b) for a, b in shown if isinstance(b, int)]
        if any(b > a for a, b in split):
            raise DisclosureRefused(f"subgroups[{variable}]", "more events than cases", AGAIN)
        rest = [*_remainders(submission, shown), *(a - b for a, b in split)]
        if any(isinstance(x, int) and not policy.shows(abs(x)) for x in rest):
            raise DisclosureRefused(
                f"subgroups[{variable}]",
                f"a level, or the remainder without it, is below {policy.minimum_cell}",
                "merge levels, or suppress the next smallest too",
            )
    _check_rates_of_levels(submission, policy)
    return sum(map(len, tables.values()))


def _tables_of(submission: Submission) -> dict[str, dict[str, tuple[Cell, Cell]]]:
    """Cases and events of each level, from the subgroups and Table 1 together."""
    tables: dict[str, dict[str, tuple[Cell, Cell]]] = {}
    for s in submission.subgroups:
        tables.setdefault(s.variable, {})[s.level] = (s.n, s.n_events)
    for r in submission.table_one:
        if r.mean is not None or r.overall is None:
            continue
        found = (r.overall, SUPPRESSED if r.events is None else r.events)
        before = tables.setdefault(r.variable, {}).setdefault(r.level, found)
        if SUPPRESSED not in (before[0], found[0]) and before[0] != found[0]:
            raise DisclosureRefused("table_one", "other counts than among the subgroups", AGAIN)
        tables[r.variable][r.level] = (_known(before[0], found[0]), _known(before[1], found[1]))
    return tables


def _remainders(submission: Submission, shown: list[tuple[int, Cell]]) -> list[Cell]:
    """Cases, events and non-events in no shown level."""
    n, m = submission.n, submission.n_events
    split = [(a, b) for a, b in shown if isinstance(b, int)]
    rest = [minus(n, sum(a for a, _ in shown))]
    if isinstance(m, int):
        rest.append(minus(m, sum(b for _, b in split)))
        rest.append(minus(minus(n, m), sum(a - b for a, b in split)))
    return rest


def check_means(submission: Submission, policy: Policy) -> int:
    """A mean in Table 1 has an SD above 0, is rounded by it, and has no further counts."""
    rows = [r for r in submission.table_one if r.mean is not None or r.sd is not None]
    n = submission.n if isinstance(submission.n, int) else 0
    for r in rows:
        path = f"table_one[{r.variable}]"
        size = r.overall if isinstance(r.overall, int) else n
        if r.mean is None or r.sd is None or not r.sd > 0 or r.events is not None:
            raise DisclosureRefused(
                path, "a mean needs its SD, above 0, and no other counts", "withhold it"
            )
        finest = policy.mean_decimals(r.sd, size)
        if not (is_on_grid(r.mean, finest) and is_on_grid(r.sd, finest)):
            raise DisclosureRefused(path, "more decimals than its cases allow", "round it")
    return len(rows)


def _check_rates_of_levels(submission: Submission, policy: Policy) -> None:
    for i, s in enumerate(submission.subgroups):
        for name, size in (("sensitivity", s.n_events), ("specificity", minus(s.n, s.n_events))):
            e: ReleasedEstimate = getattr(s, name)
            if e.value is None:
                continue
            path = f"subgroups[{i}].{name}"
            if not isinstance(size, int):
                raise DisclosureRefused(path, "reveals suppressed cells", WITHHOLD)
            fits = counts_of(e.value, size)
            if not fits:
                raise DisclosureRefused(path, "does not follow from its counts", AGAIN)
            if not any(policy.shows(k) and policy.shows(size - k) for k in fits):
                raise DisclosureRefused(
                    path, "depends on too few cases", "withhold it, or merge levels"
                )
        if s.oe.value is not None and not isinstance(s.n_events, int):
            raise DisclosureRefused(f"subgroups[{i}].oe", "reveals suppressed cells", "withhold it")


def check_flow(submission: Submission, policy: Policy) -> int:
    """The number of excluded cases between any two known counts is 0 or at least the floor."""
    n = submission.n
    if not isinstance(n, int):
        return 0
    counts = [f.n for f in submission.flow if isinstance(f.n, int)]
    if counts != sorted(counts, reverse=True):
        raise DisclosureRefused("flow", "a step has more cases than the step before", AGAIN)
    cells = (submission.n_indeterminate, submission.n_missing_reference)
    apart = [x for x in cells if isinstance(x, int)]
    offsets = {0, *apart, sum(apart)}
    known = [n, *counts]
    gaps = [a - b - off for a in known for b in known if a > b for off in offsets]
    if not all(policy.shows(abs(gap)) for gap in gaps):
        raise DisclosureRefused(
            "flow",
            f"fewer than {policy.minimum_cell} cases were excluded between known counts",
            "merge the steps",
        )
    return len(counts)


def _total(cells: Iterable[Cell]) -> Cell:
    total: Cell = 0
    for cell in cells:
        total = plus(total, cell)
    return total


def _known(a: Cell, b: Cell) -> Cell:
    return b if a == SUPPRESSED else a
