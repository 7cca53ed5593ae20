"""The tracks `fhir` and `imaging`: synthetic patients go through the whole path.

Expected values are recomputed from the recorded inputs without the project's code, by json, csv,
pydicom and scikit-learn.
"""

import csv
import hashlib
import json
import math
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import combined_study
import numpy as np
import pandas as pd
import pydicom
import pytest
import yaml
from demo_process import (
    HANG_SECONDS,
    PRODUCTS,
    digests,
    finish,
    kill_at,
    start,
    wait_until_gone,
)
from sklearn.metrics import roc_auc_score

from healthval.aggregate import pool
from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision
from healthval.contracts.table import Eligibility
from healthval.deid.audit.audit import Leak
from healthval.demo import synthetic
from healthval.demo.embedded_hub import embedded_hub
from healthval.demo.inputs import INVENTED
from healthval.disclosure import Ledger, release, releases
from healthval.errors import AccessDenied, CohortError, LeakFound, PlanError, PredictionError
from healthval.evaluation import Site, Sources, cohort_of, evaluate, gate_policy, request_access
from healthval.plan import Plan, load_plan
from healthval.predict.canary import N_IMAGE_CANARIES
from healthval.report import build
from healthval.report.criteria import plan_facts
from healthval.report.proof.attestation import ATTESTATION
from healthval.runner.provision import pack_artefact, read_registration

EXAMPLES = Path(__file__).parents[2] / "examples"
TRACKS = ("fhir", "imaging")
LOINC = {"lactate": "2524-7", "heart_rate": "8867-4", "crp": "1988-5"}
SPELLED = {"yes": True, "1": True, "no": False, "0": False, "0.0": False}

IDENTIFYING = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "StudyDate",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "AccessionNumber",
)


# --- expected values, recomputed -----------------------------------------------------------------


def vendor_weights(track):
    """Weights for the features of a track."""
    whole = combined_study.VENDOR_WEIGHTS
    wanted = load_plan(EXAMPLES / track / "plan.yaml").inputs
    at = [whole["features"].index(name) for name in wanted]
    weights = {key: [whole[key][i] for i in at] for key in ("mean", "sd", "coefficients")}
    if track == "imaging":
        film = {"mean": 260, "sd": 150, "coefficients": 1}
        weights = {key: [*values, film[key]] for key, values in weights.items()}
        wanted = (*wanted, "opacity")
    return weights | {"features": list(wanted), "intercept": -0.5}


def age_at(born, day):
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def records(bundles):
    """Birth date and measurements of each patient, straight from the Bundles."""
    found = {}
    for path in bundles.glob("*.json"):
        resources = [
            entry["resource"] for entry in json.loads(path.read_text(encoding="utf-8"))["entry"]
        ]
        patient = next(r for r in resources if r["resourceType"] == "Patient")
        values = {
            name: r["valueQuantity"]["value"]
            for r in resources
            if r["resourceType"] == "Observation"
            for name, code in LOINC.items()
            if r["code"]["coding"][0]["code"] == code
        }
        found[patient["id"]] = {"born": date.fromisoformat(patient["birthDate"]), **values}
    return found


def opacities(images):
    found = {}
    for path in images.glob("*.dcm") if images.exists() else ():
        film = pydicom.dcmread(path)
        pixels = film.pixel_array.astype(float)
        middle = len(pixels) // 2
        found[film.AccessionNumber] = pixels[middle:].mean() - pixels[:middle].mean()
    return found


def expected(home, weights):
    """Reference and score of each judged case of a site."""
    people, films = records(home / "bundles"), opacities(home / "images")
    truth, scores = [], []
    for row in csv.DictReader((home / "labels.csv").read_text(encoding="utf-8").splitlines()):
        verdict = SPELLED.get(row["pneumonia"].strip().lower())
        if verdict is None or row["mrn"] not in people:
            continue
        person = people[row["mrn"]]
        age = min(90, age_at(person["born"], date.fromisoformat(row["admitted"])))
        seen = {**person, "age": age, "opacity": films.get(row["accession"])}
        parts = ("features", "mean", "sd", "coefficients")
        terms = zip(*(weights[part] for part in parts), strict=True)
        z = [c * (seen[name] - m) / s for name, m, s, c in terms]
        truth.append(verdict)
        scores.append(1 / (1 + math.exp(-weights["intercept"] - sum(z))))
    return np.array(truth), np.array(scores)


