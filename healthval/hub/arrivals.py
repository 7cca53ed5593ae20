"""Submissions: received by the API, checked and counted in the background, each exactly once.

``received -> checked -> counted``, or ``refused`` with a reason. The API stores the bytes and answers;
a worker repeats the checks of the site's gate. The worker is a thread of the embedded hub, or another
process over the same backend (`Arrivals.check_waiting`); only the worker needs the scientific stack.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from healthval.contracts.base import read_wire
from healthval.contracts.report import SubmissionEntry, SubmissionList
from healthval.contracts.stamp import LedgerHead
from healthval.contracts.submission import Receipt, Submission, foreign_names
from healthval.errors import counted
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.audit_chain import record
from healthval.hub.pages import Page
from healthval.hub.ports import Backend, Conflict, Item, Refusal, StoreUnavailable, Write
from healthval.hub.report_orders import made_due, results_of

if TYPE_CHECKING:
    from healthval.disclosure import Policy

WAITING: Final = "arrivals"
LEDGER_HEADS: Final = "ledger-heads"
MAX_REASON: Final = 1000


ArrivalCheck = Callable[[bytes], Submission]


def parse(payload: bytes) -> Submission:
    """Parse a submission; a refusal names place and type of the first error."""
    try:
        return read_wire(Submission, payload)
    except ValueError as misfit:
        raise Refusal(422, "The submission does not match its contract", str(misfit)) from None


def gate_check(policy: "Policy | None" = None) -> ArrivalCheck:
    """Return the check by this policy, or by the default one, in this process."""

    def check(payload: bytes) -> Submission:
        from healthval.disclosure import DisclosureRefused, check_arrival, load_policy, policy_for

        submission = parse(payload)
        least = policy or load_policy()
        try:
            return check_arrival(submission, policy_for(least, submission.certificate.policy))
        except (ValueError, DisclosureRefused) as refused:
            raise Refusal(422, "The submission discloses too much", str(refused)) from None

    return check


@dataclass(slots=True, kw_only=True)
class Arrivals:
    """Submissions of one hub.

    Attributes
    ----------
    check : repeats the checks of the site's gate, here or in another process
    has_worker : whether this process checks what it receives
    """

    backend: Backend
    check: ArrivalCheck = field(default_factory=gate_check)
    has_worker: bool = True
    _running: dict[str, Future[None]] = field(default_factory=dict)
    _worker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _lock: Any = field(default_factory=threading.Lock)

    def receive(self, site: str, payload: bytes) -> tuple[bool, str]:
        """Store a site's released result and queue its check; return whether it is new, and its hash.

        Raises
        ------
        Refusal
            If it does not match its contract, or the site may not submit it.
        """
        submission = parse(payload)
        subject = _subject(submission)
        _check_names(submission, access.require(self.backend, site, subject))
        if registry.model(self.backend, *_named(subject)).digest != submission.model_digest:
            raise Refusal(409, "The result is for another build of the model", "evaluate it again")
        sha256 = hashlib.sha256(payload).hexdigest()
        is_new = False
        if self.backend.index.get(_receipts(site), sha256) is None:
            self.backend.objects.put_if_absent(_payload_key(site, sha256), payload)
            is_new = self._record_arrival(site, sha256, subject)
        self._take(site, sha256)
        return is_new, sha256

    def running(self, site: str, sha256: str) -> Future[None] | None:
        """Return the check of a submission in this process; None if there is none."""
        return self._running.get(f"{site}#{sha256}")

    def receipt(self, site: str, sha256: str) -> Receipt:
        """Return the state of a submission; `active` is the result that the hub counts now."""
        known = self.backend.index.get(_receipts(site), sha256)
        if known is None:
            raise Refusal(404, "There is no such submission here")
        if known.value["state"] in {"received", "checked"}:
            self._take(site, sha256)
        active = self.backend.index.get(results_of(_stored_subject(known)), site)
        return Receipt(
            site=site,
            submission_sha256=sha256,
            active=active.value["sha256"] if active else None,
            supersedes=known.value["supersedes"],
            state=known.value["state"],
            reason=known.value["reason"],
        )

    def keep_ledger_head(self, site: str, head: str) -> None:
        """Keep the head of a site's ledger; the next submission must come from the same chain."""

        def plan() -> tuple[None, list[Write]]:
            item = self.backend.index.get(LEDGER_HEADS, site)
            value = {"sha256": head}
            if item is None:
                return None, [Write(partition=LEDGER_HEADS, key=site, value=value)]
            return None, [] if item.value == value else [item.updated(value)]

        record(self.backend, plan, actor=site, action="ledger.countersigned", subject=head)

    def ledger_head(self, site: str) -> LedgerHead:
        """Return the head that came with the site's newest submission."""
        item = self.backend.index.get(LEDGER_HEADS, site)
        return LedgerHead(sha256=item.value["sha256"] if item else None)

    def check_waiting(self) -> None:
        """Check all submissions that wait, also those that a killed process has left."""
        for item in self.backend.index.query(WAITING):
            self._check(*item.key.split("#"))

    def close(self) -> None:
        """Finish the check under way; the others wait for the next start."""
        self._worker.shutdown(cancel_futures=True)

    def _record_arrival(self, site: str, sha256: str, subject: Subject) -> bool:
        named = {"model": subject.model, "version": subject.version, "plan_hash": subject.plan_hash}

        def plan() -> tuple[bool, list[Write]]:
            if self.backend.index.get(_receipts(site), sha256) is not None:
                return False, []
            value = {**named, "state": "received", "reason": "", "supersedes": None}
            return True, [
                Write(partition=_receipts(site), key=sha256, value=value),
                Write(partition=WAITING, key=f"{site}#{sha256}", value={}),
            ]

        return record(self.backend, plan, actor=site, action="result.submitted", subject=sha256)

    def _take(self, site: str, sha256: str) -> None:
        place = f"{site}#{sha256}"
        with self._lock, suppress(RuntimeError):  # the hub stops: the next start checks it
            if not self.has_worker or place in self._running:
                return
            work = self._running[place] = self._worker.submit(self._check, site, sha256)
        work.add_done_callback(lambda _: self._running.pop(place, None))

    def _check(self, site: str, sha256: str) -> None:
        """Check a submission, then count or refuse it; a repetition changes nothing."""
        with suppress(StoreUnavailable):
            item = self.backend.index.get(_receipts(site), sha256)
            state = item.value["state"] if item else ""
            if state == "received":
                reason = self._reason_against(site, sha256)
                state = self._move(site, sha256, "refused" if reason else "checked", reason)
            if state == "refused":  # waits until its bytes are deleted
                self.backend.objects.delete(_payload_key(site, sha256))
                self._end_waiting(site, sha256)
            self._count(site, sha256)

    def _reason_against(self, site: str, sha256: str) -> str:
        """Repeat the checks of the site's gate; return the reason for a refusal, or nothing."""
        try:
            self.check(self.backend.objects.get(_payload_key(site, sha256)))
        except KeyError:
            return "its bytes were lost at the hub; inform the operator"
        except Refusal as refused:
            return (refused.detail or refused.title)[:MAX_REASON]
        return ""

    def _move(self, site: str, sha256: str, state: str, reason: str) -> str:
        """Enter the outcome of a check; return the state, which another process may have set."""

        def plan() -> tuple[str, list[Write]]:
            item = self.backend.index.get(_receipts(site), sha256)
            if item is None or item.value["state"] != "received":
                return item.value["state"] if item else "", []
            return state, [item.updated({**item.value, "state": state, "reason": reason})]

        return record(self.backend, plan, actor="hub", action=f"result.{state}", subject=sha256)

    def _count(self, site: str, sha256: str) -> None:
        """Make a checked submission the site's active result, in place of an earlier one."""

        def plan() -> tuple[None, list[Write]]:
            item = self.backend.index.get(_receipts(site), sha256)
            if item is None or item.value["state"] != "checked":
                return None, []
            subject = _stored_subject(item)
            active = self.backend.index.get(results_of(subject), site)
            before = active.value["sha256"] if active else None
            value = {"sha256": sha256, "supersedes": before, "received": self.backend.now}
            first = Write(partition=results_of(subject), key=site, value=value)
            counted_as = {"state": "counted", "supersedes": before, "received": value["received"]}
            return None, [
                item.updated({**item.value, **counted_as}),
                active.updated(value) if active else first,
                *self._no_longer_waiting(site, sha256),
                *made_due(self.backend, subject),
            ]

        record(self.backend, plan, actor="hub", action="result.counted", subject=sha256)

    def _end_waiting(self, site: str, sha256: str) -> None:
        with suppress(Conflict):  # another process ends it as well
            if writes := self._no_longer_waiting(site, sha256):
                self.backend.index.commit(writes)

    def _no_longer_waiting(self, site: str, sha256: str) -> list[Write]:
        waiting = self.backend.index.get(WAITING, f"{site}#{sha256}")
        return [waiting.updated(None)] if waiting else []


