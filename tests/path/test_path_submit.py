"""Submission: shown first, confirmed by a person or a hash, stopped by a broken ledger."""

import json
import os
import re
import sys

import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.client import Client
from healthval.cohort import read_table
from healthval.disclosure import Ledger, release
from healthval.errors import LedgerError, ReportError, SubmissionError
from healthval.evaluation import evaluate, gate_policy, newest_release
from healthval.files import install_command
from healthval.report.forms.site import site_report
from healthval.runner import EvaluateParameters, ReportParameters
from healthval.runner.submission import outcome_of
from healthval.submit import submit


@pytest.fixture
def home(stage, tmp_path):
    """A site with a release that is not sent yet."""
    site = stage.approved_site(tmp_path / "site")
    cohort = read_table(stage.inputs / "north" / "cohort.csv", stage.plan.table)
    with Client(stage.url, site.credential) as client:
        result = evaluate(
            stage.plan, cohort, client
        )  # the folder of the client's key is the site's
    release(result, gate_policy(stage.plan), site.ledger)
    return site


def sent(stage, site):
    return [
        s for s in stage.operator.submissions(**stage.plan.subject) if s.site == site.credential.id
    ]


def test_without_a_yes_nothing_is_sent(stage, home):
    result = CliRunner().invoke(cli, ["submit", str(home.folder), "--hub", stage.url], input="n\n")
    assert isinstance(result.exception, SubmissionError)
    assert "cases     174" in re.sub(r"  +", "     ", result.output)
    assert "Withheld" in result.output
    assert not sent(stage, home)


def test_a_yes_sends_exactly_what_was_shown(stage, home):
    result = CliRunner().invoke(cli, ["submit", str(home.folder), "--hub", stage.url], input="y\n")
    assert result.exit_code == 0, result.output
    assert [s.payload for s in sent(stage, home)] == [newest_release(home).payload]


def test_yes_by_hash_needs_the_hash_that_release_printed(stage, home):
    wrong = CliRunner().invoke(
        cli, ["submit", str(home.folder), "--hub", stage.url, "--yes", "0" * 64]
    )
    assert isinstance(wrong.exception, SubmissionError)
    assert not sent(stage, home)
    shown = CliRunner().invoke(cli, ["release", str(home.folder)])
    sha256 = re.search(r"sha256\s+(\w{64})", shown.output).group(1)
    right = CliRunner().invoke(
        cli, ["submit", str(home.folder), "--hub", stage.url, "--yes", sha256]
    )
    assert right.exit_code == 0
    again = CliRunner().invoke(
        cli, ["submit", str(home.folder), "--hub", stage.url, "--yes", sha256]
    )
    assert "had it already" in again.output
    assert len(sent(stage, home)) == 1


def test_the_message_is_printed_as_it_is_sent_on_request(home):
    shown = CliRunner().invoke(cli, ["release", str(home.folder), "--json"])
    message = newest_release(home)
    assert shown.stdout.strip().encode() == message.payload
    assert json.loads(shown.stdout)["n"] == message.submission.n
    assert message.sha256 in shown.stderr


@pytest.mark.parametrize("send", [False, True])
def test_a_finished_evaluation_reports_its_result_and_the_next_command(stage, home, send):
    values = stage.parameters(home.folder, send=send)
    shown = "\n".join(outcome_of(EvaluateParameters.check(values)))
    sent = newest_release(home).submission
    assert f"AUROC {sent.auroc.value:.2f} ({sent.auroc.lo:.2f}" in shown
    assert f"cases {sent.n}" in shown
    assert ("nothing was sent" in shown) != send
    assert ("healthval submit" in shown) != send


def test_a_finished_report_without_a_pdf_gives_the_reason(stage, monkeypatch, tmp_path):
    values = {"hub_url": stage.url, "operator_key": stage.folder / "operator.key"}
    values |= {"plan": stage.inputs / "plan.yaml", "out": tmp_path}
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    shown = "\n".join(outcome_of(ReportParameters.check(values)))
    assert f"no PDF:   the PDF needs WeasyPrint: {install_command('pdf')};" in shown


