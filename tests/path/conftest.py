"""A real hub with the demo's model behind it, over loopback HTTP, once for all tests of the path."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision
from healthval.demo.inputs import record_inputs
from healthval.evaluation import Site, request_access
from healthval.plan import Plan, load_plan
from healthval.runner.provision import pack_artefact, read_registration

# An embedded hub needs Linux or macOS.
collect_ignore_glob = ["test_path_*.py", "test_through_hub.py"] if sys.platform == "win32" else []


@dataclass
class Stage:
    folder: Path
    url: str
    operator: Client
    plan: Plan

    @property
    def inputs(self):
        return self.folder / "inputs"

    def approved_site(self, folder):
        """A new site with approved access."""
        site = Site.create(folder)
        with Client(self.url, site.credential) as client:
            grant = request_access(self.plan, client, site=site, label="Test site")
        if grant.status == "requested":
            self.operator.decide_access(grant, AccessDecision(status="approved"))
        return site

    def parameters(self, folder, **changes):
        """Parameters of the evaluation notebook for the demo's northern site."""
        values = {
            "hub_url": self.url,
            "site_folder": str(folder),
            "site_label": "Test site",
            "plan": str(self.inputs / "plan.yaml"),
            "table": str(self.inputs / "north" / "cohort.csv"),
            "send": True,
        }
        return values | changes


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    from healthval.demo.embedded_hub import embedded_hub

    folder = tmp_path_factory.mktemp("stage")
    record_inputs(folder / "inputs")
    Credential.create(folder / "operator.key")
    with embedded_hub(folder / "hub", folder / "operator.key.pub") as url:
        operator = Client(url, Credential.load(folder / "operator.key"))
        vendor = folder / "inputs" / "vendor"
        operator.register_model(
            read_registration(vendor / "registration.yaml", vendor / "artefact"),
            pack_artefact(vendor / "artefact"),
        )
        operator.start_model("aspirate-risk", "1.0")
        yield Stage(folder, url, operator, load_plan(folder / "inputs" / "plan.yaml"))
        operator.close()
    shutil.rmtree(folder, ignore_errors=True)
