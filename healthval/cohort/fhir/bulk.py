"""Bulk Data export: kick off, wait, download; an interrupted run resumes and keeps finished files.

Source: HL7 FHIR Bulk Data Access 2.0, "Export".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from healthval.cohort.fhir.resources import read_resources
from healthval.cohort.fhir.server import FhirServer, refusal
from healthval.errors import CohortError, counted
from healthval.files import flush_folder, write_durably

_STATE = "export-state.json"
_MAX_POLLS = 10_000


@dataclass(kw_only=True)
class BulkExport:
    """Export into `folder`, which holds identifiable data and the state to resume from.

    Parameters
    ----------
    group : id of a Group; None exports all patients
    types : resource types; all types if empty
    since : FHIR instant; older resources are left out
    """

    server: FhirServer
    folder: Path
    group: str | None = None
    types: Sequence[str] = ()
    since: str | None = None
    _state: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / _STATE
        if path.is_file():
            try:
                self._state = json.loads(path.read_text("utf-8"))
            except ValueError:
                raise CohortError("the export's state file is not JSON; use a new folder") from None

    def run(self) -> Iterator[dict[str, Any]]:
        """Export, or resume, and yield the resources.

        Raises
        ------
        CohortError
            If the server refuses, or if a file is truncated or has another number of resources than
            the manifest.
        """
        if "status" not in self._state:
            self._kick_off()
        if "manifest" not in self._state:
            self._remember(manifest=self._wait())
        for number, output in enumerate(self._outputs()):
            self._download(number, output)
        for number in range(len(self._outputs())):
            yield from read_resources(self._file(number))

    def cancel(self) -> None:
        """Cancel and delete the export at the server, and remove its state file here."""
        if "status" in self._state:
            answer = self.server.request("DELETE", self._state["status"])
            if answer.status_code not in {200, 202, 204, 404, 410}:
                raise CohortError(refusal(answer))
        self._drop_state()

    def _kick_off(self) -> None:
        params = {"_outputFormat": "application/fhir+ndjson"}
        if self.types:
            params["_type"] = ",".join(self.types)
        if self.since:
            params["_since"] = self.since
        answer = self.server.request(
            "GET",
            f"Group/{self.group}/$export" if self.group else "$export",
            params=params,
            headers={"Accept": "application/fhir+json", "Prefer": "respond-async"},
        )
        location = answer.headers.get("Content-Location")
        if answer.status_code != 202 or not location:
            raise CohortError(f"the export was not started: {refusal(answer)}")
        self._remember(status=self.server.own(location))

    def _wait(self) -> dict[str, Any]:
        for attempt in range(_MAX_POLLS):
            answer = self.server.request(
                "GET", self._state["status"], headers={"Accept": "application/json"}
            )
            if answer.status_code == 202:
                default = min(2.0 ** min(attempt, 6), 60.0)
                self.server.sleep(self.server.pause(answer, default))
                continue
            try:
                manifest = answer.json()
            except ValueError:
                manifest = None
            if answer.status_code != 200 or not isinstance(manifest, dict):
                self._forget()
                raise CohortError(f"the export failed: {refusal(answer)}")
            return self._checked(manifest)
        raise CohortError(
            "the export is still not finished; cancel it and ask the server's operator"
        )

    def _checked(self, manifest: dict[str, Any]) -> dict[str, Any]:
        outputs, errors = manifest.get("output"), manifest.get("error") or []
        usable = isinstance(outputs, list) and all(
            isinstance(o, dict) and isinstance(o.get("url"), str) for o in outputs
        )
        if not usable:
            raise CohortError(
                "the export's manifest has no list of files; ask the server's operator"
            )
        if errors:
            raise CohortError(
                f"the export is incomplete: the manifest lists {counted(len(errors), 'error file')}; "
                "correct the cause at the server and export again"
            )
        return manifest

    def _outputs(self) -> list[dict[str, Any]]:
        return list(self._state["manifest"]["output"])

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:05d}.ndjson"

    def _download(self, number: int, output: dict[str, Any]) -> None:
        target = self._file(number)
        if target.exists():
            return
        part = target.with_suffix(".part")
        place = f"file {number + 1} of {len(self._outputs())} of the export"
        status = self.server.download(output["url"], part, with_token=self._with_token())
        if status != 200:
            if status in {404, 410}:
                self._forget()
            raise CohortError(
                f"{place} cannot be downloaded (status {status}); run again to resume"
            )
        with part.open("rb") as lines:
            found = sum(1 for line in lines if line.strip())
        expected = output.get("count")
        if isinstance(expected, int) and expected != found:
            raise CohortError(
                f"{place} has {counted(found, 'resource')}, the manifest lists {expected}; run again "
                "to resume"
            )
        part.replace(target)
        flush_folder(self.folder)

    def _with_token(self) -> bool:
        return bool(self._state["manifest"].get("requiresAccessToken", True))

    def _remember(self, **news: Any) -> None:
        self._state |= news
        write_durably(self.folder / _STATE, json.dumps(self._state).encode())

    def _forget(self) -> None:
        self._drop_state()
        for file in self.folder.glob("[0-9]*.ndjson"):
            file.unlink()

    def _drop_state(self) -> None:
        self._state = {}
        (self.folder / _STATE).unlink(missing_ok=True)
