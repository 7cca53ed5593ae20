"""Secure sums at the hub: order of the rounds, sites that drop out, and what the hub refuses to keep."""

import threading
from dataclasses import replace

import pytest

from healthval.contracts.access import AccessDecision, AccessRequest
from healthval.contracts.report import ReportOrder
from healthval.credential import Credential
from healthval.errors import HubError
from healthval.hub import access, registry, report_orders, sums
from healthval.hub.access import Subject
from healthval.hub.auth import Caller
from healthval.hub.backends.local import SqliteIndex
from healthval.hub.backends.memory import MemoryIndex, MemoryObjects, NoModels
from healthval.hub.keyring import Keyring
from healthval.hub.pages import Page
from healthval.hub.ports import Backend, Refusal, Write
from healthval.secure_sum.checks import Terms
from healthval.secure_sum.masks import Secrets, to_text
from healthval.secure_sum.messages import ROUNDS, SumClosing, SumTotal, signed_bytes
from healthval.secure_sum.protocol import (
    Member,
    keys_message,
    opening_message,
    shares_message,
    table_message,
    total_message,
)

NOW = 1_700_000_000
SUBJECT = Subject("tumour", "1.0", "a" * 64)
OPERATOR = Caller("site-operator", "operator")
TERMS = Terms(n_cells=4, minimum_sites=3, floor=11)
MAKE = {
    "keys": keys_message,
    "shares": shares_message,
    "table": lambda member, state: table_message(member, state, [20, 30, 25, 35]),
    "opening": opening_message,
    "total": total_message,
}


def member_of(credential, n, *, attempt=1, terms=TERMS):
    return Member(
        site=credential.id,
        label=f"Hospital {n}",
        public_key=credential.public_key,
        terms=terms,
        secrets=Secrets(bytes([n + 1, attempt]) * 16),
        sign=credential.private_key.sign,
    )


@pytest.fixture(params=["memory", "sqlite", "dynamo"])
def backend(request, tmp_path, kit):
    def clock():
        return float(NOW)

    index = MemoryIndex(clock)
    if request.param == "sqlite":
        index = SqliteIndex(tmp_path / "index.sqlite", clock)
    elif request.param == "dynamo":
        index = request.getfixturevalue("aws").table(clock)
    registration = kit.registration_of(b"artefact").model_dump(mode="json")
    value = {"digest": "0" * 64, "status": "registered", "registration": registration}
    index.commit([Write(partition="models", key="tumour#1.0", value=value)])
    yield Backend(MemoryObjects(), index, NoModels(), clock)
    if request.param == "sqlite":
        index.close()


@pytest.fixture
def join(backend):
    """Make a site with approved access, as a member of the sum."""
    made = []

    def new(terms=TERMS, attempt=1, *, approved=True):
        credential = Credential.generate()
        if approved:
            request = AccessRequest(
                public_key=credential.public_key,
                label=f"Hospital {len(made)}",
                model="tumour",
                version="1.0",
                plan_hash="a" * 64,
            )
            keyring = Keyring(backend=backend, operator=Credential.generate().public_key)
            access.request(backend, keyring, request)
            decision = AccessDecision(status="approved")
            access.decide(backend, decision, actor=OPERATOR, site=credential.id, subject=SUBJECT)
        made.append(credential)
        return member_of(credential, len(made) - 1, attempt=attempt, terms=terms)

    return new


def state(backend):
    return sums.state_of(backend, OPERATOR, SUBJECT)


def post(backend, member, round_):
    return sums.post(backend, member.site, MAKE[round_](member, state(backend)))


def close(backend, round_, attempt=1):
    closing = SumClosing(attempt=attempt, round=round_)
    return sums.close(backend, OPERATOR, SUBJECT, closing)


def run(backend, members, upto):
    """Run the rounds before `upto` with all members."""
    for round_ in ROUNDS[: ROUNDS.index(upto)]:
        before = state(backend)
        for message in [MAKE[round_](member, before) for member in members]:
            sums.post(backend, message.site, message)
        if round_ == "keys":
            close(backend, "keys")
    assert state(backend).round == upto


def test_a_round_ends_with_its_last_message_and_the_first_one_by_the_operator(backend, join):
    members = [join() for _ in range(3)]
    for member in members:
        assert post(backend, member, "keys").round == "keys"
    assert close(backend, "keys").round == "shares"
    for round_, after in zip(ROUNDS[1:], (*ROUNDS[2:], "done"), strict=True):
        assert state(backend).waits_for == tuple(sorted(m.site for m in members))
        for n, member in enumerate(members, 1):
            found = post(backend, member, round_)
            assert found.round == (after if n == 3 else round_)
    assert {m.content.cells for m in state(backend).of("total")} == {(60, 90, 75, 105)}


