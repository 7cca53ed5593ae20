"""Profiles of the property tests: a busy machine is not a failure, and CI is reproducible.

`HYPOTHESIS_PROFILE=thorough` tries more examples than every run can afford, where a test sets no other number,
and noise of other secrets in each run; CI does so weekly.
"""

import hashlib
import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, max_examples=30, derandomize="CI" in os.environ)
settings.register_profile("thorough", deadline=None, max_examples=500)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "house")
settings.load_profile(PROFILE)


@pytest.fixture(autouse=True, scope="session")
def noise_secrets():
    """Make the secret of a new ledger's noise a function of the test's name: the same noise in each run."""
    if PROFILE == "thorough":
        yield
        return
    made: Counter[str] = Counter()

    def token_hex(size: int) -> str:
        name = os.environ["PYTEST_CURRENT_TEST"]  # also while a fixture of a module is made
        made[name] += 1
        return hashlib.shake_256(f"{name} {made[name]}".encode()).hexdigest(size)

    with patch("healthval.disclosure.ledger.secrets", SimpleNamespace(token_hex=token_hex)):
        yield


@pytest.fixture
def processes_with():
    """Find the processes of this machine that have a word in their command line."""

    def find(word: str) -> list[Path]:
        return [p for p in Path("/proc").glob("[0-9]*/cmdline") if word.encode() in _read(p)]

    return find


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
