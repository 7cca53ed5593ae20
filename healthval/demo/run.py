"""`healthval demo`: the seven steps over real HTTP, on this machine, with patients of one track."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision
from healthval.demo.embedded_hub import embedded_hub, locked
from healthval.demo.scenes import Scene, scene
from healthval.errors import HealthvalError
from healthval.evaluation import open_credential
from healthval.plan import Plan
from healthval.plan_file import load_plan
from healthval.runner.execute import run
from healthval.runner.parameters import EvaluateParameters, ProvisionParameters, ReportParameters

APPROVAL_SECONDS = 30.0


@dataclass(frozen=True)
class Stage:
    """Where the demo keeps its things and how it reaches its hub."""

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

    def site(self, site: Any) -> Path:
        """A site's own folder, with its ledger."""
        return self.folder / "sites" / str(site.folder)


def run_demo(folder: Path, track: str = "table") -> list[str]:
    """Run the whole path once; a run that was cut short is completed, not repeated.

    Parameters
    ----------
    folder : the products of a track other than `table` lie in a folder of its name below

    Returns
    -------
    At most 15 lines for the newcomer.
    """
    played = scene(track)
    home = folder if track == "table" else folder / track
    home.mkdir(parents=True, exist_ok=True)
    steps = tqdm(total=len(played.sites) + 3, desc="healthval demo", unit="step", leave=False)
    with locked(home / ".lock"), steps:
        played.record(home / "inputs")
        steps.update()
        open_credential(home / "operator" / "operator.key")
        with embedded_hub(home / "hub", home / "operator" / "operator.key.pub") as hub_url:
            stage = Stage(home, hub_url, played)
            plan = load_plan(stage.inputs / "plan.yaml")
            _provision(stage)
            steps.update()
            with _approving(stage, plan):
                for site in played.sites:
                    _evaluate(stage, site)
                    steps.update()
            _report(stage)
            steps.update()
    from healthval.demo.summary import summary

    return summary(home, played)


def _provision(stage: Stage) -> None:
    parameters = ProvisionParameters(
        hub_url=stage.hub_url,
        operator_key=stage.operator_key,
        registration=stage.inputs / "vendor" / "registration.yaml",
        artefact=stage.inputs / "vendor" / "artefact",
    )
    run(parameters, stage.folder / "runs")


def _evaluate(stage: Stage, site: Any) -> None:
    parameters = EvaluateParameters(
        hub_url=stage.hub_url,
        site_folder=stage.site(site),
        site_label=site.label,
        plan=stage.inputs / "plan.yaml",
        wait_seconds=APPROVAL_SECONDS,
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


@contextmanager
def _approving(stage: Stage, plan: Plan) -> Iterator[None]:
    """Stand in for the operator: approve the three known sites when they ask for this plan."""
    done = threading.Event()
    thread = threading.Thread(target=_approve, args=(stage, plan, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=APPROVAL_SECONDS)


def _approve(stage: Stage, plan: Plan, done: threading.Event) -> None:
    labels = {site.label for site in stage.scene.sites}
    with Client(stage.hub_url, Credential.load(stage.operator_key)) as client:
        while not done.wait(0.2):
            try:
                for grant in client.access_requests("requested"):
                    if grant.label in labels and grant.plan_hash == plan.hash:
                        client.decide_access(grant, AccessDecision(status="approved"))
            except HealthvalError:
                continue  # the hub may just be busy; the next look will tell
