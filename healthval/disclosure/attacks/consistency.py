"""Numbers that follow from others must follow; what does not is a message in disguise (pure)."""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

from healthval.contracts.submission import (
    SUPPRESSED,
    Cell,
    ReleasedCalibration,
    ReleasedEstimate,
    ReleasedThreshold,
    Submission,
)
from healthval.disclosure.attacks.checks import estimates, refused
from healthval.disclosure.payload.context import is_on_grid, mean_decimals, rounded
from healthval.disclosure.payload.curves import net_benefit, roc_through
from healthval.disclosure.policy import Policy

AGAIN = "compute it from the counts that are released"


def whole_cuts(submission: Submission) -> dict[float, tuple[int, int]]:
    """Collect true and false positives of every cut that is shown in both classes."""
    m, n = submission.n_events, submission.n
    if not isinstance(m, int) or not isinstance(n, int):
        return {}
    cuts = {0.0: (m, n - m), math.inf: (0, 0)}
    if submission.histogram_noise is None:
        cuts |= _bin_cuts(submission)
    for t in submission.thresholds:
        if isinstance(t.confusion.tp, int) and isinstance(t.confusion.fp, int):
            cuts[t.threshold] = (t.confusion.tp, t.confusion.fp)
    return cuts


def _bin_cuts(submission: Submission) -> dict[float, tuple[int, int]]:
    cuts, tp, fp = {}, 0, 0
    for b in reversed(submission.histogram):
        if not isinstance(b.events, int) or not isinstance(b.non_events, int):
            break
        tp, fp = tp + b.events, fp + b.non_events
        if b.low > 0:
            cuts[b.low] = (tp, fp)
    return cuts


def check_confusions(submission: Submission, _policy: Policy) -> int:
    """Cells add up to the classes; rates follow from cells and are withheld with them."""
    n, m = submission.n, submission.n_events
    for i, t in enumerate(submission.thresholds):
        path, c = f"thresholds[{i}]", t.confusion
        for pair, size in (((c.tp, c.fn), m), ((c.fp, c.tn), _minus(n, m))):
            if (pair[0] == SUPPRESSED) != (pair[1] == SUPPRESSED):
                raise refused(
                    path, "one cell is suppressed, the other gives it away", "suppress both"
                )
            if SUPPRESSED not in pair and _plus(*pair) != size:
                raise refused(path, "its cells do not add up to the class", AGAIN)
        _check_rates(path, t, n)
    return 5 * len(submission.thresholds)


def _check_rates(path: str, t: ReleasedThreshold, n: Cell) -> None:
    c = t.confusion
    rates: dict[str, tuple[Cell, Cell]] = {
        "sensitivity": (c.tp, c.fn),
        "specificity": (c.tn, c.fp),
        "ppv": (c.tp, c.fp),
        "npv": (c.tn, c.fn),
    }
    for name, (right, wrong) in rates.items():
        check_share(f"{path}.{name}", getattr(t, name), right, wrong)
    value = None
    if isinstance(c.tp, int) and isinstance(c.fp, int) and isinstance(n, int) and t.threshold < 1:
        value = net_benefit(c.tp, c.fp, n, t.threshold)
    check_follows(f"{path}.net_benefit", t.net_benefit, value, {n, _plus(c.tp, c.fn)})


def check_share(path: str, e: ReleasedEstimate, right: Cell, wrong: Cell) -> None:
    """Check that a proportion equals its counts, and is withheld when they are."""
    total = _plus(right, wrong)
    known = isinstance(right, int) and isinstance(total, int) and total > 0
    share = right / total if known else None  # type: ignore[operator]
    check_follows(path, e, share, {right, total})


def check_follows(
    path: str, e: ReleasedEstimate, value: float | None, counts: Iterable[Cell]
) -> None:
    """Check that an estimate is the rounding of `value`; without a value it is withheld."""
    if not {e.n, e.n_events} <= {SUPPRESSED, *counts}:
        raise refused(path, "counts that stand nowhere else", "repeat released counts only")
    if e.value is None:
        return
    if value is None:
        raise refused(path, "gives suppressed cells away", "withhold it with the cells")
    if not is_rounding(e.value, value):
        raise refused(path, "does not follow from its counts", AGAIN)


