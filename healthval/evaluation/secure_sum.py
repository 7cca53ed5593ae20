"""A site's part in a secure sum: its table is kept at the site, and each round is answered once.

Every message is recorded in the ledger before it is sent. The table of a patient is part of one sum:
two sums over different sites would give away the table of the sites by which they differ.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from healthval.client import Client, wire_bytes
from healthval.contracts.base import canonical_json
from healthval.contracts.keys import fingerprint
from healthval.credential import own_key
from healthval.disclosure.ledger import Entry
from healthval.errors import IntegrityError, PlanError, SubmissionError, UsageError, counted
from healthval.evaluation.releases import gate_policy
from healthval.files import write_durably
from healthval.metrics import Evaluation, SiteResult
from healthval.plan import Plan
from healthval.secure_sum.checks import Terms, keys_of
from healthval.secure_sum.masks import Secrets
from healthval.secure_sum.messages import (
    ROUNDS,
    Round,
    SumMessage,
    SumState,
    SumTotal,
    context_of,
    expected,
)
from healthval.secure_sum.protocol import (
    Member,
    keys_message,
    opening_message,
    shares_message,
    table_message,
    total_message,
)
from healthval.site import Site

SUMS: Final = "sums"
TABLE: Final = "table.json"


@dataclass(frozen=True, slots=True)
class Participant:
    """A hospital of the roster, as it is shown before the table is sent."""

    label: str
    site: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class KeptTable:
    """The exact table of a site: events in each bin, then non-events; with the digests of its cases."""

    cells: tuple[int, ...]
    cohort: frozenset[str]

    @property
    def patients(self) -> frozenset[str]:
        """Digests of the patients."""
        return frozenset(case.partition(":")[0] for case in self.cohort)


@dataclass(frozen=True, slots=True)
class Progress:
    """State of the sum after a step of this site.

    Attributes
    ----------
    sent : rounds whose messages were sent by this step
    is_shown : whether the total is above the floor at a threshold; None until this site has opened it
    """

    state: SumState
    sent: tuple[Round, ...]
    is_shown: bool | None


Confirm = Callable[[Sequence[Participant], str], bool]


def sum_terms(plan: Plan) -> Terms:
    """Return the terms of the plan's secure sum.

    The floor is that of the plan's disclosure policy, and at least its minimum of events for a
    measure of discrimination, which is 11 in every preset.

    Raises
    ------
    PlanError
        If the plan has no `secure_sum`.
    """
    if plan.secure_sum is None:
        raise PlanError("the plan has no 'secure_sum'; nothing is added up in secret under it")
    policy = gate_policy(plan)
    return Terms(
        n_cells=2 * (len(plan.thresholds) + 1),
        minimum_sites=plan.secure_sum.minimum_sites,
        floor=max(policy.minimum_cell, policy.minimum_class),
    )


def keep_table(plan: Plan, site: Site, result: SiteResult) -> None:
    """Keep the exact table of a result in the site's folder, if the plan has a secure sum."""
    if plan.secure_sum is None:
        return
    cells = bin_counts(result.evaluation, plan.thresholds)
    kept = {"cells": cells, "cohort": sorted(result.cohort)}
    path = _folder(plan, site) / TABLE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(path, canonical_json(kept))


def bin_counts(evaluation: Evaluation, thresholds: Sequence[float]) -> list[int]:
    """Count cases below, between and above the thresholds: events in each bin, then non-events."""
    wanted = set(thresholds)
    rows = sorted(
        (r.threshold, r.confusion) for r in evaluation.thresholds if r.threshold in wanted
    )
    events = [evaluation.n_events, *(row.tp for _, row in rows)]
    others = [evaluation.n - evaluation.n_events, *(row.fp for _, row in rows)]
    return [*_steps(events), *_steps(others)]


def _steps(falling: Sequence[int]) -> list[int]:
    """Counts between neighbouring cuts, from the counts at or above each cut."""
    return [a - b for a, b in zip(falling, [*falling[1:], 0], strict=True)]


