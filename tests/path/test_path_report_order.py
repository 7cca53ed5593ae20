"""A standing order: hospitals submit, the hub itself pools, reports, signs and publishes."""

import json
import time

from click.testing import CliRunner

from healthval.cli import cli
from healthval.client import Client, Credential, published_keys
from healthval.cohort import read_table
from healthval.contracts.access import VendorKey
from healthval.disclosure import release
from healthval.evaluation import evaluate, gate_policy, newest_release
from healthval.report.proof.trust import verify_by_hub
from healthval.submit import submit

WAIT_SECONDS = 300
SITES = ("north", "harbour")


def settled(stage, state):
    """Wait until the only standing order is in a state."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        (found,) = stage.operator.report_orders()
        if found.state == state:
            return found
        assert found.state != "failed", found.reason
        time.sleep(0.2)
    raise AssertionError(found)


def send(stage, folder, name):
    site = stage.approved_site(folder, label=name)
    cohort = read_table(stage.inputs / name / "cohort.csv", stage.plan.table)
    with Client(stage.url, site.credential) as client:
        release(evaluate(stage.plan, cohort, client), gate_policy(stage.plan), site.ledger)
        submit(newest_release(site), client, site.ledger, confirm=lambda _: True)


def test_a_result_that_counts_makes_the_next_report(own_stage, tmp_path):
    stage = own_stage
    plan = stage.inputs / "plan.yaml"
    place = ["--hub", stage.url, "--key", str(stage.folder / "operator.key")]
    given = CliRunner().invoke(cli, ["report", "order", str(plan), "--min-sites", "2", *place])
    assert given.exit_code == 0, given.output
    assert "due" in given.output or "waiting" in given.output
    settled(stage, "waiting")
    send(stage, tmp_path / "north", SITES[0])
    assert settled(stage, "waiting").report is None
    assert stage.operator.reports() == ()

    send(stage, tmp_path / "harbour", SITES[1])
    made = settled(stage, "made")
    vendor = Credential.create(tmp_path / "vendor.key")
    key = VendorKey(public_key=vendor.public_key, label="V", models=(stage.plan.model.name,))
    stage.operator.enrol_vendor(key)
    with Client(stage.url, vendor) as client:
        (record,) = client.reports()
        assert record.id == made.report
        assert record.n_sites == 2
        folder = tmp_path / "report"
        folder.mkdir()
        for name in record.files:
            (folder / name).write_bytes(client.report_file(record, name))
    assert verify_by_hub(folder, stage.url, published_keys(stage.url)).trusted_as is not None
    numbers = json.loads((folder / "metrics.json").read_bytes())
    assert {site["site"] for site in numbers["study"]["sites"]} == {"north", "harbour"}

    cancelled = CliRunner().invoke(cli, ["report", "order", str(plan), "--cancel", *place])
    assert "cancelled" in cancelled.output
    listed = CliRunner().invoke(cli, ["report", "orders", *place])
    assert "cancelled" in listed.output
