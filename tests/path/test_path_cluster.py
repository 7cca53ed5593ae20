"""Predictions by the workers of a Dask cluster: the result of one machine, also when one is killed."""

import threading
import time

import pytest
from dask_cluster import cluster

from healthval.client import Client
from healthval.cohort import read_table
from healthval.errors import UsageError
from healthval.evaluation import Site, evaluate
from healthval.predict import predictions


def payloads(site):
    return [e.body["sha256"] for e in site.ledger.entries() if e.kind == "payload"]


def result_of(stage, site, **more):
    cohort = read_table(stage.inputs / "north" / "cohort.csv", stage.plan.table)
    with Client(stage.url, site.credential) as client:
        return evaluate(stage.plan, cohort, client, site=site, **more)


def test_workers_of_a_cluster_give_the_result_of_one_machine(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, "BATCH", 5)
    site = stage.approved_site(tmp_path / "site")
    here = result_of(stage, site)
    sent = payloads(site)
    site.answers.path.unlink()
    site = Site.open(tmp_path / "site")
    with cluster(tmp_path) as found:

        def kill_one():
            while len(payloads(site)) < len(sent) + 12:
                time.sleep(0.01)
            found.kill(found.workers[0])

        thread = threading.Thread(target=kill_one, daemon=True)
        thread.start()
        far = result_of(stage, site, scheduler=found.address)
        thread.join()
        seen = found.seen()
    assert far.evaluation == here.evaluation
    assert far.scores == here.scores
    recorded = payloads(site)[len(sent) :]  # the canary cases halfway are between other batches
    assert sorted(recorded) == sorted(sent), "each payload is recorded once"
    rows = (stage.inputs / "north" / "cohort.csv").read_text(encoding="utf-8").splitlines()
    patients = [row.split(",")[0] for row in rows[1:]]
    assert "healthval-" in seen
    assert not [patient for patient in patients if len(patient) > 5 and patient in seen]


def test_an_error_of_a_worker_keeps_its_kind_and_message(stage, tmp_path):
    site = stage.approved_site(tmp_path / "site")
    site.credential.path = tmp_path / "gone.key"
    with cluster(tmp_path, workers=1) as found, pytest.raises(UsageError) as refused:
        result_of(stage, site, scheduler=found.address)
    assert "no key at this path" in str(refused.value)