def planted(home):
    """Names, numbers, dates and UIDs of every patient of a site, as written in the sources."""
    found = set()
    for row in csv.DictReader((home / "labels.csv").read_text(encoding="utf-8").splitlines()):
        found |= {row["accession"], row["mrn"], row["admitted"], row["comment"]}
    for path in (home / "bundles").glob("*.json"):
        patient = json.loads(path.read_text(encoding="utf-8"))["entry"][0]["resource"]
        name = patient["name"][0]
        found |= {patient["birthDate"], f"{name['given'][0]} {name['family']}"}
    for path in (home / "images").glob("*.dcm") if (home / "images").exists() else ():
        film = pydicom.dcmread(path, stop_before_pixels=True)
        found |= {str(film[keyword].value) for keyword in IDENTIFYING}
    return {value for value in found if len(value) > 4}


def found_in(needles, data):
    text = data.decode("latin-1")
    return [needle for needle in needles if needle in text]


# --- one hub for the quick tests ---------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A hub that serves both tracks' models, and one invented site."""
    folder = tmp_path_factory.mktemp("tracks")
    Credential.create(folder / "operator.key")
    synthetic.write_site(folder / "site", n=60, seed=4)
    with embedded_hub(folder / "hub", folder / "operator.key.pub") as url:
        operator = Client(url, Credential.load(folder / "operator.key"))
        for track in TRACKS:
            vendor = shutil.copytree(EXAMPLES / track / "vendor", folder / track)
            weights = vendor / "artefact" / "weights.json"
            weights.write_text(json.dumps(vendor_weights(track)), encoding="utf-8")
            registration = read_registration(vendor / "registration.yaml", vendor / "artefact")
            operator.register_model(registration, pack_artefact(vendor / "artefact"))
            operator.start_model(registration.card.name, registration.card.version)
        yield folder, url, operator
        operator.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def enter(house, tmp_path):
    """Approve a new site under a plan; returns site and client."""
    _, url, operator = house
    opened = []

    def let_in(plan, folder="home"):
        site = Site.create(tmp_path / folder)
        client = Client(url, site.credential)
        opened.append(client)
        grant = request_access(plan, client, site=site, label="Test site")
        if grant.status == "requested":
            operator.decide_access(grant, AccessDecision(status="approved"))
        return site, client

    yield let_in
    for client in opened:
        client.close()


def plan_of(track, **changes):
    return load_plan(EXAMPLES / track / "plan.yaml").model_copy(update=changes)


def read(home, plan, labels="labels.csv", bundles="bundles"):
    return cohort_of(plan, Sources(home / labels, home / bundles))


def payloads(site):
    return [entry.body for entry in site.ledger.entries() if entry.kind == "payload"]


@pytest.mark.parametrize("track", TRACKS)
def test_numbers_equal_scikit_learns_on_the_recorded_inputs(house, enter, track):
    home = house[0] / "site"
    plan = plan_of(track)
    site, client = enter(plan)
    result = evaluate(plan, read(home, plan), client, site=site, images=home / "images")
    truth, scores = expected(home, vendor_weights(track))
    assert result.evaluation.n == len(truth)
    assert sorted(result.scores) == pytest.approx(sorted(scores))
    assert result.evaluation.auroc.value == pytest.approx(roc_auc_score(truth, scores))
    assert result.dates == "removed"
    assert not result.plan_amended
    assert dict(result.flow)["scored"] == len(truth)


