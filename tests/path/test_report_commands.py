"""`healthval report`: list, open, compare, withdraw and export, over a real hub."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.client import Credential
from healthval.errors import IntegrityError, ReportError, UnknownSigner
from healthval.report import sign
from healthval.report.proof.trust import pin

MEAN = {"value": 0.8, "ci": [0.7, 0.9], "prediction": None, "k": 1}


def numbers(version, outcome):
    """The parts of a metrics.json that a comparison reads."""
    study = {"model": "m", "version": version, "model_digest": "0" * 64, "plan_hash": "1" * 64}
    study |= {"k": 1, "auroc": MEAN, "oe": MEAN, "slope": MEAN, "citl": MEAN}
    result = {"value": 0.8, "lo": 0.7, "hi": 0.9}
    verdict = {"criterion": "AUROC", "target": "at least 0.7", "outcome": outcome}
    return {
        "format": "healthval-metrics-1",
        "healthval_version": "0.1.0",
        "plan": {"thresholds": [], "criteria": [{"measure": "auroc", "at_least": 0.7}]},
        "study": study,
        "derived": {"means": dict.fromkeys(("auroc", "oe", "slope", "citl"), MEAN)},
        "verdicts": [verdict | {"result": result}],
        "released": {},
    }


@pytest.fixture
def run(stage):
    def run(*words):
        hub = ["--hub", stage.url, "--key", str(stage.folder / "operator.key")]
        done = CliRunner().invoke(cli, ["report", words[0], *hub, *words[1:]])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    return run


@pytest.fixture
def two(stage):
    """Two reports on the same subject; the second supersedes the first."""
    made = []
    for version, outcome in (("1.0", "met"), ("2.0", "not met")):
        files = {
            "report.html": f"<p>{version} {stage.folder}".encode(),
            "metrics.json": json.dumps(numbers(version, outcome)).encode(),
        }
        verdicts = ({"criterion": "AUROC", "outcome": outcome},)
        about = {**stage.plan.subject, "n_sites": 1, "sites": ("North",), "verdicts": verdicts}
        made.append(stage.operator.publish_report(files=files, **about))
    return made


def test_reports_are_listed_opened_compared_and_withdrawn(stage, run, two, tmp_path):
    first, second = two
    listed = {line.split()[0]: line for line in run("list").splitlines()}
    assert f"superseded by {second.id}" in listed[first.id]
    assert "1 met" in listed[first.id]
    assert "current" in listed[second.id]
    assert "1 not met" in listed[second.id]
    assert second.files["report.html"][:12] in listed[second.id]
    assert "1 site" in listed[second.id]

    out = run("get", first.id, "--out", str(tmp_path / "opened"))
    assert (tmp_path / "opened" / "report.html").read_bytes().startswith(b"<p>1.0")
    assert "not the current one: superseded by" in out

    run("compare", first.id, second.id, "--out", str(tmp_path / "both"))
    page = (tmp_path / "both" / "comparison.html").read_text(encoding="utf-8")
    assert "Comparison of m 1.0 and m 2.0" in page
    assert "not met: 0.800 (0.700 to 0.900)" in page

    assert "withdrawn (a hospital withdrew)" in run(
        "withdraw", second.id, "--reason", "a hospital withdrew"
    )
    listed = {line.split()[0]: line for line in run("list").splitlines()}
    assert "withdrawn (a hospital withdrew)" in listed[second.id]
    out = run("get", second.id, "--out", str(tmp_path / "again"))
    assert "not the current one: withdrawn" in out


@pytest.fixture
def signed(stage):
    """Publish a report that a key signed, or nobody; return its record."""

    def publish(key=None):
        files = {"report.html": repr(key).encode(), "metrics.json": b"{}"}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        about = {"signed_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S+00:00}"}
        if key is not None:
            files["attestation.dsse.json"] = sign(digests, key.private_key, about=about)
        about = {**stage.plan.subject, "n_sites": 1, "sites": ("North",), "verdicts": ()}
        return stage.operator.publish_report(files=files, **about)

    return publish


def test_a_report_is_opened_only_if_its_signer_is_trusted(
    stage, run, signed, tmp_path, monkeypatch
):
    opened, pins = [], tmp_path / "pins.json"
    monkeypatch.setattr("click.launch", opened.append)
    monkeypatch.setattr("healthval.cli.report.trusted_keys", lambda: pins)
    of_hub = signed(Credential.load(stage.folder / "operator.key"))
    run("open", of_hub.id, "--out", str(tmp_path / "a"))
    assert opened == [str(tmp_path / "a" / "report.html")]

    stranger = Credential.create(tmp_path / "stranger.key")
    record = signed(stranger)
    with pytest.raises(UnknownSigner, match="signer unknown"):
        run("open", record.id, "--out", str(tmp_path / "b"))
    assert len(opened) == 1
    pin(pins, stranger.public_key, "the vendor")
    told = run("open", record.id, "--out", str(tmp_path / "b"))
    assert told.splitlines()[-1].split() == ["page", opened[1]]


def test_a_page_without_a_signature_is_not_opened(run, signed, tmp_path, monkeypatch):
    monkeypatch.setattr("click.launch", lambda page: pytest.fail("opened"))
    record = signed()
    with pytest.raises(IntegrityError):
        run("open", record.id, "--out", str(tmp_path))


def test_an_unknown_report_is_refused(run, tmp_path):
    with pytest.raises(ReportError, match="no report with that id"):
        run("get", "report-" + "0" * 16, "--out", str(tmp_path))


def test_a_page_is_exported_without_a_hub(tmp_path):
    page = tmp_path / "report.html"
    page.write_text(
        "<section id='s'><table><caption>A</caption><tr><th>b</th></tr></table></section>",
        encoding="utf-8",
    )
    done = CliRunner().invoke(cli, ["report", "export", str(page)])
    assert done.exit_code == 0
    assert sorted(p.name for p in (tmp_path / "export").iterdir()) == [
        "s-table-01-a.csv",
        "tables.xlsx",
    ]
