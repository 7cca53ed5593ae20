"""docs/first-study.md: every block of the page runs, in its order, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from healthval.credential import Credential
from healthval.demo.embedded_hub import embedded_hub

PAGE = Path(__file__).parents[2] / "docs" / "first-study.md"
# Ends a hanging command; far beyond what a busy machine needs.
HANG_SECONDS = 1800
BLOCK = re.compile(
    r"(?:^`(?P<file>[^`\n]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)


@pytest.fixture
def desk(tmp_path):
    """An empty folder, and the environment in which a command of the page runs."""
    (tmp_path / "desk").mkdir()
    Credential.create(tmp_path / "desk" / "operator.key")
    with embedded_hub(tmp_path / "hub", tmp_path / "desk" / "operator.key.pub") as url:
        yield tmp_path / "desk", {**os.environ, "HEALTHVAL_HUB": url, "COLUMNS": "200"}


def run(line, folder, environment):
    """Run one line of the page; a yes is the answer to its question."""
    words = shlex.split(line.replace("$HEALTHVAL_HUB", environment["HEALTHVAL_HUB"]))
    own = ["-m", *words] if words[0] == "healthval" else words[1:]
    done = subprocess.run(
        [sys.executable, *own],
        cwd=folder,
        env=environment,
        input="y\n",
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_page_runs_as_it_is_written(desk):
    folder, environment = desk
    first_word, shown = "", {}
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if block["file"]:
            path = folder / block["file"]
            path.write_text(block["text"], encoding="utf-8")
            continue
        for line in block["text"].splitlines():
            if line.startswith("export "):
                continue
            words = [first_word if w in {"SITE", "REPORT"} else w for w in shlex.split(line)]
            out = run(
                shlex.join(words).replace("'$HEALTHVAL_HUB'", "$HEALTHVAL_HUB"), folder, environment
            )
            first_word = out.split()[0] if out.split() else ""
            shown[" ".join(line.split()[:3])] = out
    assert "3 cases scored, 1 declined" in shown["healthval model check"]
    assert "AUROC 0." in shown["healthval run evaluate"]
    assert "nothing was sent" in shown["healthval run evaluate"]
    assert "Withheld" in shown["healthval release site"]
    assert (folder / "received" / "report.html").read_bytes() == (
        folder / "report" / "report.html"
    ).read_bytes()
