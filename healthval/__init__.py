"""Judge a medical AI model on a hospital's own patients; only vetted aggregates leave."""

import importlib
from typing import Any

__version__ = "0.1.0"

# Modules of the public names.
_HOME = {
    "Client": "healthval.client",
    "Plan": "healthval.plan",
    "evaluate": "healthval.evaluation",
    "load_plan": "healthval.plan_file",
    "local_report": "healthval.report.local",
}

__all__ = [
    "Client",
    "Plan",
    "__version__",
    "aggregate",
    "client",
    "cohort",
    "deid",
    "disclosure",
    "evaluate",
    "evaluation",
    "load_plan",
    "local_report",
    "metrics",
    "report",
    "runner",
]


def __getattr__(name: str) -> Any:
    """Import a module at its first use (PEP 562), so that `import healthval` is quick."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in __all__:
        return importlib.import_module(f"healthval.{name}")
    raise AttributeError(f"module 'healthval' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
