"""Standing orders of reports: each result that counts makes the next report of its study due.

``waiting -> due -> made`` or ``failed``. A due report is an entry of the index, written in the same
commit as the result that made it due, so that no end of a process loses it. `make` runs the notebook
``report.ipynb`` against this hub as the operator does, in a process of its own; the key with which it
signs is published for reports and can do nothing else.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from healthval.contracts.report import (
    ReportOrder,
    ReportOrderList,
    ReportOrderRecord,
    ReportRecord,
)
from healthval.errors import counted
from healthval.hub import registry
from healthval.hub.access import Subject
from healthval.hub.audit_chain import record
from healthval.hub.auth import Caller
from healthval.hub.pages import Page
from healthval.hub.ports import Backend, Item, Refusal, Write

ORDERS: Final = "report-orders"
DUE: Final = "reports-due"
MAX_ATTEMPTS: Final = 3
MAX_REASON: Final = 1000
NOTEBOOK_SECONDS: Final = 840

Notebook = Callable[[ReportOrder, bytes], None]


class ReportFailed(Exception):
    """The notebook made no report; the message has the reason."""


def results_of(subject: Subject) -> str:
    """Return the partition of the active results on a subject."""
    return f"results#{_key(subject)}"


def order(backend: Backend, actor: Caller, sent: ReportOrder) -> ReportOrderRecord:
    """Store or replace a standing order; where enough hospitals have a result, a report is due.

    The same order again changes nothing, unless its report failed: then it is tried again.
    """
    registry.model(backend, sent.model, sent.version)
    if not registry.is_stored(backend, sent.plan):
        raise Refusal(422, "The plan's file is not stored here", "PUT it to /v1/objects first")
    key = _key(_subject(sent))

    def plan() -> tuple[ReportOrderRecord, list[Write]]:
        state = "cancelled" if sent.cancelled else "due"
        value = {**sent.model_dump(mode="json"), "state": state, "report": None, "reason": ""}
        known = backend.index.get(ORDERS, key)
        is_same = known is not None and _read(known.value) == sent
        if known is not None and is_same and known.value["state"] != "failed":
            return _record(known.value), []
        first = Write(partition=ORDERS, key=key, value=value)
        writes = [known.updated(value) if known else first]
        return _record(value), [*writes, *([] if sent.cancelled else [_due(backend, key)])]

    action = "report-order.cancelled" if sent.cancelled else "report-order.given"
    return record(backend, plan, actor=actor.id, action=action, subject=key)


def orders(backend: Backend, page: Page) -> ReportOrderList:
    """List the standing orders, page by page."""
    found, cursor = page.read(backend.index, ORDERS)
    return ReportOrderList(orders=tuple(_record(item.value) for item in found), next=cursor)


def made_due(backend: Backend, subject: Subject) -> list[Write]:
    """Return the writes that make the report on a subject due, if there is a standing order."""
    item = backend.index.get(ORDERS, _key(subject))
    if item is None or item.value["cancelled"]:
        return []
    return [item.updated({**item.value, "state": "due"}), _due(backend, item.key)]


def _due(backend: Backend, key: str) -> Write:
    """A new version of the entry tells `make` of a result that counted while it was at work."""
    known = backend.index.get(DUE, key)
    value: dict[str, Any] = {"failures": 0}
    return known.updated(value) if known else Write(partition=DUE, key=key, value=value)


@dataclass(slots=True, kw_only=True)
class Reporter:
    """Makes the reports that are due.

    Attributes
    ----------
    notebook : runs ``report.ipynb`` for an order with the plan's bytes; raises `ReportFailed`
    """

    backend: Backend
    notebook: Notebook = field(repr=False)

    def make_all(self) -> None:
        """Make all reports that are due, also those that a killed process has left."""
        for item in self.backend.index.query(DUE):
            self.make(item.key)

    def make(self, key: str) -> None:
        """Make the report of one order unless too few hospitals have a result.

        A failure is tried again, up to three times; then the order has the reason. A result that
        counts while the notebook runs leaves the report due.
        """
        due, item = self.backend.index.get(DUE, key), self.backend.index.get(ORDERS, key)
        if due is None or item is None:
            return
        ordered = _read(item.value)
        results = self.backend.index.query(results_of(_subject(ordered)), limit=ordered.min_sites)
        if ordered.cancelled or len(results) < ordered.min_sites:
            self._end(due, {"state": "cancelled" if ordered.cancelled else "waiting"})
            return
        try:
            self.notebook(ordered, self._plan(ordered))
        except ReportFailed as failure:
            self._failed(due, str(failure)[:MAX_REASON])
            return
        current = self._current(ordered)
        if current is None:
            self._failed(due, "the notebook ended without a current report")
            return
        self._end(due, {"state": "made", "report": current.id, "reason": ""})

    def _plan(self, ordered: ReportOrder) -> bytes:
        try:
            return self.backend.objects.get(registry.object_key(ordered.plan))
        except KeyError:
            raise ReportFailed("the plan's file is missing; give the order again") from None

    def _current(self, ordered: ReportOrder) -> ReportRecord | None:
        subject = (ordered.model, ordered.version, ordered.plan_hash)
        return registry.current_report(self.backend, subject)

    def _failed(self, due: Item, reason: str) -> None:
        failures = due.value["failures"] + 1
        if failures >= MAX_ATTEMPTS:
            self._end(due, {"state": "failed", "reason": reason})
            return
        self._settle(due, {"reason": reason}, due.updated({"failures": failures}))

    def _end(self, due: Item, state: Mapping[str, Any]) -> None:
        self._settle(due, state, due.updated(None))

    def _settle(self, due: Item, state: Mapping[str, Any], last: Write) -> None:
        """Write the state of the order; leave it if another result has counted meanwhile."""

        def plan() -> tuple[None, Sequence[Write]]:
            now, item = (
                self.backend.index.get(DUE, due.key),
                self.backend.index.get(ORDERS, due.key),
            )
            if item is None or now is None or now.version != due.version:
                return None, []
            return None, [item.updated({**item.value, **state}), last]

        action = f"report-order.{state.get('state', 'tried')}"
        record(self.backend, plan, actor="hub", action=action, subject=due.key)


@dataclass(slots=True, kw_only=True)
class NotebookProcess:
    """Runs ``report.ipynb`` by papermill in a child process, against a hub on loopback.

    Attributes
    ----------
    url : address of the hub
    key : file with the private key that signs reports
    """

    url: str
    key: Path
    _child: "subprocess.Popen[str] | None" = None

    def __call__(self, ordered: ReportOrder, plan: bytes) -> None:
        """Make, sign and publish the report of an order."""
        with tempfile.TemporaryDirectory(prefix="healthval-report-") as place:
            folder = Path(place)
            (folder / "plan.yaml").write_bytes(plan)
            parameters = {
                "hub_url": self.url,
                "operator_key": str(self.key),
                "plan": str(folder / "plan.yaml"),
                "out": str(folder / "report"),
                "apart": list(ordered.apart),
            }
            (folder / "parameters.yaml").write_text(json.dumps(parameters), encoding="utf-8")
            self._run(folder)

    def close(self) -> None:
        """End a run under way; its report stays due."""
        if self._child is not None:
            self._child.terminate()

    def _run(self, folder: Path) -> None:
        command = [sys.executable, "-m", "healthval", "run", "report", "-f", "parameters.yaml"]
        self._child = subprocess.Popen(  # noqa: S603 - constant words
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            _, errors = self._child.communicate(timeout=NOTEBOOK_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
            limit = counted(NOTEBOOK_SECONDS, "second")
            raise ReportFailed(f"the notebook did not end within {limit}") from None
        if self._child.returncode != 0:
            lines = errors.strip().splitlines() or ["the notebook ended without a report"]
            # the executed copy, which the rest of the line names, is deleted
            raise ReportFailed(lines[-1].partition("; the error's text")[0])


def _subject(ordered: ReportOrder) -> Subject:
    return Subject(ordered.model, ordered.version, ordered.plan_hash)


def _key(subject: Subject) -> str:
    return f"{subject.model}#{subject.version}#{subject.plan_hash}"


def _record(value: Mapping[str, Any]) -> ReportOrderRecord:
    # strict=False: the index contains plain JSON, in which a tuple is a list
    return ReportOrderRecord.model_validate(dict(value), strict=False)


def _read(value: Mapping[str, Any]) -> ReportOrder:
    sent = {name: value[name] for name in ReportOrder.model_fields}
    return ReportOrder.model_validate(sent, strict=False)
