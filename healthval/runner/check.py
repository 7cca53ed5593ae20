"""`healthval check`: all problems of a plan, its data and the model's contract, before anyone is asked."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Final

from healthval.cohort import Cohort
from healthval.cohort.eligibility import analysed_levels, common_cases
from healthval.cohort.tables import table_problems
from healthval.contracts.model import InputContract
from healthval.contracts.table import SmallLevels
from healthval.disclosure.foreseen import Foreseen, foresee
from healthval.errors import CohortError, HealthvalError, counted
from healthval.evaluation import Sources, cohort_of, gate_policy, input_problems
from healthval.plan import DisclosureChoice, Plan
from healthval.plan_file import plan_problems

MINIMA: Final = (50, 100, 200)  # round, so that a plan does not state the size of a level
MOST_EXCLUDED: Final = 0.1  # of the cases; a rule that concerns more is not about small levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Problems, which stop a study, and advice, which does not; no value of a patient is quoted."""

    plan: Plan | None
    problems: tuple[str, ...]
    advice: tuple[str, ...] = ()
    done: tuple[str, ...] = field(default=())


def check_study(
    path: Path,
    *,
    table: Path | None = None,
    resources: Path | None = None,
    linked: Mapping[str, Path] | None = None,
    contract: InputContract | None = None,
) -> Findings:
    """Check a plan, and what is given of its data and of the model's contract.

    Raises
    ------
    PlanError
        If the plan's file cannot be read as YAML.
    """
    plan, problems = plan_problems(path)
    advice: list[str] = []
    done = ["plan"]
    if plan is not None and contract is not None:
        problems += input_problems(plan, contract)
        done.append("the model's contract")
    if plan is not None and (table or resources):
        if problems:  # without the fields that do not fit, only the columns can be judged
            plan = plan.model_copy(update={"disclosure": DisclosureChoice()})
        found, advice = _data(plan, Sources(table, resources, dict(linked or {})))
        problems += found
        done.append("data")
    return Findings(plan=plan, problems=tuple(problems), advice=tuple(advice), done=tuple(done))


def inputs_to_compare(plan: Plan) -> str:
    """Line for a person who compares a plan with a model whose contract the hub does not show."""
    kinds = {"number", "category", "age"}
    others = [n for n, c in plan.columns.items() if c.kind in kinds and n not in plan.inputs]
    given, rest = (", ".join(names) or "no column" for names in (plan.inputs, others))
    return (
        f"inputs: the plan gives the model {given}; of its other columns the model could take"
        f" {rest}; compare with the developer's documents"
    )


def _data(plan: Plan, sources: Sources) -> tuple[list[str], list[str]]:
    if sources.table is not None and plan.fhir is None:
        found = [f"table: {problem}" for problem in table_problems(sources.table, plan.table)]
        if found:
            return found, []
    try:
        cohort = cohort_of(plan, sources)
        advice = [*_small_levels(plan, cohort)]
    except HealthvalError as problem:
        return [f"data: {problem}"], []
    return [], advice


def _small_levels(plan: Plan, cohort: Cohort) -> Iterator[str]:
    """Advice about levels that the gate would withhold in this cohort, and what would show them."""
    judged = cohort.keep("with_reference", cohort.reference.notna())
    least = gate_policy(plan).minimum_cell
    foreseen = _foreseen(plan, judged, plan.levels)
    remedy = _remedy(plan, judged) if any(foreseen.values()) else ""
    for name, found in foreseen.items():
        parts = [
            f"{counted(len(levels), 'level has', 'levels have')} fewer than {least} {what} here"
            f" ({', '.join(levels)})"
            for levels, what in (
                (found.few, "cases"),
                (found.few_of_a_class, "cases with or without the condition"),
            )
            if levels
        ]
        if found.beside:
            parts.append(
                f"the gate would withhold results of {', '.join(found.beside)} too, so that nothing"
                " follows by subtraction"
            )
        if parts:
            yield f"subgroup {name}: {'; '.join(parts)}; {remedy}"


def _foreseen(plan: Plan, judged: Cohort, rule: SmallLevels | None) -> dict[str, Foreseen]:
    common = common_cases(judged, plan.subgroups, rule)
    events = judged.reference.to_numpy(dtype=bool)[common]
    found = {}
    for name, levels in analysed_levels(judged, plan.subgroups, rule).items():
        names = ["missing" if level is None else str(level) for level in levels[common]]
        cases, positive = Counter(names), Counter(compress(names, events))
        counts = {level: (n, positive[level]) for level, n in cases.items()}
        found[name] = foresee(gate_policy(plan), counts)
    return found


def _remedy(plan: Plan, judged: Cohort) -> str:
    """Return the rules under which each level is shown here, of those that concern few cases."""
    for minimum in MINIMA:
        rules = [SmallLevels(rule=rule, minimum=minimum) for rule in ("fold", "exclude")]
        shown = [rule.rule for rule in rules if _shows_all(plan, judged, rule)]
        if shown:
            return f"'levels: {{rule: {' or '.join(shown)}, minimum: {minimum}}}' in the plan shows all others"
    return "merge levels in the plan's table"


def _shows_all(plan: Plan, judged: Cohort, rule: SmallLevels) -> bool:
    try:
        common = common_cases(
            judged, plan.subgroups, SmallLevels(rule="exclude", minimum=rule.minimum)
        )
    except CohortError:
        return False
    is_minor = common.mean() >= 1 - MOST_EXCLUDED
    return is_minor and not any(_foreseen(plan, judged, rule).values())
