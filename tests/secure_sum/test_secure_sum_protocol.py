"""Rounds of a secure sum: the exact total, sites that drop out, and a hub that lies."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.errors import IntegrityError
from healthval.secure_sum import protocol
from healthval.secure_sum.checks import Terms
from healthval.secure_sum.floor import is_above_floor, shown_part
from healthval.secure_sum.masks import MODULUS, public_text, to_text
from healthval.secure_sum.messages import SumTable, SumTotal, context_of, signed_bytes
from healthval.secure_sum.protocol import (
    keys_message,
    open_total,
    opening_message,
    shares_message,
    table_message,
    total_message,
)

TABLES = [[12, 30, 70, 40], [5, 21, 33, 18], [0, 4, 12, 2], [40, 1, 100, 0]]


def added_up(tables):
    return [sum(column) for column in zip(*tables, strict=True)]


def cells_of(message):
    text = message.content.cells
    return [int(text[i : i + 16], 16) for i in range(0, len(text), 16)]


def test_every_site_opens_the_exact_total(new_sum):
    found = new_sum(TABLES).run()
    assert {m.content.cells for m in found.state.of("total")} == {tuple(added_up(TABLES))}


@given(st.lists(st.lists(st.integers(0, 10**6), min_size=4, max_size=4), min_size=3, max_size=6))
@settings(max_examples=15, deadline=None)
def test_the_total_is_the_sum_of_any_tables(new_sum, tables):
    found = new_sum(tables, Terms(n_cells=4, minimum_sites=3, floor=2)).run("opening")
    assert open_total(found.members[0], found.state) == added_up(tables)


@pytest.mark.parametrize("round_", ["shares", "table", "opening", "total"])
def test_the_total_is_that_of_the_sites_that_stay(new_sum, round_):
    """From the round of tables on, the table of a site that is absent later stays in the sum."""
    s = new_sum(TABLES)
    last = s.members[3].site
    s.run(dropped={round_: [last]})
    stays = TABLES if round_ in {"opening", "total"} else TABLES[:3]
    totals = {m.content.cells for m in s.state.of("total")}
    assert totals == {tuple(added_up(stays))}


def test_a_total_below_the_floor_is_no_number_in_any_message(new_sum):
    s = new_sum([[3, 30, 70, 40], [3, 21, 33, 18], [4, 4, 12, 2]]).run()
    assert [m.content.cells for m in s.state.of("total")] == [()] * 3
    s = new_sum([[3, 30, 70, 40], [4, 21, 33, 18], [4, 4, 12, 2]]).run()
    assert {m.content.cells for m in s.state.of("total")} == {(11, 55, 115, 60)}


@pytest.mark.parametrize(
    ("cells", "is_shown"),
    [([11, 11], True), ([10, 11], False), ([11, 10], False), ([0, 11], False), ([0, 0], False)],
)
def test_the_floor_is_for_both_classes_of_a_bin(cells, is_shown):
    assert is_above_floor(cells, 11) is is_shown


BINS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=7)


@given(BINS)
def test_a_total_is_shown_at_the_most_thresholds_with_each_class_above_the_floor(bins):
    events, others = zip(*bins, strict=True)
    found, n = shown_part([*events, *others], 11), len(bins)
    allowed = []
    for size in range(1, n):
        for kept in itertools.combinations(range(n - 1), size):
            ends = [0, *(at + 1 for at in kept), n]
            cells = [sum(s[a:b]) for s in (events, others) for a, b in itertools.pairwise(ends)]
            if is_above_floor(cells, 11):
                allowed.append((kept, tuple(cells)))
    if found is None:
        assert not allowed
    else:
        assert (found.kept, found.cells) in allowed
        assert len(found.kept) == max(len(kept) for kept, _ in allowed)


def test_fewer_than_three_sites_make_no_sum(new_sum):
    s = new_sum(TABLES[:2]).run("keys")
    with pytest.raises(IntegrityError, match="only 2 sites joined, and 3 of 2"):
        shares_message(s.members[0], s.state)


def test_the_plans_minimum_counts_at_every_round(new_sum):
    terms = Terms(n_cells=4, minimum_sites=4, floor=11)
    s = new_sum(TABLES, terms).run("keys")
    s.post("shares", without=[s.members[0].site])
    with pytest.raises(IntegrityError, match="only 3 sites gave shares, and 4 of 4"):
        table_message(s.members[1], s.state, TABLES[1])
    s = new_sum(TABLES, terms).run("shares")
    s.post("table", without=[s.members[0].site])
    with pytest.raises(IntegrityError, match="only 3 sites sent a table, and 4 of 4"):
        opening_message(s.members[1], s.state)


def test_masked_tables_look_random_and_their_plain_sum_is_not_the_total(new_sum):
    s = new_sum(TABLES).run("table")
    sent = [cells_of(m) for m in s.state.of("table")]
    assert all(cell > 2**40 for row in sent for cell in row)
    assert [x % MODULUS for x in added_up(sent)] != added_up(TABLES)


def test_an_opening_has_one_share_of_each_site_and_no_reader_but_the_sites(new_sum):
    """The share of the self mask for a table that arrived, of the mask key for one that did not."""
    s = new_sum(TABLES).run("shares")
    gone = s.members[3]
    s.post("table", without=[gone.site])
    giver = s.members[0]
    both = protocol._received(giver, s.state)
    given_ = protocol._one_share_each(giver, s.state)
    for site, share in zip(s.state.sites("shares"), given_, strict=True):
        assert share == both[site][1 if site == gone.site else 0]
        assert share != both[site][0 if site == gone.site else 1]
    message = opening_message(giver, s.state)
    assert {part.to for part in message.content.sealed} == {m.site for m in s.members[1:3]}


def test_openings_for_two_sets_of_survivors_cannot_be_combined(new_sum):
    """A hub that hides one table from half of the sites gets no total from either half."""
    s = new_sum(TABLES).run("shares")
    s.post("table")
    whole = s.state
    hidden = s.members[3].site
    kept = tuple(m for m in whole.messages if not (m.round == "table" and m.site == hidden))
    less = whole.model_copy(update={"messages": kept})
    first = [opening_message(m, whole) for m in s.members[:2]]
    second = [opening_message(m, less) for m in s.members[2:3]]
    s.state = whole
    s.keep(*first)
    with pytest.raises(IntegrityError, match="2 openings can be read, and 3 are needed"):
        open_total(s.members[0], s.state)
    s.keep(*second)
    with pytest.raises(IntegrityError, match="other messages than the hub shows"):
        open_total(s.members[0], s.state)


def test_a_forged_key_in_the_roster_is_refused(new_sum):
    s = new_sum(TABLES).run("keys")
    first, *others = s.state.messages
    content = first.content.model_copy(update={"mask_key": public_text(b"h" * 32)})
    forged = first.model_copy(update={"content": content})
    s.state = s.state.model_copy(update={"messages": (forged, *others)})
    own = next(m for m in s.members if m.site != first.site)
    with pytest.raises(IntegrityError, match="signature"):
        shares_message(own, s.state)


def test_a_site_whose_keys_the_hub_replaced_notices(new_sum, new_member):
    """The hub signs with a key of its own under the site's name."""
    s = new_sum(TABLES).run("keys")
    victim, impostor = s.members[0], new_member(9)
    kept = [m for m in s.state.messages if m.site != victim.site]
    original = next(m for m in s.state.messages if m.site == victim.site)
    content = original.content.model_copy(
        update={"public_key": impostor.public_key, "mask_key": public_text(b"h" * 32)}
    )
    unsigned = original.model_copy(update={"content": content})
    forged = unsigned.model_copy(
        update={"signature": to_text(impostor.sign(signed_bytes(unsigned)))}
    )
    s.state = s.state.model_copy(update={"messages": tuple(kept)})
    s.keep(forged)
    with pytest.raises(IntegrityError, match="own keys"):
        shares_message(victim, s.state)


