"""`healthval check`: all problems of a plan, its data and the model's contract, before anyone is asked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from healthval.cohort.tables import table_problems
from healthval.contracts.model import InputContract
from healthval.errors import HealthvalError, counted
from healthval.evaluation import Sources, cohort_of, gate_policy, input_problems
from healthval.plan import DisclosureChoice, Plan
from healthval.plan_file import plan_problems


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


def _data(plan: Plan, sources: Sources) -> tuple[list[str], list[str]]:
    if sources.table is not None and plan.fhir is None:
        found = [f"table: {problem}" for problem in table_problems(sources.table, plan.table)]
        if found:
            return found, []
    try:
        cohort = cohort_of(plan, sources)
        advice = [*_small_levels(plan, cohort.frame)]
    except HealthvalError as problem:
        return [f"data: {problem}"], []
    return [], advice


def _small_levels(plan: Plan, frame: object) -> Iterator[str]:
    """Advice about levels that the gate would withhold in this cohort."""
    import pandas as pd

    assert isinstance(frame, pd.DataFrame)  # noqa: S101 - a cohort's frame
    least = gate_policy(plan).minimum_cell
    for name in plan.subgroups:
        if plan.columns[name].kind != "category" or name not in frame:
            continue
        counts = frame[name].value_counts()
        few = sorted(str(level) for level in counts[counts < least].index)
        if few:
            yield (
                f"subgroup {name}: {counted(len(few), 'level has', 'levels have')} fewer than {least}"
                f" cases here ({', '.join(few)}); the gate will withhold them, and a further level so"
                " that they cannot be subtracted; merge them with another level in the plan"
            )
