"""Names of arguments in other libraries: an error that contains the name here."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from healthval.errors import MetricError

HAS_ARGS = 0x04  # flag of a code object with *args
P = ParamSpec("P")
R = TypeVar("R")
_HERE = {
    "y_true": "reference",
    "y": "reference",
    "labels": "reference",
    "y_score": "score",
    "y_pred": "score",
    "y_proba": "score",
    "y_prob": "score",
    "y_pred_proba": "score",
    "probas_pred": "score",
    "alpha": "level, 1 - alpha",
    "confidence_level": "level",
    "conf_level": "level",
    "interval": "ci",
    "sensitive_features": "groups",
    "patient": "cluster",
}


def named(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse names of arguments from other libraries, with the names of this one."""
    own = set(function.__annotations__) - {"return"}
    code = getattr(function, "__code__", None)
    most = code.co_argcount if code is not None and not code.co_flags & HAS_ARGS else None

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if foreign := [name for name in kwargs if name not in own]:
            raise MetricError(_message(function.__name__, foreign, own))
        if most is not None and len(args) > most:
            raise MetricError(_too_many(function.__name__, len(args), most))
        return function(*args, **kwargs)

    return call


def _too_many(function: str, given: int, most: int) -> str:
    other = "; a plan, cohort and client go to healthval.evaluate" if function == "evaluate" else ""
    return f"{function}: {given} arguments by position, at most {most} are read{other}"


def _message(function: str, foreign: list[str], own: set[str]) -> str:
    known = [f"{name} is {here}" for name in foreign if (here := _HERE.get(name))]
    if "sample_weight" in foreign:
        known.append("sample_weight is not supported: each case counts once")
    taken = ", ".join(name for name in sorted(own) if not name.startswith("_"))
    return f"{function}: {'; '.join([*known, f'arguments are {taken}'])}"
