"""Every leak measured in tools that hospitals use today, planted: each is refused."""

import json
import os
import random

import numpy as np
import pytest
from exact_policy import exact

from healthval.contracts.base import canonical_json
from healthval.disclosure import DisclosureRefused, check_arrival, release


@pytest.fixture(scope="module")
def site(make_site):
    return make_site(600, seed=1)


@pytest.fixture(scope="module")
def honest(site, tmp_path_factory):
    from healthval.disclosure import Ledger

    ledger = Ledger(tmp_path_factory.mktemp("site") / "ledger.jsonl")
    return json.loads(release(site.result(thresholds=(0.2, 0.5)), exact("cms"), ledger).payload)


def planted(honest, change):
    payload = json.loads(json.dumps(honest))
    change(payload)
    return canonical_json(payload)


def refuses(payload, field="."):
    with pytest.raises(DisclosureRefused, match=field) as refusal:
        check_arrival(payload, exact("cms"))
    return refusal.value


def test_the_payload_passes_before_anything_is_planted(honest):
    check_arrival(canonical_json(honest), exact("cms"))


def test_faircareai_every_risk_in_the_calibration_curve(honest, site):
    points = [{"predicted": s, "observed": 0.5, "lo": 0.4, "hi": 0.6} for s in site.score.tolist()]
    refuses(planted(honest, lambda p: p["calibration"].update(curve=points)), "calibration")
    refuses(planted(honest, lambda p: p["calibration"].update(curve=points[:20])), "calibration")


def test_cyclops_a_roc_with_a_vertex_per_patient(honest, site):
    def vertices(step):
        order = np.argsort(-site.score)
        tpr = np.cumsum(site.outcome[order]) / site.outcome.sum()
        fpr = np.cumsum(~site.outcome[order]) / (~site.outcome).sum()
        return [
            {"fpr": f, "tpr": t, "lo": t, "hi": t}
            for f, t in zip(fpr.tolist()[::step], tpr.tolist()[::step], strict=True)
        ]

    refuses(planted(honest, lambda p: p.update(roc=vertices(1))), "roc")
    refuses(planted(honest, lambda p: p.update(roc=vertices(31)[:20])), "roc")


def test_a_roc_off_the_curve_through_the_shown_counts(honest):
    def bend(payload):
        payload["roc"][5]["tpr"] = round(payload["roc"][5]["tpr"] - 0.001, 3)

    refuses(planted(honest, bend), "roc")


def test_evidently_rates_that_are_not_rounded(honest):
    def unround(payload):
        c = payload["thresholds"][0]["confusion"]
        payload["thresholds"][0]["ppv"]["value"] = c["tp"] / (c["tp"] + c["fp"])

    refuses(planted(honest, unround), r"thresholds\[0\]\.ppv")


@pytest.mark.parametrize("cell", ["tp", "fp", "fn", "tn"])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_mlflow_small_cells_as_they_are(honest, cell, count):
    def shrink(payload):
        c = payload["thresholds"][1]["confusion"]
        other = {"tp": "fn", "fn": "tp", "fp": "tn", "tn": "fp"}[cell]
        c[cell], c[other] = count, c[cell] + c[other] - count

    refuses(planted(honest, shrink), r"thresholds")


def test_seismometer_cells_at_every_percent(make_site, policy, ledger):
    site = make_site(9_904, seed=3, prevalence=0.26)
    thresholds = tuple(round(0.02 + 0.04 * i, 2) for i in range(20))
    out = release(site.result(thresholds=thresholds), policy, ledger).submission
    shown = [t.confusion for t in out.thresholds if isinstance(t.confusion.tp, int)]
    gaps = np.diff([c.tp for c in shown])
    assert all(gap == 0 or gap <= -11 for gap in gaps)
    refuses_rows = json.loads(canonical_json(out.model_dump(mode="json")))
    refuses_rows["thresholds"] *= 5
    refuses(canonical_json(refuses_rows), "thresholds")


