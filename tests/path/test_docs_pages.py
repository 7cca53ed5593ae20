"""Python blocks of README and docs: all blocks of a page run in order, in one namespace, in a prepared folder.

Pages of `ELSEWHERE` run in other tests. Only addresses are replaced: those of example.org become a server on loopback.
"""

import json
import re
import shlex
import sqlite3
import textwrap
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pydicom
import pytest
import yaml
from click.testing import CliRunner
from dicomweb_stub import TWO, Server, message
from fhir_stub import KEYS, pem, serving_fhir
from loopback import serve
from pydicom.data import get_testdata_file

from healthval.cli import cli
from healthval.contracts.model import ModelCard
from healthval.credential import Credential
from healthval.disclosure import Ledger, load_policy, release
from healthval.metrics import SiteResult, evaluate
from healthval.plan import load_plan
from healthval.report import Criterion, PlanFacts

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
ELSEWHERE = {
    "tutorial-hospital": "tests/path/test_path_tutorials.py",
    "tutorial-vendor": "tests/path/test_path_tutorials.py",
    "pacs": "tests/path/pacs_to_prediction.py",
    "monitoring": "tests/runner/test_batch.py",
}
FACTS = {"model": "ward-risk", "version": "1.0", "model_digest": "a" * 64, "plan_hash": "b" * 64}


def pages():
    """Pages with a Python block that this file runs, by name."""
    found = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    return {
        p.stem: p for p in found if p.stem not in ELSEWHERE and BLOCK.search(p.read_text("utf-8"))
    }


def cases(seed, n=600):
    """Invented cases: reference standard, score and sex."""
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 3, n)
    return rng.random(n) < score, score, rng.choice(["female", "male"], n)


def result_of(seed):
    """Result of one invented hospital."""
    reference, score, sex = cases(seed)
    return SiteResult(
        **FACTS,
        evaluation=evaluate(reference, score, thresholds=(0.3,), groups={"sex": sex}),
        flow=(("rows_read", score.size), ("scored", score.size)),
        dates="removed",
        cohort=frozenset(f"{seed:04x}{i:028x}" for i in range(score.size)),
    )


@pytest.fixture(scope="module")
def results():
    return [result_of(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def releases(results, tmp_path_factory):
    """Releases of three hospitals by label."""
    folder = tmp_path_factory.mktemp("ledgers")
    ledgers = (Ledger(folder / f"{i}.jsonl") for i in range(3))
    made = [
        release(r, load_policy("cms"), ledger) for r, ledger in zip(results, ledgers, strict=True)
    ]
    return [(f"Hospital {i}", one.submission) for i, one in enumerate(made)]


def visits():
    """A table with every column that the page about cohorts names."""
    rng = np.random.default_rng(3)
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, 60), unit="D")
    later = day + pd.to_timedelta(rng.integers(0, 6, 60), unit="D")
    return pd.DataFrame(
        {
            "visit": [f"V{i:03}" for i in range(60)],
            "age": rng.integers(15, 90, 60),
            "admitted": day.strftime("%Y-%m-%d"),
            "drawn": later.strftime("%Y-%m-%d"),
            "ward": rng.choice(["icu", "surgery", "hospice"], 60),
            "pneumonia": rng.choice(["yes", "no"], 60),
        }
    )


@contextmanager
def cohort_scene():
    """A table as CSV, workbook and database; a DICOMweb server."""
    frame = visits()
    frame.to_csv("cohort.csv", index=False)
    frame.to_excel("cohort.xlsx", sheet_name="Cases", index=False)
    db = sqlite3.connect("visits.db")
    frame.to_sql("visits", db, index=False)
    db.close()
    schema = {
        "visit": "id",
        "age": "age",
        "admitted": "date",
        "drawn": "date",
        "ward": {"kind": "category", "levels": ["icu", "surgery", "hospice"]},
        "pneumonia": {"kind": "label", "positive": ["yes"], "negative": ["no"]},
    }
    Server.body, Server.kind = message(*TWO), 'multipart/related; boundary="B"'
    Server.announced, Server.answers, Server.status, Server.headers_sent = 2, None, 200, {}
    with serve(Server) as address:
        yield {"schema": schema}, {"https://pacs.example.org/dicom-web": address}


@contextmanager
def fhir_scene():
    """An export folder, the key of a client, and a FHIR server that knows it."""
    Path("site-key.pem").write_bytes(pem(KEYS["ES384"]))
    Path("export").mkdir()
    Path("export/part.ndjson").write_text(json.dumps(LACTATE) + "\n", encoding="utf-8")
    with serving_fhir("ES384") as stub:
        stub.polls = 0
        yield (
            {},
            {
                "https://ehr.example.org/fhir/R4": f"{stub.url}/fhir",
                "https://ehr.example.org": stub.url,
            },
        )


def report_scene(releases):
    """What an operator has: releases, plan, model card, key, and a hub that nobody else asked."""
    Path("plan.yaml").write_text(yaml.safe_dump(PLAN), encoding="utf-8")
    plan = load_plan("plan.yaml")
    facts = PlanFacts(
        title=plan.title,
        target_condition=plan.target_condition,
        reference_standard=plan.reference_standard,
        thresholds=plan.thresholds,
        criteria=(Criterion("auroc", at_least=0.6),),
        plan_hash="b" * 64,
    )
    hub = SimpleNamespace(submissions=lambda **_: [], access_requests=list)
    return {
        "sites": releases,
        "client": hub,
        "study_plan": plan,
        "plan": facts,
        "card": ModelCard(
            name="ward-risk",
            version="1.0",
            title="Risk",
            developer="Invented Ltd",
            intended_use="An example.",
            target_condition="sepsis",
        ),
        "folder": Path("report"),
        "key": Credential.generate().private_key,
    }


