"""Rules that every submission must keep, read from the submission alone (pure).

The gate runs them on what it built, the hub on whatever arrives: a client can be forged. Each check
returns how many values it looked at and raises `DisclosureRefused` at the first that breaks a rule.
"""

import re
from collections.abc import Hashable, Iterator
from typing import Any

from healthval.contracts.submission import SUPPRESSED, ReleasedEstimate, Submission
from healthval.disclosure.payload.context import GRID_DECIMALS, is_method, is_on_grid
from healthval.disclosure.policy import Policy
from healthval.errors import DisclosureRefused

COUNTS = frozenset({"n", "n_events", "n_indeterminate", "n_missing_reference", "tp", "fp", "fn", "tn", "observed", "events", "non_events", "overall"})  # fmt: skip
GRIDS = {"threshold": GRID_DECIMALS, "predicted": 3, "fpr": 2, "low": GRID_DECIMALS, "high": GRID_DECIMALS}  # fmt: skip
LEVELS = (0.8, 0.9, 0.95, 0.99)
LARGEST = 1e6
# Record numbers, dates and UIDs: five digits in a row, a day, digits between dots, hexadecimal.
IDENTIFIER = re.compile(
    r"\d{5}|(19|20)\d\d[-_.][01]?\d[-_.][0-3]?\d|[0-3]?\d[-_.][01]?\d[-_.](19|20)\d\d"
    r"|\d+\.\d+\.\d+|[0-9a-f]{12}",
    re.IGNORECASE,
)


def refused(field: str, reason: str, remedy: str) -> DisclosureRefused:
    """Make the refusal; the caller raises it."""
    return DisclosureRefused(field, reason, remedy)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every leaf of a submission as (path, name of the field, value)."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{i}]")
    else:
        yield path, path.rpartition(".")[2], value


def estimates(submission: Submission) -> Iterator[tuple[str, ReleasedEstimate]]:
    """Every estimate with its path."""
    yield "auroc", submission.auroc
    if submission.average_precision is not None:
        yield "average_precision", submission.average_precision
    for i, t in enumerate(submission.thresholds):
        for name in ("sensitivity", "specificity", "ppv", "npv", "net_benefit"):
            yield f"thresholds[{i}].{name}", getattr(t, name)
    if submission.calibration is not None:
        for name in (
            "oe",
            "citl",
            "intercept",
            "slope",
            "brier",
            "scaled_brier",
            "ici_rcs5",
            "e50",
            "e90",
        ):
            yield f"calibration.{name}", getattr(submission.calibration, name)
    for i, point in enumerate(submission.decision_curve):
        yield f"decision_curve[{i}].model", point.model
    for i, s in enumerate(submission.subgroups):
        for name in ("auroc", "oe", "sensitivity", "specificity"):
            yield f"subgroups[{i}].{name}", getattr(s, name)


def check_small_cells(submission: Submission, policy: Policy) -> int:
    """No count from 1 to the floor, wherever it stands."""
    seen = 0
    noisy = submission.histogram_noise is not None
    for path, name, value in leaves(submission.model_dump()):
        if name not in COUNTS or not isinstance(value, int):
            continue
        seen += 1
        if not (policy.shows(value) or (noisy and path.startswith("histogram["))):
            raise refused(
                path,
                f"a count below {policy.minimum_cell}",
                "suppress it, or merge with a neighbour",
            )
    return seen


def check_names(submission: Submission, _policy: Policy) -> int:
    """Names of variables, levels and steps do not look like identifiers; methods are known words."""
    seen = 0
    for path, name, value in leaves(submission.model_dump()):
        if name in ("variable", "level", "step") and isinstance(value, str):
            seen += 1
            if IDENTIFIER.search(value):
                raise refused(path, "the name looks like an identifier or a date", "rename it")
        elif name == "method":
            seen += 1
            if not is_method(value):
                raise refused(path, "not the name of a method", "update the client")
    return seen


def check_decimals(submission: Submission, policy: Policy) -> int:
    """No number finer than the most decimals; grids and levels from short lists."""
    seen = 0
    derived = {
        f"thresholds[{i}].threshold"
        for i, t in enumerate(submission.thresholds)
        if t.origin == "data-derived"
    }
    for path, name, value in leaves(submission.model_dump()):
        if not isinstance(value, float):
            continue
        seen += 1
        most = GRIDS.get(name, policy.max_decimals + (name == "se"))
        if abs(value) > (LARGEST if name not in ("expected", "score_sum") else 1e12):
            raise refused(path, "a number too large to be a statistic", "look at the input")
        if name in ("expected", "score_sum"):
            most = 1
        if name == "threshold" and path in derived:
            most = 2
        if not is_on_grid(value, most) or (name == "level" and value not in LEVELS):
            raise refused(path, "more decimals than its sample allows", f"round to {most} decimals")
    return seen


