"""The attacks find planted disclosures, and none in clean payloads."""

import base64
import gzip
import json
import struct
import zlib

import numpy as np
import pytest
from exact_policy import exact

from healthval.contracts.proportions import wilson
from healthval.contracts.submission import (
    SUPPRESSED,
    ReleasedConfusion,
    ReleasedEstimate,
    ReleasedThreshold,
    Submission,
)
from healthval.disclosure import find_scores, release
from healthval.disclosure.attacks.bounds import bound
from healthval.disclosure.attacks.estimates import consistent_tables

NOTHING = ReleasedEstimate(withheld="suppressed")


def threshold(table, decimals, *, rates=("sensitivity", "specificity", "ppv"), **more):
    tp, fp, fn, tn = table
    shares = {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
    }
    shown = {
        name: ReleasedEstimate(value=round(k / n, decimals), method="wilson")
        if name in rates
        else NOTHING
        for name, (k, n) in shares.items()
    }
    hidden = ReleasedConfusion(tp=SUPPRESSED, fp=SUPPRESSED, fn=SUPPRESSED, tn=SUPPRESSED)
    return ReleasedThreshold(
        threshold=0.5,
        origin="pre-specified",
        confusion=hidden,
        net_benefit=NOTHING,
        **(shown | more),
    )


# The MedPerf sample: 1,335 chest X-rays, cardiomegaly 56 times, edema 4 times.
@pytest.mark.parametrize("table", [(34, 257, 22, 1022), (3, 644, 1, 687)])
def test_three_decimals_leave_exactly_one_table(table):
    tp, fp = consistent_tables(threshold(table, 3), 1335, table[0] + table[2])
    assert list(zip(tp.tolist(), fp.tolist(), strict=True)) == [table[:2]]


def test_two_decimals_leave_the_tables_that_trying_all_of_them_finds():
    tp, fp = consistent_tables(threshold((34, 257, 22, 1022), 2), 1335, 56, decimals=2)
    tried = {
        (a, b)
        for a in range(57)
        for b in range(1280)
        if (round(a / 56, 2), round((1279 - b) / 1279, 2)) == (0.61, 0.8)
        and a + b
        and round(a / (a + b), 2) == 0.12
    }
    assert set(zip(tp.tolist(), fp.tolist(), strict=True)) == tried
    assert len(tried) > 5


def test_an_interval_alone_gives_the_count_away():
    lo, hi = (round(x, 3) for x in wilson(34, 56, 1.959963984540054))
    e = ReleasedEstimate(lo=lo, hi=hi, method="wilson")
    t = threshold((34, 257, 22, 1022), 3, rates=()).model_copy(update={"sensitivity": e})
    tp, _ = consistent_tables(t, 1335, 56)
    assert set(tp.tolist()) == {34}


def test_net_benefit_ties_the_cells_together():
    t = threshold((34, 257, 22, 1022), 3, rates=("sensitivity",))
    benefit = ReleasedEstimate(value=round((34 - 257) / 1335, 4))
    _, fp = consistent_tables(t.model_copy(update={"net_benefit": benefit}), 1335, 56)
    assert set(fp.tolist()) == {257}


def test_without_rates_nothing_is_reconstructed():
    tp, _ = consistent_tables(threshold((34, 257, 22, 1022), 3, rates=()), 1335, 56)
    assert np.unique(tp).size == 57


@pytest.fixture(scope="module")
def submission(make_site, tmp_path_factory):
    from healthval.disclosure import Ledger

    ledger = Ledger(tmp_path_factory.mktemp("site") / "ledger.jsonl")
    return release(make_site(600).result(thresholds=(0.2, 0.5)), exact("cms"), ledger).submission


def test_the_auditor_finds_nothing_in_an_honest_release(submission, policy):
    assert bound([submission], policy) == []


def test_the_auditor_bounds_the_only_hidden_level(submission, policy):
    first, second = submission.subgroups
    hidden = second.model_copy(
        update={"n_events": SUPPRESSED, "sensitivity": NOTHING, "specificity": NOTHING}
    )
    small = first.model_copy(
        update={"n_events": submission.n_events - 4, "sensitivity": NOTHING, "specificity": NOTHING}
    )
    leaky = submission.model_copy(update={"subgroups": (small, hidden)})
    exposed = {e.field: (e.lo, e.hi) for e in bound([leaky], policy)}
    assert exposed["subgroups[sex.male].n_events"] == (4, 4)


