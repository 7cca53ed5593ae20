"""Silence for pydicom, whose warnings and log lines quote values."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.config import disable_value_validation


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom from printing what it reads."""
    log = logging.getLogger("pydicom")
    was = log.level
    log.setLevel(logging.CRITICAL + 1)  # unlike `disabled`, children inherit it
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(was)
