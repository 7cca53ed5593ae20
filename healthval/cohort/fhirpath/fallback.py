"""Expressions outside our subset (quantities, calendar arithmetic ...), compiled by fhirpathpy."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from healthval.cohort.fhirpath.functions import Env, Path
from healthval.cohort.fhirpath.operators import Items
from healthval.errors import ViewError


def compile_by_library(text: str, constants: Mapping[str, Any]) -> Path:
    """Compile once with fhirpathpy and its R4 model.

    Raises
    ------
    ViewError
        If fhirpathpy is absent or does not know a function either; its own messages quote data.
    """
    try:
        import fhirpathpy
        from fhirpathpy.models import models
    except ImportError:
        raise ViewError(
            "a path uses FHIRPath beyond the SQL on FHIR subset; install healthval[fhir]"
        ) from None
    try:
        evaluate = fhirpathpy.compile(text, model=models["r4"])
        evaluate({}, {**constants, "rowIndex": 0})
    except Exception as problem:  # all its errors are plain exceptions
        if str(problem).startswith("Not implemented"):
            raise ViewError(
                "a path calls a function that does not exist; correct the view"
            ) from None
        evaluate = fhirpathpy.compile(text, model=models["r4"])

    def read(this: Items, env: Env) -> Items:
        try:
            focus: Any = this[0] if len(this) == 1 else this
            found = evaluate(focus, {**constants, "rowIndex": env.row})
        except Exception:
            raise ViewError("a path cannot be evaluated on a resource; correct the view") from None
        return [_plain(value) for value in found]

    return read


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if isinstance(value, (str, int, float, bool, dict, list)) else str(value)