def check_estimates(submission: Submission, policy: Policy) -> int:
    """Each estimate is withheld whole or rounded by its class size, ordered and within its range."""
    n, m = submission.n, submission.n_events
    if not isinstance(n, int):
        raise refused("n", "the number of cases is missing", "release a larger cohort")
    sizes = (n, m, n - m) if isinstance(m, int) else (n, None, None)
    seen = 0
    for path, e in estimates(submission):
        seen += 1
        numbers = (e.value, e.lo, e.hi, e.se)
        if e.withheld != "none" and any(x is not None for x in numbers):
            raise refused(path, "withheld, yet with numbers", "leave its numbers out")
        if e.withheld == "none" and e.value is None:
            raise refused(path, "neither a value nor a reason", "say why it is withheld")
        if e.withheld == "none":
            _check_numbers(path, e, policy.decimals(_size(path, submission, sizes)))
    return seen


def _size(path: str, submission: Submission, sizes: tuple[int | None, ...]) -> float:
    """Cases that stand behind an estimate; 0 where the classes are not public: no decimals."""
    n, m, others = sizes
    if m is None or others is None or n is None:
        return 0
    index = int(path[path.find("[") + 1 : path.find("]")]) if "[" in path else 0
    name = path.rpartition(".")[2]
    if path.startswith("subgroups"):
        s = submission.subgroups[index]
        if not isinstance(s.n, int) or not isinstance(s.n_events, int):
            return 0
        n, m, others = s.n, s.n_events, s.n - s.n_events
    if path.startswith("thresholds") and name in ("ppv", "npv"):
        c = submission.thresholds[index].confusion
        pair = (c.tp, c.fp) if name == "ppv" else (c.fn, c.tn)
        return sum(x for x in pair if isinstance(x, int)) if SUPPRESSED not in pair else 0
    by_class = {"sensitivity": m, "specificity": others}
    over_all = ("brier", "ici_rcs5", "e50", "e90", "net_benefit", "model")
    return by_class.get(name, n if name in over_all else min(m, others))


def _check_numbers(path: str, e: ReleasedEstimate, decimals: int) -> None:
    value = 0.0 if e.value is None else e.value
    lo = value if e.lo is None else e.lo
    hi = value if e.hi is None else e.hi
    name = path.rpartition(".")[2]
    if not all(is_on_grid(x, decimals) for x in (value, lo, hi)) or (
        e.se is not None and not is_on_grid(e.se, decimals + 1)
    ):
        raise refused(
            path, "more decimals than its class size allows", f"round to {decimals} decimals"
        )
    if not lo <= value <= hi or (e.se is not None and e.se < 0):
        raise refused(path, "value and interval contradict each other", "compute it again")
    unbounded = ("citl", "intercept", "slope", "scaled_brier", "net_benefit", "model")
    if name not in unbounded and (value < 0 or (name != "oe" and value > 1)):
        raise refused(path, "outside the range of the statistic", "compute it again")


def check_classes(submission: Submission, policy: Policy) -> int:
    """Statistics only where both classes may be known, discrimination only where they are large."""
    n, m = submission.n, submission.n_events
    large = isinstance(n, int) and isinstance(m, int) and min(m, n - m) >= policy.minimum_class
    if isinstance(n, int) and isinstance(m, int) and not (policy.shows(m) and policy.shows(n - m)):
        raise refused("n_events", "events or non-events are too few to be known", "suppress it")
    pairs = [(path, e) for path, e in estimates(submission) if e.withheld == "none"]
    for path, _ in pairs:
        if not isinstance(m, int):
            raise refused(path, "a statistic although the events are too few", "withhold it")
        if path in ("auroc", "average_precision") and not large:
            raise refused(
                path, f"fewer than {policy.minimum_class} events or non-events", "withhold it"
            )
    if submission.roc and not large:
        raise refused(
            "roc", f"fewer than {policy.minimum_class} events or non-events", "withhold it"
        )
    derived = (submission.calibration, submission.decision_curve, submission.histogram)
    if any(derived) and not isinstance(m, int):
        raise refused("calibration", "curves although the events are too few", "leave them out")
    for i, s in enumerate(submission.subgroups):
        if s.auroc.withheld == "none" and not (
            isinstance(s.n, int)
            and isinstance(s.n_events, int)
            and min(s.n_events, s.n - s.n_events) >= policy.minimum_class
        ):
            raise refused(f"subgroups[{i}].auroc", "too few events or non-events", "withhold it")
    return len(pairs)


def check_sizes(submission: Submission, policy: Policy) -> int:
    """No list longer than the policy's maximum, no row given twice."""
    lists = {
        "roc": [p.fpr for p in submission.roc],
        "thresholds": [t.threshold for t in submission.thresholds],
        "decision_curve": [p.threshold for p in submission.decision_curve],
        "histogram": [b.low for b in submission.histogram],
        "calibration.curve": [p.predicted for p in submission.calibration.curve]
        if submission.calibration
        else [],
    }
    for name, grid in lists.items():
        if len(grid) > policy.max_points:
            raise refused(name, f"more than {policy.max_points} points", "use the coarser grid")
        if len(set(grid)) < len(grid):
            raise refused(name, "a point is given twice", "give each once")
    rows: dict[str, list[Hashable]] = {
        "subgroups": [(s.variable, s.level) for s in submission.subgroups],
        "table_one": [(r.variable, r.level, r.mean is None) for r in submission.table_one],
        "flow": [f.step for f in submission.flow],
    }
    for name, keys in rows.items():
        if len(set(keys)) < len(keys):
            raise refused(name, "a row is given twice", "give each once")
    return sum(map(len, lists.values())) + sum(map(len, rows.values()))
