"""A hub with the demo's three sites, a second vendor and open requests, for the dashboard to show."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healthval.aggregate import pool
from healthval.client import Client, Credential
from healthval.contracts.access import AccessDecision, AuditorKey, VendorKey
from healthval.contracts.report import ReportRecord, ReportVerdict
from healthval.demo.embedded_hub import embedded_hub
from healthval.demo.inputs import SITES, record_inputs
from healthval.disclosure import release
from healthval.evaluation import (
    Site,
    Sources,
    cohort_of,
    evaluate,
    gate_policy,
    request_access,
    submit_if,
)
from healthval.plan import Plan, load_plan
from healthval.report import Report, build, conduct_at, render_html
from healthval.report.criteria import plan_facts
from healthval.report.proof.attestation import ATTESTATION, sign
from healthval.report.publish import metrics_json
from healthval.runner.operator_tasks import by_label
from healthval.runner.provision import pack_artefact, read_registration


@dataclass(frozen=True)
class Staged:
    """The hub's address, and who has a key."""

    folder: Path
    url: str
    operator: Client
    ids: Mapping[str, str]
    numbers: dict[str, Any]
    html: bytes
    plan: Plan

    def key(self, name: str) -> Path:
        """Private key file of a holder."""
        return self.folder / f"{name}.key"

    def link(self, vendor: str, *, hours: float = 8) -> str:
        """Address with a signed link."""
        link = self.operator.dashboard_link(self.ids[vendor], hours=hours)
        return f"{self.url}/#{link.fragment}"

    def publish(
        self,
        numbers: Mapping[str, Any],
        *,
        version: str = "1.0",
        html: bytes = b"<p>",
        signer: str = "operator",
    ) -> ReportRecord:
        """Publish these numbers as a signed report on a version of the demo's model."""
        files = {"metrics.json": json.dumps(numbers).encode(), "report.html": html}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        about = {**self.plan.subject, "version": version}
        private_key = Credential.load(self.key(signer)).private_key
        files[ATTESTATION] = sign(digests, private_key, about=about)
        verdicts = tuple(
            ReportVerdict(criterion=one["criterion"], outcome=one["outcome"])
            for one in self.numbers["verdicts"]
        )
        n_sites = self.numbers["study"]["k"]
        return self.operator.publish_report(
            **about, n_sites=n_sites, verdicts=verdicts, files=files
        )


@contextmanager
def staged(folder: Path) -> Iterator[Staged]:
    """Run the hub, let the demo's three sites send their results, and publish the report."""
    record_inputs(folder / "inputs")
    plan = load_plan(folder / "inputs" / "plan.yaml")
    holders = {
        name: Credential.create(folder / f"{name}.key")
        for name in ("operator", "vendor", "rival", "auditor")
    }
    with (
        embedded_hub(folder / "hub", folder / "operator.key.pub") as url,
        Client(url, holders["operator"]) as operator,
    ):
        registration, artefact = _model(folder / "inputs" / "vendor")
        for changed in ({}, {"version": "1.1"}, {"version": "1.2"}, {"name": "rival-risk"}):
            card = registration.card.model_copy(update=changed)
            operator.register_model(registration.model_copy(update={"card": card}), artefact)
        operator.start_model("aspirate-risk", "1.0")
        for vendor, model in {"vendor": "aspirate-risk", "rival": "rival-risk"}.items():
            key = holders[vendor].public_key
            operator.enrol_vendor(VendorKey(public_key=key, label=vendor, models=(model,)))
        auditor = AuditorKey(public_key=holders["auditor"].public_key, label="auditor")
        operator.enrol_auditor(auditor)
        for site in SITES:
            home = Site.create(folder / "sites" / site.folder)
            _send(folder / "inputs", home, site, plan, operator)
        report = _report(plan, operator)
        yield Staged(
            folder=folder,
            url=url,
            operator=operator,
            ids={name: credential.id for name, credential in holders.items()},
            numbers=json.loads(metrics_json(report)),
            html=render_html(report.notebook()).encode(),
            plan=plan,
        )


def _model(vendor: Path):
    artefact = vendor / "artefact"
    return read_registration(vendor / "registration.yaml", artefact), pack_artefact(artefact)


def _send(inputs: Path, home: Site, site, plan: Plan, operator: Client) -> None:
    with Client(operator.transport.origin, home.credential) as client:
        grant = request_access(plan, client, site=home, label=site.label)
        operator.decide_access(grant, AccessDecision(status="approved"))
        home.register(plan)
        cohort = cohort_of(plan, Sources(str(inputs / site.folder / "cohort.csv"), "", {}))
        result = evaluate(plan, cohort, client, site=home)
        assert submit_if(True, release(result, gate_policy(plan), home.ledger), client, home)


def _report(plan: Plan, operator: Client) -> Report:
    released = by_label(operator.submissions(**plan.subject))
    card = operator.model(plan.model.name, plan.model.version).registration.card
    facts = plan_facts(plan, released.values())
    conduct = conduct_at(operator, plan, ())
    return build(pool(tuple(released.items())), released, card, facts, conduct)
