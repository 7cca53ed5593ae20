"""Bounds of each hidden count, from everything released, by linear programming (pure).

Counts are the variables, released numbers the rows; each count (and each difference of neighbours)
is minimised and maximised. This auditor shares no code with suppression.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from healthval.contracts.submission import (
    Cell,
    ReleasedEstimate,
    ReleasedThreshold,
    Submission,
)
from healthval.disclosure.policy import Policy

Name: TypeAlias = tuple[str | float, ...]
Form: TypeAlias = dict[Name, float]
Place: TypeAlias = tuple[str, str]  # a subgroup variable or "", and the kind of count
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exposed:
    """A hidden count with bounds that are too close together."""

    field: str
    lo: int
    hi: int
    place: Place


@dataclass(slots=True, kw_only=True)
class System:
    """Rows `lo <= form <= hi` over counts of at least 0, and the forms to be bounded."""

    forms: list[Form] = field(default_factory=list)
    lo: list[float] = field(default_factory=list)
    hi: list[float] = field(default_factory=list)
    targets: dict[str, Form] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def add(self, form: Form, lo: float, hi: float = math.inf) -> None:
        """Add a row."""
        self.forms.append(form)
        self.lo.append(lo)
        self.hi.append(hi)

    def aim(self, place: Place, targets: dict[str, Form]) -> None:
        """Add counts that must not be bounded closely."""
        self.targets |= targets
        self.places |= dict.fromkeys(targets, place)

    def cell(self, form: Form, cell: Cell | None) -> None:
        """Add the count of a released cell; a suppressed cell adds no row."""
        if isinstance(cell, int):
            self.add(form, cell, cell)


def bound(submissions: Sequence[Submission], policy: Policy) -> list[Exposed]:
    """Find the counts that can be bounded to fewer values than the floor, with small values among them.

    Parameters
    ----------
    submissions : one or more releases about the same cases, combined into one system

    Notes
    -----
    Rates of subgroups are assumed to be at the first threshold. If that contradicts the other rows,
    the rates are ignored. The list is empty for releases that contradict each other.
    """
    exposed = _bound_system(_system_of(submissions, with_rates=True), policy)
    if exposed is None:
        exposed = _bound_system(_system_of(submissions, with_rates=False), policy)
    return exposed or []


def _bound_system(system: System, policy: Policy) -> list[Exposed] | None:
    names = sorted({name for form in system.forms for name in form}, key=str)
    column = {name: j for j, name in enumerate(names)}
    targets = {
        label: form for label, form in system.targets.items() if form.keys() <= column.keys()
    }
    rows = _Rows(_matrix(system.forms, column), np.array(system.lo), np.array(system.hi))
    bounds = _ranges(rows, _matrix(list(targets.values()), column), policy.minimum_cell)
    if bounds is None:
        return None
    return [
        Exposed(
            label,
            math.ceil(lo - 1e-6),
            math.floor(hi + 1e-6),
            system.places.get(label, ("", "cuts")),
        )
        for label, lo, hi in zip(targets, *bounds, strict=True)
        if not _is_safe(lo, hi, policy)
    ]


def _ranges(rows: "_Rows", goals: Floats, enough: float) -> tuple[Floats, Floats] | None:
    """Smallest and largest value of each goal; the search stops once they are `enough` apart."""
    known = rows.known()
    programme = rows.without(known)
    if programme is None:
        return None
    free = np.isnan(known)
    low = goals[:, ~free] @ known[~free]
    unknown = np.flatnonzero(np.abs(goals[:, free]).max(axis=1, initial=0) > 0)
    if not unknown.size:
        return low, low
    span = _spans(programme, goals[unknown][:, free], enough)
    if span is None:
        return None
    high = low.copy()
    low[unknown] += span[0]
    high[unknown] += span[1]
    return low, high


def _spans(programme: "_Rows", goals: Floats, enough: float) -> tuple[Floats, Floats] | None:
    found = programme.solve(goals.sum(axis=0)), programme.solve(-goals.sum(axis=0))
    if found[0] is None or found[1] is None:
        return None
    seen = goals @ np.array(found).T
    low, high = seen.min(axis=1), seen.max(axis=1)
    for i, goal in enumerate(goals):
        # One solution bounds every goal: most goals never need a separate programme.
        for sign in (1.0, -1.0):
            if high[i] - low[i] >= enough:
                break
            solution = programme.solve(sign * goal)
            if solution is not None:
                values = goals @ solution
                low, high = np.minimum(low, values), np.maximum(high, values)
    return low, high


def _is_safe(low: float, high: float, policy: Policy) -> bool:
    lo, hi = math.ceil(low - 1e-6), math.floor(high + 1e-6)
    least = 0 if policy.zero_is_sensitive else 1
    return hi - lo >= policy.minimum_cell or lo >= policy.minimum_cell or hi < least


def _matrix(forms: Sequence[Form], column: dict[Name, int]) -> Floats:
    out = np.zeros((len(forms), len(column)))
    for i, form in enumerate(forms):
        for name, factor in form.items():
            out[i, column[name]] += factor
    return out


@dataclass(frozen=True, slots=True)
class _Rows:
    """`lo <= matrix @ counts <= hi`, counts at least 0."""

    matrix: Floats
    lo: Floats
    hi: Floats

    def known(self) -> Floats:
        """Repeatedly solve single-unknown equations; NaN where a value stays undetermined."""
        known = np.full(self.matrix.shape[1], np.nan)
        equations = self.matrix[self.hi == self.lo], self.lo[self.hi == self.lo]
        while True:
            free = np.isnan(known)
            unknowns = equations[0][:, free] != 0
            solvable = np.flatnonzero(unknowns.sum(axis=1) == 1)
            if not solvable.size:
                return known
            rest = equations[1] - equations[0][:, ~free] @ known[~free]
            columns = np.flatnonzero(free)[unknowns[solvable].argmax(axis=1)]
            known[columns] = rest[solvable] / equations[0][solvable, columns]

    def without(self, known: Floats) -> "_Rows | None":
        """Substitute the known counts; None if they contradict a row."""
        free = np.isnan(known)
        given = self.matrix[:, ~free] @ known[~free]
        lo, hi = self.lo - given, self.hi - given
        closed = (self.matrix[:, free] == 0).all(axis=1)
        if np.any(lo[closed] > 1e-6) or np.any(hi[closed] < -1e-6) or np.any(known < -1e-6):
            return None
        return _Rows(self.matrix[~closed][:, free], lo[~closed], hi[~closed])

    def solve(self, cost: Floats) -> Floats | None:
        """Minimise the cost; None if the rows contradict each other."""
        from scipy.optimize import LinearConstraint, milp
        from scipy.sparse import csr_array

        # milp without integrality is the LP with two-sided rows, passed to HiGHS directly.
        constraint = LinearConstraint(csr_array(self.matrix), self.lo - 1e-7, self.hi + 1e-7)
        found = milp(cost, constraints=constraint)
        return None if found.x is None else np.asarray(found.x)


def _system_of(submissions: Sequence[Submission], *, with_rates: bool) -> System:
    system = System()
    for submission in submissions:
        _add_classes(system, submission)
        _add_cuts(system, submission)
        _add_levels(system, submission, with_rates)
    _order_cuts(system)
    return system


def _add_classes(system: System, s: Submission) -> None:
    m: Form = {("events",): 1.0}
    n: Form = {("events",): 1.0, ("others",): 1.0}
    system.cell(n, s.n)
    system.cell(m, s.n_events)
    system.targets |= {"n_events": m, "n_non_events": {("others",): 1.0}}


def _add_cuts(system: System, s: Submission) -> None:
    for t in s.thresholds:
        _add_threshold(system, t)
        _add_benefit(system, t.net_benefit, t.threshold, s.n)
    for p in s.decision_curve:
        _add_benefit(system, p.model, p.threshold, s.n)
    for b in s.histogram if s.histogram_noise is None else ():
        for kind, cell in (("tp", b.events), ("fp", b.non_events)):
            above = _at_or_above(kind, b.high) if b.high < 1 else {}
            inside = _minus(_at_or_above(kind, b.low), above)
            system.cell(inside, cell)
            system.add(inside, 0)


def _add_threshold(system: System, t: ReleasedThreshold) -> None:
    tp: Form = {("tp", t.threshold): 1.0}
    fp: Form = {("fp", t.threshold): 1.0}
    fn, tn = _minus({("events",): 1.0}, tp), _minus({("others",): 1.0}, fp)
    system.add(fn, 0)
    system.add(tn, 0)
    for name, form in (("tp", tp), ("fp", fp), ("fn", fn), ("tn", tn)):
        system.cell(form, getattr(t.confusion, name))
        system.targets[f"thresholds[{t.threshold:g}].{name}"] = form
    _add_share(system, t.sensitivity, tp, fn)
    _add_share(system, t.specificity, tn, fp)
    _add_share(system, t.ppv, tp, fp)
    _add_share(system, t.npv, tn, fn)


def _at_or_above(kind: str, at: float) -> Form:
    if at > 0:
        return {(kind, at): 1.0}
    return {("events",): 1.0} if kind == "tp" else {("others",): 1.0}


def _order_cuts(system: System) -> None:
    """Add a row and a target for the cases between each two neighbouring cuts."""
    names = {name for form in system.forms for name in form if len(name) == 2}
    for kind, whole in (("tp", "events"), ("fp", "others")):
        cuts = sorted(float(name[1]) for name in names if name[0] == kind)
        inner: list[Form] = [{(kind, at): 1.0} for at in cuts]
        chain: list[Form] = [{(whole,): 1.0}, *inner, {}]
        for at, upper, lower in zip([0.0, *cuts], chain, chain[1:], strict=False):
            gap = _minus(upper, lower)
            system.add(gap, 0)
            system.targets[f"{kind} next above {at:g}"] = gap


def _add_share(system: System, e: ReleasedEstimate, right: Form, wrong: Form) -> None:
    """Add two rows for a value that is right / (right + wrong), rounded."""
    if e.value is None:
        return
    lo, hi = _rounded_from(e.value)
    system.add(_plus(_scaled(right, 1 - lo), _scaled(wrong, -lo)), 0)
    system.add(_plus(_scaled(right, 1 - hi), _scaled(wrong, -hi)), -math.inf, 0)


def _add_benefit(system: System, e: ReleasedEstimate, t: float, n: Cell) -> None:
    if e.value is None or not isinstance(n, int) or t >= 1:
        return
    lo, hi = _rounded_from(e.value)
    form: Form = {("tp", t): 1.0, ("fp", t): -t / (1 - t)}
    system.add(form, lo * n, hi * n)


def _rounded_from(value: float) -> tuple[float, float]:
    """Range of the numbers that round to this one, at its number of decimals."""
    decimals = next(d for d in range(18) if round(value, d) == value)
    return value - 0.5 * 10**-decimals - 1e-9, value + 0.5 * 10**-decimals + 1e-9


def _add_levels(system: System, s: Submission, with_rates: bool) -> None:
    tables: dict[str, dict[str, list[tuple[Cell | None, Cell | None]]]] = {}
    for g in s.subgroups:
        tables.setdefault(g.variable, {}).setdefault(g.level, []).append((g.n, g.n_events))
    for r in s.table_one:
        if r.mean is None:
            rows = tables.setdefault(r.variable, {}).setdefault(r.level, [])
            rows.append((r.overall, r.events))
    for variable, levels in tables.items():
        names = [
            level for level, cells in levels.items() if any(isinstance(c[0], int) for c in cells)
        ]
        for level in names:
            _add_level(system, (variable, level), levels[level])
        _add_rest(system, variable, names)
    if with_rates and s.thresholds:
        _add_level_rates(system, s)


def _add_rest(system: System, variable: str, names: Sequence[str]) -> None:
    rests = []
    for kind, whole in (("in", "events"), ("out", "others")):
        rest: Form = {(whole,): 1.0}
        for level in names:
            rest = _minus(rest, {(kind, variable, level): 1.0})
        system.add(rest, 0)
        system.aim((variable, "events"), {f"{variable}: {whole} in no level shown": rest})
        rests.append(rest)
    system.aim((variable, "n"), {f"{variable}: cases in no level shown": _plus(*rests)})


def _add_level(
    system: System, name: tuple[str, str], cells: list[tuple[Cell | None, Cell | None]]
) -> None:
    events: Form = {("in", *name): 1.0}
    others: Form = {("out", *name): 1.0}
    for n, m in cells:
        system.cell(_plus(events, others), n)
        system.cell(events, m)
    path = f"subgroups[{name[0]}.{name[1]}]"
    split = {f"{path}.n_events": events, f"{path}.non_events": others}
    system.aim((name[0], "events"), split)
    system.aim((name[0], "n"), {f"{path}.n": _plus(events, others)})


def _add_level_rates(system: System, s: Submission) -> None:
    at = s.thresholds[0].threshold
    for rate, kind, cut in (("sensitivity", "in", "tp"), ("specificity", "out", "fp")):
        positives: dict[str, Form] = {}
        for g in s.subgroups:
            if not isinstance(g.n, int):
                continue
            size: Form = {(kind, g.variable, g.level): 1.0}
            hit: Form = {(cut, g.variable, g.level): 1.0}
            miss = _minus(size, hit)
            system.add(miss, 0)
            right, wrong = (hit, miss) if rate == "sensitivity" else (miss, hit)
            _add_share(system, getattr(g, rate), right, wrong)
            path = f"subgroups[{g.variable}.{g.level}].{rate}"
            system.aim((g.variable, rate), {f"{path} (right)": right, f"{path} (wrong)": wrong})
            rest = positives.get(g.variable, {(cut, at): 1.0})
            positives[g.variable] = _minus(rest, hit)
        for variable, rest in positives.items():
            _add_remaining_positives(system, (variable, rate), cut, rest)


def _add_remaining_positives(system: System, place: Place, cut: str, rest: Form) -> None:
    """Positives in no shown level: from 0 to the cases of the class in no shown level."""
    variable, whole = place[0], "events" if cut == "tp" else "others"
    negatives = _minus(system.targets[f"{variable}: {whole} in no level shown"], rest)
    system.add(rest, 0)
    system.add(negatives, 0)
    targets = {
        f"{variable}: {cut} in no level shown": rest,
        f"{variable}: not {cut} in no level shown": negatives,
    }
    system.aim(place, targets)


def _plus(*forms: Form) -> Form:
    out: Form = {}
    for form in forms:
        for name, factor in form.items():
            out[name] = out.get(name, 0.0) + factor
    return out


def _scaled(form: Form, factor: float) -> Form:
    return {name: factor * x for name, x in form.items()}


def _minus(a: Form, b: Form) -> Form:
    return _plus(a, _scaled(b, -1.0))