def test_a_changed_ledger_stops_sending(stage, home):
    path = home.folder / "ledger.jsonl"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"n_cases":174', '"n_cases":173', 1),
        encoding="utf-8",
    )
    result = CliRunner().invoke(cli, ["submit", str(home.folder), "--hub", stage.url], input="y\n")
    assert isinstance(result.exception, LedgerError)
    assert not sent(stage, home)


def test_a_release_that_the_ledger_does_not_hold_is_not_sent(stage, home, tmp_path):
    message = newest_release(home)
    with Client(stage.url, home.credential) as client, pytest.raises(LedgerError, match="not in"):
        submit(message, client, Ledger(tmp_path / "other.jsonl"), confirm=lambda _: True)
    assert not sent(stage, home)


def test_a_ledger_changed_behind_an_open_one_stops_sending_too(stage, home):
    """The size and the time of the file are unchanged: only a new reading shows the change."""
    message, path = newest_release(home), home.ledger.path
    before = path.stat()
    path.write_text(
        path.read_text(encoding="utf-8").replace('"n_cases":174', '"n_cases":173', 1),
        encoding="utf-8",
    )
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with Client(stage.url, home.credential) as client, pytest.raises(LedgerError):
        submit(message, client, home.ledger, confirm=lambda _: True)
    assert not sent(stage, home)


def test_a_ledger_that_was_rolled_back_or_replaced_sends_nothing_more(stage, home, tmp_path):
    files = sorted(home.folder.glob("ledger.*"))
    kept = {path: path.read_bytes() for path in files}
    message = newest_release(home)
    cohort = read_table(stage.inputs / "north" / "cohort.csv", stage.plan.table)
    with Client(stage.url, home.credential) as client:
        assert client.ledger_head() is None
        submit(message, client, home.ledger, confirm=lambda _: True)
        first = client.ledger_head()
        assert first == home.ledger.verify().head
        evaluate(stage.plan, cohort, client)
        submit(message, client, home.ledger, confirm=lambda _: True)
        assert client.ledger_head() == home.ledger.verify().head != first
        for path, content in kept.items():
            path.write_bytes(content)
        with pytest.raises(LedgerError, match="rolled back"):
            submit(message, client, Ledger(home.ledger.path), confirm=lambda _: True)


def test_a_table_in_another_order_gives_the_same_release(stage, home, tmp_path):
    """Fresh noise about the same patients could be averaged away."""
    text = (stage.inputs / "north" / "cohort.csv").read_text(encoding="utf-8")
    head, *rows = text.splitlines()
    turned = tmp_path / "turned.csv"
    turned.write_text("\n".join([head, *reversed(rows)]) + "\n", encoding="utf-8")
    with Client(stage.url, home.credential) as client:
        result = evaluate(stage.plan, read_table(turned, stage.plan.table), client)
    again = release(result, gate_policy(stage.plan), home.ledger)
    assert again.sha256 == newest_release(home).sha256
    assert len([e for e in home.ledger.entries() if e.kind == "release"]) == 1


def test_a_site_reports_its_own_release_to_itself(stage, home):
    command = ["report", "site", "--hub", stage.url, "--site", str(home.folder)]
    command += ["--plan", str(stage.inputs / "plan.yaml"), "--label", "Hôpital 北"]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    page = (home.folder / "report" / "site-report.html").read_text(encoding="utf-8")
    assert "at Hôpital 北" in page
    assert "Report for the hospital itself" in page
    assert newest_release(home).submission.plan_hash in page
    assert not sent(stage, home)


def test_a_site_report_is_made_from_a_release_only(stage, home):
    message = newest_release(home).submission
    with pytest.raises(ReportError, match="made from a release"):
        site_report(message, stage.plan, None, label="Our hospital")
