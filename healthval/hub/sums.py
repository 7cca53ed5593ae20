"""Secure sums: keeps the sites' messages, round by round, and cannot read any site's table.

``keys -> shares -> table -> opening -> total -> done``, or ``failed`` where too few sites are left. A
round ends when each of its sites has sent its message, or when the operator closes it; the operator
always closes the first one, because its sites are not known before. A site's message is kept once.
"""

from collections.abc import Mapping
from typing import Final

from healthval.contracts.access import PublicKey, site_id
from healthval.errors import counted
from healthval.hub import access, registry
from healthval.hub.access import Subject
from healthval.hub.audit_chain import record
from healthval.hub.auth import KEYS, Caller
from healthval.hub.ports import Backend, Item, Refusal, Write
from healthval.hub.report_orders import made_due
from healthval.secure_sum.checks import Terms, fewest, is_signed_by, keys_of
from healthval.secure_sum.messages import (
    MAX_ATTEMPTS,
    MAX_SITES,
    ROUNDS,
    Round,
    SumClosing,
    SumKeys,
    SumMessage,
    SumState,
    SumTable,
    SumTotal,
    context_of,
    expected,
)
from healthval.secure_sum.outcome import FEWEST_TOTALS, is_shown_part

SUMS: Final = "sums"


def state_of(backend: Backend, caller: Caller, subject: Subject) -> SumState:
    """Return a sum with all messages of its newest attempt; a site needs approved access."""
    registry.model(backend, subject.model, subject.version)
    if caller.role == "site":
        access.require(backend, caller.id, subject)
    return _state(backend, subject, backend.index.get(SUMS, _key(subject)))


def post(backend: Backend, site: str, message: SumMessage) -> SumState:
    """Keep a site's message and, where it was the last of its round, open the next round.

    The same message again changes nothing.
    """
    subject = _subject_of(message)
    if message.site != site:
        raise Refusal(403, "The message is of another site", "send it with its own key")
    access.require(backend, site, subject)

    def plan() -> tuple[SumState, list[Write]]:
        head = backend.index.get(SUMS, _key(subject))
        state = _begun(_state(backend, subject, head), message)
        stored = [m for m in state.of(message.round) if m.site == site]
        if message in stored:
            return state, []
        if stored:
            title = "Another message of this site is stored in this round"
            raise Refusal(409, title, "it is kept; go on with the next round")
        _check(backend, state, message)
        after = _with(state, message)
        first = Write(
            partition=_messages(subject, state.attempt),
            key=f"{message.round}#{site}",
            value=message.model_dump(mode="json"),
        )
        done = made_due(backend, subject) if after.round == "done" else []
        return after, [first, _head(head, subject, after), *done]

    action = f"sum.{message.round}"
    return record(backend, plan, actor=site, action=action, subject=_key(subject))


def close(backend: Backend, actor: Caller, subject: Subject, closing: SumClosing) -> SumState:
    """End a round without the sites that have not sent a message; a round that has ended stays.

    With fewer sites than the plan or the shares need, the attempt has failed and the sites may begin
    another one; the first and the last round stay open then.
    """

    def plan() -> tuple[SumState, list[Write]]:
        head = backend.index.get(SUMS, _key(subject))
        state = _state(backend, subject, head)
        if head is None:
            raise Refusal(404, "No site has joined this sum")
        if (closing.attempt, closing.round) != (state.attempt, state.round):
            return state, []
        after = _closed(state, closing.round)
        done = made_due(backend, subject) if after.round == "done" else []
        return after, [_head(head, subject, after), *done]

    action = f"sum.{closing.round}-closed"
    return record(backend, plan, actor=actor.id, action=action, subject=_key(subject))


def _closed(state: SumState, round_: Round) -> SumState:
    keys, n = keys_of(state), len(state.of(round_))
    minimum = next(iter(keys.values())).minimum_sites
    there = counted(n, "hospital has", "hospitals have")
    if round_ == "keys" and n < minimum:
        raise Refusal(409, f"{there} joined, and the plan asks for {minimum}", "wait for others")
    if round_ == "total":
        if n < FEWEST_TOTALS:
            detail = f"{FEWEST_TOTALS} have to find the same"
            raise Refusal(409, f"{there} opened the total", detail)
        return state.model_copy(update={"round": "done"})
    needed = fewest(len(keys), minimum)
    if round_ != "keys" and n < needed:
        reason = (
            f"{there} sent a message in round '{round_}', and {needed} of {len(keys)} are needed"
        )
        return state.model_copy(update={"round": "failed", "reason": reason})
    return state.model_copy(update={"round": _next(round_)})


def _begun(state: SumState, message: SumMessage) -> SumState:
    """Begin another attempt after one that failed, if the message is the first one of it."""
    begins = message.round == "keys" and message.attempt == state.attempt + 1
    if state.round != "failed" or not begins or message.attempt > MAX_ATTEMPTS:
        return state
    return state.model_copy(
        update={"attempt": message.attempt, "round": "keys", "messages": (), "reason": state.reason}
    )


