"""Profiles of the property tests: a busy machine is not a failure, and CI is reproducible.

`HYPOTHESIS_PROFILE=thorough` tries more examples than every run can afford, where a test sets no other number;
CI does so weekly.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, max_examples=30, derandomize="CI" in os.environ)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


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
