"""Subgroups, Table 1, exclusions, odd scores, and that no message quotes a value."""

import io
import logging
import traceback
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from healthval.disclosure import (
    DisclosureRefused,
    check_arrival,
    load_policy,
    release,
)
from healthval.disclosure.ledger_view import chain_table, show, verify
from healthval.metrics import TableOne


def row(level, overall, events, variable="sex"):
    return TableOne(
        variable=variable,
        level=level,
        overall=overall,
        events=events,
        non_events=overall - events,
    )


def test_flow_steps_are_merged_until_no_exclusion_is_small(make_site, policy, ledger):
    result = make_site(300).result()
    flow = (("listed", 360), ("adult", 355), ("imaged", 330), ("readable", 303), ("scored", 300))
    out = release(replace(result, flow=flow), policy, ledger).submission
    counts = [f.n for f in out.flow]
    assert counts[-1] == 300
    assert all(a - b == 0 or a - b >= 11 for a, b in pairwise(counts))
    assert [f.step for f in out.flow] == ["adult", "imaged", "scored"]


@pytest.mark.parametrize("excluded", [29, 30, 35, 40, 41])
def test_steps_that_a_shown_exclusion_nearly_explains_are_merged(
    make_site, policy, ledger, excluded
):
    flow = (("listed", 330 + excluded), ("common", 330), ("scored", 300))
    result = make_site(300).result(n_indeterminate=30, flow=flow)
    steps = [f.step for f in release(result, policy, ledger).submission.flow]
    is_apart = excluded == 30 or abs(excluded - 30) >= 11
    assert steps == [*(["listed"] if is_apart else []), "common", "scored"]


@pytest.mark.parametrize("count", [0, 1, 10, 11])
def test_indeterminate_and_missing_are_counts_like_all_others(make_site, policy, ledger, count):
    result = make_site(300).result(n_indeterminate=count, n_missing_reference=count, flow=())
    out = release(result, policy, ledger).submission
    shown = count if count in (0, 11) else "suppressed"
    assert (out.n_indeterminate, out.n_missing_reference) == (shown, shown)


def test_hidden_indeterminates_do_not_follow_from_the_flow(make_site, policy, ledger):
    flow = (("listed", 340), ("analysed", 304))
    result = make_site(300).result(n_indeterminate=4, flow=flow)
    out = release(result, policy, ledger).submission
    assert [f.n for f in out.flow] == [340]


def test_a_flow_that_grows_is_refused(make_site, policy, ledger):
    result = make_site(300).result(flow=(("listed", 300), ("scored", 320)))
    with pytest.raises(DisclosureRefused, match="flow"):
        release(result, policy, ledger)


def test_a_small_level_takes_the_next_smallest_with_it_and_its_name(make_site, policy, ledger):
    site = make_site(300)
    site.groups = {"ward": np.array(["tiny"] * 4 + ["middle"] * 96 + ["large"] * 200)}
    out = release(site.result(), policy, ledger).submission
    levels = {s.level: s.n for s in out.subgroups}
    assert "tiny" not in levels
    assert levels == {"large": 200, "suppressed": "suppressed"}
    check_arrival(out, policy)


def test_levels_keep_their_names_in_letters_the_wire_takes(make_site, policy, ledger):
    site = make_site(300)
    site.groups = {"age": np.where(np.arange(300) < 150, "18-40", ">40")}
    out = release(site.result(), policy, ledger).submission
    assert {s.level for s in out.subgroups} == {"level_18_40", "level__40"}


def test_table_one_rows_and_subgroups_are_decided_together(make_site, policy, ledger):
    site = make_site(300)
    site.groups = {}
    site.outcome[:] = np.arange(300) < 120
    rows = (row("female", 150, 115), row("male", 150, 5), row("yes", 293, 115, "smoker"))
    out = release(site.result(table_one=rows), policy, ledger).submission
    by_level = {(r.variable, r.level): r for r in out.table_one}
    assert by_level["sex", "female"].overall == 150
    assert by_level["sex", "female"].events == "suppressed"
    assert by_level["sex", "male"].events == "suppressed"
    assert ("smoker", "yes") not in by_level  # 7 would be left


def test_table_one_of_other_cases_than_the_subgroups_is_refused(make_site, policy, ledger):
    site = make_site(300)
    n = sum(site.groups["sex"] == "female")
    rows = (row("female", int(n) + 3, 50), row("male", 300 - int(n), 50))
    with pytest.raises(DisclosureRefused, match="Table 1"):
        release(site.result(table_one=rows), policy, ledger)


def test_means_are_rounded_to_what_one_patient_cannot_move(make_site, policy, ledger):
    rows = (TableOne(variable="age", level="all", overall=300, mean=64.318, sd=12.071),)
    out = release(make_site(300).result(table_one=rows), policy, ledger).submission
    assert (out.table_one[0].mean, out.table_one[0].sd) == (64.3, 12.1)


@pytest.mark.parametrize(
    ("mean", "sd"),
    [(3 / 300, (0.01 * 0.99) ** 0.5), (63.0, 0.0), (1 + 3 / 300, (0.01 * 0.99) ** 0.5)],
)
def test_a_mean_that_is_a_count_in_disguise_is_withheld(make_site, policy, ledger, mean, sd):
    rows = (TableOne(variable="diabetes", level="all", overall=300, mean=mean, sd=sd),)
    out = release(make_site(300).result(table_one=rows), policy, ledger).submission
    assert [(r.level, r.mean) for r in out.table_one] == [("suppressed", None)]