LACTATE = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "2524-7"}]},
    "subject": {"reference": "Patient/p1"},
    "valueQuantity": {"value": 2.1, "code": "mmol/L", "system": "http://unitsofmeasure.org"},
}
PLAN = {
    "study": "ward-study",
    "title": "Sepsis on one invented ward",
    "target_condition": "sepsis",
    "reference_standard": "chart review",
    "model": {"name": "ward-risk", "version": "1.0"},
    "table": {
        "columns": {
            "visit": {"kind": "id"},
            "lactate": {"kind": "number", "low": 0, "high": 30},
            "sepsis": {"kind": "label", "positive": ["yes"], "negative": ["no"]},
        }
    },
    "inputs": ["lactate"],
    "thresholds": [0.3],
    "acceptance": [{"metric": "auroc", "low": 0.6}],
    "sample_size": {"planned_cases": 400, "rationale": "An example."},
}


@pytest.fixture
def scene(results, releases):
    """Names and addresses that a page takes for granted, and its files in the current folder."""

    def of(page):
        if page == "cohort":
            return cohort_scene()
        if page == "fhir":
            return fhir_scene()
        names = {}
        if page == "README":
            reference, score, sex = cases(1)
            table = {"sepsis": np.where(reference, "yes", "no"), "score": score, "sex": sex}
            pd.DataFrame(table).to_csv("cohort.csv", index=False)
        elif page == "metrics":
            Path("cohort").mkdir()
            rows = {
                "sepsis": [0, 1] * 3,
                "risk": [0.1, 0.9, 0.2, 0.4, 0.6, 0.7],
                "sex": ["f", "m"] * 3,
            }
            pd.DataFrame(rows).assign(ward="icu").to_parquet("cohort/part.parquet")
        elif page == "deidentification":
            Path("site-secret.key").write_bytes(bytes(range(32)))
            Path("export").mkdir()
            pydicom.dcmread(get_testdata_file("CT_small.dcm")).save_as("export/1.dcm")
        elif page == "disclosure":
            Path("site").mkdir()
            names = {"result": results[0]}
        elif page == "pooling":
            names = {"arrivals": releases}
        elif page == "report":
            names = report_scene(releases)
        return nullcontext((names, {}))

    return of


def run(page, names, addresses):
    """Run the blocks of a page; a failure names the page and its line."""
    text = pages()[page].read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        code = block[1]
        for shown, real in addresses.items():
            code = code.replace(shown, real)
        above = text[: block.start(1)].count("\n")
        exec(compile("\n" * above + code, f"{page}.md", "exec"), names)


CHECKS = {
    "README": "Path('result.csv').exists() and Path('report.html').exists()",
    "cohort": "cohort.flow[0] == ('rows_read', 60) and len(list(Path('staging').glob('*.dcm'))) == 2",
    "deidentification": "(manifest.files_in, manifest.files_out) == (1, 1)",
    "disclosure": "len(out.sha256) == 64",
    "excel": "pd.read_excel('headline.xlsx').statistic.tolist() == ['auroc', 'sensitivity', 'specificity']",
    "fhir": "len(patients) == 5 and dict(done.counts)['Patient'] == 5",
    "metrics": "clustered.method == 'logit-delong (obuchowski)'",
    "pooling": "study.auroc.ci[0] < study.auroc.value < study.auroc.ci[1]",
    "report": "{p.name for p in folder.iterdir()} >= {'report.html', 'attestation.dsse.json'}",
}


@pytest.mark.parametrize("page", sorted(pages()))
def test_every_python_block_of_a_page_runs(page, scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # As on a machine without Pango: tests of the report make the PDFs, which take most of the time.
    monkeypatch.setattr("healthval.report.publish.why_no_pdf", lambda: "no Pango")
    with scene(page) as (names, addresses):
        run(page, names, addresses)
    assert eval(CHECKS[page], {**names, "Path": Path, "pd": pd})


@pytest.mark.parametrize("page", sorted(ELSEWHERE))
def test_a_page_that_runs_elsewhere_is_run_there(page):
    text = (ROOT / ELSEWHERE[page]).read_text(encoding="utf-8")
    assert page.partition("-")[0] in text
    assert "exec(" in text


def test_a_block_that_breaks_is_named_by_page_and_line(tmp_path, monkeypatch):
    page = tmp_path / "broken.md"
    page.write_text(
        textwrap.dedent("# Title\n\n```python\nx = 1\nx.absent\n```\n"), encoding="utf-8"
    )
    monkeypatch.setitem(globals(), "pages", lambda: {"broken": page})
    with pytest.raises(AttributeError) as raised:
        run("broken", {}, {})
    assert [e.lineno for e in raised.traceback if str(e.path).endswith("broken.md")][-1:] in (
        [4],
        [5],
    )


# Commands of README that need neither hub nor study; the path of the demo and the tutorials run the others.
ALONE = (
    "access request --help",
    "cost",
    "deid --explain",
    "docs",
    "infra audit",
    "init my-study",
    "params evaluate",
)


@pytest.mark.parametrize("start", ALONE)
def test_a_command_of_the_readme_that_needs_nothing_runs_as_it_is_shown(
    start, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    visits().to_parquet("c.parquet")
    Path("infra").symlink_to(ROOT / "infra")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^healthval ({start}.*?)(?:  +#.*)?$", text, re.M)
    done = CliRunner().invoke(cli, shlex.split(line))
    assert done.exit_code == 0, done.output
    assert done.output.strip()
