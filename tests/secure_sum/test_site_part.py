"""A site's part in a secure sum: recorded before it is sent, answered once, one sum for each patient."""

from types import SimpleNamespace

import pytest

from healthval.errors import (
    HubUnavailable,
    IntegrityError,
    PlanError,
    SubmissionError,
    UsageError,
)
from healthval.evaluation.secure_sum import next_step, sum_terms
from healthval.secure_sum.messages import ROUNDS
from healthval.secure_sum.outcome import outcome_of


def agree(roster, mark):
    return True


def step(plan, part, confirm=agree):
    site, client = part
    return next_step(plan, site, client, confirm=confirm)


def run(plan, hub, parts, upto="done"):
    """All sites take their steps until a round is open."""
    for part in parts:
        step(plan, part)
    hub.close()
    for _ in ROUNDS:
        for part in parts:
            if hub.state.round == upto:
                return
            step_in(plan, part, hub.state.round)


def step_in(plan, part, round_):
    """Send the message of one round only."""
    site, client = part
    limited = Limited(client, round_)
    next_step(plan, site, limited, confirm=agree)


class Limited:
    """A client whose answers hide that a later round has begun."""

    def __init__(self, client, round_):
        self._client, self._round = client, round_

    def __getattr__(self, name):
        return getattr(self._client, name)

    def send_to_sum(self, message):
        state = self._client.send_to_sum(message)
        return state.model_copy(update={"round": self._round})


def messages_in(site):
    return [e.body for e in site.ledger.entries() if e.kind == "sum"]


def test_a_site_sends_each_round_once_and_opens_the_total(plan, hub, new_site):
    parts = [new_site() for _ in range(3)]
    run(plan, hub, parts)
    assert hub.state.round == "done"
    found = outcome_of(hub.state, sum_terms(plan))
    assert (found.status, found.cells, found.opened_by) == ("total", (36, 90, 210, 120), 3)
    for site, client in parts:
        assert [m.round for m in client.sent] == list(ROUNDS)
        assert step(plan, (site, client)).sent == ()
        assert [b["round"] for b in messages_in(site)] == list(ROUNDS)
        assert [b["sha256"] is not None for b in messages_in(site)] == [True] * 5


def test_a_hub_that_asks_for_both_shares_gets_one_answer(plan, hub, new_site):
    """First all tables arrived; then the hub hides one and asks again, to get its site's mask key."""
    parts = [new_site() for _ in range(4)]
    run(plan, hub, parts, upto="opening")
    whole, victim = hub.state, parts[3][0].credential.id
    step_in(plan, parts[0], "opening")
    kept = [m for m in whole.messages if not (m.round == "table" and m.site == victim)]
    hub.state = whole.model_copy(update={"messages": tuple(kept)})
    n = len(parts[0][1].sent)
    with pytest.raises(IntegrityError, match="answered in round 'opening' already"):
        step(plan, parts[0])
    assert len(parts[0][1].sent) == n
    assert [b["round"] for b in messages_in(parts[0][0])].count("opening") == 1


def test_another_roster_or_another_set_of_sharers_is_not_answered(plan, hub, new_site):
    parts = [new_site() for _ in range(4)]
    run(plan, hub, parts, upto="table")
    whole = hub.state
    step_in(plan, parts[0], "table")
    gone = parts[3][0].credential.id
    for rounds, pattern in (({"shares"}, "'table'"), ({"keys", "shares"}, "answered to other")):
        kept = [m for m in whole.messages if not (m.round in rounds and m.site == gone)]
        hub.state = whole.model_copy(update={"messages": tuple(kept)})
        with pytest.raises(IntegrityError, match=pattern):
            step(plan, parts[0])


def test_a_message_is_in_the_ledger_before_it_is_sent_and_sent_again_as_it_was(plan, hub, new_site):
    part = new_site()
    hub.is_down = True
    with pytest.raises(HubUnavailable):
        step(plan, part)
    (first,) = messages_in(part[0])
    assert first["round"] == "keys"
    hub.is_down = False
    step(plan, part)
    assert messages_in(part[0]) == [first]
    assert part[1].sent[0] == part[1].sent[1]


def test_a_table_that_changed_after_it_was_sent_is_not_sent_again(plan, hub, new_site, evaluated):
    """Under the same masks, two tables would give away their difference."""
    parts = [new_site() for _ in range(4)]
    run(plan, hub, parts, upto="table")
    before = hub.state
    step_in(plan, parts[0], "table")
    hub.state = before
    evaluated(parts[0][0], plan, (13, 30, 70, 40), [f"p0-{i}:c{i}" for i in range(60)])
    with pytest.raises(IntegrityError, match="with another table"):
        step(plan, parts[0])


