"""A standing order on a real hub: hospitals submit; the hub pools, reports, signs and publishes.

The embedded hub makes the report itself, the hub on AWS in its worker, by the table's stream.
"""

import json
import time

import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.client import Client, Credential, published_keys
from healthval.contracts.access import AccessDecision, VendorKey
from healthval.plan import load_plan
from healthval.report.proof.trust import verify_by_hub

WAIT_SECONDS = 600
PLAN = """
study: tumour-order
title: Tumours at two hospitals
target_condition: a malignant tumour
reference_standard: histology of the tumour
model: {name: tumour, version: "1.0"}
table:
  columns:
    case: {kind: id}
    histology: {kind: label, positive: [malignant], negative: [benign]}
    size: {kind: number, low: 0, high: 100}
inputs: [size]
"""


@pytest.fixture
def place(hub, operator, operator_key, model, tmp_path):
    if [key.purpose for key in published_keys(hub.url).keys].count("report") < 2:
        pytest.skip("this hub has no key for reports")
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN, encoding="utf-8")
    yield ["--hub", hub.url, "--key", str(operator_key)], plan
    CliRunner().invoke(
        cli,
        ["report", "order", str(plan), "--cancel", "--hub", hub.url, "--key", str(operator_key)],
    )


def settled(operator, plan_hash, state):
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        (found,) = [o for o in operator.report_orders() if o.plan_hash == plan_hash]
        if found.state == state:
            return found
        assert found.state != "failed", found.reason
        time.sleep(0.2)
    raise AssertionError(found)


def test_results_that_count_make_a_signed_report(
    kit, place, hub, operator, model, new_site, tmp_path
):
    where, path = place
    plan = load_plan(path)
    given = CliRunner().invoke(cli, ["report", "order", str(path), "--min-sites", "2", *where])
    assert given.exit_code == 0, given.output
    settled(operator, plan.hash, "waiting")
    for i, label in enumerate(("North", "South")):
        site = new_site()
        grant = site.request_access(label=label, **plan.subject)
        operator.decide_access(grant, AccessDecision(status="approved"))
        site.submit(kit.payload(model.digest, n=120 + i, subject=plan.subject))
    made = settled(operator, plan.hash, "made")

    vendor = Credential.create(tmp_path / "vendor.key")
    key = VendorKey(public_key=vendor.public_key, label="V", models=("tumour",))
    operator.enrol_vendor(key)
    with Client(hub.url, vendor) as client:
        (record,) = [r for r in client.reports() if r.id == made.report]
        assert (record.n_sites, record.status) == (2, "current")
        folder = tmp_path / "report"
        folder.mkdir()
        for name in record.files:
            (folder / name).write_bytes(client.report_file(record, name))
    verified = verify_by_hub(folder, hub.url, published_keys(hub.url))
    assert verified.trusted_as is not None
    numbers = json.loads((folder / "metrics.json").read_bytes())
    assert {site["site"] for site in numbers["study"]["sites"]} == {"North", "South"}
    listed = CliRunner().invoke(cli, ["report", "orders", *where])
    assert made.report in listed.output
