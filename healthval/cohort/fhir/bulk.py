"""Bulk Data export: kick off, wait, download; an interrupted run resumes and keeps finished files.

Source: HL7 FHIR Bulk Data Access 2.0, "Export".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from healthval.cohort.fhir.server import FhirServer, refusal
from healthval.errors import CohortError, counted
from healthval.files import flush_folder, write_durably

_MAX_POLLS = 10_000
_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_LONGEST_TROUBLE = (
    3600.0  # seconds in which a server may refuse polls before the export is given up
)
_FAILURES = 3  # plain errors 500 after which the export has failed
_DOWNLOADS = 3  # attempts at one file that arrives cut
_FILES = "[0-9][0-9][0-9][0-9][0-9].ndjson"
_REMARKS = frozenset({"information", "warning"})


@dataclass(frozen=True, kw_only=True)
class Exported:
    """Result of an export.

    Attributes
    ----------
    files : files with resources, in the folder
    counts : number of resources of each type
    messages : number of the server's remarks by severity and code, without their texts
    deleted : number of resources that the server lists as deleted since `since`
    """

    files: tuple[Path, ...] = field(repr=False)
    counts: tuple[tuple[str, int], ...]
    messages: tuple[tuple[str, int], ...] = ()
    deleted: int = 0


@dataclass(kw_only=True)
class BulkExport:
    """Export into `folder`, which then holds identifiable data; the state to resume from is beside it.

    Parameters
    ----------
    group : id of a Group; None exports all patients
    types : resource types; all types if empty
    since : FHIR instant; older resources are left out
    """

    server: FhirServer = field(kw_only=False)
    folder: Path = field(kw_only=False)
    group: str | None = None
    types: Sequence[str] = ()
    since: str | None = None
    _state: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._state_file.is_file():
            try:
                self._state = json.loads(self._state_file.read_text("utf-8"))
            except ValueError:
                self._state = {"unreadable": True}
            if not isinstance(self._state, dict):
                self._state = {"unreadable": True}
            self._check_state()

    def _check_state(self) -> None:
        """Refuse a state that cannot be read, or that of an export which asked for something else."""
        state = self._state
        if "unreadable" in state:
            raise CohortError(
                "the state file of the export cannot be read; delete it and the export's folder to"
                " begin anew"
            )
        if state and state.get("asked", self._asked()) != self._asked():
            raise CohortError(
                "the folder has an export of another server, group, types or time; cancel that export,"
                " or give another folder"
            )

    def _asked(self) -> dict[str, Any]:
        """What the export asks for; another one is not resumed."""
        types = sorted(self.types)
        return {"base": self.server.base, "group": self.group, "types": types, "since": self.since}

    @property
    def _state_file(self) -> Path:
        folder = self.folder.resolve()
        return folder.with_name(f".{folder.name}.export-state.json")

    def run(self) -> Exported:
        """Export, or resume; files that are finished are not downloaded again.

        Files that the server has deleted in the meantime start one new export.

        Raises
        ------
        CohortError
            If the server refuses, reports errors, or if a file is truncated or has another number of
            resources than the manifest.
        """
        for is_last in (False, True):
            self._manifest()
            messages = self._messages()
            if self._download_all(is_last=is_last):
                break
        return self._exported(messages)

    def cancel(self) -> None:
        """Cancel and delete the export at the server, and remove its state file here."""
        if "status" in self._state:
            answer = self.server.request("DELETE", self._state["status"])
            if answer.status_code not in {200, 202, 204, 404, 410}:
                raise CohortError(refusal(answer))
        self._drop_state()

    def _manifest(self) -> None:
        if "status" not in self._state:
            self._refuse_other_files()
            self._kick_off()
        if "manifest" not in self._state:
            self._remember(manifest=self._wait())

    def _refuse_other_files(self) -> None:
        """Refuse files of an earlier export: without its state they would pass as those of a new one."""
        if n := len(list(self.folder.glob(_FILES))):
            raise CohortError(
                f"the folder has {counted(n, 'file')} of an earlier export whose state is gone; move"
                " them away, or give another folder"
            )

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
            patience=_LONGEST_TROUBLE,
        )
        location = answer.headers.get("Content-Location")
        if answer.status_code != 202 or not location:
            raise CohortError(f"the export was not started: {refusal(answer)}")
        self._remember(status=self.server.own(location), asked=self._asked())

    def _wait(self) -> dict[str, Any]:
        trouble, n_failed = 0.0, 0
        for attempt in range(_MAX_POLLS):
            answer = self.server.request(
                "GET", self._state["status"], headers={"Accept": "application/json"}, once=True
            )
            n_failed += answer.status_code == 500 and not _is_transient(answer)
            waiting = answer.status_code in _TRANSIENT and trouble < _LONGEST_TROUBLE
            if answer.status_code == 202 or (waiting and n_failed <= _FAILURES):
                default = min(2.0 ** min(attempt, 6), 60.0)
                pause = self.server.pause(answer, default)
                trouble = 0.0 if answer.status_code == 202 else trouble + max(pause, 1.0)
                self.server.sleep(pause)
                continue
            return self._finished(answer)
        raise CohortError(
            "the export is still not finished; cancel it and ask the server's operator"
        )

    def _finished(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            manifest = answer.json()
        except ValueError:
            manifest = None
        if answer.status_code != 200 or not isinstance(manifest, dict):
            if answer.status_code not in _TRANSIENT - {500}:
                self._forget()
            raise CohortError(f"the export failed: {refusal(answer)}")
        lists = [manifest.get("output"), *(manifest.get(n) or [] for n in ("error", "deleted"))]
        usable = all(
            isinstance(entries, list)
            and all(isinstance(e, dict) and isinstance(e.get("url"), str) for e in entries)
            for entries in lists
        )
        if not usable:
            raise CohortError(
                "the export's manifest has no list of files; ask the server's operator"
            )
        return manifest

    def _messages(self) -> Counter[str]:
        """Count the server's remarks; errors among them stop the export."""
        found: Counter[str] = Counter()
        for number, entry in enumerate(self._state["manifest"].get("error") or []):
            part = self._part(f"message-{number:05d}")
            status = self.server.download(entry["url"], part, with_token=self._with_token())
            lines = _lines(part) if status == 200 else None
            part.unlink(missing_ok=True)
            if lines is None:
                found["error unreadable"] += 1
                continue
            for line in lines:
                found.update(_severities(line))
        n_errors = sum(n for name, n in found.items() if name.split()[0] not in _REMARKS)
        if n_errors:
            self._forget()
            raise CohortError(
                f"the export is incomplete: the server reports {counted(n_errors, 'error')}; correct "
                "the cause at the server and export again"
            )
        return found

    def _download_all(self, *, is_last: bool) -> bool:
        """Download all files; False if one no longer exists and the export was forgotten."""
        for number, output in enumerate(self._outputs()):
            if not self._download(number, output):
                self._forget()
                if is_last:
                    raise CohortError(
                        f"file {number + 1} of the export no longer exists at the server; run again to "
                        "export anew"
                    )
                return False
        return True

    def _download(self, number: int, output: dict[str, Any]) -> bool:
        """Download one file, again if it arrives cut; False if it no longer exists."""
        target = self._file(number)
        if target.exists():
            return True
        part = self._part(target.stem)
        place = f"file {number + 1} of {len(self._outputs())} of the export"
        for attempt in range(_DOWNLOADS):
            status = self.server.download(
                output["url"], part, with_token=self._with_token(), patience=_LONGEST_TROUBLE
            )
            if status in {404, 410}:
                return False
            if status in _TRANSIENT and attempt < _DOWNLOADS - 1:
                self.server.sleep(2.0**attempt)
                continue
            if status != 200:
                raise CohortError(
                    f"{place} cannot be downloaded (status {status}); run again to resume"
                )
            lines, expected = _lines(part), output.get("count")
            if lines is not None and (not isinstance(expected, int) or expected == len(lines)):
                part.replace(target)
                flush_folder(self.folder)
                return True
            self.server.sleep(2.0**attempt)
        if lines is None:
            raise CohortError(f"{place} is truncated or not NDJSON; run again to resume")
        raise CohortError(
            f"{place} has {counted(len(lines), 'resource')}, the manifest lists {expected}; run again "
            "to resume"
        )

    def _exported(self, messages: Counter[str]) -> Exported:
        files = tuple(self._file(number) for number in range(len(self._outputs())))
        counts: Counter[str] = Counter()
        for file in files:
            counts.update(_type(line) for line in _lines(file) or [])
        deleted = self._state["manifest"].get("deleted") or []
        return Exported(
            files=files,
            counts=tuple(sorted(counts.items())),
            messages=tuple(sorted(messages.items())),
            deleted=sum(n for d in deleted if isinstance(n := d.get("count", 1), int)),
        )

    def _outputs(self) -> list[dict[str, Any]]:
        return list(self._state["manifest"]["output"])

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:05d}.ndjson"

    def _part(self, name: str) -> Path:
        """A file that is still incomplete; hidden, so that it is not read as part of the export."""
        return self.folder / f".{name}.part"

    def _with_token(self) -> bool:
        return bool(self._state["manifest"].get("requiresAccessToken", True))

    def _remember(self, **news: Any) -> None:
        self._state |= news
        write_durably(self._state_file, json.dumps(self._state).encode())

    def _forget(self) -> None:
        self._drop_state()
        for file in (*self.folder.glob(_FILES), *self.folder.glob(".*.part")):
            file.unlink()

    def _drop_state(self) -> None:
        self._state = {}
        self._state_file.unlink(missing_ok=True)


