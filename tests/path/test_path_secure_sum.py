"""Four hospitals add up their tables through a real hub, by the commands; one of them drops out."""

import json
import re
from html import unescape

import pytest
import yaml
from click.testing import CliRunner

from healthval.aggregate import pool
from healthval.cli import cli
from healthval.client import Client
from healthval.cohort import read_table
from healthval.contracts.access import AccessDecision
from healthval.disclosure import release
from healthval.disclosure.ledger_view import show
from healthval.errors import HubError, SubmissionError, UsageError
from healthval.evaluation import Site, evaluate, gate_policy, request_access, submit_if
from healthval.evaluation.secure_sum import sum_terms
from healthval.plan import load_plan
from healthval.report import build, conduct_at, secure_total_at
from healthval.report.criteria import plan_facts
from healthval.report.forms.hub_view import hub_view
from healthval.runner.operator_tasks import by_label

THRESHOLDS = [0.3, 0.5]
LABELS = ("North", "Harbour", "Valley", "Hill")


def run(*words, yes="y\n"):
    return CliRunner().invoke(cli, ["sum", *map(str, words)], input=yes)


def table_of(result):
    """The exact counts of a site at each threshold."""
    return {row.threshold: row.confusion for row in result.evaluation.thresholds}


@pytest.fixture(scope="module")
def study(stage, tmp_path_factory):
    """A plan with a secure sum; four hospitals whose results are evaluated and released."""
    folder = tmp_path_factory.mktemp("sum")
    content = yaml.safe_load((stage.inputs / "plan.yaml").read_text(encoding="utf-8"))
    content |= {"study": "sum-test", "thresholds": THRESHOLDS, "secure_sum": {"minimum_sites": 3}}
    content["acceptance"] = [{"metric": "auroc", "low": 0.65}]
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    plan = load_plan(path)
    sites, tables = {}, {}
    north = (stage.inputs / "north" / "cohort.csv").read_text(encoding="utf-8").splitlines()
    rows = {"North": north[:1] + north[1::2], "Hill": north[:1] + north[2::2]}
    for name in ("harbour", "valley"):
        text = (stage.inputs / name / "cohort.csv").read_text(encoding="utf-8")
        rows[name.title()] = text.splitlines()
    for label in LABELS:
        cohort_file = folder / f"{label}.csv"
        cohort_file.write_text("\n".join(rows[label]) + "\n", encoding="utf-8")
        site = sites[label] = Site.create(folder / label)
        with Client(stage.url, site.credential) as client:
            grant = request_access(plan, client, site=site, label=label)
            stage.operator.decide_access(grant, AccessDecision(status="approved"))
            result = evaluate(plan, read_table(cohort_file, plan.table), client, site=site)
            tables[label] = table_of(result)
            sent = release(result, gate_policy(plan), site.ledger)
            submit_if(True, sent, client, site)
    return plan, path, sites, tables


def report_of(stage, plan):
    released = by_label(stage.operator.submissions(**plan.subject))
    pooled = pool(tuple(released.items()), secure_sum=secure_total_at(stage.operator, plan))
    card = stage.operator.model(plan.model.name, plan.model.version).registration.card
    conduct = conduct_at(stage.operator, plan)
    return build(pooled, released, card, plan_facts(plan, released.values()), conduct)


def text_of(report):
    blocks = [str(block) for section in report.sections for block in section.blocks]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", " ".join(blocks))))


@pytest.fixture(scope="module")
def summed(stage, study):
    """The study after its secure sum, of which Harbour dropped out."""
    plan, path, sites, _ = study
    hub, key = ("--hub", stage.url), ("--key", stage.folder / "operator.key")

    assert "no site had joined it" in text_of(report_of(stage, plan))
    early = run("close", path, *hub, *key)
    assert isinstance(early.exception, UsageError)
    assert "no hospital has joined" in str(early.exception)
    for label in LABELS[:2]:
        assert "sent:     keys (attempt 1)" in run("next", path, sites[label].folder, *hub).output
    few = run("close", path, *hub, *key)
    assert isinstance(few.exception, HubError)
    assert "2 hospitals have joined, and the plan asks for 3" in str(few.exception)
    for label in LABELS[2:]:
        run("next", path, sites[label].folder, *hub)
    closed = run("close", path, *hub, *key)
    shown = closed.output.partition(":")[2]
    assert all(label in shown for label in LABELS)
    assert "now: shares" in closed.output

    for label in LABELS[:3]:
        assert "sent:     shares" in run("next", path, sites[label].folder, *hub).output
    # The last one may send its table at once, and is asked.
    asked = run("next", path, sites["Hill"].folder, *hub, yes="n\n")
    assert isinstance(asked.exception, SubmissionError)
    declined = run("next", path, sites["North"].folder, *hub, yes="n\n")
    assert isinstance(declined.exception, SubmissionError)
    roster = re.search(r"roster (\w{16})", declined.output).group(1)
    assert all(label in declined.output for label in LABELS)
    wrong = run("next", path, sites["North"].folder, *hub, "--yes", "0" * 16)
    assert isinstance(wrong.exception, SubmissionError)
    assert stage.operator.secure_sum(**plan.subject).sites("table") == ()

    stay = [label for label in LABELS if label != "Harbour"]
    for label in stay:
        step = run("next", path, sites[label].folder, *hub, "--yes", roster)
        assert step.exit_code == 0, step.exception
    assert "waits:    in round 'table' for Harbour" in step.output
    assert "was not complete" in text_of(report_of(stage, plan))
    closed = run("close", path, *hub, *key)
    assert "missing: Harbour" in closed.output
    late = run("next", path, sites["Harbour"].folder, *hub)
    assert "sent:     nothing" in late.output
    for _ in range(2):
        for label in stay:
            step = run("next", path, sites[label].folder, *hub)
            assert step.exit_code == 0, step.exception
    assert "done:     sum of 3 hospitals" in step.output
    assert "above the floor" in step.output
    return study


