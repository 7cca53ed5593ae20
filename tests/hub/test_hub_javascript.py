"""The JavaScript client: its generated files, its own tests, and the seven steps over real HTTP."""

import gzip
import hashlib
import json
import shutil
import sys
from pathlib import Path

import node_tools
import pytest
from node_tools import NODE, ROOT, SDK

from healthval.client import Credential
from healthval.contracts.access import VendorKey
from healthval.contracts.keys import fingerprint
from healthval.report.proof.attestation import ATTESTATION, sign


def run(*command: str, folder: Path = SDK) -> str:
    """Run a program to its end and return its output."""
    return node_tools.run(*command, folder=folder)


@pytest.fixture(scope="session")
def built():
    """The client, compiled from its sources with the tools of its lock file."""
    return node_tools.built_client()


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory):
    """An empty project into which the packed client was installed."""
    folder = node_tools.project(tmp_path_factory.mktemp("project"))
    shutil.copy(Path(__file__).with_name("seven_steps.mjs"), folder)
    return folder


def test_the_shared_vectors_are_those_of_the_python_package():
    vectors = ROOT / "tests" / "hub" / "vectors.py"
    known = (ROOT / "schemas" / "conformance.json").read_text(encoding="utf-8")
    made = run(sys.executable, "-W", "ignore", str(vectors), "--print", folder=ROOT)
    assert made == known, "run python tests/hub/vectors.py"


def test_the_generated_files_are_those_of_the_openapi_document(built):
    run(NODE, "scripts/generate.mjs", "--check")


def test_its_own_tests_pass(built):
    assert "# fail 0" in run(NODE, "--test")


def test_it_is_small_and_needs_nothing_else(built, tmp_path):
    about = json.loads((SDK / "package.json").read_text(encoding="utf-8"))
    assert "dependencies" not in about
    bundle = tmp_path / "client.js"
    flags = ("--bundle", "--minify", "--format=esm", "--target=es2022", f"--outfile={bundle}")
    run("npx", "esbuild", "dist/index.js", *flags)
    assert len(gzip.compress(bundle.read_bytes(), 9)) <= 15 * 1024


def test_only_the_sources_and_what_is_built_from_them_are_packed(built):
    packed = json.loads(run("npm", "pack", "--json", "--dry-run", "--ignore-scripts"))
    names = {Path(entry["path"]).parts[0] for entry in packed[0]["files"]}
    assert names == {"README.md", "dist", "package.json", "src"}


@pytest.mark.parametrize("hub", ["embedded", "lambda"], indirect=True, scope="session")
def test_the_seven_steps_with_the_packed_client(
    kit, hub, operator, operator_key, model, installed, tmp_path
):
    release = tmp_path / "release.json"
    release.write_bytes(kit.payload(model.digest))
    steps = ("seven_steps.mjs", "site", hub.url, str(operator_key), str(release))
    seen = json.loads(run(NODE, *steps, folder=installed))
    assert seen["scores"] == [0.125, 0.25, 0.5, 0.75, 0.375, None, None]
    assert seen["reasons"][-2:] == ["model_declined", "input_out_of_range"]
    assert seen["progress"] == [[1, 2], [2, 2]]
    assert seen["auroc"] == 1.0
    assert seen["receipt"]["submission_sha256"] == hashlib.sha256(release.read_bytes()).hexdigest()
    assert (seen["again"]["repeated"], seen["same"]) == (True, True)

    platform = Credential.create(tmp_path / "platform.key")
    files = {"report.html": b"<p>report", "metrics.json": b"{}"}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    files[ATTESTATION] = sign(digests, platform.private_key)
    vendor = Credential.create(tmp_path / "vendor.key")
    operator.enrol_vendor(
        VendorKey(public_key=vendor.public_key, label="Vendor", models=("tumour",))
    )
    about = {"model": "tumour", "version": "1.0", "plan_hash": kit.PLAN, "n_sites": 1}
    operator.publish_report(**about, files=files)
    steps = ("seven_steps.mjs", "vendor", hub.url, str(tmp_path / "vendor.key"))
    read = json.loads(run(NODE, *steps, str(tmp_path / "platform.key.pub"), folder=installed))
    assert read == {
        "model": "tumour",
        "files": ["metrics.json", "report.html"],
        "fingerprint": fingerprint(platform.public_key),
    }
