"""Each check alone finds its leak: none depends on another."""

import json

import pytest
from exact_policy import exact

from healthval.contracts.base import canonical_json
from healthval.contracts.submission import ReleasedEstimate, Submission
from healthval.disclosure import DisclosureRefused, Ledger, release
from healthval.disclosure.gate import CHECKS

GONE = ReleasedEstimate(withheld="suppressed").model_dump(mode="json")


@pytest.fixture(scope="module")
def honest(make_site, tmp_path_factory):
    ledger = Ledger(tmp_path_factory.mktemp("site") / "ledger.jsonl")
    result = make_site(600, seed=1).result(thresholds=(0.2, 0.5))
    return json.loads(release(result, exact("cms"), ledger).payload)


def small_cell(p):
    p["n_missing_reference"] = 10


def few_events(p):
    p["n_events"] = 10


def roc_of_few(p):
    p["n_events"] = p["n"] - 11 + 1


def statistic_without_events(p):
    p["n_events"] = "suppressed"


def point_twice(p):
    p["roc"][1] = p["roc"][0]


def level_twice(p):
    p["subgroups"][1] = p["subgroups"][0]


def shifted_interval(p):
    p["calibration"]["slope"]["lo"] = round(p["calibration"]["slope"]["lo"] - 0.05, 3)


def wilson_of_another_count(p):
    p["thresholds"][1]["sensitivity"]["hi"] = round(
        p["thresholds"][1]["sensitivity"]["hi"] + 0.004, 3
    )


def another_standard_error(p):
    p["calibration"]["citl"]["se"] = round(p["calibration"]["citl"]["se"] + 0.01, 4)


def partner_of_a_hidden_cell(p):
    p["thresholds"][1]["confusion"]["fn"] = "suppressed"


def rate_of_hidden_cells(p):
    p["thresholds"][1]["confusion"].update(tp="suppressed", fn="suppressed")
    p["thresholds"][1].update(sensitivity=GONE, npv=GONE, net_benefit=GONE)


def count_in_an_estimate(p):
    p["thresholds"][1]["sensitivity"]["n_events"] -= 1


def near_cut(p):
    cells, near = p["thresholds"][1]["confusion"], p["thresholds"][0]
    near["threshold"] = 0.49
    near["confusion"] = cells | {"tp": cells["tp"] + 4, "fn": cells["fn"] - 4}
    p["histogram"] = []


@pytest.mark.parametrize(
    ("check", "leak"),
    [
        ("small-cells", small_cell),
        ("classes", few_events),
        ("classes", roc_of_few),
        ("classes", statistic_without_events),
        ("list-sizes", point_twice),
        ("list-sizes", level_twice),
        ("intervals", shifted_interval),
        ("intervals", wilson_of_another_count),
        ("intervals", another_standard_error),
        ("confusion-complements", partner_of_a_hidden_cell),
        ("confusion-complements", rate_of_hidden_cells),
        ("confusion-complements", count_in_an_estimate),
        ("rational-reconstruction", rate_of_hidden_cells),
        ("neighbouring-cuts", near_cut),
    ],
)
def test_a_check_finds_its_leak_alone(honest, policy, check, leak):
    payload = json.loads(canonical_json(honest))
    CHECKS[check](Submission.model_validate_json(canonical_json(payload)), policy)
    leak(payload)
    with pytest.raises(DisclosureRefused):
        CHECKS[check](Submission.model_validate_json(canonical_json(payload)), policy)
