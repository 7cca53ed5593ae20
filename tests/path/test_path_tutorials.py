"""docs/tutorial-*.md: every block of the three pages runs, each person in an own folder, each in turn."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from healthval.credential import Credential
from healthval.demo.embedded_hub import embedded_hub

DOCS = Path(__file__).parents[2] / "docs"
# Ends a hanging command; far beyond what a busy machine needs.
HANG_SECONDS = 1800
PART = re.compile(
    r"(?:^`(?P<file>[^`\n]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$|^## (?P<heading>[^\n]+)$",
    re.M | re.S,
)


@dataclass
class Reader:
    """A person at a desk (an own folder) who follows one page."""

    page: str
    desk: Path
    environment: dict[str, str]
    shown: dict[str, str] = field(default_factory=dict)
    first_word: str = ""
    names: dict[str, object] = field(default_factory=dict)

    def __post_init__(self):
        self.desk.mkdir(exist_ok=True)
        text = (DOCS / self.page).read_text(encoding="utf-8")
        self.parts = list(PART.finditer(text))

    def read_to(self, heading=None):
        """Follow the page to the section with this heading, or to its end."""
        while self.parts:
            part = self.parts[0]
            if heading and part["heading"] == heading:
                return
            self.parts.pop(0)
            if part["file"]:
                (self.desk / part["file"]).write_text(part["text"], encoding="utf-8")
            elif part["kind"] == "python":
                exec(compile(part["text"], self.page, "exec"), self.names)
            elif part["kind"] == "sh":
                self.type(part["text"])
            else:
                assert part["heading"], part["kind"]
        assert heading is None, f"{self.page} has no section '{heading}'"

    def type(self, lines):
        for line in lines.splitlines():
            if line.startswith("export "):
                continue
            words = [self.first_word if w in {"SITE", "REPORT"} else w for w in shlex.split(line)]
            hub = self.environment["HEALTHVAL_HUB"]
            out = self.run([hub if w == "$HEALTHVAL_HUB" else w for w in words], line)
            self.first_word = out.split()[0] if out.split() else ""
            self.shown[" ".join(line.split()[:3])] = out

    def run(self, words, line):
        """Run one line of the page; a yes is the answer to its question."""
        own = ["-m", *words] if words[0] == "healthval" else words[1:]
        done = subprocess.run(
            [sys.executable, *own],
            cwd=self.desk,
            env=self.environment,
            input="y\n",
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def readers(tmp_path):
    """Vendor, operator and hospital; the hub runs in the operator's folder, as in a second terminal."""
    operator = tmp_path / "operator"
    operator.mkdir()
    Credential.create(operator / "operator.key")
    with embedded_hub(operator / "hub", operator / "operator.key.pub") as url:
        environment = {**os.environ, "HEALTHVAL_HUB": url, "COLUMNS": "200"}
        yield [
            Reader(f"tutorial-{name}.md", tmp_path / name, environment)
            for name in ("vendor", "operator", "hospital")
        ]


def test_the_tutorials_run_as_they_are_written(readers, monkeypatch):
    vendor, operator, hospital = readers
    vendor.read_to("Read the report")
    assert "3 cases: 2 scored, 1 declined" in vendor.shown["healthval model check"]
    shutil.copytree(vendor.desk / "ward-risk", operator.desk / "ward-risk")
    shutil.copy(vendor.desk / "vendor.key.pub", operator.desk)
    shutil.copy(operator.desk / "operator.key.pub", vendor.desk)

    operator.read_to("Decide on a request")
    assert "ward-risk 1.0" in operator.shown["healthval models list"]

    monkeypatch.chdir(hospital.desk)
    hospital.read_to("Evaluate, read, send")
    assert {"result.csv", "result.xlsx", "mine.html", "mine.pdf"} <= names_in(hospital.desk)
    shutil.copytree(hospital.desk / "ward-study", operator.desk / "ward-study")

    operator.read_to("Publish")
    hospital.read_to()
    assert "AUROC 0." in hospital.shown["healthval run evaluate"]
    assert "nothing was sent" in hospital.shown["healthval run evaluate"]
    assert "Withheld" in hospital.shown["healthval release site"]

    operator.read_to()
    vendor.read_to()
    published = (operator.desk / "report" / "report.html").read_bytes()
    assert (vendor.desk / "received" / "report.html").read_bytes() == published


def names_in(folder):
    return {path.name for path in folder.iterdir()}
