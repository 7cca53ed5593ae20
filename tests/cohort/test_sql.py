"""A query reads from SQLite and from a real PostgreSQL, leaves them unchanged and hides the password."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from healthval.cohort import Query, TableSchema, read_table
from healthval.cohort.sql import read_query
from healthval.errors import CohortError, UsageError

sqlalchemy = pytest.importorskip("sqlalchemy")
CANARY = "Zyxwolf-Qargh-7719"
SCHEMA = TableSchema.model_validate(
    {
        "columns": {
            "mrn": {"kind": "id"},
            "seen": {"kind": "date"},
            "lactate": {"kind": "number"},
            "sepsis": {"kind": "label", "positive": [1], "negative": [0]},
        }
    }
)
FILL = [
    "CREATE TABLE visits (mrn VARCHAR(40), seen DATE, lactate NUMERIC(6,2), sepsis INTEGER, note TEXT)",
    f"INSERT INTO visits VALUES ('001', '2024-01-05', 2.50, 1, '{CANARY}')",
    f"INSERT INTO visits VALUES ('002', NULL, NULL, 0, '{CANARY}')",
    "INSERT INTO visits VALUES ('003', '2024-02-01', 1.25, NULL, NULL)",
]


def fill(url):
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        for statement in FILL:
            connection.exec_driver_sql(statement)
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    return fill(f"sqlite:///{tmp_path_factory.mktemp('db')}/visits.db")


def postgres_programs():
    found = shutil.which("initdb")
    candidates = (
        [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    )
    return next((c for c in reversed(candidates) if (c / "initdb").exists()), None)


@pytest.fixture(scope="module")
def postgres():
    """Run a separate cluster on a unix socket, owned by an unprivileged user."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("pg8000")
    user = "nobody" if os.geteuid() == 0 else None
    # The path of a unix socket is short by law, so pytest's folders will not do.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder:
        home = Path(folder)
        home.chmod(0o777)
        data = home / "data"

        def run(program, *arguments):
            command = [str(programs / program), *arguments]
            done = subprocess.run(
                command,
                user=user,
                cwd=folder,
                capture_output=True,
                timeout=600,
                check=False,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": folder},
            )
            assert done.returncode == 0, done.stderr.decode()

        run("initdb", "-D", str(data), "-U", "site", "--auth=trust", "--no-sync", "-E", "UTF8")
        options = f"-c listen_addresses='' -k {home} -c fsync=off"
        run("pg_ctl", "-D", str(data), "-o", options, "-l", str(home / "log"), "-w", "start")
        try:
            yield fill(f"postgresql+pg8000://site@/postgres?unix_sock={home}/.s.PGSQL.5432")
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


@pytest.fixture
def duckdb_file(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "visits.duckdb")) as connection:
        for statement in FILL:
            connection.execute(statement)
    return tmp_path / "visits.duckdb"


@pytest.fixture
def duckdb_url(duckdb_file):
    return f"duckdb:///{duckdb_file}"


@pytest.fixture(params=["sqlite", "postgres", "duckdb_url"])
def url(request):
    return request.getfixturevalue(request.param)


def test_a_query_reads_like_a_file(url, tmp_path):
    cohort = read_table(Query(url, "SELECT * FROM visits ORDER BY mrn"), SCHEMA)
    frame = pd.DataFrame(
        {
            "mrn": ["001", "002", "003"],
            "seen": ["2024-01-05", None, "2024-02-01"],
            "lactate": [2.5, None, 1.25],
            "sepsis": [1, 0, None],
        }
    )
    pd.testing.assert_frame_equal(cohort.frame, read_table(frame, SCHEMA).frame, check_dtype=False)
    assert cohort.dropped == ("note",)


def test_nothing_is_changed_even_by_a_select_that_writes(url):
    sneaky = "WITH gone AS (DELETE FROM visits RETURNING *) SELECT * FROM gone"
    with pytest.raises(CohortError):
        read_table(Query(url, sneaky), SCHEMA)
    assert len(read_table(Query(url, "SELECT * FROM visits"), SCHEMA)) == 3


@pytest.mark.parametrize(
    "statement", ["DROP TABLE visits", "", "UPDATE visits SET mrn = 1", "/* select */ DELETE"]
)
def test_only_a_select_is_a_query(statement):
    with pytest.raises(UsageError, match="one SELECT"):
        Query("sqlite://", statement)
    Query("sqlite://", "-- who\n  /* and */ select 1")


@pytest.mark.parametrize("form", ["INTO OUTFILE '/tmp/x'", "\ninto copied", "INTO #t"])
def test_a_select_that_writes_a_file_or_table_is_refused(form):
    with pytest.raises(UsageError, match="INTO"):
        Query("sqlite://", f"SELECT mrn {form} FROM visits")
    Query("sqlite://", "SELECT mrn AS \"into\" FROM visits -- INTO\n WHERE note = 'into'")


