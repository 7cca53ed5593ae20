import math

import pytest

from healthval.aggregate import pool_imported, read_medperf, read_nvflare
from healthval.errors import MetricError

CANARY = "ZZ-Canary 1948-03-27"
SIZES = {f"dataset-{i}": (60, 140) for i in range(1, 6)}


def entry(dataset, auc, **changes):
    return {
        "id": dataset,
        "benchmark": 1,
        "model": 7,
        "dataset": dataset,
        "results": {"AUC": {"Cardiomegaly": auc}, "accuracy": 0.8},
        "approval_status": "APPROVED",
    } | changes


def test_medperf_entries_become_sites_and_nested_metrics_keep_their_path():
    rows = [entry(1, 0.8), entry(2, 0.85)]
    found = read_medperf(rows)
    assert [(e.site, e.model) for e in found] == [
        ("dataset-1", "model-7"),
        ("dataset-2", "model-7"),
    ]
    assert dict(found[0].metrics) == {"AUC/Cardiomegaly": 0.8, "accuracy": 0.8}
    assert read_medperf({"count": 2, "next": None, "previous": None, "results": rows}) == found
    assert read_medperf(rows[0]) == found[:1]


def test_nvflare_clients_become_sites():
    found = read_nvflare(
        {
            "site-1": {"SRV_best": {"val_auc": 0.81}, "site-2": {"val_auc": 0.7}},
            "site-2": {"SRV_best": {"val_auc": 0.9}},
        }
    )
    assert [(e.site, e.model) for e in found] == [
        ("site-1", "SRV_best"),
        ("site-1", "site-2"),
        ("site-2", "SRV_best"),
    ]
    assert found[2].metrics == (("val_auc", 0.9),)


def test_imported_aucs_are_pooled_with_hanley_and_mcneils_error():
    found = read_medperf([entry(i, 0.75 + 0.03 * i) for i in range(1, 6)])
    pooled = pool_imported(found, "AUC/Cardiomegaly", SIZES)
    assert (pooled.k, pooled.scale) == (5, "logit")
    assert 0.78 < pooled.value < 0.90
    # Hanley & McNeil 1982, Table II: 58 normal, 51 abnormal images, area .893, SE .032.
    ct = pool_imported(read_nvflare({"ct": {"m": {"auc": 0.893}}}), "auc", {"ct": (51, 58)})
    assert ct.sites[0].se == pytest.approx(0.032, abs=6e-4)


def test_a_proportion_has_the_binomial_error():
    pooled = pool_imported(read_medperf([entry(1, 0.8)]), "accuracy", SIZES, kind="proportion")
    assert pooled.sites[0].se == pytest.approx(math.sqrt(0.8 * 0.2 / 200))
    assert pooled.value is None


def test_a_site_without_size_or_metric_is_named_and_left_out():
    found = read_medperf(
        [
            entry(1, 0.8),
            entry(2, 0.8),
            entry(3, 0.82),
            entry(9, 0.9),
            entry(4, 0.7, results={"accuracy": 0.5}),
        ]
    )
    pooled = pool_imported(found, "AUC/Cardiomegaly", SIZES)
    assert [(e.site, e.reason) for e in pooled.excluded] == [
        ("dataset-9", "not submitted"),
        ("dataset-4", "not submitted"),
    ]
    assert pooled.k == 3


@pytest.mark.parametrize(
    ("parsed", "says"),
    [
        (None, "need one result entry"),
        ([], "need one result entry"),
        ("text", "need one result entry"),
        ([entry(1, 0.8), "x"], "entry 1: needs benchmark"),
        ([entry(CANARY, 0.8)], "entry 0: needs benchmark"),
        ([entry(True, 0.8)], "entry 0: needs benchmark"),
        ([entry(1, 0.8), entry(2, 0.8, benchmark=2)], "2 benchmarks"),
        ([entry(1, 0.8), entry(1, 0.8)], "a model occurs twice at one site (entry 1)"),
        ([entry(1, 0.8, approval_status="REJECTED")], "entry 0: rejected by its benchmark's owner"),
        ([entry(1, 0.8, results={})], "entry 0: no metrics"),
        ([entry(1, float("nan"))], "entry 0: metric 0 is not a finite number"),
        ([entry(1, 10**400)], "entry 0: metric 0 is not a finite number"),
        ([entry(1, True)], "entry 0: metric 0 is not a finite number"),
        ([entry(1, [0.1, 0.2])], "entry 0: metric 0 is not a finite number"),
        ([entry(1, CANARY)], "entry 0: metric 0 is not a finite number"),
        ([entry(1, 0.8, results={f"<b>{CANARY}": 1})], "entry 0: metric 0 has no plain name"),
        ([entry(1, 0.8, results={"a": {"b": {"c": {"d": 1}}}})], "deeper than 3"),
        ([entry(1, 0.8, results={f"m{i}": 1 for i in range(201)})], "more than 200"),
        ([entry(1, 0.8, results={"a": {"b": 1}, "a/b": 1})], "no plain name"),
    ],
)  # fmt: skip
def test_medperf_json_of_another_shape_is_refused_and_not_quoted(parsed, says):
    with pytest.raises(MetricError) as caught:
        read_medperf(parsed)
    assert says in str(caught.value)
    assert "Canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("parsed", "says"),
    [
        ([], "need a mapping of data clients"),
        ({}, "need a mapping of data clients"),
        ({"site-1": {}}, "data client 0: needs"),
        ({"site-1": [1]}, "data client 0: needs"),
        ({f"<{CANARY}>": {"m": {"a": 1}}}, "data client 0: needs"),
        ({"site-1": {CANARY * 9: {"a": 1}}}, "data client 0: model 0: needs"),
        ({"site-1": {"m": {"a": CANARY}}}, "data client 0: model 0: metric 0"),
        ({"site-1": {"m": 0.3}}, "data client 0: model 0: no metrics"),
    ],
)
def test_nvflare_json_of_another_shape_is_refused_and_not_quoted(parsed, says):
    with pytest.raises(MetricError) as caught:
        read_nvflare(parsed)
    assert says in str(caught.value)
    assert "Canary" not in str(caught.value)


def test_what_cannot_be_pooled_is_refused():
    two_models = read_nvflare({"a": {"m": {"auc": 0.8}, "n": {"auc": 0.8}}})
    for imported, metric, sizes, says in (
        (two_models, "auc", {"a": (9, 9)}, "2 models"),
        (
            two_models[:1],
            "AUC",
            {"a": (9, 9)},
            "this metric of this model is missing at every site",
        ),
        (two_models[:1], "auc", {"a": (0, 9)}, "at least one event"),
        (read_nvflare({"a": {"m": {"auc": 87.1828}}}), "auc", {"a": (9, 9)}, "outside 0 to 1"),
    ):
        with pytest.raises(MetricError, match=says) as caught:
            pool_imported(imported, metric, sizes)
        assert "1828" not in str(caught.value)
