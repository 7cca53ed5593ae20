"""Memory and concurrency of a serverless endpoint, from our record or one of the `sagemaker` SDK."""

import operator
from dataclasses import dataclass
from typing import Final

from healthval.contracts.model import ModelRegistration
from healthval.errors import UsageError

MEMORY_GB: Final = range(1, 7)
CONCURRENCY: Final = range(1, 201)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serverless:
    """Memory in MB (1 to 6 whole GB) and concurrent calls (1 to 200) of a serverless endpoint."""

    memory_size_in_mb: int = 2048
    max_concurrency: int = 4


def check_serverless(config: object) -> Serverless:
    """Return the figures of a serverless configuration within the limits of AWS.

    Parameters
    ----------
    config : `Serverless`, or the `ServerlessInferenceConfig` of the `sagemaker` SDK, version 2 or 3

    Raises
    ------
    UsageError
        If a figure is missing or outside the limits, or concurrency is provisioned: that is billed
        while nobody evaluates.

    References
    ----------
    SageMaker API, ProductionVariantServerlessConfig.
    """
    if getattr(config, "provisioned_concurrency", None):
        raise UsageError("provisioned concurrency is billed while nobody evaluates; leave it out")
    memory = _whole(config, "memory_size_in_mb")
    if memory is None or memory % 1024 or memory // 1024 not in MEMORY_GB:
        raise UsageError("memory_size_in_mb must be 1024, 2048, 3072, 4096, 5120 or 6144")
    concurrency = _whole(config, "max_concurrency")
    if concurrency is None or concurrency not in CONCURRENCY:
        raise UsageError("max_concurrency must be a whole number from 1 to 200")
    return Serverless(memory_size_in_mb=memory, max_concurrency=concurrency)


def with_serverless(registration: ModelRegistration, config: object) -> ModelRegistration:
    """Return the registration with memory and concurrency of a serverless configuration."""
    wanted = check_serverless(config)
    update = {
        "memory_mb": wanted.memory_size_in_mb,
        "max_concurrency": wanted.max_concurrency,
    }
    return ModelRegistration.model_validate(registration.model_dump() | update)


def _whole(config: object, name: str) -> int | None:
    value = getattr(config, name, None)
    try:
        return None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
