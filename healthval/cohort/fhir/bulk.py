"""Bulk Data export: kick off, wait, download; an interrupted run resumes and keeps finished files.

Source: HL7 FHIR Bulk Data Access 2.0, "Export".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from healthval.cohort.fhir.bulk_files import Content, read_content
from healthval.cohort.fhir.server import (
    LONGEST_SILENCE,
    DownloadInterruptedError,
    FhirServer,
    refusal,
)
from healthval.errors import CohortError, counted
from healthval.files import flush_folder, write_durably

_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_LONGEST_TROUBLE = 3600.0  # seconds in which a server may be busy before the export is given up
_LONGEST_EXPORT = 7 * 86_400.0  # seconds in which a server may prepare an export
_FAILURES = 3  # plain errors 500 after which the export has failed
_DOWNLOADS = 3  # attempts at one file that fails, or arrives cut
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


class _GoneError(CohortError):
    """A file that the server has deleted."""


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
            try:
                return self._downloaded()
            except _GoneError as gone:
                self._forget()
                if is_last:
                    raise CohortError(str(gone)) from None
        raise AssertionError  # pragma: no cover - the second run returns or raises

    def _downloaded(self) -> Exported:
        messages = self._messages()
        counts: Counter[str] = Counter()
        for number in range(len(self._outputs())):
            counts += self._download(number).types
        files = tuple(self._file(number) for number in range(len(self._outputs())))
        return Exported(
            files=files,
            counts=tuple(sorted(counts.items())),
            messages=tuple(sorted(messages.items())),
            deleted=self._deletions(),
        )

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
        address = f"Group/{self.group}/$export" if self.group else "$export"
        headers = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
        for attempt in range(_FAILURES):
            answer = self.server.request(
                "GET", address, params=params, headers=headers, patience=_LONGEST_TROUBLE
            )
            if answer.status_code != 500 or attempt == _FAILURES - 1:
                break
            self.server.sleep(2.0**attempt)
        location = answer.headers.get("Content-Location")
        if answer.status_code != 202 or not location:
            raise CohortError(f"the export was not started: {refusal(answer)}")
        self._remember(status=self.server.own(location), asked=self._asked())

    def _wait(self) -> dict[str, Any]:
        waited, trouble, n_failed = 0.0, 0.0, 0
        for attempt in count():
            answer = self.server.request(
                "GET",
                self._state["status"],
                headers={"Accept": "application/json"},
                patience=_LONGEST_TROUBLE,
                silence=LONGEST_SILENCE,
            )
            is_transient = _is_transient(answer)
            n_failed += answer.status_code == 500 and not is_transient
            has_failed = n_failed > _FAILURES or trouble >= _LONGEST_TROUBLE
            if answer.status_code != 202 and (answer.status_code != 500 or has_failed):
                return self._finished(answer)
            if waited >= _LONGEST_EXPORT:
                raise CohortError(
                    "the export is still not finished; run again to wait on, or cancel it and ask the"
                    " server's operator"
                )
            default = min(2.0 ** min(attempt, 6), 60.0)
            pause = self.server.pause(answer, default, longest=_LONGEST_TROUBLE)
            waited += pause
            trouble = 0.0 if answer.status_code == 202 else trouble + pause
            self.server.sleep(pause)
        raise AssertionError  # pragma: no cover - the loop has no end

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
        if any(
            isinstance(e, dict) and e.get("relation") == "next" for e in _list(manifest.get("link"))
        ):
            raise CohortError(
                "the export's manifest has several pages, for which it was not asked; ask the server's "
                "operator for one manifest"
            )
        return manifest

    def _messages(self) -> Counter[str]:
        """Count the server's remarks; errors among them stop the export."""
        found: Counter[str] = Counter()
        for number, entry in enumerate(self._state["manifest"].get("error") or []):
            content = self._read_aside(entry, f"message file {number + 1}")
            found += content.remarks
            found["error unknown"] += content.types.total() - content.types["OperationOutcome"]
        n_errors = sum(n for name, n in found.items() if name.split()[0] not in _REMARKS)
        if n_errors:
            self._forget()
            raise CohortError(
                f"the export is incomplete: the server reports {counted(n_errors, 'error')}; correct "
                "the cause at the server and export again"
            )
        return +found

    def _deletions(self) -> int:
        """Number of deleted resources; the manifest's `count` is that of the Bundles with deletions."""
        n = 0
        for number, entry in enumerate(self._state["manifest"].get("deleted") or []):
            try:
                place = f"list {number + 1} of deleted resources"
                n += self._read_aside({"url": entry["url"]}, place).deletions
            except _GoneError:
                if (given := _count(entry)) is None:
                    raise
                n += given
        return n

    def _read_aside(self, entry: dict[str, Any], place: str) -> Content:
        """Content of a file that is not kept."""
        part = self._part("aside")
        content = self._fetched(entry, part, f"{place} of the export")
        part.unlink()
        return content

    def _download(self, number: int) -> Content:
        """Download one file, unless it is here, and return its content."""
        target = self._file(number)
        place = f"file {number + 1} of {len(self._outputs())} of the export"
        if target.exists():
            return read_content(target) or Content()
        part = self._part(target.stem)
        content = self._fetched(self._outputs()[number], part, place)
        part.replace(target)
        flush_folder(self.folder)
        return content

    def _fetched(self, entry: dict[str, Any], part: Path, place: str) -> Content:
        """Download one file into `part`, again if it fails or arrives cut.

        Raises
        ------
        CohortError
            If it still fails, or has another number of resources than the manifest lists; `_GoneError`
            if it no longer exists.
        """
        expected, with_token = _count(entry), self._with_token()
        problem = ""
        for attempt in range(_DOWNLOADS):
            if attempt:
                self.server.sleep(2.0 ** (attempt - 1))
            try:
                status = self.server.download(
                    entry["url"], part, with_token=with_token, patience=_LONGEST_TROUBLE
                )
            except DownloadInterruptedError:
                problem = "is interrupted at each attempt"
                continue
            # A storage refuses an address that is its own permission once it has expired.
            if status in {404, 410} or (400 <= status < 500 and status != 429 and not with_token):
                raise _GoneError(
                    f"{place} is no longer given by the server (status {status}); run again to export "
                    "anew"
                )
            if status != 200:
                problem = f"cannot be downloaded (status {status})"
                if status not in _TRANSIENT | {403}:
                    break
                continue
            content = read_content(part)
            if content is None:
                problem = "is truncated or not NDJSON"
            elif expected is not None and expected != (n := content.types.total()):
                problem = f"has {counted(n, 'resource')}, the manifest lists {expected}"
            else:
                return content
        part.unlink(missing_ok=True)
        raise CohortError(f"{place} {problem}; run again to resume")

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
        try:
            write_durably(self._state_file, json.dumps(self._state).encode())
        except OSError:
            raise CohortError(
                "the state of the export cannot be written beside its folder; give a folder in one that "
                "can be written, with free space"
            ) from None

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


def _count(entry: dict[str, Any]) -> int | None:
    """Number of resources that the manifest lists for a file, if it does."""
    given = entry.get("count")
    return given if type(given) is int and given >= 0 else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
