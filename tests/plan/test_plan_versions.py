"""Versions of a plan at a site: each one is kept with its time, text and reason; only use makes an amendment."""

import json
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.errors import PlanError
from healthval.plan import Plan
from healthval.plan_file import load_plan
from healthval.plan_versions import versions_of
from healthval.site import Site

PLAN = "examples/fhir/plan.yaml"


@pytest.fixture
def plan():
    return load_plan(PLAN)


@pytest.fixture
def site(tmp_path):
    return Site.create(tmp_path / "site")


def changed(plan, threshold=0.31):
    return plan.model_copy(update={"thresholds": (threshold,)})


def test_a_plan_that_changes_before_any_evaluation_is_no_amendment(site, plan):
    site.register(plan)
    assert not site.register(changed(plan)).amended
    assert not site.register(changed(plan), evaluates=True).amended
    assert site.register(plan).amended


def test_the_version_that_evaluated_first_stays_the_plan(site, plan):
    site.register(plan, evaluates=True)
    site.register(changed(plan), evaluates=True)
    assert site.register(changed(plan)).amended
    assert not site.register(plan).amended
    assert "AMENDED" in repr(site.register(changed(plan)))


def test_an_amendment_keeps_the_earlier_version_its_text_and_the_reason(site, plan):
    site.register(plan, evaluates=True)
    amended = site.amend(changed(plan), "The committee asked for another threshold.")
    first, second = amended.versions
    assert (first.hash, first.reason) == (plan.hash, None)
    assert second.reason == "The committee asked for another threshold."
    assert second.registered >= first.registered
    for version in amended.versions:
        text = (site.folder / "plans" / f"{version.hash}.json").read_text(encoding="utf-8")
        assert Plan.model_validate(json.loads(text), strict=False).hash == version.hash


def test_a_reason_can_follow_the_registration_of_a_changed_plan_once(site, plan):
    site.register(plan)
    site.register(changed(plan))
    assert site.amend(changed(plan), "Typing error.").versions[1].reason == "Typing error."
    with pytest.raises(PlanError, match="registered already"):
        site.amend(changed(plan), "Another reason.")


@pytest.mark.parametrize("reason", ["", "a\u202eb", "<b>", "x" * 2001])
def test_a_reason_that_is_no_plain_text_is_refused_and_nothing_is_recorded(site, plan, reason):
    site.register(plan)
    with pytest.raises(PlanError, match="the reason is empty"):
        site.amend(changed(plan), reason)
    assert len(versions_of(site.folder, plan.study)) == 1


def test_only_a_changed_plan_of_a_registered_study_is_amended(site, plan):
    with pytest.raises(PlanError, match="no registered plan"):
        site.amend(plan, "First.")
    site.register(plan)
    with pytest.raises(PlanError, match="registered already"):
        site.amend(plan, "Same.")


def test_versions_recorded_at_the_same_time_are_all_kept(site, plan):
    plans = [changed(plan, k / 100) for k in range(1, 9)]
    threads = [threading.Thread(target=site.register, args=(p,)) for p in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {v.hash for v in versions_of(site.folder, plan.study)} == {p.hash for p in plans}


def test_the_command_line_checks_amends_and_lists(site, plan, tmp_path):
    site.register(plan, evaluates=True)
    text = Path(PLAN).read_text(encoding="utf-8")
    assert f"title: {plan.title}" in text
    (tmp_path / "plan.yaml").write_text(
        text.replace(f"title: {plan.title}", "title: Another title"),
        encoding="utf-8",
    )
    given = [str(tmp_path / "plan.yaml"), "--site", str(site.folder)]
    checked = CliRunner().invoke(cli, ["plan", "check", PLAN])
    assert checked.output.strip().endswith(plan.hash)
    done = CliRunner().invoke(cli, ["plan", "amend", *given, "--reason", "A clearer title."])
    assert "AMENDED" in done.output
    history = CliRunner().invoke(cli, ["plan", "history", *given]).output.splitlines()
    assert len(history) == 2
    assert "  not countersigned  evaluated" in history[0]
    assert history[1].endswith("not countersigned  not evaluated  A clearer title.")


def test_a_sites_folder_is_kept_out_of_git_wherever_it_is(site):
    assert (site.folder / ".gitignore").read_text(encoding="utf-8") == "*\n"