def next_step(plan: Plan, site: Site, client: Client, *, confirm: Confirm) -> Progress:
    """Send the messages of a secure sum that this site can send now; sent ones are not sent again.

    Parameters
    ----------
    confirm : gets the hospitals that take part, and the hash of their keys, before the table is sent;
        returns True to send it

    Raises
    ------
    PlanError
        If the plan has no `secure_sum`.
    UsageError
        If the site has no table, its result was not released, or its secrets of this sum are lost.
    SubmissionError
        If the person declined, the hospitals were fixed without this site, or patients of this table
        were part of an earlier sum; no message was sent.
    IntegrityError
        If the hub shows messages that are forged, or other ones than it showed before.
    """
    own = _Own(plan=plan, site=site, client=client, terms=sum_terms(plan), table=_table(plan, site))
    state, sent = _current(client.secure_sum(**plan.subject)), list[Round]()
    while (round_ := _answerable(state, client.site)) is not None:
        message = own.message(state, round_, confirm)
        state = client.send_to_sum(message)
        sent.append(round_)
    if client.site not in state.sites("keys"):
        raise SubmissionError(
            "the hospitals that take part in this sum were fixed without this site; its own result"
            " is submitted as ever"
        )
    mine = [m for m in state.of("total") if m.site == client.site]
    if not mine:
        return Progress(state, tuple(sent), None)
    own.seed_path(state.attempt).unlink(missing_ok=True)  # nothing more can be decrypted here
    content = mine[0].content
    return Progress(state, tuple(sent), isinstance(content, SumTotal) and content != SumTotal())


def _current(state: SumState) -> SumState:
    """Return the state; after a failure, that of the next attempt, which has no message yet."""
    if state.round != "failed":
        return state
    update = {"attempt": state.attempt + 1, "round": "keys", "messages": ()}
    return state.model_copy(update=update)


def _answerable(state: SumState, site: str) -> Round | None:
    """Return the open round if a message of this site is missing in it and still possible."""
    if state.round not in ROUNDS or site in state.sites(state.round):
        return None
    if state.round != "keys" and site not in expected(state, state.round):
        return None
    return state.round


@dataclass(frozen=True, slots=True, kw_only=True)
class _Own:
    """A site in a sum, with its table."""

    plan: Plan
    site: Site
    client: Client
    terms: Terms
    table: KeptTable

    def seed_path(self, attempt: int) -> Path:
        """File with the seed of all secrets of one attempt."""
        return _folder(self.plan, self.site) / f"{attempt}.seed"

    def message(self, state: SumState, round_: Round, confirm: Confirm) -> SumMessage:
        """Make the message of a round and record it in the ledger."""
        if round_ == "table":
            self._confirm(state, confirm)
        with self.site.ledger.recording_sum() as (entries, record):
            before = [e.body for e in entries if e.kind == "sum"]
            if round_ in {"keys", "shares", "table"}:  # afterwards the table has left
                _check_released(entries, self.plan, self.table)
                _check_unspent(before, self._key(state), self.table)
            member = self._member(state, before)
            if round_ == "table":
                message = table_message(member, state, self.table.cells)
            else:
                message = _MAKE[round_](member, state)
            body = self._entry(message)
            _check_same(before, body)
            if body not in before:
                record(body)
        return message

    def _key(self, state: SumState) -> tuple[str, int]:
        return state.plan_hash, state.attempt

    def _confirm(self, state: SumState, confirm: Confirm) -> None:
        roster = [
            Participant(k.label, site, fingerprint(k.public_key))
            for site, k in keys_of(state).items()
        ]
        if not confirm(roster, str(context_of(state.messages, "shares"))):
            raise SubmissionError("not confirmed, so the table was not sent")

    def _member(self, state: SumState, before: Sequence[dict[str, Any]]) -> Member:
        credential = own_key(self.client.credential)
        return Member(
            site=self.client.site,
            label=self.client.access_status(**self.plan.subject).label,
            public_key=credential.public_key,
            terms=self.terms,
            secrets=Secrets(self._seed(state, before)),
            sign=credential.private_key.sign,
        )

    def _seed(self, state: SumState, before: Sequence[dict[str, Any]]) -> bytes:
        """Load the seed of this attempt, or make it before the first message."""
        path = self.seed_path(state.attempt)
        if not path.exists():
            if any((b["plan_hash"], b["attempt"]) == self._key(state) for b in before):
                raise UsageError(
                    f"{path.name} is missing in {path.parent.name}, and this site has joined the sum;"
                    " restore the file from a backup, or wait until the operator has closed the round"
                )
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # If two processes create it at the same time, both read the one that was first.
            write_durably(path, secrets.token_hex(32).encode("ascii"), replace=False)
        return bytes.fromhex(path.read_text(encoding="ascii"))

    def _entry(self, message: SumMessage) -> dict[str, Any]:
        """Body of a message's entry in the ledger."""
        sent = wire_bytes(message)
        body: dict[str, Any] = {
            "round": message.round,
            "attempt": message.attempt,
            "model": message.model,
            "version": message.version,
            "plan_hash": message.plan_hash,
            "sha256": hashlib.sha256(sent).hexdigest(),
            "n_bytes": len(sent),
        }
        if message.round == "table":
            body["cohort"] = sorted(self.table.cohort)
        if isinstance(message.content, SumTotal):
            body["total"] = list(message.content.cells)
        return body