def test_the_auditor_reads_ppv_as_an_equation(submission, policy):
    first, second = submission.thresholds
    fp = second.confusion.fp
    hidden = second.model_copy(
        update={
            "confusion": second.confusion.model_copy(update={"tp": SUPPRESSED, "fn": SUPPRESSED}),
            "ppv": ReleasedEstimate(value=round(3 / (3 + fp), 4), method="wilson"),
            **dict.fromkeys(("sensitivity", "npv", "net_benefit"), NOTHING),
        }
    )
    leaky = submission.model_copy(
        update={
            "thresholds": (first, hidden),
            "histogram": (),
            "decision_curve": (),
            "subgroups": (),
        }
    )
    exposed = {e.field: (e.lo, e.hi) for e in bound([leaky], policy)}
    assert exposed["thresholds[0.5].tp"] == (3, 3)


def test_the_auditor_joins_two_releases_of_the_same_cases(submission, policy):
    second = submission.thresholds[1]
    near = second.model_copy(
        update={
            "threshold": 0.51,
            "confusion": ReleasedConfusion(
                tp=second.confusion.tp - 3,
                fp=second.confusion.fp,
                fn=second.confusion.fn + 3,
                tn=second.confusion.tn,
            ),
            **dict.fromkeys(("sensitivity", "specificity", "ppv", "npv", "net_benefit"), NOTHING),
        }
    )
    other = submission.model_copy(
        update={"thresholds": (near,), "histogram": (), "decision_curve": (), "subgroups": ()}
    )
    assert bound([other], policy) == []
    exposed = bound([submission, other], policy)
    assert [(e.field, e.lo, e.hi) for e in exposed] == [("tp next above 0.5", 3, 3)]


SCORES = np.random.default_rng(0).uniform(size=400)


@pytest.mark.parametrize(
    "hide",
    [
        lambda s: json.dumps({"x": s.tolist()}).encode(),
        lambda s: ",".join(f"{x:.6f}" for x in s).encode(),
        lambda s: ",".join(f"{x:.3e}" for x in s).encode().replace(b"e", b"E"),
        lambda s: " ".join(f"{100 * x:.9f}%" for x in s).encode(),
        lambda s: " ".join(f"{1 - x:.12f}" for x in s).encode(),
        lambda s: s.tobytes(),
        lambda s: b"\x01\x02\x03" + s.astype(">f8").tobytes(),
        lambda s: s.astype("<f4").tobytes(),
        lambda s: b'<script>{"bdata":"' + base64.b64encode(s.tobytes()) + b'"}</script>',
        lambda s: (
            b"%PDF stream\n" + zlib.compress(json.dumps(s.tolist()).encode()) + b"\nendstream"
        ),
        lambda s: gzip.compress(base64.b64encode(s.astype("<f4").tobytes())),
        lambda s: s.tobytes().hex().encode(),
        lambda s: json.dumps(s.tolist()).encode("utf-16"),
        lambda s: base64.urlsafe_b64encode(zlib.compress(s.tobytes())),
        lambda s: b"x = " + repr(float(s[7])).encode(),
        lambda s: b"\0" * 5 + struct.pack("<d", s[7]) + b"\0" * 3,
    ],
)
def test_scores_are_found_however_they_are_written(hide):
    assert find_scores(hide(SCORES), SCORES) >= 1


@pytest.mark.parametrize("kind", ["text", "binary", "svg"])
def test_other_numbers_are_not_taken_for_scores(kind):
    rng = np.random.default_rng(1)
    other = rng.uniform(size=3000)
    data = {
        "text": json.dumps(other.tolist()).encode(),
        "binary": other.tobytes() + other.astype("<f4").tobytes(),
        "svg": " ".join(
            f"L {640 * x:.3f} {480 * y:.4f}" for x, y in zip(other, other[::-1], strict=True)
        ).encode(),
    }[kind]
    assert find_scores(data, SCORES) == 0


def test_short_scores_cannot_be_distinguished_from_statistics():
    assert find_scores(b"[0.5, 0.25, 0.1]", [0.5, 0.25, 0.1]) == 0
    assert find_scores(b"", SCORES) == 0
    assert find_scores(b"0.123456789", []) == 0


def test_no_score_is_in_an_honest_payload(make_site, policy, ledger):
    site = make_site(800)
    out = release(site.result(thresholds=(0.2, 0.5)), policy, ledger, scores=site.score)
    assert find_scores(out.payload, site.score) == 0
    assert isinstance(out.submission, Submission)