def _check(backend: Backend, state: SumState, message: SumMessage) -> None:
    """Refuse a message that does not belong here; the sites check more, without trust in the hub."""
    if (message.attempt, message.round) != (state.attempt, state.round):
        title = f"Attempt {state.attempt} is in round '{state.round}'"
        raise Refusal(409, title, "read the state of the sum again")
    if message.context != context_of(state.messages, message.round):
        raise Refusal(409, "The message is about other messages than are stored here")
    keys = keys_of(state)
    content = message.content
    if isinstance(content, SumKeys):
        _check_keys(backend, keys, message, content)
    elif message.site not in expected(state, message.round):
        detail = "its message of an earlier round is missing"
        raise Refusal(403, "This site is no longer part of the sum", detail)
    key = content.public_key if isinstance(content, SumKeys) else keys[message.site].public_key
    if not is_signed_by(message, key):
        raise Refusal(422, "The signature of the message is not valid")
    own = keys.get(message.site)
    if isinstance(content, SumTable) and own and len(content.cells) != 16 * own.n_cells:
        raise Refusal(422, "The table has another number of cells than the plan")
    if isinstance(content, SumTotal) and own and content != SumTotal():
        terms = Terms(n_cells=own.n_cells, minimum_sites=own.minimum_sites, floor=own.floor)
        if not is_shown_part(content, terms):
            raise Refusal(422, "The total has a count below the floor, or another length")


def _check_keys(
    backend: Backend, keys: Mapping[str, SumKeys], message: SumMessage, content: SumKeys
) -> None:
    item = backend.index.get(KEYS, site_id(content.public_key))
    if item is None or not _is_key_of(message.site, content.public_key, item):
        raise Refusal(422, "The signing key in the message is not a key of this site")
    if len(keys) >= MAX_SITES:
        raise Refusal(409, f"{MAX_SITES} hospitals have joined, and no more can")
    terms = {(k.n_cells, k.minimum_sites, k.floor) for k in keys.values()}
    if terms - {(content.n_cells, content.minimum_sites, content.floor)}:
        raise Refusal(409, "The terms differ from those of the sites that have joined")
    grant = backend.index.get("grants", _subject_of(message).key(message.site))
    if grant is None or grant.value["label"] != content.label:
        raise Refusal(422, "The label is not that of the access request")
    if any(content.label == k.label for k in keys.values()):
        title = "Another site has joined under this label"
        raise Refusal(409, title, "one hospital takes part once; give another its own label")
    secrets = {x for k in keys.values() for x in (k.mask_key, k.share_key, k.commitment)}
    if secrets & {content.mask_key, content.share_key, content.commitment}:
        raise Refusal(409, "Another site has joined with one of these keys", "create new ones")


def _is_key_of(site: str, key: PublicKey, item: Item) -> bool:
    value = item.value
    is_holder = value.get("holder", item.key) == site
    return is_holder and value["x"] == key.x and not value.get("revoked")


def _with(state: SumState, message: SumMessage) -> SumState:
    """Add a message; the round ends with the last one, except the first round."""
    every = sorted((*state.messages, message), key=lambda m: (ROUNDS.index(m.round), m.site))
    after = state.model_copy(update={"messages": tuple(every)})
    if message.round == "keys" or after.waits_for:
        return after
    return after.model_copy(update={"round": _next(message.round)})


def _next(round_: Round) -> str:
    return (*ROUNDS, "done")[ROUNDS.index(round_) + 1]


def _state(backend: Backend, subject: Subject, head: Item | None) -> SumState:
    empty = SumState(model=subject.model, version=subject.version, plan_hash=subject.plan_hash)
    if head is None:
        return empty
    attempt = head.value["attempt"]
    found = [
        # strict=False: the index contains plain JSON, in which a tuple is a list
        SumMessage.model_validate(dict(item.value), strict=False)
        for item in backend.index.query(_messages(subject, attempt))
    ]
    found.sort(key=lambda m: (ROUNDS.index(m.round), m.site))
    return empty.model_copy(update={**head.value, "messages": tuple(found)})


def _head(head: Item | None, subject: Subject, state: SumState) -> Write:
    """Write the head with each message, so that of two messages at once one is planned again."""
    value = {"attempt": state.attempt, "round": state.round, "reason": state.reason}
    return head.updated(value) if head else Write(partition=SUMS, key=_key(subject), value=value)


def _subject_of(message: SumMessage) -> Subject:
    return Subject(message.model, message.version, message.plan_hash)


def _key(subject: Subject) -> str:
    return f"{subject.model}#{subject.version}#{subject.plan_hash}"


def _messages(subject: Subject, attempt: int) -> str:
    return f"sum#{_key(subject)}#{attempt}"