def test_the_same_message_again_changes_nothing_and_another_one_is_refused(backend, join):
    members = [join() for _ in range(3)]
    run(backend, members, "table")
    message = table_message(members[0], state(backend), [20, 30, 25, 35])
    first = sums.post(backend, members[0].site, message)
    assert sums.post(backend, members[0].site, message) == first
    other = table_message(members[0], state(backend), [21, 30, 25, 35])
    with pytest.raises(Refusal, match="Another message of this site"):
        sums.post(backend, members[0].site, other)
    assert state(backend) == first


@pytest.mark.parametrize("round_", ["shares", "table", "opening"])
def test_closing_leaves_out_the_sites_without_a_message(backend, join, round_):
    members = [join() for _ in range(4)]
    run(backend, members, round_)
    before = state(backend)
    late, *others = (MAKE[round_](member, before) for member in members)
    for message in others:
        sums.post(backend, message.site, message)
    after = close(backend, round_)
    assert after.round == ROUNDS[ROUNDS.index(round_) + 1]
    assert close(backend, round_) == after
    with pytest.raises(Refusal, match="is in round"):
        sums.post(backend, late.site, late)


def test_too_few_sites_fail_and_another_attempt_may_begin(backend, join):
    members = [join() for _ in range(3)]
    run(backend, members, "shares")
    post(backend, members[0], "shares")
    failed = close(backend, "shares")
    assert failed.round == "failed"
    assert failed.reason == (
        "1 hospital has sent a message in round 'shares', and 3 of 3 are needed"
    )
    with pytest.raises(Refusal, match="Attempt 1 is in round 'failed'"):
        post(backend, members[1], "shares")
    again = state(backend).model_copy(update={"attempt": 2, "messages": ()})
    fresh = replace(members[0], secrets=Secrets(b"2" * 32))
    after = sums.post(backend, fresh.site, keys_message(fresh, again))
    assert (after.attempt, after.round, after.sites("keys")) == (2, "keys", (fresh.site,))


def test_fewer_than_the_plans_minimum_do_not_begin(backend, join):
    with pytest.raises(Refusal, match="No site has joined"):
        close(backend, "keys")
    for _ in range(2):
        post(backend, join(), "keys")
    with pytest.raises(Refusal, match="2 hospitals have joined, and the plan asks for 3"):
        close(backend, "keys")
    assert state(backend).round == "keys"


def test_a_total_needs_two_sites_that_opened_it(backend, join):
    members = [join() for _ in range(3)]
    run(backend, members, "total")
    post(backend, members[0], "total")
    with pytest.raises(Refusal, match="1 hospital has opened the total"):
        close(backend, "total")
    post(backend, members[1], "total")
    assert close(backend, "total").round == "done"


def test_the_hub_keeps_no_total_below_the_floor(backend, join):
    """Also where a site sends one: its own command sends none."""
    members = [join() for _ in range(3)]
    run(backend, members, "total")
    member, before = members[0], state(backend)
    honest = total_message(member, before)
    bad = (
        SumTotal(kept=(0,), cells=(10, 90, 75, 105)),
        SumTotal(kept=(0,), cells=(60, 0, 75, 105)),
        SumTotal(kept=(0,), cells=(150, 180)),
        SumTotal(kept=(1,), cells=(60, 90, 75, 105)),
        SumTotal(kept=(0, 0), cells=(60, 90, 30, 75, 105, 30)),
        SumTotal(kept=(), cells=(150, 180)),
    )
    for content in bad:
        unsigned = honest.model_copy(update={"content": content})
        signature = to_text(member.sign(signed_bytes(unsigned)))
        with pytest.raises(Refusal, match="below the floor"):
            sums.post(backend, member.site, unsigned.model_copy(update={"signature": signature}))
    assert state(backend) == before


def test_a_site_that_is_not_in_the_roster_is_refused(backend, join):
    members = [join() for _ in range(4)]
    run(backend, members[:3], "shares")
    stranger = members[3]
    message = shares_message(members[0], state(backend)).model_copy(update={"site": stranger.site})
    with pytest.raises(Refusal, match="no longer part"):
        sums.post(backend, stranger.site, message)
    with pytest.raises(Refusal, match="of another site"):
        sums.post(backend, members[1].site, message)


def test_a_site_without_access_neither_joins_nor_reads(backend, join):
    stranger = join(approved=False)
    with pytest.raises(Refusal, match="No access"):
        post(backend, stranger, "keys")
    with pytest.raises(Refusal, match="No access"):
        sums.state_of(backend, Caller(stranger.site, "site"), SUBJECT)
    revoked = join()
    post(backend, revoked, "keys")
    decision = AccessDecision(status="revoked")
    access.decide(backend, decision, actor=OPERATOR, site=revoked.site, subject=SUBJECT)
    with pytest.raises(Refusal, match="Access is revoked"):
        sums.state_of(backend, Caller(revoked.site, "site"), SUBJECT)


