"""Three hospitals, resources and films, one model behind a real hub, one pooled result."""

import json
import shutil
from dataclasses import asdict

import combined_study
import pytest
import yaml

from healthval.aggregate import pool
from healthval.client import Client, Credential, published_keys
from healthval.cohort import Eligibility, read_cohort
from healthval.cohort.tables import read_source
from healthval.contracts.access import AccessDecision
from healthval.demo import synthetic
from healthval.demo.embedded_hub import embedded_hub
from healthval.disclosure import release
from healthval.errors import CohortError
from healthval.evaluation import Site, evaluate, gate_policy, request_access, submit_if
from healthval.files import packaged
from healthval.plan import load_plan
from healthval.plan_versions import versions_of
from healthval.report import conduct_at
from healthval.report.proof.registration import registration_lines
from healthval.runner.provision import pack_artefact, read_registration

TABLE = combined_study.SCHEMA.model_copy(
    update={
        "columns": combined_study.SCHEMA.columns
        | {"opacity": combined_study.OPACITY.columns["opacity"]}
    }
)
ELIGIBILITY = (
    Eligibility(step="adults", column="age", low=18),
    Eligibility(step="with_lactate", column="lactate", present=True),
    Eligibility(step="with_film", column="opacity", present=True),
)
PLAN = {
    "study": "film-test",
    "title": "Film Risk at three invented hospitals",
    "target_condition": "pneumonia",
    "reference_standard": "verdict of a radiologist",
    "model": {"name": "film-risk", "version": "1.0"},
    "table": TABLE.model_dump(mode="json", exclude_defaults=True),
    "inputs": list(combined_study.FEATURES),
    "eligibility": [e.model_dump(mode="json", exclude_defaults=True) for e in ELIGIBILITY],
    "thresholds": [0.4],
    "subgroups": ["sex"],
}
REGISTRATION = {
    "card": {
        "name": "film-risk",
        "version": "1.0",
        "title": "Film Risk",
        "developer": "Test Vendor",
        "intended_use": "Shows the path of resources and films into one model.",
        "target_condition": "pneumonia",
    },
    "inputs": {"kind": "table", "fields": [{"name": name} for name in combined_study.FEATURES]},
}
SITES = ("north", "harbour", "valley")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    Credential.create(folder / "operator.key")
    vendor = folder / "vendor"
    shutil.copytree(packaged("examples") / "vendor" / "artefact", vendor / "artefact")
    (vendor / "artefact" / "weights.json").write_text(
        json.dumps(combined_study.VENDOR_WEIGHTS), encoding="utf-8"
    )
    (vendor / "registration.yaml").write_text(yaml.safe_dump(REGISTRATION), encoding="utf-8")
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN), encoding="utf-8")
    registration = read_registration(vendor / "registration.yaml", vendor / "artefact")
    with (
        embedded_hub(folder / "data", folder / "operator.key.pub") as url,
        Client(url, Credential.load(folder / "operator.key")) as operator,
    ):
        operator.register_model(registration, pack_artefact(vendor / "artefact"))
        operator.start_model("film-risk", "1.0")
        yield url, operator, load_plan(folder / "plan.yaml")
    shutil.rmtree(folder, ignore_errors=True)


def test_resources_and_films_of_three_hospitals_become_one_pooled_result(hub, tmp_path):
    url, operator, plan = hub
    submissions, planted = [], set()
    for seed, label in enumerate(SITES):
        files = synthetic.write_site(tmp_path / label, n=110, seed=seed, prevalence=0.4)
        site = Site.create(tmp_path / label / "site")
        with Client(url, site.credential) as client:
            grant = request_access(plan, client, site=site, label=label)
            operator.decide_access(grant, AccessDecision(status="approved"))
            cohort = read_site(files, plan)
            assert cohort.flow[0][1] == 112
            result = evaluate(plan, cohort, client, site=site)
            sent = release(result, gate_policy(plan), site.ledger)
            assert submit_if(True, sent, client, site)
        submissions.append((label, sent.submission))
        planted |= set(planted_values(files))
    study = pool(submissions)
    # After noise a small hospital may have an area of 1, which has no place in a logit mean.
    assert study.auroc.k in {1, 2, 3}
    assert all(0.5 < site.value <= 1 for site in study.auroc.sites)
    assert study.auroc.k < 3 or 0.7 < study.auroc.value < 1
    left = json.dumps([s.model_dump(mode="json") for _, s in submissions])
    assert not [value for value in planted if value in left]


def test_the_hub_countersigns_each_version_before_data_are_read(hub, tmp_path):
    url, operator, plan = hub
    changed = plan.model_copy(update={"thresholds": (0.3,)})
    files = synthetic.write_site(tmp_path / "moor", n=60, seed=7, prevalence=0.4)
    site = Site.create(tmp_path / "moor" / "site")
    with Client(url, site.credential) as client:
        grant = request_access(plan, client, site=site, label="moor")
        operator.decide_access(grant, AccessDecision(status="approved"))
        evaluate(plan, read_site(files, plan), client, site=site)
        site.amend(changed, "The committee asked for a lower threshold.")
        request_access(changed, client, site=site, label="moor")
    first, second = versions_of(site.folder, plan.study)
    assert first.stamp.at <= first.evaluated
    assert (second.stamp.sha256, second.evaluated) == (changed.hash, None)
    conduct = conduct_at(operator, changed)
    (hospital,) = [h for h in conduct.hospitals if h.label == "moor"]
    assert [v.plan_hash for v in hospital.plans] == [plan.hash, changed.hash]
    assert hospital.plans[0].registered <= hospital.plans[0].first_prediction
    assert hospital.plans[1].reason == "The committee asked for a lower threshold."
    (tmp_path / "metrics.json").write_text(json.dumps({"conduct": asdict(conduct)}), "utf-8")
    shown = registration_lines(tmp_path, published_keys(url))
    assert sum("signature valid" in line for line in shown) == 2


def read_site(files, plan):
    films = combined_study.read_opacities(files.images)
    table = read_source(files.labels).merge(
        films, how="left", left_on="accession", right_on="accession_number"
    )
    return read_cohort(
        plan.table,
        table=table,
        resources=files.bundles,
        fhir=combined_study.VIEWS,
        eligibility=ELIGIBILITY,
    )


def planted_values(files):
    for path in sorted(files.bundles.glob("*.json"))[:20]:
        patient = json.loads(path.read_text(encoding="utf-8"))["entry"][0]["resource"]
        yield from (patient["id"], patient["birthDate"], patient["name"][0]["family"])


def test_a_broken_label_table_sends_nothing(hub, tmp_path):
    plan = hub[2]
    files = synthetic.write_site(tmp_path / "x", n=30, seed=9)
    shutil.copy(files.labels_with_errors, files.labels)
    site = Site.create(tmp_path / "site")
    with pytest.raises(CohortError, match="first at row"):
        read_site(files, plan)
    assert site.ledger.entries() == ()