def test_a_message_of_another_sum_or_attempt_is_refused(new_sum):
    s = new_sum(TABLES).run("shares")
    for changes in ({"plan_hash": "b" * 64}, {"attempt": 2}, {"version": "2.0"}):
        other = s.state.model_copy(update=changes)
        with pytest.raises(IntegrityError, match="belongs to another sum"):
            table_message(s.members[0], other, TABLES[0])


def test_a_message_that_occurs_twice_is_refused(new_sum):
    s = new_sum(TABLES).run("keys")
    again = (*s.state.messages, s.state.messages[0])
    s.state = s.state.model_copy(update={"messages": again})
    with pytest.raises(IntegrityError, match="occurs twice"):
        shares_message(s.members[1], s.state)


def test_a_site_that_joins_after_the_roster_was_closed_is_refused(new_sum, new_member):
    s = new_sum(TABLES).run("shares")
    late = s.state.of("shares")[0].model_copy(update={"site": "site-late2222"})
    s.keep(late)
    with pytest.raises(IntegrityError, match="from no site of the round before"):
        table_message(s.members[0], s.state, TABLES[0])


def test_two_sites_of_one_label_are_refused(new_sum, new_member):
    """One hospital that joins twice would count twice."""
    s = new_sum(TABLES).run("keys")
    s.keep(keys_message(replace(new_member(8), label=s.members[0].label), s.state))
    with pytest.raises(IntegrityError, match="two sites have the same label"):
        shares_message(s.members[0], s.state)