_MAKE: Final = {
    "keys": keys_message,
    "shares": shares_message,
    "opening": opening_message,
    "total": total_message,
}


def _folder(plan: Plan, site: Site) -> Path:
    return site.folder / SUMS / plan.hash[:16]


def _table(plan: Plan, site: Site) -> KeptTable:
    path = _folder(plan, site) / TABLE
    try:
        kept = json.loads(path.read_bytes())
        return KeptTable(tuple(kept["cells"]), frozenset(kept["cohort"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            "this site has no table for the plan's secure sum; run the evaluation under this plan"
        ) from None


def _check_released(entries: Sequence[Entry], plan: Plan, table: KeptTable) -> None:
    """Refuse a table about other cases than the newest release under the plan."""
    released = [
        e.body["cohort"]
        for e in entries
        if e.kind == "release" and e.body["payload"]["plan_hash"] == plan.hash
    ]
    if not released or released[-1] != sorted(table.cohort):
        raise UsageError(
            "the table is about cases whose result was not released under this plan; run the"
            " evaluation with its release first"
        )


def _check_unspent(
    before: Sequence[dict[str, Any]], key: tuple[str, int], table: KeptTable
) -> None:
    """Refuse a table with patients whose table was sent in another sum.

    A sum that this site has opened itself and found below the floor does not count: no number of it
    was shown.
    """
    refused = {
        (b["plan_hash"], b["attempt"]) for b in before if b["round"] == "total" and not b["total"]
    }
    spent = {
        case.partition(":")[0]
        for b in before
        if b["round"] == "table"
        and (b["plan_hash"], b["attempt"]) != key
        and (b["plan_hash"], b["attempt"]) not in refused
        for case in b["cohort"]
    }
    if again := len(spent & table.patients):
        raise SubmissionError(
            f"{counted(again, 'patient')} of this table {'was' if again == 1 else 'were'} part of an"
            " earlier secure sum, whose total could be subtracted; take part with other patients"
        )


def _check_same(before: Sequence[dict[str, Any]], body: dict[str, Any]) -> None:
    """Refuse a second answer in a round; the same bytes again are no second answer."""
    place = ("plan_hash", "attempt", "round")
    for earlier in before:
        same_round = all(earlier[name] == body[name] for name in place)
        if same_round and earlier["sha256"] != body["sha256"]:
            raise IntegrityError(
                f"secure sum: this site has answered in round '{body['round']}' already, to other"
                " messages or with another table, and answers once; inform the operator"
            )
