"""`healthval access` over a real hub: a site requests, the operator decides, a site sees only its own."""

from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.errors import UsageError
from healthval.evaluation import Site
from healthval.runner.operator_tasks import by_label


def access(stage, *words):
    return CliRunner().invoke(cli, ["access", *words[:1], "--hub", stage.url, *words[1:]])


def decide(stage, *words):
    return access(stage, "decide", "--key", str(stage.folder / "operator.key"), *words)


@pytest.fixture
def site(stage, tmp_path):
    """A new site that has requested access by the command line."""
    plan = str(stage.inputs / "plan.yaml")
    home = tmp_path / "site"
    words = ("--site", str(home), "--plan", plan, "--label", "Test site")
    asked = access(stage, "request", "--new-site", *words)
    assert asked.exit_code == 0, asked.output
    assert "requested" in asked.output
    return Site.open(home)


def listed(stage, site):
    shown = access(stage, "list", "--key", str(site.folder / "site.key")).output.splitlines()
    assert [line.split()[0] for line in shown] == [site.credential.id]
    return shown[0].split()[1]


def test_a_request_is_approved_and_revoked_once_each(stage, site):
    assert listed(stage, site) == "requested"
    for status, remaining in (("approved", "pending"), ("revoked", "approved")):
        assert status in decide(stage, site.credential.id, status).output
        assert listed(stage, site) == status
        again = decide(stage, site.credential.id, status)
        assert isinstance(again.exception, UsageError)
        assert f"no {remaining} request" in str(again.exception)


def test_a_rejected_request_cannot_be_revoked(stage, site):
    assert "rejected" in decide(stage, site.credential.id, "rejected").output
    refused = decide(stage, site.credential.id, "revoked")
    assert isinstance(refused.exception, UsageError)
    assert listed(stage, site) == "rejected"


def test_submissions_of_two_sites_with_one_label_stay_apart():
    same = [SimpleNamespace(site=f"site-{c}", label="North", submission=c) for c in "ba"]
    other = SimpleNamespace(site="site-c", label="South", submission="c")
    assert by_label([*same, other]) == {"North": "a", "North (2)": "b", "South": "c"}


def test_a_lost_secret_beside_a_ledger_is_noticed(tmp_path):
    site = Site.create(tmp_path / "site")
    site.ledger.record_payload(sha256="0" * 64, n_bytes=1, n_cases=1, model="m1", version="1.0")
    (tmp_path / "site" / "deid.secret").unlink()
    with pytest.raises(UsageError, match="restore the file"):
        Site.create(tmp_path / "site")
