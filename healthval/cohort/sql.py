"""Query of a hospital's database: one SELECT in a read-only transaction, through SQLAlchemy or DuckDB."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from io import StringIO
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from healthval.errors import CohortError, UsageError
from healthval.files import install_command

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 50_000
_DUCKDB = "duckdb:///"  # opened by DuckDB itself; a file is needed, which exists
_ONE_AT_A_TIME = Lock()  # the descriptors and the log are those of the whole process
# Texts, quoted names and comments, in which a semicolon separates nothing. Where databases differ
# (backslashes, nested comments, dollar quotes, MySQL's "--1" and "/*!"), the shorter reading counts, so
# that no statement can hide: a query with such a semicolon is refused.
_QUIET = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--(?=\s|\Z)[^\n]*|/\*(?!!).*?\*/""", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT and the database it runs on; the address contains a password and is never shown.

    Parameters
    ----------
    url : SQLAlchemy address, for example ``postgresql+pg8000://user:password@host/name``, or a DuckDB
        file, for example ``duckdb:///visits.duckdb``
    statement : one SELECT (or WITH ... SELECT); semicolons may only end it
    """

    url: str = field(repr=False)
    statement: str = field(repr=False)

    def __post_init__(self) -> None:
        bare = _bare(self.statement)
        if not re.match(r"[(\s]*(select|with)\b", bare, re.IGNORECASE):
            raise UsageError("the query must be one SELECT; healthval never changes a database")
        if ";" in bare:
            raise UsageError(
                "the query has several statements; give one SELECT, because healthval never changes a "
                "database"
            )
        if re.search(r"(?<!insert )\binto\b", " ".join(bare.split()), re.IGNORECASE):
            raise UsageError(
                "the query has SELECT ... INTO, which writes a table or a file; leave INTO out, because "
                "healthval never changes a database"
            )


def _bare(statement: str) -> str:
    """The statement without texts, quoted names, comments and its last semicolons."""
    bare = _QUIET.sub(lambda found: " " if found[0].startswith(("--", "/*")) else "''", statement)
    return bare.removeprefix("\ufeff").strip().rstrip("; \t\r\n")


def read_query(query: Query) -> pd.DataFrame:
    """Run the query in a read-only transaction that is rolled back.

    Raises
    ------
    CohortError
        If the driver, the database or the query fails. Messages of the database quote values and are
        not shown; output, log lines and warnings of the driver are discarded.
    """
    import pandas as pd

    is_duckdb = query.url.startswith(_DUCKDB)
    unreachable = _errors_of_duckdb() if is_duckdb else _errors_of_sqlalchemy()
    try:
        with _silent():
            names, rows = (_fetch_duckdb if is_duckdb else _fetch)(query)
    except UsageError:
        raise
    except unreachable:
        raise CohortError(
            "the database cannot be reached, or refuses the login or the query; check all three"
        ) from None
    except Exception:  # each driver has its own errors, and their texts quote values
        raise CohortError(
            "the database refuses the query; try it with the database's own client"
        ) from None
    return pd.DataFrame([tuple(row) for row in rows], columns=names, dtype=object)


def _errors_of_sqlalchemy() -> tuple[type[Exception], ...]:
    try:
        from sqlalchemy.exc import InterfaceError, OperationalError
    except ImportError:
        raise UsageError(
            f"reading from a database needs SQLAlchemy: {install_command('tables')}"
        ) from None
    return OperationalError, InterfaceError, OSError


def _errors_of_duckdb() -> tuple[type[Exception], ...]:
    try:
        from duckdb import ConnectionException, IOException
    except ImportError:
        raise UsageError(f"reading from DuckDB needs duckdb: {install_command('query')}") from None
    return IOException, ConnectionException, OSError


@contextmanager
def _silent() -> Iterator[None]:
    """Discard what Python code and native libraries print, log and warn of.

    Output of other threads during this time is discarded as well; a second thread waits.
    """
    with (
        _ONE_AT_A_TIME,
        _no_descriptors(),
        warnings.catch_warnings(),
        redirect_stderr(StringIO()),
        redirect_stdout(StringIO()),
    ):
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(before)


@contextmanager
def _no_descriptors() -> Iterator[None]:
    """Point the process's own stdout and stderr, to which native drivers write, to nowhere."""
    with ExitStack() as restored:
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                with suppress(OSError, ValueError):  # closed
                    stream.flush()
        for number in (1, 2):
            with suppress(OSError):  # a service may have closed it
                kept = os.dup(number)
                restored.callback(os.close, kept)
                restored.callback(os.dup2, kept, number)
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)
        yield


def _fetch(query: Query) -> tuple[list[str], list[Any]]:
    engine = _engine(query.url)
    try:
        with engine.connect() as connection:
            _make_read_only(connection)
            # Without parameters the driver sends the text as it is: a colon or percent sign is one.
            result = connection.execution_options(
                stream_results=True, no_parameters=True
            ).exec_driver_sql(_sent(query))
            names = list(result.keys())
            rows: list[Any] = []
            while block := result.fetchmany(_BLOCK):
                rows += block
            result.close()
            connection.rollback()
    finally:
        engine.dispose()
    return names, rows


def _fetch_duckdb(query: Query) -> tuple[list[str], list[Any]]:
    import duckdb

    with duckdb.connect(query.url.removeprefix(_DUCKDB), read_only=True) as connection:
        result = connection.execute(_sent(query))
        names = [column[0] for column in result.description or ()]
        rows: list[Any] = []
        while block := result.fetchmany(_BLOCK):
            rows += block
    return names, rows


def _sent(query: Query) -> str:
    """The statement as it is sent: without a byte order mark and the semicolons at its end."""
    return query.statement.removeprefix("\ufeff").strip().rstrip("; \t\r\n")


def _engine(url: str) -> Any:
    import sqlalchemy

    try:
        address = sqlalchemy.make_url(url)
        options: dict[str, Any] = {"poolclass": sqlalchemy.pool.NullPool, "hide_parameters": True}
        if address.get_backend_name() == "sqlite" and _is_file(address.database):
            address = _read_only_file(address)
        return sqlalchemy.create_engine(address, **options)
    except Exception:  # some of these errors quote the address and its password
        raise UsageError(
            "the database address is not one of SQLAlchemy's, or its driver is not installed"
        ) from None


def _is_file(database: str | None) -> bool:
    return bool(database) and database != ":memory:" and not str(database).startswith("file:")


def _read_only_file(address: Any) -> Any:
    """Address of a SQLite file that is opened read-only, and not made where it is missing."""
    query = {**address.query, "mode": "ro", "uri": "true"}
    return address.set(database=f"file:{quote(address.database)}", query=query)


def _make_read_only(connection: Any) -> None:
    statement = {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET TRANSACTION READ ONLY",
        "mysql": "SET TRANSACTION READ ONLY",
        "mariadb": "SET TRANSACTION READ ONLY",
        "oracle": "SET TRANSACTION READ ONLY",
    }.get(connection.dialect.name)
    if statement:
        connection.exec_driver_sql(statement)
