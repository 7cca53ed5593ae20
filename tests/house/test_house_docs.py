"""The documents name files and commands that exist."""

import re
from pathlib import Path

import pytest

from healthval.cli import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_every_relative_link_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    # Pages of reference/ are made from the code; the build of the site checks links to them.
    here = [link for link in links if "://" not in link and not link.startswith("reference/")]
    missing = [link for link in here if not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_every_command_that_is_shown_exists(path):
    shown = re.findall(
        r"^(?:\$ )?healthval ([a-z]+)(?: ([a-z]+))?", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    for command, sub in shown:
        assert command in cli.commands, command
        children = getattr(cli.commands[command], "commands", None)
        is_alone = not sub and getattr(cli.commands[command], "invoke_without_command", False)
        assert children is None or is_alone or sub in children, f"{command} {sub}"


def test_every_command_is_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [name for name in cli.commands if f"healthval {name}" not in text]
