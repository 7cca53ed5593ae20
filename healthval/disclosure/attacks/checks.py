"""Checks on single values of a submission: counts, decimals, names, list sizes, histogram noise (pure).

The gate runs every attack on the submission that it built, and the hub on each arrival, because a
client can be forged. Each check returns the number of values it read and raises
`DisclosureRefused` at the first that breaks a rule.
"""

import math
from collections.abc import Hashable, Iterator
from typing import Any

from healthval.contracts.submission import Submission
from healthval.contracts.text import looks_like_identifier
from healthval.disclosure.payload.keyed_noise import count_variance, level_times
from healthval.disclosure.policy import GRID_DECIMALS, LARGEST, Policy, is_method, is_on_grid
from healthval.errors import DisclosureRefused

COUNTS = frozenset({
    "n", "n_events", "n_indeterminate", "n_missing_reference", "tp", "fp", "fn", "tn", "observed",
    "events", "non_events", "overall",
})  # fmt: skip
GRIDS = {
    "threshold": GRID_DECIMALS,
    "predicted": 3,
    "fpr": 2,
    "low": GRID_DECIMALS,
    "high": GRID_DECIMALS,
}
LEVELS = (0.8, 0.9, 0.95, 0.99)
LARGEST_SUM = 1e12
SUMS = ("expected", "score_sum")
SENSITIVITY = 2  # counts that change by 1 when one case moves to another bin


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


def check_small_cells(submission: Submission, policy: Policy) -> int:
    """Every count, in any field, is 0 or at least the floor."""
    seen = 0
    noisy = submission.histogram_noise is not None
    cuts = ("histogram[", "thresholds[") if policy.small_cells else ()
    for path, name, value in leaves(submission.model_dump()):
        if name not in COUNTS or not isinstance(value, int):
            continue
        seen += 1
        if not (
            policy.shows(value)
            or (noisy and path.startswith("histogram["))
            or path.startswith(cuts)
        ):
            raise DisclosureRefused(
                path,
                f"a count below {policy.minimum_cell}",
                "suppress it, or merge with a neighbour",
            )
    return seen


def check_names(submission: Submission, _policy: Policy) -> int:
    """Names of variables, levels and steps are not identifiers; methods consist of known words."""
    seen = 0
    for path, name, value in leaves(submission.model_dump()):
        if name in ("variable", "level", "step") and isinstance(value, str):
            seen += 1
            if looks_like_identifier(value):
                raise DisclosureRefused(
                    path, "the name looks like an identifier or a date", "rename it"
                )
        elif name == "method":
            seen += 1
            if not is_method(value):
                raise DisclosureRefused(path, "not the name of a method", "update the client")
    return seen


def check_decimals(submission: Submission, policy: Policy) -> int:
    """Numbers have at most the maximum of decimals; grids and levels are from short lists."""
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
        most = 2 if path in derived else _most_decimals(name, policy)
        if abs(value) > (LARGEST_SUM if name in SUMS else LARGEST):
            raise DisclosureRefused(
                path, "a number too large to be a statistic", "look at the input"
            )
        if not is_on_grid(value, most) or (name == "level" and value not in LEVELS):
            raise DisclosureRefused(
                path, "more decimals than its sample allows", f"round to {most} decimals"
            )
    return seen


def _most_decimals(name: str, policy: Policy) -> int:
    if name in SUMS:
        return 1
    return GRIDS.get(name, policy.max_decimals + (name == "se"))


def check_sizes(submission: Submission, policy: Policy) -> int:
    """Lists are no longer than the policy's maximum, and each row is given once."""
    calibration = submission.calibration
    grids: dict[str, list[float]] = {
        "roc": [p.fpr for p in submission.roc],
        "thresholds": [t.threshold for t in submission.thresholds],
        "decision_curve": [p.threshold for p in submission.decision_curve],
        "histogram": [b.low for b in submission.histogram],
        "calibration.curve": [p.predicted for p in calibration.curve] if calibration else [],
    }
    for name, grid in grids.items():
        if len(grid) > policy.max_points:
            raise DisclosureRefused(
                name, f"more than {policy.max_points} points", "use the coarser grid"
            )
        if len(set(grid)) < len(grid):
            raise DisclosureRefused(name, "a point is given twice", "give each once")
    rows: dict[str, list[Hashable]] = {
        "subgroups": [(s.variable, s.level) for s in submission.subgroups],
        "table_one": [(r.variable, r.level, r.mean is None) for r in submission.table_one],
        "flow": [f.step for f in submission.flow],
    }
    for name, keys in rows.items():
        if len(set(keys)) < len(keys):
            raise DisclosureRefused(name, "a row is given twice", "give each once")
    return sum(map(len, grids.values())) + sum(map(len, rows.values()))


def error_95(epsilon: float) -> int:
    """Error that 95 % of noisy counts stay within, before they are adjusted to their sum.

    Examples
    --------
    >>> [error_95(epsilon) for epsilon in (0.5, 1.0, 4.0)]
    [12, 6, 1]
    """
    a = math.exp(-epsilon / SENSITIVITY)
    k = 0
    while 2 * a ** (k + 1) / (1 + a) > 0.05:
        k += 1
    return k


def check_count_noise(submission: Submission, policy: Policy) -> int:
    """The noise is at least that of the policy, and its counts are multiples as it states."""
    noise = submission.noise
    if policy.noise_scale is None and noise is None:
        return 0
    if noise is None or noise.scale < (policy.noise_scale or 0) or noise.multiple < policy.multiple:
        raise DisclosureRefused(
            "noise",
            "numbers are exact, or have less noise than the policy asks for",
            "release again under the hub's policy or a stricter one",
        )
    if noise.variance != count_variance(noise.scale, noise.multiple):
        raise DisclosureRefused("noise.variance", "not that of its scale", "update the client")
    variables = {s.variable for s in submission.subgroups if isinstance(s.n, int)}
    variables |= {r.variable for r in submission.table_one if isinstance(r.events, int)}
    least = count_variance(noise.scale * level_times(len(variables)), noise.multiple)
    if variables and noise.level_variance < least:
        raise DisclosureRefused("noise.level_variance", "too small", "update the client")
    found = [
        (path, value)
        for path, name, value in leaves(submission.model_dump())
        if name in COUNTS and isinstance(value, int)
    ]
    if odd := next((path for path, value in found if value % noise.multiple), None):
        raise DisclosureRefused(odd, "not a multiple as the noise states", "release again")
    return len(found)


def check_noise(submission: Submission, policy: Policy) -> int:
    """Noise is accepted only where the policy asks for it, at no greater cost."""
    noise = submission.histogram_noise
    if noise is None:
        return 0
    if policy.histogram_epsilon is None or noise.epsilon > policy.histogram_epsilon:
        raise DisclosureRefused(
            "histogram_noise",
            "noise that the policy does not ask for is indistinguishable from the counts",
            "release the merged histogram",
        )
    if noise.error_95 != error_95(noise.epsilon) or any(
        b.score_sum is not None for b in submission.histogram
    ):
        raise DisclosureRefused(
            "histogram_noise", "does not match this noise's epsilon", "release again"
        )
    return len(submission.histogram)
