"""Run inside a separate network namespace: docs/pacs.md, block by block, against a real PACS.

Prints one line of JSON. The films of a site are in Orthanc; the plan names it as its image source.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import yaml

from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision
from healthval.demo import synthetic
from healthval.demo.embedded_hub import embedded_hub
from healthval.evaluation import Site
from healthval.files import packaged
from healthval.plan_file import load_plan
from healthval.runner.provision import pack_artefact, read_registration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pacs.md").read_text(encoding="utf-8")
N_CASES = 40
# The vendor's logistic regression, whose layout examples/imaging/vendor reads
WEIGHTS = {
    "features": ["age", "crp", "opacity"],
    "mean": [61.0, 38.0, 20.0],
    "sd": [19.0, 38.0, 10.0],
    "coefficients": [0.2, 0.6, 0.8],
    "intercept": -0.7,
}


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def orthanc_tools():
    path = ROOT / "tests" / "cohort" / "pacs_round_trip.py"
    found = importlib.util.spec_from_file_location("pacs_round_trip", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    module.HTTP = 8042
    return module


def run_commands(block):
    for line in block.strip().splitlines():
        words = shlex.split(line.removeprefix("$ healthval "))
        done = subprocess.run(
            [sys.executable, "-m", "healthval", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stdout[-800:], done.stderr[-800:])
        yield done.stdout


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    tools = orthanc_tools()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.chdir(home)
        files = synthetic.write_site(home, n=N_CASES, seed=5, prevalence=0.4)
        films = sorted(files.images.glob("*.dcm"))
        labels = pd.read_csv(files.labels, dtype=str)
        Path("accessions.txt").write_text("\n".join(labels["accession"].dropna()), encoding="utf-8")
        site = Site.create(home / "site")
        values = yaml.safe_load((packaged("examples") / "imaging" / "plan.yaml").read_text("utf-8"))
        values["images"] = yaml.safe_load(blocks("yaml")[0])["images"]
        Path("plan.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        with tools.orthanc(home / "pacs", films):
            shutil.rmtree(files.images)
            shown = [out for block in blocks("console") for out in run_commands(block)]
            result = predicted(home, site, files)
    assert "PACS" in shown[-1]
    print(json.dumps({"shown": shown, **result}))


def predicted(home, site, files):
    """The Python block of the page, with a hub and a vendor's model."""
    Credential.create(home / "operator.key")
    vendor = home / "vendor"
    shutil.copytree(packaged("examples") / "imaging" / "vendor", vendor)
    (vendor / "artefact" / "weights.json").write_text(json.dumps(WEIGHTS), encoding="utf-8")
    registration = read_registration(vendor / "registration.yaml", vendor / "artefact")
    card = registration.card
    plan = load_plan(home / "plan.yaml")
    with (
        embedded_hub(home / "data", home / "operator.key.pub") as url,
        Client(url, Credential.load(home / "operator.key")) as operator,
        Client(url, site.credential) as client,
    ):
        operator.register_model(registration, pack_artefact(vendor / "artefact"))
        operator.start_model(card.name, card.version)
        grant = client.request_access(label="north", **plan.subject)
        operator.decide_access(grant, AccessDecision(status="approved"))
        names = {"plan": plan, "client": client, "site": site}
        exec(compile(blocks("python")[0], "docs/pacs.md", "exec"), names)
        result = names["result"]
    return {"flow": dict(result.flow), "canary": result.canary}


if __name__ == "__main__":
    sys.exit(main())