def test_seismometer_a_large_table_with_few_events(make_site, policy, ledger):
    site = make_site(1_335, seed=2)
    site.outcome[:] = False
    site.outcome[:4] = True
    out = release(site.result(thresholds=(0.2, 0.5)), policy, ledger).submission
    assert out.n == 1_335
    assert out.n_events == "suppressed"
    text = out.model_dump_json()
    assert '"value":0' not in text.replace('"value":null', "")
    assert out.auroc.withheld == "suppressed"
    assert (out.calibration, out.histogram, out.roc, out.decision_curve) == (None, (), (), ())


@pytest.mark.parametrize("rate", ["sensitivity", "ppv", "npv", "net_benefit"])
def test_rates_beside_a_hidden_cell(honest, rate):
    def hide(payload):
        payload["thresholds"][1]["confusion"].update(tp="suppressed", fn="suppressed")
        for name in {"sensitivity", "ppv", "npv", "net_benefit"} - {rate}:
            payload["thresholds"][1][name] = payload["auroc"] | {
                "value": None,
                "lo": None,
                "hi": None,
                "se": None,
                "method": "none",
                "n": "suppressed",
                "n_events": "suppressed",
                "withheld": "suppressed",
            }
        payload["thresholds"][1][rate] |= {"n": "suppressed", "n_events": "suppressed"}

    refuses(planted(honest, hide), r"thresholds\[1\]")


def test_one_cell_hidden_and_its_partner_shown(honest):
    def hide(payload):
        payload["thresholds"][1]["confusion"]["fn"] = "suppressed"

    refuses(planted(honest, hide), r"thresholds\[1\]")


@pytest.mark.parametrize("name", ["lo", "hi", "se"])
def test_an_interval_left_on_a_withheld_estimate(honest, name):
    def keep(payload):
        payload["auroc"].update(value=None, lo=None, hi=None, se=None, withheld="suppressed")
        payload["auroc"][name] = 0.7

    refuses(planted(honest, keep), "auroc")


def test_dsbinval_bins_filled_with_zero(honest):
    def fill(payload):
        b = payload["histogram"][1]
        b["score_sum"] = round(b["score_sum"] * 0.4, 1)

    refuses(planted(honest, fill), "histogram")


def test_flip_a_pixel_as_key_and_value(honest):
    refusal = refuses(planted(honest, lambda p: p.update(pixel_17=0.25)))
    assert "pixel" not in str(refusal)
    refuses(planted(honest, lambda p: p["auroc"].update(pixel_17=0.25)))


@pytest.mark.parametrize(
    "name", ["MRN00412345", "born_1956_03_11", "p1.2.840.113619.2", "case_0123456789abcdef"]
)
@pytest.mark.parametrize(
    "place", [("subgroups", "level"), ("subgroups", "variable"), ("flow", "step")]
)
def test_names_that_identify(honest, place, name):
    def rename(payload):
        payload[place[0]][0][place[1]] = name

    refuses(planted(honest, rename), place[0])


def test_free_text_in_the_method(honest):
    refuses(
        planted(honest, lambda p: p["auroc"].update(method="john doe 41 years")), "auroc.method"
    )


@pytest.mark.parametrize("text", ["suppressed ", "n/a", "<11"])
def test_only_one_word_replaces_a_hidden_count(honest, text):
    refuses(planted(honest, lambda p: p.update(n_missing_reference=text)), "n_missing_reference")


def test_few_exclusions(honest):
    def exclude(payload):
        payload["flow"][1]["n"] = payload["n"] + 3

    refuses(planted(honest, exclude), "flow")


def test_a_subgroup_whose_complement_is_small(honest):
    def shift(payload):
        payload["subgroups"] = payload["subgroups"][:1]
        payload["subgroups"][0]["n"] = payload["n"] - 5

    refuses(planted(honest, shift), "subgroups")


def test_a_year_is_no_identifier(honest):
    def rename(payload):
        payload["flow"][0]["step"] = "admitted_2021"

    check_arrival(planted(honest, rename), exact("cms"))


