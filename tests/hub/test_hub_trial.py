"""A model that does not answer by its contract is not started, and the operator reads why."""

import pytest

from healthval.contracts.model import InputContract, InputField
from healthval.errors import HubError
from healthval.hosting.artefact import pack
from healthval.hub.trial import trial_rows

MODELS = {
    "percentages": ("", "[80.0 for row in instances]", "outside 0 to 1"),
    "columns": ("", "[[0.2, 0.8] for row in instances]", "not a list of numbers"),
    "nothing": ("", "None", "not a list of numbers"),
    "silent": ("", "[None for row in instances]", "no score for any row"),
    "module": ("import absent_package", "[]", "module absent_package is not installed"),
    "text": ("raise ModuleNotFoundError(name='Jane Doe, 1970')", "[]", r"module \? is not"),
    "raises": ("", "[1 / 0]", "the model raised ZeroDivisionError"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_does_not_answer_is_not_started(kit, hub, operator, tmp_path, name):
    if type(hub).__name__ != "HubProcess":
        pytest.skip("on AWS the model's stack has its container")
    head, answer, reason = MODELS[name]
    code = f"{head}\ndef load(d): return 0\ndef predict(m, instances): return {answer}\n"
    (tmp_path / "inference.py").write_text(code, encoding="utf-8")
    artefact = pack(tmp_path)
    operator.register_model(kit.registration_of(artefact, f"trial-{name}"), artefact)
    with pytest.raises(HubError, match=reason):
        operator.start_model(f"trial-{name}", "1.0")
    assert operator.model(f"trial-{name}", "1.0").status == "registered"


def test_trial_rows_are_inside_the_limits():
    fields = (
        InputField(name="open"),
        InputField(name="low", low=5),
        InputField(name="high", high=-5),
        InputField(name="both", low=-1, high=1),
        InputField(name="level", kind="category", levels=("a", "b", "c")),
    )
    *inside, missing = trial_rows(InputContract(fields=fields))
    assert set(missing.values()) == {None}
    for row in inside:
        assert row["low"] > 5
        assert row["high"] < -5
        assert -1 < row["both"] < 1
        assert row["level"] in {"a", "b", "c"}
