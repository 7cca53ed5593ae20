"""Trial of a model: rows from its input contract, and the reason if its answer does not fit."""

import json

from healthval.contracts.base import canonical_json
from healthval.contracts.model import InputContract, InputField
from healthval.hub.ports import HostedModel, ModelFailed, ModelHost

Row = dict[str, float | str | None]


def trial_rows(inputs: InputContract) -> list[Row]:
    """Return rows whose values are inside the limits of the contract; the last one has none.

    >>> trial_rows(InputContract(fields=(InputField(name="age", low=0, high=100),)))
    [{'age': 25.0}, {'age': 50.0}, {'age': 75.0}, {'age': None}]
    """
    inside: list[Row] = [
        {field.name: _value(field, share) for field in inputs.fields} for share in (0.25, 0.5, 0.75)
    ]
    return [*inside, {field.name: None for field in inputs.fields}]


def _value(field: InputField, share: float) -> float | str:
    if field.kind == "category":
        return field.levels[int(share * len(field.levels))] if field.levels else ""
    low = field.low if field.low is not None else (field.high or 1.0) - 1.0
    high = field.high if field.high is not None else low + 1.0
    return low + share * (high - low)


def call(host: ModelHost, model: HostedModel, rows: list[Row]) -> list[float | None]:
    """Score rows; ModelFailed with the model server's reason."""
    columns = list(rows[0])
    body = canonical_json({"columns": columns, "rows": [list(row.values()) for row in rows]})
    scores: list[float | None] = json.loads(host.invoke(model, body))["scores"]
    return scores


def check_answers(host: ModelHost, model: HostedModel, inputs: InputContract) -> None:
    """Refuse a table model that does not answer with one score from 0 to 1 for each row.

    Raises
    ------
    ModelFailed
        With the reason, such as the missing module, two columns or percentages.
    """
    if inputs.kind != "table" or not inputs.fields:
        return
    rows = trial_rows(inputs)[:-1]
    if all(score is None for score in call(host, model, rows)):
        raise ModelFailed("the model has no score for any row inside the limits of its contract")
