"""Profiles of the property tests: a busy machine is not a failure, and CI is reproducible.

`HYPOTHESIS_PROFILE=thorough` tries more examples than every run can afford, where a test sets no other number,
and noise of other secrets in each run; CI does so weekly.
"""

import hashlib
import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, max_examples=30, derandomize="CI" in os.environ)
settings.register_profile("thorough", deadline=None, max_examples=500)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "house")
settings.load_profile(PROFILE)


@pytest.fixture(autouse=True)
def noise_secrets(request, monkeypatch):
    """Make the secret of a new ledger's noise a function of the test's name: the same noise in each run."""
    if PROFILE == "thorough":
        return
    made = itertools.count()

    def token_hex(size: int) -> str:
        name = f"{request.node.nodeid} {next(made)}"
        return hashlib.shake_256(name.encode()).hexdigest(size)

    monkeypatch.setattr("healthval.disclosure.ledger.secrets", SimpleNamespace(token_hex=token_hex))


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