@pytest.mark.parametrize("track", TRACKS)
def test_nothing_planted_leaves_and_all_that_leaves_is_in_the_ledger_first(
    house, enter, monkeypatch, track
):
    home = house[0] / "site"
    plan = plan_of(track)
    site, client = enter(plan)
    sent = []
    send = client.transport.send

    def watching(method, target, body=b"", **options):
        # Requests with patient data: batches, and files that are uploaded by a ticket.
        if method == "PUT" or target == "/v1/predictions":
            sent.append(body)
            known = {body["sha256"] for body in payloads(site)}
            assert hashlib.sha256(body).hexdigest() in known
        return send(method, target, body, **options)

    monkeypatch.setattr(client.transport, "send", watching)
    result = evaluate(plan, read(home, plan), client, site=site, images=home / "images")
    monkeypatch.undo()
    message = release(result, gate_policy(plan), site.ledger)
    needles = planted(home)
    assert len(needles) > 200
    assert len(sent) > (1 if track == "fhir" else result.evaluation.n)
    hub = [p.read_bytes() for p in (house[0] / "hub").rglob("*") if p.is_file()]
    for data in (*sent, message.payload, *hub):
        assert not found_in(needles, data)
    assert found_in(needles, (home / "labels.csv").read_bytes()), "the search itself works"


def test_sources_are_only_read_and_the_hub_keeps_no_image(house, enter):
    home = house[0] / "site"
    before = {p: p.read_bytes() for p in home.rglob("*") if p.is_file()}
    plan = plan_of("imaging")
    site, client = enter(plan)
    evaluate(plan, read(home, plan), client, site=site, images=home / "images")
    assert {p: p.read_bytes() for p in home.rglob("*") if p.is_file()} == before
    assert not [p for p in (house[0] / "hub").rglob("*.dcm") if p.is_file()]
    first = len(payloads(site))
    evaluate(plan, read(home, plan), client, site=site, images=home / "images")
    again = len(payloads(site)) - first
    assert again == N_IMAGE_CANARIES + 1, "only the canary cases are uploaded and asked again"


def test_table_1_and_subgroups_pass_the_gate(house, enter):
    home = house[0] / "site"
    plan = plan_of("fhir")
    site, client = enter(plan)
    result = evaluate(plan, read(home, plan), client, site=site)
    assert {row.variable for row in result.table_one} == {
        "age",
        "sex",
        "lactate",
        "heart_rate",
        "crp",
    }
    message = release(result, gate_policy(plan), site.ledger).submission
    assert {row.variable for row in message.table_one} >= {"sex", "age"}


READER = """
import io, math
from pydicom import dcmread

def load(folder):
    return None

def predict(model, instances):
    return [_score(dcmread(io.BytesIO(film)).pixel_array) for film in instances]

def _score(pixels):
    middle = len(pixels) // 2
    return 1 / (1 + math.exp(-float(pixels[middle:].mean() - pixels[:middle].mean() - 260) / 150))
"""


