"""The HTML pages of the docs: built without a warning, complete, without anything from another origin."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.errors import UsageError

ROOT = Path(__file__).parents[2]
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src"}


class Links(HTMLParser):
    """Addresses that a page loads, and pages to which it links."""

    def __init__(self):
        super().__init__()
        self.loaded, self.linked, self.ids = [], [], set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.update(filter(None, [given.get("id")]))
        if tag in LOADED and given.get(LOADED[tag]):
            self.loaded.append(given[LOADED[tag]])
        if tag == "a" and given.get("href"):
            self.linked.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    source = out / "source"
    # The reference is written into the folder of the sources: a copy stays clean beside other tests.
    source.mkdir()
    for name in ("docs", "schemas", "pyproject.toml", "SECURITY.md", "CHANGELOG.md", "examples"):
        (source / name).symlink_to(ROOT / name)
    (source / "docs").unlink()
    (source / "docs").mkdir()
    for path in (ROOT / "docs").iterdir():
        if path.name not in {"reference", "_build"}:
            (source / "docs" / path.name).symlink_to(path)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "docs", str(out / "html")],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    pages = {}
    for path in (out / "html").rglob("*.html"):
        pages[path] = Links()
        pages[path].feed(path.read_text(encoding="utf-8"))
    return pages


def test_every_page_of_the_docs_is_a_page_of_the_site(site):
    found = {path.stem for path in site}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= found
    assert {
        "commands",
        "python",
        "plan-fields",
        "notebooks",
        "rest",
        "policies",
        "packages",
    } <= found


def test_nothing_is_loaded_from_another_origin(site):
    assert not [one for page in site.values() for one in page.loaded if "//" in one]


def test_every_link_within_the_site_leads_to_a_page_and_a_place(site):
    missing = set()
    for path, page in site.items():
        for link in page.linked:
            if re.match(r"[a-z]+:", link):
                continue
            name, _, place = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            if not target.exists() or (place and target in site and place not in site[target].ids):
                missing.add((path.name, link))
    assert not missing


def test_the_reference_has_what_the_code_has(site):
    pages = {path.stem: path.read_text(encoding="utf-8") for path in site}
    assert "healthval.metrics.auroc" in pages["python"]
    assert 'id="healthval-report-order"' in pages["commands"]
    assert "reference_standard" in pages["plan-fields"]
    assert "/v1/predictions" in pages["rest"]
    assert "site_folder" in pages["notebooks"]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Docs as an installation has them; what the command opens is kept."""
    opened = []
    monkeypatch.setattr("healthval.files.packaged", lambda name: tmp_path)
    monkeypatch.setattr("click.launch", opened.append)
    (tmp_path / "aws.md").write_text("# On AWS\n", encoding="utf-8")
    return tmp_path, opened


def test_the_pages_open_in_a_browser(installed):
    folder, opened = installed
    html = folder / "_build" / "html"
    html.mkdir(parents=True)
    for name in ("index", "aws"):
        (html / f"{name}.html").write_text("<p>", encoding="utf-8")
    for words, name in ((["--html"], "index"), (["aws", "--html"], "aws")):
        done = CliRunner().invoke(cli, ["docs", *words])
        assert done.exit_code == 0, done.output
        assert opened.pop() == (html / f"{name}.html").as_uri() == done.output.strip()
    done = CliRunner().invoke(cli, ["docs", "../aws", "--html"])
    assert isinstance(done.exception, UsageError)
    assert not opened


def test_an_installation_without_html_pages_names_the_remedy(installed):
    done = CliRunner().invoke(cli, ["docs", "--html"])
    assert isinstance(done.exception, UsageError)
    assert "make docs" in str(done.exception)