def is_rounding(shown: float, value: float) -> bool:
    """Whether a number is the value at some number of decimals."""
    return any(
        rounded(shown, d) == shown and abs(shown - value) <= 0.5 * 10**-d + 1e-9 for d in range(6)
    )


def check_curves(submission: Submission, policy: Policy) -> int:
    """ROC and decision curve are functions of shown counts; bins tile 0 to 1."""
    cuts = whole_cuts(submission)
    _check_bins(submission)
    _check_roc(submission, cuts, policy)
    n, m = submission.n, submission.n_events
    for i, point in enumerate(submission.decision_curve):
        path, t = f"decision_curve[{i}]", point.threshold
        if t not in cuts or not isinstance(n, int) or not isinstance(m, int) or t >= 1:
            raise refused(path, "gives counts away that are not shown", "leave the point out")
        check_follows(f"{path}.model", point.model, net_benefit(*cuts[t], n, t), {n, m})
        everyone = net_benefit(m, n - m, n, t)
        if point.treat_all is not None and not is_rounding(point.treat_all, everyone):
            raise refused(f"{path}.treat_all", "does not follow from its counts", AGAIN)
    return len(submission.decision_curve) + len(submission.roc) + len(submission.histogram)


def _check_bins(submission: Submission) -> None:
    bins = submission.histogram
    if not bins:
        return
    edges = [0.0, *(b.high for b in bins)]
    if [*(b.low for b in bins), 1.0] != edges or edges != sorted(set(edges)):
        raise refused("histogram", "bins do not tile 0 to 1", "merge neighbouring bins only")
    n, m = submission.n, submission.n_events
    sums = {
        "events": (_total(b.events for b in bins), m),
        "non_events": (_total(b.non_events for b in bins), _minus(n, m)),
    }
    for name, (total, size) in sums.items():
        if SUPPRESSED not in (total, size) and total != size:
            raise refused(f"histogram.{name}", "bins do not add up to the class", AGAIN)
    for i, b in enumerate(bins):
        count = _plus(b.events, b.non_events)
        if b.score_sum is None:
            continue
        if not isinstance(count, int) or submission.histogram_noise is not None:
            raise refused(
                f"histogram[{i}].score_sum", "a sum without a shown count", "leave it out"
            )
        if not b.low * count - 0.06 <= b.score_sum <= b.high * count + 0.06:
            raise refused(
                f"histogram[{i}].score_sum", "a mean outside its bin", "never fill bins up"
            )


def _check_roc(submission: Submission, cuts: dict[float, tuple[int, int]], policy: Policy) -> None:
    if not submission.roc:
        return
    if not isinstance(submission.n_events, int) or len(cuts) < 3:
        raise refused("roc", "gives counts away that are not shown", "leave it out")
    grid = [p.fpr for p in submission.roc]
    ordered = [(at, tp, fp) for at, (tp, fp) in cuts.items()]
    finest = policy.decimals(submission.n_events)
    if not any(roc_through(ordered, grid, d) == submission.roc for d in range(finest + 1)):
        raise refused("roc", "not the curve through the cuts that are shown", AGAIN)


def check_calibration(submission: Submission, policy: Policy) -> int:
    """Observed events are the events, O:E follows, and no estimate has counts of its own."""
    c, n, m = submission.calibration, submission.n, submission.n_events
    for path, e in estimates(submission):
        over_all = path.startswith(("auroc", "average_precision", "calibration"))
        if over_all and not {e.n, e.n_events} <= {SUPPRESSED, n, m}:
            raise refused(path, "counts that stand nowhere else", "repeat released counts only")
    if c is None or not isinstance(n, int) or not isinstance(m, int):
        return 0
    if c.observed != m:
        raise refused("calibration.observed", "not the number of events", AGAIN)
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
        raise refused("histogram", "its score sums do not add up to the expected", AGAIN)