def test_a_refusal_of_the_database_quotes_nothing(url):
    for statement in (f"SELECT {CANARY} FROM visits", "SELECT CAST(note AS INTEGER) / 0 FROM nope"):
        with pytest.raises(CohortError) as caught:
            read_table(Query(url, statement), SCHEMA)
        assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_an_address_is_shown_nowhere():
    secret = f"postgresql+pg8000://site:{CANARY}@127.0.0.1:9/x"
    query = Query(secret, "SELECT 1")
    assert CANARY not in repr(query)
    with pytest.raises(CohortError, match="cannot be reached") as caught:
        read_table(query, SCHEMA)
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(UsageError, match="not one of SQLAlchemy's"):
        read_table(Query(f"nonsense://{CANARY}", "SELECT 1"), SCHEMA)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1; DROP TABLE visits",
        "SELECT 1; -- done\nDELETE FROM visits",
        "SELECT 'a'';'; COMMIT",
        "SELECT 'a\\'; DROP TABLE visits; --'",
        "SELECT /* /* */ ; DROP TABLE visits */ 1",
        "SELECT 1 --1; DROP TABLE visits",
        "SELECT 1 /*!; DROP TABLE visits */",
        "SELECT $$a$$; DROP TABLE visits",
    ],
)
def test_several_statements_are_refused_before_anything_runs(statement):
    with pytest.raises(UsageError, match="several statements"):
        Query("sqlite://", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT mrn FROM visits;\n ; ",
        "SELECT mrn FROM visits WHERE mrn <> 'a;''b' -- three; four",
        'SELECT mrn AS "a;b" FROM visits /* one; two */',
        "SELECT mrn FROM visits WHERE mrn LIKE '%0%' AND mrn <> ':name'",
        "(SELECT mrn FROM visits)",
    ],
)
def test_one_statement_in_any_spelling_is_read(postgres, statement):
    assert len(read_query(Query(postgres, statement))) == 3


def test_a_missing_file_is_not_made(tmp_path):
    with pytest.raises(CohortError, match="cannot be reached"):
        read_query(Query(f"sqlite:///{tmp_path}/none.db", "SELECT 1"))
    assert not list(tmp_path.iterdir())


def test_a_driver_that_prints_logs_and_warns_shows_nothing(sqlite, capfd, caplog, monkeypatch):
    real = sqlalchemy.create_engine

    def noisy(*arguments, **options):
        engine = real(*arguments, **options)

        @sqlalchemy.event.listens_for(engine, "before_cursor_execute")
        def shout(*_):
            print(CANARY, file=sys.stderr)
            os.write(1, CANARY.encode())
            os.write(2, CANARY.encode())  # as a native driver does
            logging.getLogger("driver").error(CANARY)
            warnings.warn(CANARY, stacklevel=2)

        return engine

    monkeypatch.setattr(sqlalchemy, "create_engine", noisy)
    assert len(read_query(Query(sqlite, "SELECT mrn FROM visits"))) == 3
    assert CANARY not in "".join(capfd.readouterr()) + caplog.text
    os.write(2, b"seen")
    assert capfd.readouterr().err.endswith("seen")
    logging.getLogger("driver").error("heard")
    assert "heard" in caplog.text


def test_duckdb_is_opened_read_only(duckdb_file, duckdb_url):
    url, before = duckdb_url, duckdb_file.read_bytes()
    assert len(read_table(Query(url, "SELECT * FROM visits ORDER BY mrn"), SCHEMA)) == 3
    with pytest.raises(CohortError):
        read_query(Query(url, "WITH x AS (SELECT 1) INSERT INTO visits SELECT '4', NULL, 1, 1, ''"))
    assert duckdb_file.read_bytes() == before
    for other in (f"{url}.none", "duckdb:///:memory:", "duckdb:///"):
        with pytest.raises(CohortError):
            read_query(Query(other, "SELECT 1"))
    assert [path.name for path in duckdb_file.parent.iterdir()] == [duckdb_file.name]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT set_config('transaction_read_only', 'off', false), nextval('counter')",
        "SELECT nextval('counter')",
        "SELECT * FROM visits FOR UPDATE",
    ],
)
def test_the_server_itself_refuses_to_write(postgres, statement):
    engine = sqlalchemy.create_engine(postgres, poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SEQUENCE IF NOT EXISTS counter")
    with pytest.raises(CohortError):
        read_query(Query(postgres, statement))
    with engine.connect() as connection:
        assert not connection.exec_driver_sql("SELECT is_called FROM counter").scalar()
        assert connection.exec_driver_sql("SHOW default_transaction_read_only").scalar() == "off"
    engine.dispose()


def test_what_a_function_makes_is_rolled_back(postgres):
    # PostgreSQL allows this function in a read-only transaction before version 16.
    with suppress(CohortError):
        read_query(Query(postgres, "SELECT lo_create(0)"))
    n_objects = read_query(Query(postgres, "SELECT count(*) FROM pg_largeobject_metadata"))
    assert n_objects.iloc[0, 0] == 0
