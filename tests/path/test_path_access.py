"""`healthval access` over a real hub: a site requests, the operator decides, a site sees only its own."""

import re

import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.contracts.access import VendorKey
from healthval.credential import Credential
from healthval.errors import UsageError
from healthval.evaluation import Site
from healthval.plan import load_plan


def access(stage, *words):
    return CliRunner().invoke(cli, ["access", *words[:1], "--hub", stage.url, *words[1:]])


def decide(stage, command, *words, answer=None):
    key = str(stage.folder / "operator.key")
    line = ["access", command, "--hub", stage.url, "--key", key, *words]
    return CliRunner().invoke(cli, line, input=answer)


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


def statuses(stage, site):
    """Status by the first digits of the plan's hash, as the operator sees it."""
    found = (g for g in stage.operator.access_requests() if g.site == site.credential.id)
    return {grant.plan_hash[:12]: grant.status for grant in found}


@pytest.fixture
def two_plans(stage, site, tmp_path):
    """Hashes of two plans for which the site has asked."""
    other = tmp_path / "other.yaml"
    text = (stage.inputs / "plan.yaml").read_text(encoding="utf-8")
    other.write_text(re.sub(r"(?m)^title:.*$", "title: A second question", text), encoding="utf-8")
    words = ("--site", str(site.folder), "--plan", str(other), "--label", "Test site")
    assert access(stage, "request", *words).exit_code == 0
    return stage.plan.hash, load_plan(other).hash


def test_a_request_is_approved_and_revoked_once_each(stage, site):
    assert listed(stage, site) == "requested"
    for command, status, remaining in (
        ("approve", "approved", "pending"),
        ("revoke", "revoked", "approved"),
    ):
        assert status in decide(stage, command, site.credential.id, answer="y\n").output
        assert listed(stage, site) == status
        again = decide(stage, command, site.credential.id, answer="y\n")
        assert isinstance(again.exception, UsageError)
        assert f"no {remaining} request" in str(again.exception)


def test_a_denied_request_cannot_be_revoked(stage, site):
    denied = decide(stage, "deny", site.credential.id, "--reason", "Another plan was agreed")
    assert "rejected" in denied.output
    assert "Another plan was agreed" in denied.output
    refused = decide(stage, "revoke", site.credential.id, answer="y\n")
    assert isinstance(refused.exception, UsageError)
    assert listed(stage, site) == "rejected"


def test_the_list_tells_plans_apart_by_title_hash_and_day(stage, site, two_plans):
    shown = access(stage, "list", "--key", str(site.folder / "site.key")).output
    assert all(plan[:12] in shown for plan in two_plans)
    assert shown.count(stage.plan.title) == shown.count('"A second question"') == 1
    assert len(re.findall(r"  20\d\d-\d\d-\d\d  ", shown)) == 2


def test_one_decision_is_about_one_plan(stage, site, two_plans):
    first, second = (plan[:12] for plan in two_plans)
    unnamed = decide(stage, "approve", site.credential.id)
    assert "2 pending requests from that site; name one by --plan" in str(unnamed.exception)
    for wrong in ("f" * 64, first[:7], "z" * 12):
        assert decide(stage, "approve", site.credential.id, "--plan", wrong).exit_code
    assert statuses(stage, site) == {first: "requested", second: "requested"}
    assert not decide(stage, "approve", site.credential.id, "--plan", second[:8]).exit_code
    assert statuses(stage, site) == {first: "requested", second: "approved"}


def test_an_approval_is_renewed_and_a_denial_withdrawn_under_the_named_plan(stage, site):
    of_plan = ("--plan", stage.plan.hash[:12])
    assert decide(stage, "deny", site.credential.id).exit_code == 0
    for cases in ("50", "70"):
        done = decide(stage, "approve", site.credential.id, *of_plan, "--cases", cases)
        assert f"0 of {cases} cases until 20" in done.output
    unnamed = decide(stage, "approve", site.credential.id)
    assert "--plan HASH renews an approval" in str(unnamed.exception)
    assert decide(stage, "revoke", site.credential.id, answer="y\n").exit_code == 0
    final = decide(stage, "approve", site.credential.id, *of_plan)
    assert "no pending request from that site under that plan" in str(final.exception)


def test_an_approval_has_the_operators_limits(stage, site):
    assert not decide(
        stage, "approve", site.credential.id, "--cases", "250", "--days", "3"
    ).exit_code
    found = [g for g in stage.operator.access_requests() if g.site == site.credential.id]
    assert [(g.status, g.max_cases) for g in found] == [("approved", 250)]
    assert decide(stage, "approve", site.credential.id, "--cases", "0").exit_code


@pytest.mark.parametrize("answer", ["n\n", "", "\n"])
def test_a_revocation_is_asked_for_first(stage, site, answer):
    decide(stage, "approve", site.credential.id)
    assert decide(stage, "revoke", site.credential.id, answer=answer).exit_code
    assert listed(stage, site) == "approved"
    assert not decide(stage, "revoke", site.credential.id, "--yes").exit_code
    assert listed(stage, site) == "revoked"


def test_a_question_that_nobody_can_answer_is_refused_with_the_option(stage, site):
    decide(stage, "approve", site.credential.id)
    unanswered = decide(stage, "revoke", site.credential.id, answer="")
    assert "no answer could be read, and nothing was done; --yes" in str(unanswered.exception)


def test_an_empty_list_names_the_next_step_beside_the_output(stage, tmp_path):
    vendor = Credential.create(tmp_path / "vendor.key")
    public = vendor.public_key
    stage.operator.enrol_vendor(VendorKey(public_key=public, label="V", models=("nothing-yet",)))
    line = ["report", "list", "--hub", stage.url, "--key", str(vendor.path)]
    shown = CliRunner().invoke(cli, line)
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert "healthval run report" in shown.stderr


def test_a_lost_secret_beside_a_ledger_is_noticed(tmp_path):
    site = Site.create(tmp_path / "site")
    site.ledger.record_payload(sha256="0" * 64, n_bytes=1, n_cases=1, model="m1", version="1.0")
    (tmp_path / "site" / "deid.secret").unlink()
    with pytest.raises(UsageError, match="restore the file"):
        Site.create(tmp_path / "site")
