"""A model that cannot answer is refused when it is started, with the reason; a good one starts."""

import pytest
import yaml

from healthval.contracts.model import InputContract
from healthval.errors import HubError
from healthval.hub.predictions.scoring import trial_cases
from healthval.runner.provision import pack_artefact, read_registration

LOAD = "def load(folder): return None\ndef predict(model, rows): return "
BAD = {
    "percentages": (LOAD + "[37.5 for _ in rows]", "2 of 2 scores are outside 0 to 1"),
    "pairs": (LOAD + "[(0.2, 0.8) for _ in rows]", "not a list of numbers"),
    "nothing": (LOAD + "None", "not a list of numbers"),
    "declines": (LOAD + "[None for _ in rows]", "no score for 2 cases with every input"),
    "too-many": (LOAD + "[0.5] * (len(rows) + 1)", "3 scores for 2 instances"),
    "error": (LOAD + "[row['no_such_input'] for row in rows]", "the model raised KeyError"),
    "module": ("import no_such_library\n" + LOAD + "[0.5 for _ in rows]", "no_such_library is not"),
}


def register(stage, folder, name, code):
    (folder / "artefact").mkdir()
    (folder / "artefact" / "inference.py").write_text(code, encoding="utf-8")
    card = {"name": name, "version": "1.0", "title": "Invented", "developer": "Invented Ltd"}
    card |= {"intended_use": "None.", "target_condition": "none"}
    fields = [{"name": "age", "low": 0, "high": 120}, {"name": "crp"}]
    text = yaml.safe_dump({"card": card, "inputs": {"kind": "table", "fields": fields}})
    (folder / "registration.yaml").write_text(text, encoding="utf-8")
    registration = read_registration(folder / "registration.yaml", folder / "artefact")
    return stage.operator.register_model(registration, pack_artefact(folder / "artefact"))


@pytest.mark.parametrize("name", BAD)
def test_a_model_that_cannot_answer_is_refused_with_the_reason(stage, tmp_path, name):
    code, reason = BAD[name]
    register(stage, tmp_path, f"tried-{name}", code)
    with pytest.raises(HubError, match=reason):
        stage.operator.start_model(f"tried-{name}", "1.0", tried=True)
    assert stage.operator.model(f"tried-{name}", "1.0").status == "registered"


def test_a_model_that_answers_is_started(stage, tmp_path):
    register(stage, tmp_path, "tried-good", LOAD + "[row['age'] / 120 for row in rows]")
    assert stage.operator.start_model("tried-good", "1.0", tried=True).status == "serving"
    stage.operator.stop_model("tried-good", "1.0")


def test_the_trial_cases_are_within_the_contract():
    fields = [
        {"name": "age", "low": 18.0, "high": 90.0},
        {"name": "crp", "low": 2.0},
        {"name": "any"},
        {"name": "sex", "kind": "category", "levels": ["female", "male"]},
    ]
    made = trial_cases(InputContract.model_validate({"fields": fields}, strict=False))
    assert made == {
        "columns": ["age", "crp", "any", "sex"],
        "rows": [[54.0, 2.0, 1.0, "female"]] * 2,
    }
