"""Bundles, films and label tables of three invented hospitals: read, de-identified, released."""

import json
import math

import combined_study
import numpy as np
import pytest
from pydicom import dcmread

from healthval.cohort import Link, link_rows, read_cohort, read_resources, read_table
from healthval.cohort.tables import check_frame
from healthval.contracts.table import Eligibility
from healthval.deid import (
    Policy,
    Secret,
    deidentify,
    deidentify_cases,
    deidentify_resource,
    deidentify_table,
    pseudonym,
)
from healthval.demo import synthetic
from healthval.disclosure import Ledger, load_policy, release
from healthval.errors import CohortError
from healthval.metrics import SiteResult, evaluate, table_one

SECRET = Secret(b"s" * 32)
ADULTS = Eligibility.model_validate({"step": "adults", "column": "age", "low": 18})
COMPLETE = Eligibility.model_validate(
    {"step": "with_lactate", "column": "lactate", "present": True}
)


@pytest.fixture(scope="module", params=[0, 1, 2])
def site(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"site{request.param}")
    return synthetic.write_site(
        folder, n=80, seed=request.param, prevalence=0.3 + 0.1 * request.param
    )


def read(site):
    cohort = read_cohort(
        combined_study.SCHEMA,
        table=site.labels,
        resources=site.bundles,
        fhir=combined_study.VIEWS,
        eligibility=[ADULTS, COMPLETE],
    )
    films = check_frame(combined_study.read_opacities(site.images), combined_study.OPACITY)
    link = Link(on={"accession": "accession_number"})
    return link_rows(cohort, films, combined_study.OPACITY, link, step="with_film")


def vendor_scores(rows):
    w = combined_study.VENDOR_WEIGHTS
    terms = (np.array(rows, dtype=float) - w["mean"]) / w["sd"] * w["coefficients"]
    return 1 / (1 + np.exp(-w["intercept"] - terms.sum(axis=1)))


def test_images_and_resources_feed_one_model(site):
    cohort = read(site)
    assert cohort.flow[:2] == (("rows_read", 82), ("with_resources", 80))
    assert [step for step, _ in cohort.flow] == [
        "rows_read",
        "with_resources",
        "adults",
        "with_lactate",
        "with_film",
    ]
    known = cohort.reference.notna().to_numpy()
    assert cohort.n_indeterminate + cohort.n_missing_reference == (~known).sum() > 0
    judged = cohort.keep("with_reference", known)
    sent = deidentify_cases(judged, combined_study.FEATURES, Policy(), SECRET)
    result = evaluate(
        judged.reference.to_numpy(dtype=bool), vendor_scores(sent.rows), thresholds=(0.4,)
    )
    assert result.auroc.value > 0.75
    text = json.dumps([sent.cases, sent.columns, sent.rows])
    raw = [json.loads(path.read_text(encoding="utf-8")) for path in site.bundles.glob("*.json")]
    for bundle in raw:
        patient = bundle["entry"][0]["resource"]
        for value in (patient["id"], patient["birthDate"], patient["name"][0]["family"]):
            assert value not in text
    assert max(row[0] for row in sent.rows) <= 90
    rows = table_one(
        {"sex": judged.frame["sex"].to_numpy(), "age": judged.levels("age")},
        judged.reference.to_numpy(dtype=bool),
    )
    assert {r.variable for r in rows} == {"sex", "age"}


def test_mistakes_in_the_label_table_are_refused_one_by_one(site):
    messages = []
    for _ in range(3):
        with pytest.raises(CohortError) as caught:
            read_whole(site, repaired(site, messages))
        messages.append(str(caught.value))
    assert len(read_whole(site, repaired(site, messages))) == 80
    for message in messages:
        assert "first at row" in message
        for value in ("maybe", "03/04", "A0"):
            assert value not in message


def read_whole(site, table):
    return read_cohort(
        combined_study.SCHEMA, table=table, resources=site.bundles, fhir=combined_study.VIEWS
    )


def repaired(site, messages):
    import pandas as pd

    broken = pd.read_csv(site.labels_with_errors, dtype=str, keep_default_na=False)
    clean = pd.read_csv(site.labels, dtype=str, keep_default_na=False)
    for message in messages:
        column = message.split("'")[1]
        broken[column] = clean[column]
    return broken


def test_every_resource_can_be_deidentified_and_maps_like_the_table(site):
    n = 0
    for resource in read_resources(site.bundles):
        out = deidentify_resource(resource, Policy(), SECRET)
        text = json.dumps(out)
        for planted in ("Main Street", "555-", "ehr.example.org", "note", *synthetic.FAMILY):
            assert planted not in text
        if resource["resourceType"] == "Patient":
            assert out["id"] == pseudonym(SECRET, "patient", resource["id"])
        n += 1
    assert n == 80 * 6


