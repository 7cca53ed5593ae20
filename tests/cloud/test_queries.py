"""Packaged queries: Trino's SQL, the columns of the Glue tables, and the same answer by hand."""

import json
from collections import Counter
from pathlib import Path

import boto3
import pytest
import sqlglot
from click.testing import CliRunner
from moto import mock_aws

from healthval.cli.query import query
from healthval.cloud.audit.template import read_template
from healthval.cloud.deploy import Account
from healthval.cloud.queries import Answer, queries, query_athena, query_files, text_of
from healthval.errors import DeploymentError, UsageError
from healthval.hub.audit_chain import note
from healthval.hub.backends.local import FolderObjects, SqliteIndex
from healthval.hub.backends.memory import NoModels
from healthval.hub.backends.query_rows import COLUMNS, write_row, write_rows, write_rows_of
from healthval.hub.ports import Backend, Write

CORE = Path(__file__).parents[2] / "infra" / "core.yaml"
DAY = 24 * 3600
START = 1_790_000_000  # in 2026
ALL = ("2026-01-01", "2030-12-31")
SITES = ("site-aaaaaaaa", "site-bbbbbbbb", "site-cccccccc")


def receipt(day, version="1.0", supersedes=None, state="counted"):
    value = {"model": "tumour", "version": version, "plan_hash": "a" * 64, "reason": ""}
    value |= {"state": state, "supersedes": supersedes}
    return value | ({"received": START + day * DAY} if state == "counted" else {})


@pytest.fixture
def data(tmp_path):
    """A hub's folder: five results that count, one that waits, and decisions on two days."""
    folder = tmp_path / "hub [1]"
    now = [START]
    index = SqliteIndex(folder / "index.sqlite", lambda: now[0])
    backend = Backend(FolderObjects(folder / "objects"), index, NoModels(), lambda: now[0])
    a, b, c = SITES
    found = [
        (a, "1" * 64, receipt(0)),
        (a, "2" * 64, receipt(1, supersedes="1" * 64)),
        (b, "3" * 64, receipt(1)),
        (c, "4" * 64, receipt(2)),
        (c, "5" * 64, receipt(3, version="2.0")),
        (c, "6" * 64, receipt(3, state="received")),
    ]
    for site in SITES:
        backend.index.commit([Write(partition="grants", key=f"{site}#x", value={})])
    for site, key, value in found:
        backend.index.commit([Write(partition=f"receipts#{site}", key=key, value=value)])
    for i, action in enumerate(["access.requested", "access.approved", "access.denied"]):
        now[0] = START + i * DAY
        note(backend, actor="site-operator1", action=action, subject=f"{a}#x")
    yield folder, backend
    index.close()


def test_each_query_is_sql_of_trino_with_a_first_and_a_last_day():
    assert set(queries()) == {"activity", "decisions", "repeated", "results", "sites"}
    for name, title in queries().items():
        tree = sqlglot.parse_one(text_of(name), read="trino")
        assert isinstance(tree, sqlglot.exp.Select)
        assert len(list(tree.find_all(sqlglot.exp.Placeholder))) == 2
        assert {table.name for table in tree.find_all(sqlglot.exp.Table)} <= set(COLUMNS)
        assert title.endswith(".")


def test_the_columns_are_those_of_the_glue_tables():
    found = read_template(CORE)["Resources"]
    for table in COLUMNS:
        described = found[table.capitalize()]["Properties"]["TableInput"]
        columns = described["StorageDescriptor"]["Columns"]
        assert {c["Name"]: c["Type"] for c in columns} == COLUMNS[table]
        assert described["Name"] == table


def test_results_are_counted_by_version(data):
    folder, _ = data
    found = query_files("results", write_rows_of(folder), ALL)
    plan = "a" * 64
    assert found.rows == (
        ("tumour", "1.0", plan, "3", "4", "1", "2026-09-21", "2026-09-23"),
        ("tumour", "2.0", plan, "1", "1", "0", "2026-09-24", "2026-09-24"),
    )
    by_site = query_files("sites", folder / "objects", ALL)
    assert [row[:4] for row in by_site.rows] == [
        (SITES[0], "1", "2", "1"),
        (SITES[1], "1", "1", "0"),
        (SITES[2], "2", "2", "0"),
    ]