def test_without_a_yes_the_table_is_not_sent_and_the_hospitals_are_shown(plan, hub, new_site):
    parts = [new_site() for _ in range(3)]
    run(plan, hub, parts, upto="table")
    seen = []

    def decline(roster, mark):
        seen.append(([one.label for one in roster], mark))
        return False

    with pytest.raises(SubmissionError, match="the table was not sent"):
        step(plan, parts[0], decline)
    assert sorted(seen[0][0]) == ["Hospital 0", "Hospital 1", "Hospital 2"]
    assert "table" not in [b["round"] for b in messages_in(parts[0][0])]


def other_plan(plan):
    values = {**vars(plan), "hash": "b" * 64, "subject": {**plan.subject, "plan_hash": "b" * 64}}
    return SimpleNamespace(**values)


def test_a_patient_is_part_of_one_sum(plan, hub, new_site, evaluated):
    parts = [new_site() for _ in range(3)]
    run(plan, hub, parts)
    second, site = other_plan(plan), parts[0][0]
    hub.state = hub.state.model_copy(update={**second.subject, "messages": (), "round": "keys"})
    evaluated(
        site, second, (12, 30, 70, 40), ["p0-7:another case", *(f"q{i}:c" for i in range(60))]
    )
    with pytest.raises(SubmissionError, match="1 patient of this table was part of an earlier"):
        step(second, parts[0])
    evaluated(site, second, (12, 30, 70, 40), [f"q{i}:c" for i in range(60)])
    assert step(second, parts[0]).sent == ("keys",)


def test_a_total_below_the_floor_is_no_number_and_spends_no_patient(plan, hub, new_site, evaluated):
    parts = [new_site((3, 30, 70, 40)) for _ in range(3)]
    run(plan, hub, parts)
    assert outcome_of(hub.state, sum_terms(plan)).status == "below floor"
    assert step(plan, parts[0]).is_shown is False
    assert [b["total"] for b in messages_in(parts[0][0]) if b["round"] == "total"] == [[]]
    second = other_plan(plan)
    hub.state = hub.state.model_copy(update={**second.subject, "messages": (), "round": "keys"})
    evaluated(parts[0][0], second, (33, 30, 70, 40), [f"p0-{i}:c{i}" for i in range(60)])
    assert step(second, parts[0]).sent == ("keys",)


def test_a_failed_attempt_spends_the_sites_whose_table_left(plan, hub, new_site):
    parts = [new_site() for _ in range(4)]
    run(plan, hub, parts, upto="table")
    step_in(plan, parts[0], "table")
    hub.state = hub.state.model_copy(update={"round": "failed", "reason": "too few"})
    with pytest.raises(SubmissionError, match="60 patients of this table were part"):
        step(plan, parts[0])
    assert step(plan, parts[1]).sent == ("keys",)


def test_a_lost_seed_is_noticed_and_never_made_again(plan, hub, new_site):
    parts = [new_site() for _ in range(3)]
    run(plan, hub, parts, upto="shares")
    (seed,) = parts[0][0].folder.glob("sums/*/1.seed")
    seed.unlink()
    with pytest.raises(UsageError, match=r"1\.seed is missing"):
        step(plan, parts[0])
    assert not seed.exists()


def test_a_site_that_comes_too_late_is_told_so(plan, hub, new_site):
    run(plan, hub, [new_site() for _ in range(3)], upto="shares")
    late = new_site()
    with pytest.raises(SubmissionError, match="were fixed without this site"):
        step(plan, late)
    assert messages_in(late[0]) == []


def test_only_a_released_table_takes_part(plan, hub, new_site):
    site, client = new_site()
    table = next(site.folder.glob("sums/*/table.json"))
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("p0-7:c7", "p9-7:c7"), encoding="utf-8")
    with pytest.raises(UsageError, match="was not released under this plan"):
        step(plan, (site, client))
    table.unlink()
    with pytest.raises(UsageError, match="run the evaluation"):
        step(plan, (site, client))
    assert client.sent == []
    without = SimpleNamespace(**{**vars(plan), "secure_sum": None})
    with pytest.raises(PlanError, match="has no 'secure_sum'"):
        step(without, (site, client))


def test_two_totals_that_differ_are_no_total(plan, hub, new_site):
    """One of three sites reports another total than it opened; its own signature is valid."""
    from healthval.secure_sum.masks import to_text
    from healthval.secure_sum.messages import SumTotal, signed_bytes

    parts = [new_site() for _ in range(3)]
    run(plan, hub, parts)
    site = parts[0][0]
    changed = []
    for m in hub.state.messages:
        if m.round == "total" and m.site == site.credential.id:
            other = m.model_copy(update={"content": SumTotal(kept=(0,), cells=(37, 90, 210, 120))})
            signature = to_text(site.credential.private_key.sign(signed_bytes(other)))
            m = other.model_copy(update={"signature": signature})  # noqa: PLW2901
        changed.append(m)
    hub.state = hub.state.model_copy(update={"messages": tuple(changed)})
    assert outcome_of(hub.state, sum_terms(plan)).status == "contradictory"
