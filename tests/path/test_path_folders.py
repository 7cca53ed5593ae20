"""A mistyped folder is refused with its place: no site is created, no file written, nothing sent."""

import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.credential import Credential
from healthval.errors import UsageError
from healthval.evaluation import Site
from healthval.runner import EvaluateParameters


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder that is no site, as the current one."""
    folder = tmp_path / "desk"
    (folder / "post").mkdir(parents=True)
    (folder / "post" / "note.txt").write_text("invented", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def contents(folder):
    return sorted(folder.rglob("*"))


COMMANDS = (
    "release {}",
    "ledger show {}",
    "ledger verify {}",
    "ledger export {} page.html",
    "submit {} --hub http://127.0.0.1:1",
)


@pytest.mark.parametrize("lost", ["siet", "post", "far/siet"])
@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_on_a_mistyped_site_creates_nothing(desk, words, lost):
    before = contents(desk)
    refused = CliRunner().invoke(cli, words.format(lost).split())
    assert isinstance(refused.exception, UsageError)
    message = str(refused.exception)
    assert lost.rpartition("/")[2] in message
    assert str((desk / lost).parent) in message
    assert contents(desk) == before


def test_only_new_site_creates_a_hospital(stage, desk):
    words = ["access", "request", "--hub", stage.url, "--site", "siet", "--label", "Test site"]
    words += ["--plan", str(stage.inputs / "plan.yaml")]
    before, known = contents(desk), len(stage.operator.access_requests())
    refused = CliRunner().invoke(cli, words)
    assert "--new-site" in str(refused.exception)
    assert (contents(desk), len(stage.operator.access_requests())) == (before, known)
    assert CliRunner().invoke(cli, [*words, "--new-site"]).exit_code == 0
    key = Credential.load(desk / "siet" / "site.key")
    for again in (words, [*words, "--new-site"]):
        assert CliRunner().invoke(cli, again).exit_code == 0
        assert Site.open(desk / "siet").credential.id == key.id


@pytest.mark.parametrize("name", ["site_folder", "plan", "table", "images", "resources", "linked"])
def test_a_mistyped_parameter_stops_the_notebook_before_it_asks(stage, desk, name):
    site = Site.create(desk / "site")
    lost = {"drawn": "loss"} if name == "linked" else "loss"
    values = stage.parameters(site.folder, **{name: lost})
    with pytest.raises(UsageError, match=r"loss.*looked in") as refused:
        EvaluateParameters.from_notebook(values)
    assert str(desk) in str(refused.value)


@pytest.mark.parametrize("create", [Site.open, Site.create])
def test_a_site_that_lost_its_key_gets_no_new_one(tmp_path, create):
    site = Site.create(tmp_path / "site")
    site.ledger.record_payload(sha256="0" * 64, n_bytes=1, n_cases=1, model="m1", version="1.0")
    (site.folder / "site.key").unlink()
    before = contents(site.folder)
    with pytest.raises(UsageError, match=r"site\.key"):
        create(site.folder)
    assert contents(site.folder) == before
