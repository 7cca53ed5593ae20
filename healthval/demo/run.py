"""`healthval demo`: all steps of an evaluation over real HTTP, with the patients of one track."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision, VendorKey
from healthval.demo.embedded_hub import embedded_hub
from healthval.demo.inputs import DemoSite, InventedSite, record_inputs
from healthval.demo.scenes import Scene, scene
from healthval.demo.summary import summary
from healthval.errors import UsageError
from healthval.evaluation import Site, open_credential, request_access
from healthval.files import locked
from healthval.plan import Plan
from healthval.plan_file import load_plan
from healthval.progress import tqdm
from healthval.runner.execute import run
from healthval.runner.parameters import EvaluateParameters, ProvisionParameters, ReportParameters


@dataclass(frozen=True)
class Stage:
    """Folders of a demo, and the address of its hub."""

    folder: Path
    hub_url: str
    scene: Scene

    @property
    def inputs(self) -> Path:
        """The recorded inputs."""
        return self.folder / "inputs"

    @property
    def operator_key(self) -> Path:
        """The operator's private key."""
        return self.folder / "operator" / "operator.key"

    def site(self, site: DemoSite | InventedSite) -> Path:
        """Folder of a site, with its key and ledger."""
        return self.folder / "sites" / site.folder


def run_demo(
    folder: Path, track: str = "table", *, stay: Callable[[list[str]], None] | None = None
) -> list[str]:
    """Run the whole path once; an interrupted run is completed, not repeated.

    Parameters
    ----------
    folder : output of the track `table`; another track has a subfolder of its name
    stay : gets the lines; the hub and its dashboard stay open until it returns

    Returns
    -------
    list of str
        At most 15 lines for the newcomer; the last one is a signed link to the dashboard.

    Raises
    ------
    UsageError
        If the track is unknown, or another run uses the folder.
    """
    played = scene(track)
    home = folder if track == "table" else folder / track
    home.mkdir(parents=True, exist_ok=True)
    busy = UsageError(
        f"another run is using the folder {home}; wait for it or choose another folder"
    )
    steps: tqdm[Any] = tqdm(
        total=len(played.sites) + 3, desc="healthval demo", unit="step", leave=False
    )
    with locked(home / ".lock", seconds=0, busy=busy), steps:
        record_inputs(home / "inputs", track)
        steps.update()
        open_credential(home / "operator" / "operator.key")
        stage = Stage(home, "", played)
        public, port = home / "operator" / "operator.key.pub", _port_before(home / "hub")
        with embedded_hub(home / "hub", public, port=port) as hub_url:
            stage = replace(stage, hub_url=hub_url)
            _play(stage, steps)
            steps.close()
            lines = [*summary(home, played, is_open=stay is not None), _dashboard(stage)]
            if stay is not None:
                stay(lines)
    return lines


def _port_before(hub: Path) -> int:
    """Port that the hub had before, so that links stay valid; 0 if it has none or it is taken."""
    try:
        address = json.loads((hub / "hub.json").read_text(encoding="utf-8"))["url"]
        port = int(urlsplit(address).port or 0)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return port


def _dashboard(stage: Stage) -> str:
    """Return a signed link to the dashboard for the model's vendor, who is enrolled with a key here."""
    plan = load_plan(stage.inputs / "plan.yaml")
    vendor = open_credential(stage.folder / "vendor" / "vendor.key")
    enrolled = VendorKey(
        public_key=vendor.public_key, label="Demo Vendor", models=(plan.model.name,)
    )
    with Client(stage.hub_url, Credential.load(stage.operator_key)) as operator:
        operator.enrol_vendor(enrolled)
        link = operator.dashboard_link(vendor.id)
        return f"             {operator.transport.origin}/#{link.fragment}"


def _play(stage: Stage, steps: "tqdm[Any]") -> None:
    plan = load_plan(stage.inputs / "plan.yaml")
    _provision(stage)
    steps.update()
    for site in stage.scene.sites:
        _grant_access(stage, plan, site)
        _evaluate(stage, site)
        steps.update()
    _report(stage)
    steps.update()


def _provision(stage: Stage) -> None:
    parameters = ProvisionParameters(
        hub_url=stage.hub_url,
        operator_key=stage.operator_key,
        registration=stage.inputs / "vendor" / "registration.yaml",
        artefact=stage.inputs / "vendor" / "artefact",
    )
    run(parameters, stage.folder / "runs")


def _grant_access(stage: Stage, plan: Plan, site: DemoSite | InventedSite) -> None:
    """Request access as the site and approve it as the operator, unless it is approved already."""
    home = Site.create(stage.site(site))
    with Client(stage.hub_url, home.credential) as client:
        grant = request_access(plan, client, site=home, label=site.label)
    if grant.status == "requested":
        with Client(stage.hub_url, Credential.load(stage.operator_key)) as operator:
            operator.decide_access(grant, AccessDecision(status="approved"))


def _evaluate(stage: Stage, site: DemoSite | InventedSite) -> None:
    parameters = EvaluateParameters(
        hub_url=stage.hub_url,
        site_folder=stage.site(site),
        site_label=site.label,
        plan=stage.inputs / "plan.yaml",
        send=True,
        **stage.scene.sources(stage.inputs, site),
    )
    run(parameters, stage.site(site))


def _report(stage: Stage) -> None:
    parameters = ReportParameters(
        hub_url=stage.hub_url,
        operator_key=stage.operator_key,
        plan=stage.inputs / "plan.yaml",
        out=stage.folder,
    )
    run(parameters, stage.folder / "runs")
