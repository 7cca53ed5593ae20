"""Images of a plan: their PACS, region rules, allow lists and options reach the evaluation."""

import pytest
import yaml
from click.testing import CliRunner

from healthval.cli.study import doctor
from healthval.deid import Option, deid_policy
from healthval.errors import PlanError
from healthval.files import packaged
from healthval.plan_file import load_plan

RULE = {"name": "echo-5", "when": {"Modality": "US"}, "ultrasound_regions": True}


def plan_with(folder, **images):
    path = folder / "plan.yaml"
    source = packaged("examples") / "imaging" / "plan.yaml"
    values = yaml.safe_load(source.read_text(encoding="utf-8"))
    values["images"] |= images
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_rules_lists_and_options_reach_the_policy(tmp_path):
    profile = {
        "options": ["retain-safe-private", "retain-device-identity"],
        "private_allowlist": [{"creator": "ACME", "group": "0029", "element": "10"}],
        "public_allowlist": ["0018,9999"],
        "remove": ["FilterType", "0018,1160"],
    }
    path = plan_with(tmp_path, pixels={"rules": [RULE], "text": "refuse"}, profile=profile)
    policy = deid_policy(load_plan(path))
    assert policy.pixels.rules[0].ultrasound_regions
    assert policy.pixels.text == "refuse"
    assert {Option.RETAIN_SAFE_PRIVATE, Option.CLEAN_PIXEL_DATA} <= policy.options
    assert policy.private_allowlist == {("ACME", 0x0029, 0x10)}
    assert policy.public_allowlist == {0x00189999}
    assert policy.remove == {0x00181160}


@pytest.mark.parametrize(
    "images",
    [
        {"pixels": {"rules": [{"name": "none", "when": {"Modality": "US"}}]}},
        {"pixels": {"rules": [RULE | {"when": {"Modalitty": "US"}}]}},
        {"profile": {"remove": ["NoSuchAttribute"]}},
        {"profile": {"remove": ["PixelData"]}},
        {"profile": {"options": ["retain-full-dates"]}},
        {"profile": {"private_allowlist": [{"creator": "A", "group": "0029", "element": "10"}]}},
        {"pacs": {"url": "http://127.0.0.1/dicom-web", "dimse": "127.0.0.1:104:PACS"}},
        {"pacs": {"url": "http://127.0.0.1/dicom-web"}, "by": "series"},
    ],
)
def test_a_plan_whose_images_would_fail_later_is_refused(tmp_path, images):
    with pytest.raises(PlanError, match="images"):
        load_plan(plan_with(tmp_path, **images))


def test_the_hash_has_the_profile_and_not_the_pacs(tmp_path):
    plain = load_plan(plan_with(tmp_path)).hash
    pacs = {"url": "https://pacs.example/dicom-web", "token": "PACS_TOKEN"}
    assert load_plan(plan_with(tmp_path, pacs=pacs)).hash == plain
    assert load_plan(plan_with(tmp_path, profile={"remove": ["FilterType"]})).hash != plain


def test_doctor_names_a_pacs_that_does_not_answer(tmp_path):
    pytest.importorskip("dicomweb_client")
    path = plan_with(tmp_path, pacs={"url": "http://127.0.0.1:1/dicom-web", "timeout": 2})
    done = CliRunner().invoke(doctor, ["--plan", str(path)])
    line = next(line for line in done.output.splitlines() if " PACS " in line)
    assert line.startswith("not ok")
    assert done.exit_code == 1
    assert not any(" PACS " in line for line in CliRunner().invoke(doctor, []).output.splitlines())
