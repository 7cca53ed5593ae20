"""Calls of every key: models, reports, audit, its own replacement."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from healthval.client.calls import Calls, checked_bytes
from healthval.contracts.access import (
    DashboardLink,
    KeyList,
    KeyRecord,
    KeyRotation,
    LinkRequest,
    rotation_bytes,
)
from healthval.contracts.audit import AuditEntry, AuditHead, AuditList
from healthval.contracts.base import canonical_json
from healthval.contracts.model import InputContract, ModelList, ModelRecord
from healthval.contracts.report import ReportList, ReportRecord
from healthval.credential import Credential, own_key
from healthval.errors import HubError, IntegrityError
from healthval.files import flush_folder, write_durably

CLOSED = (
    "the hub shows this model's input contract to a site after the operator has approved its access."
    " Until then, take the inputs from the developer's documents; ask with `healthval access request`"
)


@dataclass(frozen=True, slots=True)
class ModelContract:
    """Name and version of a model; its input contract, or None where it is not open to this key."""

    name: str
    version: str
    inputs: InputContract | None


class HolderCalls(Calls):
    """Calls of every key."""

    def models(self) -> tuple[ModelRecord, ...]:
        """List the models."""
        pages = self._pages("/v1/models", ModelList)
        return tuple(model for page in pages for model in page.models)

    def contracts(self) -> tuple[ModelContract, ...]:
        """List all models by name, with the input contract of each whose card this key may read."""
        pages = list(self._pages("/v1/models", ModelList))
        found = {
            (m.registration.card.name, m.registration.card.version): m.registration.inputs
            for page in pages
            for m in page.models
        }
        names = [(other.name, other.version) for page in pages for other in page.others]
        every = {**dict.fromkeys(names), **found}
        return tuple(
            ModelContract(name=name, version=version, inputs=inputs)
            for (name, version), inputs in sorted(every.items(), key=lambda entry: entry[0])
        )

    def contract(self, name: str, version: str | None = None) -> ModelContract:
        """Return one model with its input contract; `version` is needed if there are several.

        Raises
        ------
        HubError
            If there is no such model, or several versions of it, or the contract is not open to
            this key.
        """
        found = [c for c in self.contracts() if c.name == name and version in {None, c.version}]
        if len(found) != 1:
            which = "no such model" if not found else f"{len(found)} versions of this model"
            raise HubError(f"the hub has {which}; see `healthval models list`, give one version")
        if found[0].inputs is None:
            raise HubError(f"{found[0].name} {found[0].version}: {CLOSED}")
        return found[0]

    def model(self, name: str, version: str) -> ModelRecord:
        """Return one model.

        Raises
        ------
        IntegrityError
            If the hub's record is about another model or version.
        """
        record = self._get(f"/v1/models/{name}/{version}", ModelRecord)
        card = record.registration.card
        if (card.name, card.version) != (name, version):
            raise IntegrityError("the hub's record is about another model; inform the operator")
        return record

    def reports(self) -> tuple[ReportRecord, ...]:
        """List the reports that this key may read."""
        pages = self._pages("/v1/reports", ReportList)
        return tuple(report for page in pages for report in page.reports)

    def report_file(self, report: ReportRecord, name: str) -> bytes:
        """Fetch one file of a report and check it against its hash."""
        data = self.transport.send("GET", f"/v1/reports/{report.id}/files/{name}")
        return checked_bytes(data, report.files[name])

    def audit(self) -> tuple[tuple[AuditEntry, ...], AuditHead | None]:
        """Return the whole audit chain, oldest entry first, and its head."""
        pages = list(self.audit_pages())
        return tuple(entry for page in pages for entry in page.entries), pages[-1].head

    def audit_pages(self) -> Iterator[AuditList]:
        """Fetch the audit chain page by page, oldest entry first."""
        return self._pages("/v1/audit", AuditList)

    def keys(self) -> tuple[KeyRecord, ...]:
        """List the keys that the hub knows."""
        pages = self._pages("/v1/keys", KeyList)
        return tuple(key for page in pages for key in page.keys)

    def dashboard_link(self, vendor: str | None = None, *, hours: float = 8) -> DashboardLink:
        """Ask for a link that reads the reports of one vendor: this key's, or for the operator any."""
        asked = LinkRequest(vendor=vendor or self.site, seconds=round(hours * 3600))
        return self._post("/v1/dashboard-links", asked, DashboardLink)

    def rotate_key(self, path: Path, *, overlap_days: int = 7) -> Credential:
        """Replace this key, which is in the file `path`; return the new one.

        The hub accepts the old key for `overlap_days` more. A rotation that was interrupted is
        continued by the next call.

        Raises
        ------
        HubError
            If the hub refuses; the file then still has the old key.
        """
        draft = path.with_name(path.name + ".new")
        own = own_key(self.credential)
        new = Credential.load(draft) if draft.exists() else own.successor(draft)
        signed = new.private_key.sign(rotation_bytes(self.site, new.public_key))
        proof = base64.urlsafe_b64encode(signed).decode().rstrip("=")
        asked = KeyRotation(public_key=new.public_key, proof=proof, overlap_days=overlap_days)
        self._post("/v1/keys/rotation", asked, KeyRecord)
        public = canonical_json(new.public_key.model_dump())
        write_durably(path.with_name(path.name + ".pub"), public, mode=0o644)
        draft.replace(path)
        draft.with_name(draft.name + ".pub").unlink(missing_ok=True)
        flush_folder(path.parent)
        return new