def _is_transient(answer: httpx.Response) -> bool:
    """Whether the server's OperationOutcome calls an error transient."""
    try:
        issues = answer.json().get("issue") or []
        return any(issue.get("code") == "transient" for issue in issues)
    except (ValueError, AttributeError, TypeError):
        return False


def _lines(path: Path) -> list[bytes] | None:
    """Lines with the start of each resource; None if one of them is not a whole JSON object."""
    found = []
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                try:
                    resource = json.loads(line)
                except ValueError:
                    return None
                if not isinstance(resource, dict):
                    return None
                found.append(_start(resource))
    return found


def _start(resource: dict[str, Any]) -> bytes:
    kept = {name: resource[name] for name in ("resourceType", "issue") if name in resource}
    if resource.get("resourceType") != "OperationOutcome":
        kept.pop("issue", None)
    return json.dumps(kept).encode()


def _type(line: bytes) -> str:
    return str(json.loads(line).get("resourceType", "unknown"))


def _severities(line: bytes) -> list[str]:
    issues = json.loads(line).get("issue")
    known = [i for i in issues if isinstance(i, dict)] if isinstance(issues, list) else []
    return [f"{_word(i.get('severity'))} {_word(i.get('code'))}" for i in known] or [
        "error unknown"
    ]


def _word(value: object) -> str:
    return value if isinstance(value, str) and value.replace("-", "").isalpha() else "unknown"
