"""Canary: synthetic cases, predicted before and after a run, that show whether the model changed.

The values are between the limits, and among the levels, of the input contract. They contain no
patient data. No invented image suits every model, so a model of images answers its first
de-identified cases twice.
"""

import hashlib

from healthval.contracts.model import InputContract, InputField, Value

N_CANARIES = 8
N_IMAGE_CANARIES = 3  # cases, because each is uploaded again


def canary_cases(
    contract: InputContract, plan_hash: str
) -> tuple[tuple[str, ...], tuple[tuple[Value, ...], ...]]:
    """Case ids and rows that span a table contract; the same contract gives the same rows."""
    rows = tuple(tuple(_probe(field, i) for field in contract.fields) for i in range(N_CANARIES))
    ids = tuple(
        f"case-{hashlib.sha256(f'canary {i} {plan_hash}'.encode()).hexdigest()[:16]}"
        for i in range(N_CANARIES)
    )
    return ids, rows


def _probe(field: InputField, i: int) -> Value:
    if field.kind == "category":
        return field.levels[i % len(field.levels)]
    return _points(field)[i]


def _points(field: InputField) -> list[float]:
    low = 0.0 if field.low is None else field.low
    high = low + 1.0 if field.high is None else field.high
    # Each field has its own sequence of fractions, so that fields do not rise and fall together.
    fractions = hashlib.sha256(field.name.encode()).digest()[:N_CANARIES]
    return [low + (high - low) * (byte / 255) for byte in fractions]