def _check_curve(c: ReleasedCalibration, decimals: int) -> None:
    for i, p in enumerate(c.curve):
        if not p.lo <= p.observed <= p.hi:
            raise refused(
                f"calibration.curve[{i}]", "value and interval contradict each other", AGAIN
            )
        if not all(is_on_grid(x, decimals) for x in (p.observed, p.lo, p.hi)):
            raise refused(
                f"calibration.curve[{i}]", "more decimals than its cases allow", "round it"
            )


def _check_expected(c: ReleasedCalibration, n: int, m: int) -> None:
    if c.expected is None:
        return
    if not 0 <= c.expected <= n:
        raise refused("calibration.expected", "outside 0 to the number of cases", AGAIN)
    if c.oe.value is not None:
        lo, hi = m / (c.expected + 0.05), m / max(c.expected - 0.05, 1e-9)
        if not lo - 0.06 <= c.oe.value <= hi + 0.06:
            raise refused("calibration.oe", "does not follow from its counts", AGAIN)


def check_cuts(submission: Submission, policy: Policy) -> int:
    """Between two cuts that are shown lie no cases or enough, in each class."""
    n, m = submission.n, submission.n_events
    if not isinstance(m, int) or not isinstance(n, int):
        return 0
    known = {"true": {0.0: m, math.inf: 0}, "false": {0.0: n - m, math.inf: 0}}
    for name, at, count in shown_cuts(submission):
        if known[name].setdefault(at, count) != count:
            raise refused("histogram", "contradicts a threshold", AGAIN)
    for name, cuts in known.items():
        counts = [cuts[at] for at in sorted(cuts)]
        if not all(policy.shows(a - b) for a, b in pairwise(counts)):
            raise refused(
                "thresholds",
                f"two cuts differ by fewer than {policy.minimum_cell} {name} positives",
                "drop one of two neighbouring thresholds or merge bins",
            )
    return sum(map(len, known.values()))


def shown_cuts(submission: Submission) -> Iterator[tuple[str, float, int]]:
    """Every cut that is shown, class by class: ("true" or "false", at, positives)."""
    for t in submission.thresholds:
        if isinstance(t.confusion.tp, int):
            yield "true", t.threshold, t.confusion.tp
        if isinstance(t.confusion.fp, int):
            yield "false", t.threshold, t.confusion.fp
    if submission.histogram_noise is None:
        for at, (tp, fp) in _bin_cuts(submission).items():
            yield "true", at, tp
            yield "false", at, fp


def check_tables(submission: Submission, policy: Policy) -> int:
    """Check that what is left of a total without the rows that are shown is not small either."""
    n, m = submission.n, submission.n_events
    tables: dict[str, dict[str, tuple[Cell, Cell]]] = {}
    for s in submission.subgroups:
        tables.setdefault(s.variable, {})[s.level] = (s.n, s.n_events)
    for r in submission.table_one:
        if r.mean is None and r.overall is not None:
            found = (r.overall, SUPPRESSED if r.events is None else r.events)
            before = tables.setdefault(r.variable, {}).setdefault(r.level, found)
            if SUPPRESSED not in (before[0], found[0]) and before[0] != found[0]:
                raise refused("table_one", "other counts than among the subgroups", AGAIN)
            tables[r.variable][r.level] = (_known(before[0], found[0]), _known(before[1], found[1]))
    for variable, levels in tables.items():
        shown = [(a, b) for a, b in levels.values() if isinstance(a, int)]
        split = [(a, b) for a, b in shown if isinstance(b, int)]
        if any(b > a for a, b in split):
            raise refused(f"subgroups[{variable}]", "more events than cases", AGAIN)
        rest = [_minus(n, _total(a for a, _ in shown))]
        if isinstance(m, int):
            rest.append(_minus(m, _total(b for _, b in split)))
            rest.append(_minus(_minus(n, m), _total(_minus(a, b) for a, b in split)))
        rest += [_minus(a, b) for a, b in split]
        if any(isinstance(x, int) and not policy.shows(abs(x)) for x in rest):
            raise refused(
                f"subgroups[{variable}]",
                f"a level, or what is left without it, is below {policy.minimum_cell}",
                "merge levels, or suppress the next smallest too",
            )
    _check_rates_of_levels(submission, policy)
    return sum(map(len, tables.values()))


