"""JSON Schema of ``metrics.json``, published as ``schemas/metrics.schema.json``."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from healthval.aggregate.result import StudyResult
from healthval.aggregate.secondary.control_chart import Limit
from healthval.contracts.base import Sha256
from healthval.contracts.model import ModelCard
from healthval.contracts.monitoring import AlarmRule
from healthval.contracts.submission import Submission
from healthval.report.conduct import Conduct
from healthval.report.criteria import Outcome, PlanFacts
from healthval.report.markup import Shown
from healthval.report.values.charts import Alarm, HospitalChart
from healthval.report.values.gaps import Gap
from healthval.report.values.noise import Noise


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


_Pair = tuple[float, float] | None


class _Mean(BaseModel):
    """Mean over sites with its interval and prediction interval."""

    value: float | None
    ci: _Pair
    prediction: _Pair
    k: Annotated[int, Field(ge=0)]


class _Threshold(BaseModel):
    """Means and sums at one threshold; `totals` and `shares` are of the cases whose counts are summed."""

    threshold: float
    means: dict[str, _Mean]
    sums: dict[str, tuple[float | None, float | None, float | None]]
    shares: dict[str, float]
    totals: dict[str, int]
    missed: list[float]
    prevalence: float | None
    marked_for_each_found: float | None
    predictive_values: list[tuple[float, float, float]]


class _Point(BaseModel):
    """Point of a ROC curve: bounds, and the interval of the sensitivity."""

    at: float | None
    fpr: tuple[float, float]
    tpr: tuple[float, float]
    ci: _Pair


class _Region(BaseModel):
    """Smallest and largest area under a curve through the points from released counts."""

    area: tuple[float, float]
    points: list[_Point]


class _Roc(BaseModel):
    """Regions of all cases together and of each site; None without such points."""

    together: _Region | None
    sites: dict[str, _Region | None]


class _Own(BaseModel):
    """A site's own result for one criterion."""

    criterion: str
    value: float | None
    ci: _Pair


class _Site(BaseModel):
    """Numbers of one site."""

    criteria: list[_Own]
    suppressed_cells: int
    checks: int
    attacks: int
    shares: dict[str, float | None]


class _Derived(BaseModel):
    """Numbers that the report computes from the releases."""

    means: dict[str, _Mean]
    thresholds: list[_Threshold]
    mixture: _Pair
    roc: _Roc
    sites: dict[str, _Site]
    attacks: dict[str, int]
    noise: Noise | None


class _Rule(BaseModel):
    """An alarm rule of the plan, its decision limit, and its charts."""

    rule: AlarmRule
    limit: Limit
    charts: list[HospitalChart]


class _Monitoring(BaseModel):
    """Performance over time: names of the periods, control charts, and every alarm."""

    periods: list[str]
    rules: list[_Rule]
    alarms: list[Alarm]


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
    monitoring: _Monitoring | None
    derived: _Derived
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