def test_sites_with_other_terms_are_refused(new_sum, new_member):
    s = new_sum(TABLES).run("keys")
    laxer = new_member(8, Terms(n_cells=4, minimum_sites=3, floor=2))
    s.keep(keys_message(laxer, s.state))
    with pytest.raises(IntegrityError, match="1 of 5 sites has other terms"):
        shares_message(s.members[0], s.state)


def test_wrong_shares_are_noticed_and_name_their_site(new_sum, monkeypatch):
    s = new_sum(TABLES).run("keys")
    liar = s.members[2]
    honest = protocol.split

    def split(secret, coefficients, n):
        if secret == liar.secrets.self_mask:
            return {x: y + x**5 for x, y in honest(secret, coefficients, n).items()}
        return honest(secret, coefficients, n)

    monkeypatch.setattr(protocol, "split", split)
    for round_ in ("shares", "table", "opening"):
        s.post(round_)
    with pytest.raises(IntegrityError, match=f"shares of {liar.site} do not fit"):
        total_message(s.members[0], s.state)


def test_a_message_that_is_made_again_has_the_same_bytes(new_sum):
    s = new_sum(TABLES).run("table")
    again = table_message(s.members[0], s.state, TABLES[0])
    assert again in s.state.of("table")


def test_another_set_of_sharers_gives_other_masks(new_sum):
    """Two tables under the same masks would give away their difference."""
    s = new_sum(TABLES).run("shares")
    kept = tuple(m for m in s.state.messages if (m.round, m.site) != ("shares", s.members[3].site))
    less = s.state.model_copy(update={"messages": kept})
    own = s.members[0]
    difference = [
        (a - b) % MODULUS
        for a, b in zip(
            cells_of(table_message(own, s.state, TABLES[0])),
            cells_of(table_message(own, less, TABLES[0])),
            strict=True,
        )
    ]
    gone = s.members[3]
    one = protocol._Masks(context_of(s.state.messages, "table"), 4)
    between = one.between(
        own.secrets.mask_secret, public_text(gone.secrets.mask_secret), (own.site, gone.site)
    )
    assert difference != between


def test_the_shapes_hold_no_total_beyond_a_whole_number_of_every_language():
    with pytest.raises(ValueError, match="less than or equal"):
        SumTotal(cells=(2**53, 1))
    with pytest.raises(ValueError, match="pattern"):
        SumTable(cells="0" * 15)