def test_days_are_the_first_and_the_last(data):
    folder, backend = data
    write_rows(backend)
    only = query_files("repeated", folder / "objects", ("2026-09-22", "2026-09-22"))
    assert [row[1] for row in only.rows] == [SITES[0]]
    assert query_files("repeated", folder / "objects", ("2026-09-23", "2027-01-01")).rows == ()


def test_every_audit_entry_has_one_row_however_often_they_are_written(data):
    folder, backend = data
    for _ in range(2):
        write_rows(backend)
    found = query_files("activity", folder / "objects", ALL)
    assert {row[1]: row[2] for row in found.rows} == {
        "access.requested": "1",
        "access.approved": "1",
        "access.denied": "1",
    }
    decided = query_files("decisions", folder / "objects", ALL)
    assert [row[3] for row in decided.rows] == ["access.approved", "access.denied"]


def test_the_worker_writes_the_rows_that_the_embedded_hub_writes(data):
    folder, backend = data
    write_rows(backend)
    here = {path: backend.objects.get(path) for path in backend.objects.keys("analytics/")}
    elsewhere = FolderObjects(folder / "worker")
    for partition in (*(f"receipts#{site}" for site in SITES), "audit"):
        for item in backend.index.query(partition):
            value = json.loads(json.dumps(item.value))
            write_row(elsewhere, partition=partition, key=item.key, value=value)
    assert {path: elsewhere.get(path) for path in elsewhere.keys("analytics/")} == here
    assert Counter(path.split("/")[1] for path in here) == {"submissions": 5, "audit": 3}


def test_the_command_prints_a_table_or_csv(data, tmp_path):
    folder, _ = data
    run = CliRunner().invoke
    listed = run(query, [])
    assert "results" in listed.output
    table = run(query, ["sites", "--data", str(folder)])
    assert table.output.endswith("3 rows\n")
    csv = run(query, ["sites", "--data", str(folder), "--csv"])
    assert csv.output.splitlines()[0] == "site,model_versions,results,repeated,first_day,last_day"
    for wrong in (
        ["nothing", "--data", str(folder)],
        ["sites"],
        ["sites", "--data", str(tmp_path)],
    ):
        assert isinstance(run(query, wrong).exception, UsageError)
    assert not list(tmp_path.glob("index.sqlite*"))


def test_a_hub_without_results_has_no_rows(tmp_path):
    SqliteIndex(tmp_path / "index.sqlite", lambda: START).close()
    assert query_files("results", write_rows_of(tmp_path), ALL).rows == ()


class Athena:
    """Athena's answers in order, and what it was asked."""

    def __init__(self, states, pages):
        self.states, self.pages, self.asked = list(states), list(pages), {}

    def start_query_execution(self, **asked):
        self.asked = asked
        return {"QueryExecutionId": "x"}

    def get_query_execution(self, **_):
        state = self.states.pop(0)
        return {"QueryExecution": {"Status": {"State": state, "StateChangeReason": "no table"}}}

    def get_query_results(self, **asked):
        page = self.pages[int(asked.get("NextToken", 0))]
        rows = [{"Data": [{"VarCharValue": x} if x else {} for x in row]} for row in page]
        number = int(asked.get("NextToken", 0)) + 1
        more = {"NextToken": str(number)} if number < len(self.pages) else {}
        return {"ResultSet": {"Rows": rows}, **more}


class Session:
    def __init__(self, athena):
        self.athena = athena

    def client(self, service):
        return self.athena


def test_athena_runs_the_same_text_and_every_page_is_read(monkeypatch):
    monkeypatch.setattr("healthval.cloud.queries.PAUSE_SECONDS", 0)
    athena = Athena(["QUEUED", "RUNNING", "SUCCEEDED"], [[("a", "b"), ("1", "")], [("2", "y")]])
    found = query_athena("results", Session(athena), "health-val", ALL)
    assert found == Answer(("a", "b"), (("1", ""), ("2", "y")))
    assert athena.asked["QueryString"] == text_of("results")
    assert athena.asked["ExecutionParameters"] == [f"'{day}'" for day in ALL]
    assert athena.asked["QueryExecutionContext"] == {"Database": "health_val"}
    with pytest.raises(DeploymentError, match="no table"):
        query_athena("results", Session(Athena(["FAILED"], [])), "health-val", ALL)


def test_boto_accepts_the_call(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        account = Account(boto3.Session(region_name="us-east-1"))
        with pytest.raises(DeploymentError):
            query_athena("results", account, "no-such-hub", ALL)
