"""The release: workflows that parse and call what exists, the citation, completion in a shell."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_workflow_parses_and_calls_what_exists(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    targets = set(
        re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    )
    assert workflow["jobs"]
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert "uses" in step or "run" in step
            line = step.get("run", "")
            assert set(re.findall(r"\bmake (\S+)", line)) <= targets, line
            for file in re.findall(r" (tests/[\w./]+)", line):
                assert (ROOT / file).exists(), file


def test_a_release_is_tested_built_twice_listed_and_signed():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    order = [text.index(step) for step in ("make test", "make audit", "make wheel", "attest-build")]
    assert order == sorted(order)
    assert "id-token: write" in text


def test_the_citation_has_what_the_format_demands():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "title", "message", "authors"} <= cited.keys()
    assert cited["license"] == "Apache-2.0"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_as_the_readme_shows():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    line = 'eval "$(_HEALTHVAL_COMPLETE=bash_source healthval)"'
    assert line in text
    ask = "COMP_WORDS=(healthval access re); COMP_CWORD=2; _healthval_completion healthval"
    done = subprocess.run(
        ["bash", "-c", f'{line}; {ask}; echo "${{COMPREPLY[@]}}"'],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert done.stdout.split() == [
        "request",
        "revoke",
        "revoke-key",
    ], done.stderr
