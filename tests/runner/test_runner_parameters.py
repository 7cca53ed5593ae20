"""Parameters are typed, closed and checked before anything runs."""

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from healthval.cli import cli
from healthval.errors import UsageError
from healthval.runner.parameters import NOTEBOOKS, EvaluateParameters, describe, parameters_for

GOOD = {
    "hub_url": "http://127.0.0.1:8765",
    "site_folder": "site",
    "site_label": "North",
    "plan": "plan.yaml",
    "table": "cohort.csv",
}


def test_text_from_a_command_line_becomes_typed():
    checked = EvaluateParameters.check({**GOOD, "wait_seconds": "2.5", "send": "true"})
    assert checked.wait_seconds == 2.5
    assert checked.send is True


def test_a_typing_error_is_refused_with_the_nearest_name():
    with pytest.raises(
        UsageError, match=r"no parameter 'site_lable' \(did you mean 'site_label'\?\)"
    ):
        EvaluateParameters.check({**GOOD, "site_lable": "North"})


@given(st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=12))
def test_no_unknown_name_ever_passes(name):
    if name in EvaluateParameters.model_fields:
        return
    with pytest.raises(UsageError):
        EvaluateParameters.check({**GOOD, name: "x"})


@pytest.mark.parametrize(
    "url",
    ["http://0.0.0.0:80", "http://hub.example", "ftp://127.0.0.1:1", "https://user@hub.example"],
)
def test_a_hub_is_on_loopback_or_behind_tls(url):
    with pytest.raises(UsageError, match="hub_url"):
        EvaluateParameters.check({**GOOD, "hub_url": url})


def test_a_misfit_names_the_place_and_quotes_no_value():
    with pytest.raises(UsageError) as caught:
        EvaluateParameters.check({**GOOD, "wait_seconds": "CANARY-7311", "send": "CANARY-7312"})
    assert "wait_seconds" in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_a_missing_parameter_is_named():
    with pytest.raises(UsageError, match="table: this field is required"):
        EvaluateParameters.check({k: v for k, v in GOOD.items() if k != "table"})


def test_an_unknown_notebook_lists_the_known_ones():
    with pytest.raises(UsageError, match="provision, evaluate, report"):
        parameters_for("evalute", {})


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_parameter_is_described(name):
    lines = describe(name)
    assert len(lines) == len(NOTEBOOKS[name].model_fields)
    assert not [line for line in lines if line.endswith("None")]


def test_no_kernel_starts_for_a_wrong_parameter(monkeypatch):
    def no_kernel(*_args, **_kwargs):
        raise AssertionError("a kernel was started")

    monkeypatch.setattr("papermill.execute_notebook", no_kernel)
    result = CliRunner().invoke(cli, ["run", "evaluate", "-p", "plam", "x"])
    assert isinstance(result.exception, UsageError)
    assert "did you mean 'plan'" in str(result.exception)