def test_terms_keys_and_signatures_must_fit(backend, join):
    member = join()
    post(backend, member, "keys")
    laxer = join(Terms(n_cells=4, minimum_sites=3, floor=2))
    with pytest.raises(Refusal, match="terms differ"):
        post(backend, laxer, "keys")
    same = replace(join(), secrets=member.secrets)
    with pytest.raises(Refusal, match="one of these keys"):
        post(backend, same, "keys")
    with pytest.raises(Refusal, match="label is not that"):
        post(backend, replace(join(), label="Another hospital"), "keys")
    impostor, victim = Credential.generate(), join()
    foreign = replace(victim, public_key=impostor.public_key, sign=impostor.private_key.sign)
    with pytest.raises(Refusal, match="not a key of this site"):
        post(backend, foreign, "keys")
    unsigned = replace(victim, sign=lambda _: bytes(64))
    with pytest.raises(Refusal, match="signature"):
        post(backend, unsigned, "keys")
    assert state(backend).sites("keys") == (member.site,)


def test_messages_at_the_same_time_are_all_kept(backend, join):
    members = [join() for _ in range(4)]
    run(backend, members, "shares")
    before = state(backend)
    messages = [shares_message(member, before) for member in members]
    threads = [threading.Thread(target=sums.post, args=(backend, m.site, m)) for m in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state(backend).round == "table"
    assert len(state(backend).of("shares")) == 4


def order_report(backend, *, cancelled=False):
    """Give a standing order, and take the report that is due at once for made."""
    plan = "c" * 64
    backend.objects.put_if_absent(registry.object_key(plan), b"title: a plan")
    facts = {"model": SUBJECT.model, "version": SUBJECT.version, "plan_hash": SUBJECT.plan_hash}
    sent = ReportOrder(**facts, plan=plan, min_sites=1, cancelled=cancelled)
    report_orders.order(backend, OPERATOR, sent)
    due = backend.index.query(report_orders.DUE)
    backend.index.commit([item.updated(None) for item in due])


def due_reports(backend):
    return [item.key for item in backend.index.query(report_orders.DUE)]


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_finished_sum_makes_the_report_of_a_standing_order_due(backend, join, is_closed):
    order_report(backend)
    members = [join() for _ in range(3)]
    run(backend, members, "total")
    sent = [post(backend, member, "total").round for member in members[: 2 if is_closed else 3]]
    if is_closed:
        assert due_reports(backend) == []
        sent.append(close(backend, "total").round)
    assert sent == ["total", "total", "done"]
    assert due_reports(backend) == ["tumour#1.0#" + "a" * 64]
    (order,) = report_orders.orders(backend, Page()).orders
    assert order.state == "due"


@pytest.mark.parametrize("order", [None, "cancelled"])
def test_a_finished_sum_without_a_standing_order_makes_nothing_due(backend, join, order):
    if order:
        order_report(backend, cancelled=True)
    members = [join() for _ in range(3)]
    run(backend, members, "total")
    for member in members:
        post(backend, member, "total")
    assert state(backend).round == "done"
    assert due_reports(backend) == []


def test_a_failed_attempt_makes_nothing_due(backend, join):
    order_report(backend)
    run(backend, [join() for _ in range(3)], "shares")
    assert close(backend, "shares").round == "failed"
    assert due_reports(backend) == []


def test_a_sum_over_http_on_every_hub(operator, model, new_site, kit):
    """Four sites sign their requests, one drops out; on the embedded hub, on AWS and in a Lambda."""
    subject = {**kit.SUBJECT, "plan_hash": "5" * 64}
    members, clients = [], {}
    for n in range(4):
        client = new_site()
        grant = client.request_access(label=f"Hospital {n}", **subject)
        operator.decide_access(grant, AccessDecision(status="approved"))
        clients[client.credential.id] = client
        members.append(member_of(client.credential, n))

    def post_all(round_, these):
        before = operator.secure_sum(**subject)
        for member in these:
            clients[member.site].send_to_sum(MAKE[round_](member, before))

    post_all("keys", members)
    with pytest.raises(HubError, match="site's key cannot use this address"):
        clients[members[0].site].close_sum_round(operator.secure_sum(**subject), "keys")
    operator.close_sum_round(operator.secure_sum(**subject), "keys")
    post_all("shares", members)
    post_all("table", members[:3])
    after = operator.close_sum_round(operator.secure_sum(**subject), "table")
    assert after.round == "opening"
    post_all("opening", members[:3])
    post_all("total", members[:3])
    done = clients[members[0].site].secure_sum(**subject)
    assert done.round == "done"
    assert {m.content.cells for m in done.of("total")} == {(60, 90, 75, 105)}
    assert members[3].site not in done.sites("table")
