"""`Proposal`: parts of a plan, what was left out and why, and questions to the user.

A proposal contains a value only if it is a level that several cases share: the plan leaves the site,
and a rare level may identify a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from healthval.contracts.table import FhirInputs, TableSchema

MIN_SHARED = 5  # cases that share a value before it is proposed


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Proposed parts of a plan.

    Attributes
    ----------
    questions : what only the user can answer
    dropped : columns proposed to be dropped, each with the reason
    sources : the table's own name of an input or subgroup whose name no plan allows as one
    """

    table: TableSchema
    inputs: tuple[str, ...]
    subgroups: tuple[str, ...]
    questions: tuple[str, ...]
    fhir: FhirInputs | None = None
    dropped: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def declared(self) -> TableSchema:
        """The table as a plan declares it: each input by its new name, with its own one in `sources`."""
        if not self.sources:
            return self.table
        new = {own: name for name, own in self.sources.items()}
        columns = {new.get(name, name): column for name, column in self.table.columns.items()}
        return self.table.model_copy(update={"columns": columns, "sources": dict(self.sources)})

    def to_plan(self) -> dict[str, Any]:
        """Return the proposed part of a plan, ready for YAML."""
        plan: dict[str, Any] = {
            "table": self.declared.model_dump(mode="json", exclude_defaults=True)
        }
        if self.fhir is not None:
            plan["fhir"] = self.fhir.model_dump(mode="json", exclude_defaults=True)
        return plan | {"inputs": list(self.inputs), "subgroups": list(self.subgroups)}