def test_scores_rounded_to_four_decimals_as_means(honest, site):
    rows = [
        {
            "variable": "age",
            "level": f"x{i}",
            "mean": round(s, 4),
            "sd": 0.21,
            "overall": None,
            "events": None,
            "non_events": None,
        }
        for i, s in enumerate(site.score.tolist()[:50])
    ]
    refuses(planted(honest, lambda p: p.update(table_one=rows)), "table_one")


def test_scores_rounded_to_four_decimals_in_the_calibration_curve(honest, site):
    def bend(payload):
        for point, score in zip(payload["calibration"]["curve"], site.score.tolist(), strict=False):
            point.update(observed=round(score, 4), lo=0.0, hi=1.0)

    refuses(planted(honest, bend), r"calibration\.curve")


def test_score_sums_that_do_not_add_up(honest):
    def move(payload):
        payload["histogram"][2]["score_sum"] = round(payload["histogram"][2]["score_sum"] + 2, 1)

    refuses(planted(honest, move), "histogram")


def test_a_data_derived_threshold_to_four_digits(honest):
    refuses(
        planted(
            honest, lambda p: p["thresholds"][0].update(threshold=0.2173, origin="data-derived")
        ),
        "threshold",
    )


def test_a_certificate_that_was_not_earned(honest):
    refuses(planted(honest, lambda p: p["certificate"].update(attacks=[])), "certificate")
    refuses(planted(honest, lambda p: p["certificate"].update(minimum_cell=3)), "certificate")
    refuses(
        planted(honest, lambda p: p["certificate"]["attacks"][0].update(checked=7)), "certificate"
    )


def test_empty_bytes_are_refused_too(honest):
    refuses(json.dumps(honest).encode())
    refuses(canonical_json(honest) + b" ")
    refuses(b"{}")
    refuses(b"\xff\xfe")


def numbers_of(value, path=()):
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in numbers_of(v, (*path, k))]
    if isinstance(value, list):
        return [p for i, v in enumerate(value) for p in numbers_of(v, (*path, i))]
    return [path]


def put(payload, path, value):
    *way, last = path
    for step in way:
        payload = payload[step]
    payload[last] = value


# The payloads follow from the number: more of them are for the weekly run.
COUNTS = [1_500, 10_000] if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else [1_500]


@pytest.mark.parametrize("count", COUNTS)
def test_random_payloads_with_scores_in_them_never_pass(make_site, policy, ledger, count):
    """One to many scores, whole or rounded, in place of leaves, lists or keys: none passes."""
    rng = random.Random(count)
    site = make_site(150, seed=3)
    text = release(site.result(), policy, ledger).payload
    leaves = numbers_of(json.loads(text))
    scores = [s for s in site.score.tolist() if round(s, 4) != round(s, 6)]
    passed = 0
    for _ in range(count):
        payload = json.loads(text)
        for path in rng.sample(leaves, rng.choice([1, 1, 2, 8, 40])):
            score = rng.choice(scores)
            put(
                payload,
                path,
                rng.choice([score, round(score, 6), [score], repr(score), {"x": score}]),
            )
        try:
            check_arrival(canonical_json(payload), policy)
        except DisclosureRefused:
            continue
        passed += 1
    assert passed == 0


def test_rounded_scores_in_single_fields_hardly_ever_pass(honest, site):
    """Three decimals look like a statistic; fields that follow from others still give them away."""
    rng = random.Random(1)
    leaves = [
        p
        for p in numbers_of(honest)
        if p[0] in ("thresholds", "roc", "histogram", "decision_curve")
    ]
    passed = 0
    for _ in range(200):
        payload = json.loads(canonical_json(honest))
        for path in rng.sample(leaves, 3):
            put(payload, path, round(rng.choice(site.score.tolist()), 3))
        try:
            check_arrival(canonical_json(payload), exact("cms"))
        except DisclosureRefused:
            continue
        passed += 1
    assert passed <= 2