def test_four_hospitals_of_which_one_drops_out_get_the_exact_total_of_three(stage, summed):
    plan, _, _, tables = summed
    stay = [label for label in LABELS if label != "Harbour"]
    total = secure_total_at(stage.operator, plan)
    assert (total.status, set(total.sites), total.opened_by) == ("total", set(stay), 3)
    assert total.dropped == (("Harbour", "table"),)
    for at in total.thresholds:
        exact = [tables[label][at.threshold] for label in stay]
        for cell in ("tp", "fp", "fn", "tn"):
            assert getattr(at, cell) == sum(getattr(c, cell) for c in exact)
        sensitivity = at.tp / (at.tp + at.fn)
        assert at.sensitivity.value == pytest.approx(sensitivity)

    text = text_of(report_of(stage, plan))
    assert "Sum over 3 sites without any site's table, at threshold 0.3" in text.replace(
        "&#39;", "'"
    )
    assert "Not in the sum: Harbour (joined, and dropped out in round 'table')." in text
    assert "With a result in this report and not in the sum: Harbour." in text
    check_what_the_hub_has(stage, summed, stay)


def check_what_the_hub_has(stage, study, stay):
    """No message has a site's table; seeds are gone; the ledger lists each message."""
    plan, _, sites, _ = study
    state = stage.operator.secure_sum(**plan.subject)
    for message in state.of("table"):
        label = next(name for name, site in sites.items() if site.credential.id == message.site)
        kept = json.loads(
            (sites[label].folder / "sums" / plan.hash[:16] / "table.json").read_bytes()
        )
        sent = [int(message.content.cells[i : i + 16], 16) for i in range(0, 96, 16)]
        assert kept["cells"][0] + kept["cells"][1] + kept["cells"][2] > 10
        assert not set(sent) & set(kept["cells"])
    for label in stay:
        assert not list(sites[label].folder.glob("sums/*/*.seed"))
        kinds = [e.body["round"] for e in sites[label].ledger.entries() if e.kind == "sum"]
        assert kinds == ["keys", "shares", "table", "opening", "total"]
        assert "5 messages of secure sums" in show(sites[label].ledger)[0]
        assert ">sum<" in hub_view(sites[label])


def test_a_second_sum_with_the_same_patients_is_refused_before_anything_is_sent(stage, summed):
    """The difference of two totals would be the table of the hospitals by which they differ."""
    _, path, sites, _ = summed
    content = yaml.safe_load(path.read_text(encoding="utf-8")) | {"title": "Another plan"}
    second = path.with_name("second.yaml")
    second.write_text(yaml.safe_dump(content), encoding="utf-8")
    again = load_plan(second)
    for label in ("North", "Harbour"):
        site = sites[label]
        with Client(stage.url, site.credential) as client:
            site.amend(again, "A second sum.")
            grant = request_access(again, client, site=site, label=label)
            stage.operator.decide_access(grant, AccessDecision(status="approved"))
            rows = read_table(path.with_name(f"{label}.csv"), again.table)
            release(evaluate(again, rows, client, site=site), gate_policy(again), site.ledger)
    refused = run("next", second, sites["North"].folder, "--hub", stage.url)
    assert isinstance(refused.exception, SubmissionError)
    assert "87 patients of this table were part of an earlier secure sum" in str(refused.exception)
    assert stage.operator.secure_sum(**again.subject).messages == ()
    # Harbour's table never left, so that its patients are not spent.
    joined = run("next", second, sites["Harbour"].folder, "--hub", stage.url)
    assert "joined:   Harbour" in joined.output


def test_the_floor_is_at_least_eleven_under_every_preset(study):
    plan = study[0]
    assert sum_terms(plan).floor == 11
    laxer = plan.disclosure.model_copy(update={"preset": "datashield"})
    assert sum_terms(plan.model_copy(update={"disclosure": laxer})).floor == 11
    stricter = plan.disclosure.model_copy(update={"minimum_cell": 20})
    assert sum_terms(plan.model_copy(update={"disclosure": stricter})).floor == 20
