"""JSON Schema of ``metrics.json``, published as ``schemas/metrics.schema.json``."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from healthval.aggregate.result import StudyResult
from healthval.contracts.base import Sha256
from healthval.contracts.model import ModelCard
from healthval.contracts.submission import Submission
from healthval.report.conduct import Conduct
from healthval.report.criteria import Outcome, PlanFacts
from healthval.report.gaps import Gap
from healthval.report.markup import Shown


class _Verdict(BaseModel):
    """Verdict on one acceptance criterion."""

    criterion: str
    target: str
    result: Shown
    prediction: tuple[float, float] | None
    k: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=1)]
    basis: str
    outcome: Outcome
    reason: str
    new_site: Outcome | None


class _Coverage(BaseModel):
    """Number of TRIPOD+AI items that the report covers, and of all items."""

    covered: Annotated[int, Field(ge=0)]
    items: Annotated[int, Field(ge=0)]
    held: list[str]


class _Signer(BaseModel):
    """SHA-256 of the public key that signs the report."""

    fingerprint: Sha256


class _Metrics(BaseModel):
    """All numbers of a report; floats have nine significant digits."""

    format: Literal["healthval-metrics-1"]
    healthval_version: str
    plan: PlanFacts
    conduct: Conduct | None
    model_card: ModelCard
    verdicts: list[_Verdict]
    subgroup_gaps: list[Gap]
    tripod_ai: _Coverage
    study: StudyResult
    released: dict[str, Submission]
    signer: _Signer = Field(default=_Signer(fingerprint="0" * 64))


def metrics_schema() -> dict[str, Any]:
    """Return the schema of ``metrics.json`` (JSON Schema 2020-12)."""
    schema = _Metrics.model_json_schema(mode="serialization")
    schema["properties"]["signer"].pop("default", None)
    schema["required"] = [name for name in schema["required"] if name != "signer"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "healthval metrics.json",
    }


def metrics_schema_text() -> str:
    """Return the schema as it is published, stable byte for byte."""
    return json.dumps(metrics_schema(), indent=1, sort_keys=True) + "\n"
