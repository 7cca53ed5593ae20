"""Trial call of a model when it is started: two cases in the middle of its input contract."""

from healthval.contracts.base import canonical_json
from healthval.contracts.model import InputContract, InputField, ModelRecord
from healthval.contracts.prediction import Value
from healthval.errors import counted
from healthval.hub import registry
from healthval.hub.auth import Caller
from healthval.hub.ports import Backend, HostUnavailable, ModelFailed, Refusal
from healthval.hub.scoring import read_scores

N_CASES = 2


def start(backend: Backend, actor: Caller, name: str, version: str) -> ModelRecord:
    """Start a model that answers a trial call; a model that reads files is started without one.

    Raises
    ------
    Refusal
        If the model does not start or its answer is no score for each case; gives the reason.
    """
    registered = registry.model(backend, name, version)
    if registered.registration.inputs.kind == "table":
        registry.start_host(backend, registered)
        _try_out(backend, registered)
    return registry.start(backend, actor, name, version)


def _try_out(backend: Backend, registered: ModelRecord) -> None:
    wanted = registry.hosted(registered)
    try:
        body = canonical_json(trial_cases(registered.registration.inputs))
        _check_number(read_scores(backend.host.invoke(wanted, body)))
    except HostUnavailable:
        raise Refusal(503, "The model endpoint is still starting", retryable=True) from None
    except ModelFailed as failure:
        backend.host.stop(wanted)
        raise Refusal(422, "The model fails a trial call", str(failure)) from None


def _check_number(scores: list[float | None]) -> None:
    if len(scores) != N_CASES:
        raise ModelFailed(f"{counted(len(scores), 'score')} for {N_CASES} cases")


def trial_cases(inputs: InputContract) -> dict[str, list[object]]:
    """Return two equal cases: each number in the middle of its limits, each category's first level."""
    row = [_middle(entry) for entry in inputs.fields]
    return {"columns": [entry.name for entry in inputs.fields], "rows": [row] * N_CASES}


def _middle(entry: InputField) -> Value:
    if entry.kind == "category":
        return entry.levels[0] if entry.levels else None
    limits = [limit for limit in (entry.low, entry.high) if limit is not None]
    return sum(limits) / len(limits) if limits else 1.0
