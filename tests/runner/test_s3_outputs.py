"""`healthval run -o s3://...`: the copy is in the marked prefix, whole, and nothing is left on this machine."""

import json
import tempfile
from pathlib import Path

import boto3
import nbformat
import pytest
from click.testing import CliRunner
from moto import mock_aws
from nbformat.v4 import new_code_cell, new_notebook

from healthval.cli import cli
from healthval.errors import RunFailed, UsageError
from healthval.runner.batch.matrix import read_matrix

PATIENT = "Zebulon Quartermaine"


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """Bucket `kept` in an S3 in this process; folder of temporary files of this test alone."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "invented")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    with mock_aws():
        made = boto3.resource("s3").create_bucket(Bucket="kept")
        yield made


def write(source):
    cells = [
        new_code_cell("n: int = 1", metadata={"tags": ["parameters"]}, id="p"),
        new_code_cell(source, id="c"),
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": spec}), "own.ipynb")


def run(address):
    return CliRunner().invoke(cli, ["run", "own.ipynb", "-p", "n", "7", "-o", address])


def objects(bucket):
    return {o.key: o.get()["Body"].read().decode() for o in bucket.objects.all()}


def test_the_copy_is_in_the_marked_prefix_and_nothing_stays_here(bucket, tmp_path):
    write("n * 6")
    done = run("s3://kept/study/{n}-done.ipynb")
    assert done.exit_code == 0, done.output
    assert "finished: s3://kept/study/identifiable/7-done.ipynb" in done.output
    found = objects(bucket)
    assert list(found) == ["study/identifiable/7-done.ipynb", "study/identifiable/README.txt"]
    assert "may show patient data" in found["study/identifiable/README.txt"]
    copy = json.loads(found["study/identifiable/7-done.ipynb"])
    assert copy["cells"][-1]["outputs"][0]["data"]["text/plain"] == ["42"]
    assert str(tmp_path) not in found["study/identifiable/7-done.ipynb"]
    left = {p.name for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"own.ipynb"}


def test_a_failed_run_keeps_its_copy_there_and_says_where(bucket):
    write(f"raise ValueError('{PATIENT}')")
    done = run("s3://kept/study")
    assert isinstance(done.exception, RunFailed)
    assert "in s3://kept/study/identifiable/" in str(done.exception)
    assert PATIENT not in str(done.exception)
    assert PATIENT in objects(bucket)["study/identifiable/own.ipynb"]


def test_a_wrong_bucket_is_refused_before_a_kernel_starts(bucket):
    write("open('ran', 'w')")
    done = run("s3://gone/study")
    assert isinstance(done.exception, UsageError)
    assert "check bucket, region and credentials" in str(done.exception)
    assert not Path("ran").exists()
    assert not Path("s3:").exists()


def test_the_output_of_a_batch_is_a_folder(tmp_path):
    path = tmp_path / "matrix.yaml"
    path.write_text("notebook: own.ipynb\noutput: s3://kept/runs\n", encoding="utf-8")
    with pytest.raises(UsageError, match="'output' is a folder of this machine"):
        read_matrix(path)
