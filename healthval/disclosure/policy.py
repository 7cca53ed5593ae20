"""`Policy`: what a site lets out, from versioned presets; stricter is allowed, laxer is not."""

import math
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from typing import Any

from healthval.errors import UsageError

PRESETS = ("cms", "sacro", "nhs", "datashield")


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one release.

    Attributes
    ----------
    minimum_cell : smallest count that may be shown; 0 may too unless `zero_is_sensitive`
    minimum_class : events, and non-events, below which no discrimination measure is given
    max_points : most grid points of a curve, or bins
    max_decimals, rounding : a statistic over m cases has the most decimals, up to the maximum,
        with m x unit >= rounding
    histogram_epsilon : None, or the cost of one differentially private histogram
    epsilon_budget : what all releases about one model may cost together
    """

    name: str
    version: int
    minimum_cell: int
    zero_is_sensitive: bool = False
    minimum_class: int = 11
    max_points: int = 20
    max_decimals: int = 4
    rounding: float = 0.05
    histogram_epsilon: float | None = None
    epsilon_budget: float = 4.0

    def __post_init__(self) -> None:
        limits = {
            "version": (1, 10**6),
            "minimum_cell": (2, 1000),
            "minimum_class": (2, 10**6),
            "max_points": (2, 20),
            "max_decimals": (1, 4),
            "rounding": (0.05, 1),
            "epsilon_budget": (0, 10),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"policy: {name} must lie between {low} and {high}")
        if self.histogram_epsilon is not None and not 0 < self.histogram_epsilon <= 10:
            raise UsageError("policy: histogram_epsilon must be above 0 and at most 10")

    def shows(self, count: float) -> bool:
        """Whether a count of cases may be known.

        Examples
        --------
        >>> [load_policy("cms").shows(n) for n in (0, 1, 10, 11)]
        [True, False, False, True]
        """
        return count >= self.minimum_cell or (count == 0 and not self.zero_is_sensitive)

    def decimals(self, size: float) -> int:
        """Decimals of a statistic to which each of `size` cases contributes about 1 / size.

        References
        ----------
        With 4 decimals and an earlier AUROC, one patient's outcome was recovered 4 times of 200,
        with 6 decimals 192 times; the attack's error is at most about size x unit.

        Examples
        --------
        >>> [load_policy("cms").decimals(m) for m in (45, 50, 500, 10**6)]
        [2, 3, 4, 4]
        """
        if size <= 0:
            return 0
        fine = math.floor(math.log10(size / self.rounding) + 1e-9)
        return max(0, min(self.max_decimals, fine))

    def stricter(self, **changes: Any) -> "Policy":
        """Make this policy stricter; a change that would relax it is refused.

        Examples
        --------
        >>> load_policy("cms").stricter(minimum_cell=20).minimum_cell
        20
        """
        policy = replace(self, **changes)
        check_not_laxer(policy, self)
        return policy


def check_not_laxer(site: Policy, hub: Policy) -> None:
    """Refuse a site policy that would let out what the hub's policy keeps in.

    Raises
    ------
    UsageError
        Names the rule that is laxer.
    """
    at_least = ("minimum_cell", "zero_is_sensitive", "minimum_class", "rounding")
    at_most = ("max_points", "max_decimals", "epsilon_budget")
    laxer = [name for name in at_least if getattr(site, name) < getattr(hub, name)]
    laxer += [name for name in at_most if getattr(site, name) > getattr(hub, name)]
    if (site.histogram_epsilon or 0) > (hub.histogram_epsilon or 0):
        laxer.append("histogram_epsilon")
    if laxer:
        raise UsageError(
            f"policy: {', '.join(laxer)} is laxer than the hub's policy; a site may only be stricter"
        )


def load_policy(name: str = "cms") -> Policy:
    """Read a preset: `cms` (11), `sacro` (10), `nhs` (8) or `datashield` (3).

    Raises
    ------
    UsageError
        If there is no preset of that name.

    Examples
    --------
    >>> load_policy().minimum_cell
    11
    """
    import yaml

    if name not in PRESETS:
        raise UsageError(f"no such disclosure preset; choose one of {', '.join(PRESETS)}")
    text = files("healthval.disclosure").joinpath("policies", f"{name}.yaml").read_text("utf-8")
    return read_policy(yaml.safe_load(text))


def read_policy(rules: dict[str, Any]) -> Policy:
    """Make a policy from parsed YAML; unknown and missing rules are refused."""
    known = {f.name for f in fields(Policy)}
    if unknown := set(rules) - known:
        raise UsageError(
            f"policy: {len(unknown)} unknown rules; known are {', '.join(sorted(known))}"
        )
    if missing := {"name", "version", "minimum_cell"} - set(rules):
        raise UsageError(f"policy: {', '.join(sorted(missing))} is missing")
    if any(isinstance(v, str) != (k == "name") for k, v in rules.items() if v is not None):
        raise UsageError("policy: every rule but the name is a number or true/false")
    return Policy(**rules)
