"""The bill against hand-made sums of the same list prices, and its laws."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from healthval.cli import cli
from healthval.cloud.estimate import (
    Storage,
    estimate,
    hardened,
    idle,
    month,
    overhead,
    per_thousand,
    usage,
)
from healthval.cloud.prices import as_json, load_prices
from healthval.errors import UsageError

PRICES = load_prices()
CXR = {"memory_mb": 4096, "seconds": 0.5, "megabytes": 1.0}


@pytest.mark.parametrize(
    ("memory_mb", "seconds", "megabytes", "per_thousand"),
    [(2048, 0.05, 0.01, 0.0058), (4096, 0.5, 1, 0.0634), (4096, 1, 2, 0.1236)],
)
def test_a_thousand_inferences_cost_what_the_formula_says(
    memory_mb, seconds, megabytes, per_thousand
):
    # by hand: p_mem t + 0.016 GB + 2e-7 + 1.66667e-5 * 0.5 (t + 0.05) + 1e-6 + 6.25e-7 + 1e-6
    bill = estimate(1000, memory_mb=memory_mb, seconds=seconds, megabytes=megabytes, prices=PRICES)
    assert bill.usd == pytest.approx(per_thousand, abs=5e-5)


def test_most_of_an_image_is_the_model_and_shares_add_to_one():
    bill = estimate(1, **CXR, prices=PRICES)
    assert bill.share("model (SageMaker)") == pytest.approx(0.64, abs=0.01)
    assert sum(bill.share(line.what) for line in bill.lines) == pytest.approx(1)


def test_resting_costs_about_half_a_dollar_and_all_of_it_is_storage():
    bill = idle(PRICES)
    assert bill.usd == pytest.approx(0.468, abs=5e-4)
    assert idle(PRICES, Storage(images_gb=0, objects_gb=0, versions_gb=0, logs_gb=0)).usd == 0


def test_the_hardened_profile_adds_57_dollars_most_of_them_endpoints():
    assert hardened(PRICES).usd == pytest.approx(57.45, abs=0.005)
    assert hardened(PRICES, zones=1).usd == pytest.approx(35.55, abs=0.005)
    assert hardened(PRICES, endpoints=0).usd == pytest.approx(13.65, abs=0.005)


SMALL = estimate(50, memory_mb=4096, seconds=1.0, megabytes=1.0, prices=PRICES)
LARGE = estimate(90, memory_mb=6144, seconds=1.4, megabytes=2.0, prices=PRICES)


def test_one_evaluation_of_50_to_90_images_is_what_the_promised_table_implies():
    # "100 evaluations $2 to 6, 10 000 evaluations $55 to 205" are two lines of these slopes.
    assert SMALL.usd == pytest.approx((55 - 2) / 9900, rel=0.05)
    assert LARGE.usd == pytest.approx((205 - 6) / 9900, rel=0.05)


def test_a_light_and_an_active_month_stay_within_the_promise():
    for inferences in (SMALL, LARGE):
        assert month(100, inferences, PRICES).usd < 6
        assert 55 < month(10_000, inferences, PRICES).usd < 205


def test_a_month_without_evaluations_is_an_idle_month():
    assert month(0, LARGE, PRICES).usd == idle(PRICES).usd


def test_what_surrounds_an_evaluation_costs_a_hundredth_of_a_cent():
    assert overhead(PRICES).usd == pytest.approx(0.0001, rel=0.2)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_inferences_add_up(a, b):
    def bill(n):
        return estimate(n, **CXR, prices=PRICES).usd

    assert bill(a) + bill(b) == pytest.approx(bill(a + b))


@pytest.mark.parametrize(
    ("name", "below", "at", "above"),
    [
        ("memory_mb", 1023, 1024, 1025),
        ("memory_mb", 6143, 6144, 7168),
        ("seconds", 59, 60, 60.1),
        ("megabytes", 7.9, 8, 8.1),
    ],
)
def test_figures_beyond_a_serverless_endpoint_are_refused(name, below, at, above):
    def ask(value):
        return estimate(1, **{**CXR, name: value}, prices=PRICES)

    ask(at)
    with pytest.raises(UsageError, match="serverless"):
        ask(above)
    if name == "memory_mb":
        with pytest.raises(UsageError, match="serverless"):
            ask(below)
    else:
        ask(below)


def test_every_price_has_a_unit_and_a_mark_and_the_sum_has_their_date():
    content = PRICES.content
    assert {price.mark for price in content.prices.values()} <= set(content.marks)
    assert content.compiled in PRICES.source
    assert "lambda_request" in PRICES.unconfirmed


def test_a_price_list_is_written_as_it_was_read(tmp_path):
    text = as_json(PRICES)
    path = tmp_path / "prices.json"
    path.write_text(text, encoding="utf-8")
    assert load_prices(path) == PRICES
    assert text == (Path(__file__).parents[2] / "infra" / "prices.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["", "{}", '{"prices": {"x": {"usd": -1}}}'])
def test_a_broken_price_list_is_a_usage_error_without_its_content(tmp_path, content):
    path = tmp_path / "prices.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match="not usable"):
        load_prices(path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_prices(tmp_path / "none.json")


def test_the_three_rows_of_the_promised_table_are_reproduced():
    nothing, light, active = usage(PRICES)
    assert nothing.low.usd == nothing.high.usd == pytest.approx(0.468, abs=5e-4)
    assert (light.n_evaluations, active.n_evaluations) == (100, 10_000)
    assert 2 <= light.low.usd < light.high.usd <= 6
    assert 55 <= active.low.usd < active.high.usd <= 205
    # by hand: idle, one key, and 50 inferences with the overhead for each of 100 evaluations
    one = 8e-5 + 0.016e-3 + 2e-7 + 1.66667e-5 * 0.5 * 1.05 + 1e-6 + 6.25e-7 + 1e-6
    around = overhead(PRICES).usd
    assert light.low.usd == pytest.approx(0.468 + 1.00 + 100 * (50 * one + around), abs=1e-3)


def test_a_thousand_inferences_of_three_sizes_are_priced_in_order():
    costs = list(per_thousand(PRICES).values())
    assert costs == sorted(costs)
    assert costs[:2] == [pytest.approx(0.0058, abs=5e-5), pytest.approx(0.0634, abs=5e-5)]


def test_the_command_prints_the_rows_with_region_and_date():
    printed = CliRunner().invoke(cli, ["cost"]).output
    assert "0 evaluations                    $0.47\n" in printed
    assert "100 evaluations                  $2.0" in printed
    assert PRICES.source in printed
