"""Inputs of a plan, compared with those in the model's contract."""

from healthval.contracts.model import InputContract
from healthval.errors import PlanError, counted
from healthval.plan import Plan


def check_inputs(plan: Plan, contract: InputContract) -> None:
    """Refuse a plan whose inputs differ from those in the model's contract."""
    if problems := input_problems(plan, contract):
        raise PlanError("; ".join(problems))


def input_problems(plan: Plan, contract: InputContract) -> list[str]:
    """Return all differences between a plan's inputs and a model's contract, with their remedies."""
    found = []
    wanted = [entry.name for entry in contract.fields]
    if set(wanted) != set(plan.inputs):
        found.append(
            f"the plan names {counted(len(plan.inputs), 'input')}, the model takes {len(wanted)}:"
            f" {', '.join(wanted) or 'only images'}; correct 'inputs' in the plan"
        )
    if (plan.images is not None) != (contract.kind != "table"):
        takes = "images: add 'images' to" if contract.kind != "table" else "none: remove it from"
        found.append(f"the plan and the model differ in images; the model takes {takes} the plan")
    foreign = set(plan.images.modalities if plan.images else ()) - set(contract.modalities)
    if contract.modalities and foreign:
        found.append(
            f"the plan names {counted(len(foreign), 'modality')} that the model does not take; it"
            f" takes {', '.join(contract.modalities)}"
        )
    return found
