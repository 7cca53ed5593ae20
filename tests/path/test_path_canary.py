"""One canary per stage: a unique fake patient value goes in, the stage fails, no output contains it.

Outputs are the message, the printed traceback with its chain, log records, warnings and reprs.
"""

import logging
import traceback
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from healthval.aggregate import pool
from healthval.client import Client
from healthval.cohort import read_table
from healthval.contracts.base import canonical_json
from healthval.contracts.submission import Submission
from healthval.deid import Policy, Secret, deidentify_cases, deidentify_resource
from healthval.disclosure import check_arrival, load_policy, release
from healthval.errors import HealthvalError
from healthval.evaluation import Site, evaluate, gate_policy, newest_release
from healthval.metrics import evaluate as evaluate_scores
from healthval.plan import load_plan
from healthval.submit import submit

CANARY = "Zyxwvut^Quibble-90210"


@pytest.fixture(scope="module")
def north(stage):
    return pd.read_csv(stage.inputs / "north" / "cohort.csv", dtype=str)


@pytest.fixture
def judged(stage, north, tmp_path):
    """A site with a finished result."""
    site = stage.approved_site(tmp_path / "site")
    cohort = read_table(north, stage.plan.table)
    with Client(stage.url, site.credential) as client:
        return site, evaluate(stage.plan, cohort, client, site=site)


def silent(caplog, stage_of_the_path):
    """The stage fails with our error, and no output contains the canary."""
    with caplog.at_level(logging.DEBUG), pytest.raises(HealthvalError) as caught:
        stage_of_the_path()
    said = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    # A traceback quotes the source lines of this test; a leaked value would be in the message.
    said = said.replace("CANARY", "")
    assert CANARY not in said
    assert "90210" not in said
    return caught.value


def test_cohort(caplog, stage, north):
    for column in ("mean_texture", "histology", "outline"):
        broken = north.assign(**{column: [CANARY, *north[column][1:]]})
        silent(caplog, lambda broken=broken: read_table(broken, stage.plan.table))


def test_cohort_from_a_file_that_is_no_table(caplog, stage, tmp_path):
    (tmp_path / f"{CANARY}.csv").write_bytes(CANARY.encode("utf-16") * 3)
    silent(caplog, lambda: read_table(tmp_path / f"{CANARY}.csv", stage.plan.table))


def test_deid_of_a_table(caplog, stage, north):
    cohort = read_table(
        north.assign(mrn=[f"{CANARY}{i}" for i in range(len(north))]), stage.plan.table
    )
    assert CANARY not in repr(cohort) + cohort._repr_html_()
    silent(caplog, lambda: deidentify_cases(cohort, ["mrn"], Policy(), Secret(b"s" * 32)))


def test_deid_of_a_resource(caplog):
    resource = {
        "resourceType": "Patient",
        "id": CANARY,
        "modifierExtension": [{"url": CANARY, "valueString": CANARY}],
    }
    silent(caplog, lambda: deidentify_resource(resource, Policy(), Secret(b"s" * 32)))


def test_predict(caplog, stage, north, tmp_path):
    """The site was never approved, so the hub refuses the batch."""
    cohort = read_table(
        north.assign(mrn=[f"{CANARY}{i}" for i in range(len(north))]), stage.plan.table
    )
    site = Site.create(tmp_path / "stranger")
    with Client(stage.url, site.credential) as client:
        silent(caplog, lambda: evaluate(stage.plan, cohort, client, site=site))
    held = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"90210" not in held


def test_metrics(caplog):
    score = np.array([0.2, 90210.25, 0.3, 0.4])
    reference = np.array([True, False, True, False])
    silent(caplog, lambda: evaluate_scores(reference, score, thresholds=(0.5,)))
    labels = np.array([CANARY, "0", "1", "0"])
    silent(
        caplog, lambda: evaluate_scores(labels, np.array([0.2, 0.1, 0.3, 0.4]), thresholds=(0.5,))
    )


def test_disclosure(caplog, stage, judged):
    site, result = judged
    broken = replace(result, flow=((CANARY, 170), *result.flow))
    silent(caplog, lambda: release(broken, gate_policy(stage.plan), site.ledger))
    assert CANARY not in (site.folder / "ledger.jsonl").read_text(encoding="utf-8")


def test_submit_and_arrival(caplog, stage, judged):
    site, result = judged
    release(result, gate_policy(stage.plan), site.ledger)
    message = newest_release(site)
    with Client("http://127.0.0.1:9", site.credential) as client:
        silent(caplog, lambda: submit(message, client, site.ledger, confirm=lambda _: True))
    forged = message.submission.model_dump(mode="json") | {"note": CANARY}
    silent(caplog, lambda: check_arrival(canonical_json(forged), load_policy("cms")))


def test_aggregate(caplog, stage, judged):
    site, result = judged
    release(result, gate_policy(stage.plan), site.ledger)
    one = newest_release(site).submission
    other = Submission.model_validate({**one.model_dump(), "plan_hash": "f" * 64})
    silent(caplog, lambda: pool([(CANARY, one), ("other", other)]))


def test_plan(caplog, tmp_path):
    (tmp_path / "plan.yaml").write_text(f"study: {CANARY}\ntitle: [{CANARY}]\n", encoding="utf-8")
    silent(caplog, lambda: load_plan(tmp_path / "plan.yaml"))
