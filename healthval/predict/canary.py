"""The canary: the same synthetic cases before and after a run show whether the model changed.

Nothing in it comes from a patient: the values are the limits and levels of the input contract.
"""

import hashlib
from collections.abc import Iterator

from healthval.contracts.model import InputContract, InputField
from healthval.contracts.prediction import Value

N_CANARIES = 8


def canary_cases(contract: InputContract) -> tuple[tuple[str, ...], tuple[tuple[Value, ...], ...]]:
    """Case ids and rows that span a table contract, always the same for the same contract."""
    rows = tuple(tuple(_probe(field, i) for field in contract.fields) for i in range(N_CANARIES))
    ids = tuple(
        f"case-{hashlib.sha256(f'canary {i}'.encode()).hexdigest()[:16]}" for i in range(N_CANARIES)
    )
    return ids, rows


def _probe(field: InputField, i: int) -> Value:
    if field.kind == "category":
        return field.levels[i % len(field.levels)]
    return _points(field)[i]


def _points(field: InputField) -> list[float]:
    low = 0.0 if field.low is None else field.low
    high = low + 1.0 if field.high is None else field.high
    # A different walk through the range for each field, or all fields would move together.
    turn = hashlib.sha256(field.name.encode()).digest()
    return [low + (high - low) * part for part in _fractions(turn)]


def _fractions(turn: bytes) -> Iterator[float]:
    for byte in turn[:N_CANARIES]:
        yield byte / 255