def test_a_cut_below_which_nobody_has_the_condition_is_withheld(make_site, policy, ledger):
    """Known scores and a zero give the outcome of every case below the cut."""
    site = make_site(400)
    site.score[site.outcome] = np.maximum(site.score[site.outcome], 0.3)
    found = release(site.result(thresholds=(0.25,)), policy, ledger).submission
    assert found.thresholds[0].confusion.fn == found.thresholds[0].confusion.tn == "suppressed"
    assert all((b.events == 0) == (b.non_events == 0) for b in found.histogram)


def test_a_zero_shown_by_a_laxer_site_is_refused_by_a_stricter_hub(make_site, policy, ledger):
    out = release(make_site(400).result(n_missing_reference=0), policy, ledger)
    assert out.submission.n_missing_reference == 0
    check_arrival(out.payload, policy)
    with pytest.raises(DisclosureRefused):
        check_arrival(out.payload, policy.stricter(zero_is_sensitive=True))


@pytest.mark.parametrize("minority", [1, 10, 11])
def test_discrimination_needs_eleven_of_each_class(make_site, policy, ledger, minority):
    site = make_site(300)
    site.outcome[:] = False
    site.outcome[:minority] = True
    site.groups = {}
    out = release(site.result(), policy, ledger).submission
    assert (out.auroc.withheld == "none") == (minority == 11)
    assert (out.n_events == 11) == (minority == 11)


def test_hard_decisions_give_nothing_but_counts_that_may_be_known(make_site, policy, ledger):
    """With scores of 0 and 1 the AUROC is (sensitivity + specificity) / 2: it would reveal fn."""
    site = make_site(300)
    site.score = np.where(site.outcome, 1.0, 0.0)
    site.score[np.flatnonzero(site.outcome)[:4]] = 0.0
    site.score[np.flatnonzero(~site.outcome)[:30]] = 1.0
    out = release(site.result(), policy, ledger).submission
    assert out.thresholds[0].confusion.fn == out.thresholds[0].confusion.fp == "suppressed"
    assert out.auroc.value is None
    assert out.calibration is None
    assert out.average_precision is None


@pytest.mark.parametrize("preset", [None, "cms", "datashield", "cellkey", "dp"])
@pytest.mark.parametrize("at", [0.48271828, 0.47])
def test_a_threshold_found_on_the_data_does_not_leave(make_site, policy, ledger, preset, at):
    """Youden's threshold has an event above it and a non-event below: with few scores, known patients."""
    result = make_site(300).result()
    t = result.evaluation.thresholds[0]
    derived = replace(t, threshold=at, origin="data-derived")
    evaluation = replace(result.evaluation, thresholds=(t, derived))
    rules = load_policy(preset) if preset else policy
    out = release(replace(result, evaluation=evaluation), rules, ledger)
    assert [x.threshold for x in out.submission.thresholds] == [0.5]
    assert any("found on the data" in w.reason for w in out.withheld)


CANARY = "Zaphod Beeblebrox 1942-03-11"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: replace(r, flow=((CANARY, 300),)),
        lambda r: replace(r, model=CANARY),
        lambda r: replace(r, version=CANARY),
        lambda r: replace(
            r,
            table_one=(
                TableOne(variable=CANARY, level="x", overall=300, events=150, non_events=150),
            ),
        ),
        lambda r: replace(
            r,
            evaluation=replace(
                r.evaluation, subgroups=(replace(r.evaluation.subgroups[0], variable=CANARY),)
            ),
        ),
    ],
)
def test_no_message_quotes_what_it_refuses(make_site, policy, ledger, spoil):
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    with pytest.raises(DisclosureRefused) as refusal:
        release(spoil(make_site(300).result()), policy, ledger)
    logging.getLogger().removeHandler(handler)
    told = "".join(traceback.format_exception(refusal.value)) + repr(refusal.value) + log.getvalue()
    assert "Zaphod" not in told
    assert "1942" not in told
    assert not ledger.path.exists() or b"Zaphod" not in ledger.path.read_bytes()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: replace(e, auroc=replace(e.auroc, method=CANARY)),
        lambda e: replace(e, auroc=replace(e.auroc, value=None, reason=CANARY)),
        lambda e: replace(e, subgroups=(replace(e.subgroups[0], level=CANARY), e.subgroups[1])),
    ],
)
def test_text_that_is_no_name_does_not_leave(make_site, policy, ledger, spoil):
    result = make_site(300).result()
    spoiled = replace(result, evaluation=spoil(result.evaluation))
    try:
        out = release(spoiled, policy, ledger).payload
    except DisclosureRefused as refusal:
        out = str(refusal).encode()
    assert b"Zaphod" not in out
    assert b"1942" not in out


def test_a_forged_key_is_not_quoted_either(make_site, policy, ledger):
    out = release(make_site(300).result(), policy, ledger)
    forged = out.payload.replace(b'"auroc":{', b'"auroc":{"' + CANARY.encode() + b'":1,')
    with pytest.raises(DisclosureRefused) as refusal:
        check_arrival(forged, policy)
    assert "Zaphod" not in "".join(traceback.format_exception(refusal.value))


def test_the_ledger_is_readable_and_shows_no_digest_of_a_case(make_site, policy, ledger):
    site = make_site(300)
    ledger.record_payload(
        sha256="c" * 64, n_bytes=9, n_cases=300, model="chest-reader", version="1.2"
    )
    out = release(site.result(), policy, ledger)
    page = chain_table(ledger.entries())
    for text in (page, "\n".join(show(ledger))):
        assert "chest-reader 1.2" in text
        assert "2026-03-01 12:00:00" in text
        assert not any(case in text for case in site.ids)
    assert out.sha256 in page
    assert "<script" not in page
    assert verify(ledger).startswith("The chain of 2 entries is whole")