def check_means(submission: Submission, policy: Policy) -> int:
    """A mean in Table 1 comes with an SD above 0, is rounded by it, and is no count in disguise."""
    rows = [r for r in submission.table_one if r.mean is not None or r.sd is not None]
    n = submission.n if isinstance(submission.n, int) else 0
    for r in rows:
        path = f"table_one[{r.variable}]"
        size = r.overall if isinstance(r.overall, int) else n
        if r.mean is None or r.sd is None or not r.sd > 0 or r.events is not None:
            raise refused(path, "a mean needs its SD, above 0, and no other counts", "withhold it")
        finest = mean_decimals(r.sd, size, policy)
        if not (is_on_grid(r.mean, finest) and is_on_grid(r.sd, finest)):
            raise refused(path, "more decimals than its cases allow", "round it")
    return len(rows)


def _check_rates_of_levels(submission: Submission, policy: Policy) -> None:
    for i, s in enumerate(submission.subgroups):
        for name, size in (("sensitivity", s.n_events), ("specificity", _minus(s.n, s.n_events))):
            e: ReleasedEstimate = getattr(s, name)
            if e.value is None:
                continue
            path = f"subgroups[{i}].{name}"
            if not isinstance(size, int):
                raise refused(path, "gives suppressed cells away", "withhold it with the cells")
            fits = counts_of(e.value, size)
            if not fits:
                raise refused(path, "does not follow from its counts", AGAIN)
            if not any(policy.shows(k) and policy.shows(size - k) for k in fits):
                raise refused(path, "rests on too few cases", "withhold it, or merge levels")
        if isinstance(s.n, int) != (s.n != SUPPRESSED) or (
            s.oe.value is not None and not isinstance(s.n_events, int)
        ):
            raise refused(f"subgroups[{i}].oe", "gives suppressed cells away", "withhold it")


def counts_of(share: float, size: int) -> list[int]:
    """Find counts of `size` whose share rounds to the number shown."""
    around = round(share * size)
    span = range(max(0, around - size // 10 - 1), min(size, around + size // 10 + 1) + 1)
    return [k for k in span if size and is_rounding(share, k / size)]


def check_flow(submission: Submission, policy: Policy) -> int:
    """Exclusions, and all other differences to what is known, are none or enough."""
    n = submission.n
    if not isinstance(n, int):
        return 0
    counts = [f.n for f in submission.flow if isinstance(f.n, int)]
    if counts != sorted(counts, reverse=True):
        raise refused("flow", "a step has more cases than the step before", AGAIN)
    apart = [
        x
        for x in (submission.n_indeterminate, submission.n_missing_reference)
        if isinstance(x, int)
    ]
    known = [n, *counts]
    for a in known:
        for b in known:
            for off in {0, *apart, sum(apart)}:
                if a >= b and a is not b and not policy.shows(abs(a - b - off)) and (a != b):
                    raise refused(
                        "flow",
                        f"fewer than {policy.minimum_cell} cases were excluded between known counts",
                        "merge the steps",
                    )
    return len(counts)


def _plus(a: Cell, b: Cell) -> Cell:
    return a + b if isinstance(a, int) and isinstance(b, int) else SUPPRESSED


def _minus(a: Cell, b: Cell) -> Cell:
    # A negative count means a contradiction; it travels as a number and is refused where it is used.
    return a - b if isinstance(a, int) and isinstance(b, int) else SUPPRESSED


def _total(cells: Iterable[Cell]) -> Cell:
    total: Cell = 0
    for cell in cells:
        total = _plus(total, cell)
    return total


def _known(a: Cell, b: Cell) -> Cell:
    return b if a == SUPPRESSED else a
