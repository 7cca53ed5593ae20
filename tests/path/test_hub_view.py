"""The page for a privacy officer has all that left, and nothing of a patient."""

import json
import re
from html import unescape

import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.client import Client
from healthval.cohort import read_table
from healthval.disclosure import release
from healthval.errors import LedgerError
from healthval.evaluation import Site, evaluate, gate_policy, newest_release


@pytest.fixture
def home(stage, tmp_path):
    """A site that sent inputs and has a release."""
    site = stage.approved_site(tmp_path / "site")
    cohort = read_table(stage.inputs / "north" / "cohort.csv", stage.plan.table)
    with Client(stage.url, site.credential) as client:
        result = evaluate(stage.plan, cohort, client)
    release(result, gate_policy(stage.plan), site.ledger)
    return site


def exported(site, path):
    done = CliRunner().invoke(cli, ["ledger", "export", str(site.folder), str(path)])
    assert done.exit_code == 0, done.output
    return path.read_text(encoding="utf-8")


def test_the_page_has_what_the_hub_has(stage, home, tmp_path):
    page = exported(home, tmp_path / "page.html")
    text = unescape(page)
    assert home.credential.id in text
    assert stage.plan.hash in text
    assert stage.plan.title in text
    grant = next(g for g in stage.operator.access_requests() if g.site == home.credential.id)
    assert grant.plan_hash in text
    sent = [e.body for e in home.ledger.entries() if e.kind == "payload"]
    assert f"<td>{sum(body['n_cases'] for body in sent):,}</td>" in page
    assert ", ".join(sorted(stage.plan.inputs)) in ", ".join(sorted(sent[0]["fields"]))
    assert ", ".join(sent[0]["fields"]) in text
    whole = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL).group(1)
    assert json.loads(unescape(whole)) == json.loads(newest_release(home).payload)
    assert all(entry.body["sha256"] in page for entry in home.ledger.entries())
    assert "The chain of" in text
    assert "<script" not in page


def test_no_identifier_and_no_pseudonym_of_a_patient_is_on_the_page(stage, home, tmp_path):
    page = exported(home, tmp_path / "page.html")
    rows = (stage.inputs / "north" / "cohort.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert not [row for row in rows if row.split(",")[0] in page]
    assert not re.search(r"case-[0-9a-f]{16}", page)
    entry = next(e for e in home.ledger.entries() if e.kind == "release")
    assert not [digest for digest in entry.body["cohort"] if digest in page]


def test_a_broken_chain_gives_no_page(home, tmp_path):
    ledger = home.folder / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"n_cases":', b'"n_cases":1', 1))
    done = CliRunner().invoke(
        cli, ["ledger", "export", str(home.folder), str(tmp_path / "page.html")]
    )
    assert isinstance(done.exception, LedgerError)
    assert not (tmp_path / "page.html").exists()


def test_a_new_site_has_an_empty_page(tmp_path):
    page = exported(Site.create(tmp_path / "new"), tmp_path / "page.html")
    assert page.count("<p>Nothing.</p>") == 3


def test_a_plan_of_another_version_of_the_package_is_named_as_unreadable(stage, home, tmp_path):
    kept = home.folder / "plans" / f"{stage.plan.hash}.json"
    kept.write_text('{"study": 1}', encoding="utf-8")
    assert "the plan's text kept here cannot be read" in unescape(
        exported(home, tmp_path / "p.html")
    )