def test_the_same_seed_writes_the_same_files(tmp_path):
    once, again = (synthetic.write_site(tmp_path / name, n=3, seed=5) for name in "ab")
    for folder in ("bundles", "images"):
        pairs = zip(
            sorted(getattr(once, folder).iterdir()),
            sorted(getattr(again, folder).iterdir()),
            strict=True,
        )
        assert all(a.read_bytes() == b.read_bytes() for a, b in pairs)
    assert once.labels.read_bytes() == again.labels.read_bytes()


def test_the_table_alone_cannot_replace_the_resources(tmp_path):
    site = synthetic.write_site(tmp_path, n=3)
    with pytest.raises(CohortError, match="declared columns are not in the table"):
        read_table(site.labels, combined_study.SCHEMA)
    with pytest.raises(CohortError, match="go together"):
        read_cohort(combined_study.SCHEMA, table=site.labels, resources=site.bundles)
    with pytest.raises(CohortError, match="no source"):
        read_cohort(combined_study.SCHEMA)


def test_a_table_of_other_patients_is_refused(tmp_path):
    here, there = (synthetic.write_site(tmp_path / str(s), n=4, seed=s) for s in (1, 2))
    with pytest.raises(CohortError, match="none of 6 rows"):
        read_cohort(
            combined_study.SCHEMA,
            table=there.labels,
            resources=here.bundles,
            fhir=combined_study.VIEWS,
        )


def test_the_vendors_weights_are_a_probability():
    assert 0 < vendor_scores([[60, 1.5, 80, 30, 420]])[0] < 1
    assert math.isfinite(vendor_scores([[20, 9, 190, 400, 800]])[0])


def judged_result(site):
    cohort = read(site)
    judged = cohort.keep("with_reference", cohort.reference.notna())
    reference = judged.reference.to_numpy(dtype=bool)
    sent = deidentify_cases(judged, combined_study.FEATURES, Policy(), SECRET)
    groups = {"sex": judged.frame["sex"].to_numpy(), "age": judged.levels("age")}
    return SiteResult(
        model="film-risk",
        version="1.0",
        model_digest="a" * 64,
        plan_hash="b" * 64,
        evaluation=evaluate(reference, vendor_scores(sent.rows), thresholds=(0.4,), groups=groups),
        flow=judged.flow,
        dates="removed",
        cohort=frozenset(sent.cases),
        table_one=table_one(groups | {"lactate": judged.frame["lactate"].to_numpy()}, reference),
        n_indeterminate=cohort.n_indeterminate,
        n_missing_reference=cohort.n_missing_reference,
    )


def test_flow_and_table_one_pass_the_gate(site, tmp_path):
    result = judged_result(site)
    sent = release(result, load_policy("cms"), Ledger(tmp_path / "ledger.jsonl")).submission
    steps = [step for step, _ in result.flow]
    shown = [f.step for f in sent.flow]
    assert shown
    assert shown == [step for step in steps if step in shown]
    assert {row.variable for row in sent.table_one} == {"sex", "age", "lactate"}
    assert any(row.mean is not None for row in sent.table_one)


def test_film_resource_and_table_row_of_a_patient_stay_together(site):
    policy = Policy(dates="shift")
    bundle = json.loads((site.bundles / "0000.json").read_text(encoding="utf-8"))
    film = dcmread(site.images / "0000.dcm")
    clean_film = deidentify(film, policy, SECRET).dataset
    clean = {
        e["resource"]["resourceType"]: e["resource"]
        for e in deidentify_resource(bundle, policy, SECRET)["entry"]
    }
    cohort = read(site)
    row = deidentify_table(cohort.frame, cohort.schema, policy, SECRET).iloc[0]
    assert clean_film.PatientID == clean["Patient"]["id"] == row["mrn"]
    assert clean["ImagingStudy"]["subject"]["reference"] == f"Patient/{row['mrn']}"
    study = clean["ImagingStudy"]["identifier"][0]["value"]
    assert study == f"urn:oid:{clean_film.StudyInstanceUID}"
    days = {
        str(clean_film.StudyDate),
        clean["Encounter"]["period"]["start"][:10].replace("-", ""),
        row["admitted"].strftime("%Y%m%d"),
    }
    assert len(days) == 1
    assert days != {str(film.StudyDate)}