def submissions(backend: Backend, subject: Subject, page: Page) -> SubmissionList:
    """List each site's active submission for a model version under a plan, page by page."""
    found, cursor = page.read(backend.index, results_of(subject))
    return SubmissionList(
        submissions=tuple(_entry(backend, item.key, subject, item.value) for item in found),
        next=cursor,
    )


def payload_of(backend: Backend, site: str, sha256: str) -> bytes:
    """Return the bytes of a submission, as sent."""
    return registry.stored_bytes(backend, _payload_key(site, sha256))


def _entry(
    backend: Backend, site: str, subject: Subject, value: Mapping[str, Any]
) -> SubmissionEntry:
    grant = backend.index.get("grants", subject.key(site))
    return SubmissionEntry(
        site=site,
        label=grant.value["label"] if grant else site,
        submission_sha256=value["sha256"],
        supersedes=value["supersedes"],
        received=datetime.fromtimestamp(value["received"], UTC),
    )


def _check_names(submission: Submission, grant: Item) -> None:
    """Refuse names of variables, levels or steps that the access request did not list."""
    if found := foreign_names(submission, grant.value.get("names", ())):
        raise Refusal(
            422,
            "The submission has names that its plan does not have",
            f"{counted(len(found), 'name')} of variables, levels or steps; request access with the"
            " plan whose names they are, and release again",
        )


def _subject(submission: Submission) -> Subject:
    return Subject(submission.model, submission.version, submission.plan_hash)


def _stored_subject(item: Item) -> Subject:
    return Subject(*(item.value[name] for name in ("model", "version", "plan_hash")))


def _named(subject: Subject) -> tuple[str, str]:
    return subject.model, subject.version


def _receipts(site: str) -> str:
    return f"receipts#{site}"


def _payload_key(site: str, sha256: str) -> str:
    return f"submissions/{site}/{sha256}.json"
