"""The documents name files and commands that exist."""

import ast
import importlib
import importlib.util
import re
from operator import attrgetter
from pathlib import Path

import pytest

import healthval
from healthval.cli import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^```[a-z]*\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_every_relative_link_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    # Pages of reference/ are made from the code; the build of the site checks links to them.
    here = [link for link in links if "://" not in link and not link.startswith("reference/")]
    missing = [link for link in here if not (path.parent / link).exists()]
    assert not missing


def places(path):
    """Anchors of a page's headings, as GitHub and Sphinx make them."""
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    plain = (re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_every_anchor_of_a_link_is_a_heading(path):
    links = re.findall(r"\]\(([^)#\s:]*)#([^)]+)\)", path.read_text(encoding="utf-8"))
    pages = [(path.parent / name if name else path, place) for name, place in links]
    assert not [f"{page.name}#{place}" for page, place in pages if place not in places(page)]


def test_the_list_of_external_links_is_that_of_the_documents():
    spec = importlib.util.spec_from_file_location("links", ROOT / "tests" / "links.py")
    links = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(links)
    listed = links.LIST.read_text(encoding="utf-8").split()
    assert listed == links.found(), "update tests/external_links.txt, then run: make links"


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


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_every_option_that_is_shown_exists(path):
    unknown = []
    for words in command_lines(path.read_text(encoding="utf-8")):
        command = cli
        while (
            words and not words[0].startswith("-") and words[0] in getattr(command, "commands", {})
        ):
            command = command.commands[words.pop(0)]
        known = {"--help", "-h", "--version"} | {o for p in command.params for o in p.opts}
        shown = {word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z][\w=-]*", word)}
        unknown += [f"{command.name} {option}" for option in shown - known]
    assert not unknown


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_python_that_is_shown_compiles_and_imports_what_exists(path):
    for block in re.findall(
        r"^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S
    ):
        for node in ast.walk(ast.parse(block, filename=path.name)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "healthval":
                module = importlib.import_module(node.module)
                assert not [n.name for n in node.names if not hasattr(module, n.name)], path.name
            name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if re.fullmatch(r"hv(\.\w+)+", name):
                attrgetter(name[3:])(healthval)  # raises where there is no such name


def command_lines(text):
    """Words after `healthval` of each command in a block or in code within a sentence."""
    blocks = FENCED.findall(text)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += [code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", FENCED.sub("", text))]
    for line in lines:
        found = re.match(r"(?:\$ )?healthval ([a-z].*)", line.strip())
        if found:
            yield re.split(r"\s+", re.sub(r"[\[\]]", " ", found[1].split(" #")[0]).strip())
