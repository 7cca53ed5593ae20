"""The dashboard in the package is what its sources build; its size, units and lock file."""

import gzip
import json
import os

import node_tools
import pytest
from node_tools import NODE, ROOT

from healthval.hub.api.dashboard import FOLDER

SOURCES = ROOT / "reports" / "dashboard"


def built(folder):
    """Name and content of each file of a built page."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_built_page_is_that_of_the_sources(tmp_path):
    node_tools.installed(SOURCES)
    node_tools.run(
        "npm",
        "run",
        "--silent",
        "build",
        folder=SOURCES,
        env={**os.environ, "DASHBOARD_OUT": str(tmp_path)},
    )
    assert built(tmp_path) == built(FOLDER), "run make dashboard and commit healthval/hub/dashboard"


def test_its_units_pass():
    node_tools.installed(SOURCES)
    node_tools.run(NODE, "node_modules/vitest/vitest.mjs", "run", folder=SOURCES)


def test_the_scripts_have_at_most_180_kb():
    scripts = [path.read_bytes() for path in FOLDER.rglob("*.js")]
    assert 0 < sum(len(gzip.compress(script, 9)) for script in scripts) <= 180 * 1024


@pytest.mark.parametrize("folder", ["reports/dashboard", "sdk/js"])
def test_the_lock_file_has_hashes_and_no_address(folder):
    text = (ROOT / folder / "package-lock.json").read_text(encoding="utf-8")
    fetched = {name: held for name, held in json.loads(text)["packages"].items() if name}
    assert len(fetched) > 20
    assert all("integrity" in held for held in fetched.values())
    assert "resolved" not in text
