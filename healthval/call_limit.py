"""Limit on simultaneous calls of one model endpoint over all processes and machines of a batch.

Each place is a lock file in a folder that all workers see. The system releases a place when its
process ends, also when it is killed.
"""

import hashlib
import os
import random
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_VARIABLE: Final = "HEALTHVAL_CALLS"  # "number:folder", for the processes of a run
_WAIT_SECONDS: Final = (0.02, 0.1)  # at random, so that waiting processes do not try in step


def set_limit(places: int | None, folder: Path, environment: MutableMapping[str, str]) -> None:
    """Limit the calls of each endpoint in processes with this environment; None removes the limit."""
    environment.pop(_VARIABLE, None)
    if places is not None:
        folder.mkdir(parents=True, exist_ok=True)
        environment[_VARIABLE] = f"{places}:{folder.absolute()}"


@contextmanager
def place_at(endpoint: str, environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Wait for one of the endpoint's places and hold it; without a limit there is no wait.

    Parameters
    ----------
    endpoint : address of the hub with name and version of the model
    """
    limit = environment.get(_VARIABLE)
    if limit is None:
        yield
        return
    from filelock import FileLock, Timeout

    number, _, folder = limit.partition(":")
    name = hashlib.sha256(endpoint.encode()).hexdigest()[:16]
    locks = [FileLock(Path(folder) / f"{name}.{i}") for i in range(int(number))]
    while True:
        random.shuffle(locks)
        for lock in locks:
            try:
                held = lock.acquire(timeout=0)
            except Timeout:
                continue
            with held:
                yield
            return
        time.sleep(random.uniform(*_WAIT_SECONDS))  # noqa: S311  no secret