def test_a_model_may_read_images_alone(house, enter, tmp_path):
    """One file per case, no named inputs: contract `dicom`."""
    folder, _, operator = house
    (tmp_path / "artefact").mkdir()
    (tmp_path / "artefact" / "inference.py").write_text(READER, encoding="utf-8")
    values = yaml.safe_load(
        (EXAMPLES / "imaging" / "vendor" / "registration.yaml").read_text(encoding="utf-8")
    )
    values["card"]["name"] = "film-alone"
    values["inputs"] = {"kind": "dicom", "modalities": ["CR"]}
    (tmp_path / "registration.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    registration = read_registration(tmp_path / "registration.yaml", tmp_path / "artefact")
    operator.register_model(registration, pack_artefact(tmp_path / "artefact"))
    operator.start_model("film-alone", "1.0")
    plan = plan_of("imaging")
    plan = plan.model_copy(
        update={
            "inputs": (),
            "model": plan.model.model_copy(update={"name": "film-alone"}),
            "images": plan.images.model_copy(update={"modalities": ("CR",)}),
        }
    )
    site, client = enter(plan)
    home = folder / "site"
    result = evaluate(plan, read(home, plan), client, site=site, images=home / "images")
    weights = {"features": ["opacity"], "mean": [260], "sd": [150], "coefficients": [1]}
    truth, scores = expected(home, weights | {"intercept": 0})
    assert sorted(result.scores) == pytest.approx(sorted(scores))
    assert result.evaluation.auroc.value == pytest.approx(roc_auc_score(truth, scores))


def test_dates_are_said_to_be_shifted_only_where_dates_leave(house, enter):
    home = house[0] / "site"
    for track, dates in (("imaging", "shifted"), ("fhir", "removed")):
        plan = plan_of(track, dates="shifted")
        site, client = enter(plan, track)
        result = evaluate(plan, read(home, plan), client, site=site, images=home / "images")
        assert result.dates == dates
        moved = [pydicom.dcmread(p).StudyDate for p in site.folder.rglob("*.dcm")]
        was = {f.StudyDate for f in map(pydicom.dcmread, (home / "images").glob("*.dcm"))}
        assert bool(moved) == (track == "imaging")
        assert all(len(day) == 8 for day in moved)
        assert sum(day in was for day in moved) < len(moved) or not moved


def test_the_reference_standard_may_be_in_a_separate_table(house, enter, tmp_path):
    """The first view gives the cases; a second table, linked by patient, gives the labels."""
    home = house[0] / "site"
    values = plan_of("fhir").model_dump(mode="json", exclude_defaults=True)
    columns = values["table"]["columns"]
    values |= {
        "table": {"columns": {"mrn": {"kind": "id"}, **{n: columns[n] for n in ("sex", *LOINC)}}},
        "inputs": list(LOINC),
        "eligibility": [],
        "subgroups": ["sex"],
        "linkage": [
            {
                "name": "with_verdict",
                "table": {
                    "columns": {"patient": {"kind": "id"}, "pneumonia": columns["pneumonia"]},
                    "verification": "partial",
                },
                "link": {"on": {"mrn": "patient"}},
            }
        ],
    }
    plan = Plan.model_validate(values, strict=False)
    verdicts = pd.read_csv(home / "labels.csv", dtype=str).rename(columns={"mrn": "patient"})
    sources = Sources(resources=home / "bundles", linked={"with_verdict": verdicts})
    cohort = cohort_of(plan, sources)
    assert cohort.flow == (("first_view_rows", 60), ("with_verdict", 60))
    truth, _ = expected(home, vendor_weights("fhir"))
    assert cohort.reference.dropna().sum() == truth.sum()
    assert len(cohort.reference.dropna()) == len(truth)
    with pytest.raises(CohortError, match="'with_verdict': its table was not given"):
        cohort_of(plan, Sources(resources=home / "bundles"))


# --- refusals before anything is sent ----------------------------------------------------------


def test_a_leak_stops_the_batch_before_anything_is_sent(house, enter, monkeypatch):
    home = house[0] / "site"
    plan = plan_of("imaging")
    site, client = enter(plan)
    monkeypatch.setattr(
        "healthval.deid.dicom.files.one_file.search", lambda *_: [Leak("id", "(0010,0020)")]
    )
    with pytest.raises(LeakFound, match="withdrawn"):
        evaluate(plan, read(home, plan), client, site=site, images=home / "images")
    assert not payloads(site)
    assert not list(site.folder.rglob("*.dcm"))


def films(house, tmp_path, change, n=None):
    """A copy of the site's films with some headers changed."""
    folder = tmp_path / "films"
    folder.mkdir()
    for i, path in enumerate(sorted((house[0] / "site" / "images").glob("*.dcm"))):
        film = pydicom.dcmread(path)
        if n is None or i < n:
            change(film)
        film.save_as(folder / path.name)
    return folder


def put(**values):
    def change(film):
        for name, value in values.items():
            setattr(film, name, value)

    return change


def test_films_that_may_carry_burned_in_text_stay_home_and_are_counted(house, enter, tmp_path):
    plan = plan_of("imaging")
    site, client = enter(plan)
    folder = films(house, tmp_path, put(BurnedInAnnotation="YES"), n=5)
    cohort = read(house[0] / "site", plan)
    flow = dict(evaluate(plan, cohort, client, site=site, images=folder).flow)
    assert 0 < flow["with_images"] - flow["images_deidentified"] <= 5
    assert flow["scored"] == flow["images_deidentified"]


REFUSED_FILMS = {
    "of another patient": (put(PatientID="Zyxwvut-90210"), 3, "belong to another patient"),
    "two under one number": (put(AccessionNumber="A04000001"), 3, "name more than one image"),
    "of another modality": (put(Modality="CT"), None, "no image of the plan's modalities"),
    "all burned in": (put(BurnedInAnnotation="YES"), None, "images that may leave"),
    "of nobody here": (put(AccessionNumber="Zyxwvut-90210"), None, "with_images"),
}


@pytest.mark.parametrize("name", REFUSED_FILMS)
def test_films_that_do_not_fit_are_refused_and_nothing_is_sent(house, enter, tmp_path, name):
    change, n, place = REFUSED_FILMS[name]
    plan = plan_of("imaging")
    site, client = enter(plan)
    cohort = read(house[0] / "site", plan)
    with pytest.raises(CohortError, match=place) as caught:
        evaluate(plan, cohort, client, site=site, images=films(house, tmp_path, change, n))
    for value in ("Zyxwvut", "A04", *synthetic.FAMILY):
        assert value not in str(caught.value)
    assert not payloads(site)


def test_a_plan_with_images_needs_their_folder(house, enter):
    plan = plan_of("imaging")
    site, client = enter(plan)
    with pytest.raises(CohortError, match="give their folder"):
        evaluate(plan, read(house[0] / "site", plan), client, site=site)
    assert not payloads(site)


def test_plan_and_model_must_agree_on_inputs_images_and_modalities(house, enter):
    home = house[0] / "site"
    images = plan_of("imaging").images
    for change, place in (
        ({"images": None}, "differ in images"),
        ({"inputs": ("age",)}, "names 1 input, "),
        ({"images": images.model_copy(update={"modalities": ("MG",)})}, "1 modality "),
    ):
        plan = plan_of("imaging", **change)
        site, client = enter(plan)
        with pytest.raises(PlanError, match=place):
            evaluate(plan, read(home, plan), client, site=site, images=home / "images")
        assert not payloads(site)


def changed_labels(house, tmp_path, change):
    frame = pd.read_csv(house[0] / "site" / "labels.csv", dtype=str, keep_default_na=False)
    change(frame)
    frame.to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path / "labels.csv"


def cell(column, row, value):
    def change(frame):
        frame.loc[row, column] = value

    return change


REFUSED_LABELS = {
    "label outside its levels": (cell("pneumonia", 3, "Zyxwvut"), r"'pneumonia': 1 of .*row 3"),
    "date that is none": (cell("admitted", 4, "31/12/2024"), r"'admitted': 1 of .*row 4"),
    "case twice": (cell("accession", 5, "A04000001"), r"'accession': 1 of .*row 5"),
}


def test_the_notebook_stops_at_a_table_with_mistakes_and_sends_nothing(house, enter, tmp_path):
    """The command line reports place and count of each mistake, and no value."""
    home = house[0] / "site"
    site, _ = enter(plan_of("imaging"))
    values = {
        "hub_url": house[1],
        "site_folder": str(site.folder),
        "site_label": "Test site",
        "plan": str(EXAMPLES / "imaging" / "plan.yaml"),
        "table": str(home / "labels_with_errors.csv"),
        "resources": str(home / "bundles"),
        "images": str(home / "images"),
        "send": True,
    }
    (tmp_path / "parameters.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [sys.executable, "-m", "healthval", "run", "evaluate"]
    command += ["-f", str(tmp_path / "parameters.yaml"), "-o", str(site.folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == CohortError.exit_code, said
    assert "first at row" in said
    assert not found_in(planted(home) | {"maybe", "03/04/2024"}, said.encode())
    assert not site.ledger.entries()


@pytest.mark.parametrize("name", REFUSED_LABELS)
def test_mistakes_in_the_label_table_are_refused_by_place(house, tmp_path, name):
    change, place = REFUSED_LABELS[name]
    labels = changed_labels(house, tmp_path, change)
    with pytest.raises(CohortError, match=place) as caught:
        cohort_of(plan_of("fhir"), Sources(labels, house[0] / "site" / "bundles"))
    for value in ("Zyxwvut", "31/12", "A04"):
        assert value not in str(caught.value)


def test_a_wrong_unit_is_refused(house, tmp_path):
    bundles = shutil.copytree(house[0] / "site" / "bundles", tmp_path / "bundles")
    for path in sorted(bundles.glob("*.json"))[:2]:
        path.write_text(
            path.read_text(encoding="utf-8").replace("mmol/L", "mg/dL"), encoding="utf-8"
        )
    with pytest.raises(CohortError, match=r"'lactate': 2 of .*mmol/L") as caught:
        cohort_of(plan_of("fhir"), Sources(house[0] / "site" / "labels.csv", bundles))
    assert "mg/dL" not in str(caught.value)


def test_a_cohort_that_shrank_to_nothing_shows_its_flow(house):
    nobody = Eligibility(step="centenarians", column="age", low=129)
    plan = plan_of("fhir", eligibility=(nobody,))
    with pytest.raises(CohortError, match="rows_read 62 > with_resources 60 > centenarians 0"):
        read(house[0] / "site", plan)


def test_partial_verification_is_declared_or_refused(house, enter):
    whole = plan_of("fhir")
    plan = plan_of("fhir", table=whole.table.model_copy(update={"verification": "complete"}))
    site, client = enter(plan)
    with pytest.raises(CohortError, match="verification: partial"):
        evaluate(plan, read(house[0] / "site", plan), client, site=site)
    assert not payloads(site)


def test_values_the_models_contract_does_not_admit_are_refused_at_the_site(house, enter, tmp_path):
    """A category where the model takes a number: counted, nothing sent."""
    values = plan_of("fhir").model_dump(mode="json", exclude_defaults=True)
    values["table"]["columns"]["heart_rate"] = {"kind": "category", "levels": {"Zyxwvut": "fast"}}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    bundles = shutil.copytree(house[0] / "site" / "bundles", tmp_path / "bundles")
    for path in bundles.glob("*.json"):
        bundle = json.loads(path.read_text(encoding="utf-8"))
        for entry in bundle["entry"]:
            code = entry["resource"].get("code", {}).get("coding", [{}])[0].get("code")
            if code == LOINC["heart_rate"]:
                entry["resource"]["valueQuantity"]["value"] = "Zyxwvut"
        path.write_text(json.dumps(bundle), encoding="utf-8")
    plan = load_plan(tmp_path / "plan.yaml")
    site, client = enter(plan)
    cohort = cohort_of(plan, Sources(house[0] / "site" / "labels.csv", bundles))
    with pytest.raises(
        PredictionError, match=r"'heart_rate': \d+ of \d+ values are not a number"
    ) as caught:
        evaluate(plan, cohort, client, site=site)
    assert "Zyxwvut" not in str(caught.value)
    assert not payloads(site)


# --- the plan, registered and amended ----------------------------------------------------------


def test_a_plan_that_changed_after_an_evaluation_is_evaluated_as_amended(house, enter):
    home = house[0] / "site"
    first, changed = plan_of("fhir"), plan_of("fhir", thresholds=(0.3,))
    site, client = enter(first)
    assert not evaluate(first, read(home, first), client, site=site).plan_amended
    site = Site.create(site.folder)
    with Client(house[1], site.credential) as client, pytest.raises(AccessDenied):
        evaluate(changed, read(home, changed), client, site=site)
    site, client = enter(changed)
    result = evaluate(changed, read(home, changed), client, site=site)
    assert result.plan_amended
    assert release(result, gate_policy(changed), site.ledger).submission.plan_amended
    assert "AMENDED" in repr(site.register(changed))
    assert "is registered" in repr(site.register(first))


def test_the_report_marks_a_plan_that_a_site_amended(house, enter):
    home = house[0] / "site"
    site, client = enter(first := plan_of("fhir"))
    evaluate(first, read(home, first), client, site=site)
    plan = plan_of("fhir", thresholds=(0.3,))
    site, client = enter(plan)
    result = evaluate(plan, read(home, plan), client, site=site)
    sent = release(result, gate_policy(plan), site.ledger).submission
    card = client.model(plan.model.name, plan.model.version).registration.card
    for submission, amended in (
        (sent, True),
        (sent.model_copy(update={"plan_amended": False}), False),
    ):
        released = {"North": submission}
        facts = plan_facts(plan, released.values())
        report = build(pool(tuple(released.items())), released, card, facts)
        assert ("amended after it was registered" in str(report.notebook())) == amended


def test_another_study_is_no_amendment(enter):
    site, _ = enter(plan_of("fhir"))
    assert not site.register(plan_of("imaging")).amended


def test_a_record_of_plans_that_cannot_be_read_stops_the_site(enter):
    site, _ = enter(plan_of("fhir"))
    for text in ("", "[1]", '{"a": []}', '{"a": {}}', "Zyxwvut"):
        (site.folder / "plans.json").write_text(text, encoding="utf-8")
        with pytest.raises(PlanError, match=r"plans\.json") as caught:
            site.register(plan_of("fhir"))
        assert "Zyxwvut" not in str(caught.value)


# --- the demo of both tracks -------------------------------------------------------------------


# When the attestation appears, the products are complete: the next run has to give their bytes.
MARKS = {"fhir": "sites/harbour/ledger.jsonl", "imaging": ATTESTATION}


@pytest.mark.slow
@pytest.mark.parametrize("track", TRACKS)
def test_the_demo_of_a_track_survives_kill_9_and_repeats_its_bytes(tmp_path, track):
    home = tmp_path / track
    kill_at(start(tmp_path, track), home / MARKS[track], group=True)
    assert wait_until_gone(tmp_path), "a child outlived the demo"
    before = digests(home)
    out = finish(start(tmp_path, track))
    assert len(out.splitlines()) <= 15
    assert "invented" in out.lower()
    assert before.keys() == (set(PRODUCTS) if MARKS[track] == ATTESTATION else set())
    assert before.items() <= digests(home).items()
    weights = json.loads((home / "inputs/vendor/artefact/weights.json").read_text(encoding="utf-8"))
    study = json.loads((home / "metrics.json").read_text(encoding="utf-8"))["study"]
    values = {v["site"]: v["value"] for v in study["auroc"]["sites"]}
    received = [p for p in (home / "hub").rglob("*") if p.is_file()]
    received += [home / name for name in PRODUCTS]
    data = b"\n".join(path.read_bytes() for path in received)
    for site in INVENTED:
        truth, scores = expected(home / "inputs" / site.folder, weights)
        # Rounded to two decimals at least, with noise of 1.1 influences of one outcome (5 SD of it).
        noise = 5 * 1.1 * (1 / sum(truth) + 1 / (len(truth) - sum(truth)))
        assert values[site.label] == pytest.approx(roc_auc_score(truth, scores), abs=0.0051 + noise)
        assert not found_in(planted(home / "inputs" / site.folder), data)
        ledger = Ledger(home / "sites" / site.folder / "ledger.jsonl")
        assert len({r.sha256 for r in releases(ledger)}) == 1
