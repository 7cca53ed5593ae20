"""Query of a hospital's database: one read-only SELECT, through SQLAlchemy."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from healthval.errors import CohortError, UsageError

if TYPE_CHECKING:
    import pandas as pd

_COMMENT = re.compile(r"\A(?:\s+|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_BLOCK = 50_000


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT and the database it runs on; the address contains a password and is never shown.

    Parameters
    ----------
    url : SQLAlchemy address, for example ``postgresql+pg8000://user:password@host/name``
    statement : one SELECT (or WITH ... SELECT)
    """

    url: str = field(repr=False)
    statement: str = field(repr=False)

    def __post_init__(self) -> None:
        text = self.statement[_COMMENT.match(self.statement).end() :]  # type: ignore[union-attr]
        if not re.match(r"(select|with)\b", text, re.IGNORECASE):
            raise UsageError("the query must be one SELECT; healthval never changes a database")


def read_query(query: Query) -> pd.DataFrame:
    """Run the query in a read-only transaction that is rolled back.

    Raises
    ------
    CohortError
        If the driver, the database or the query fails. Messages of the database quote values and are
        not shown.
    """
    import pandas as pd

    try:
        import sqlalchemy
    except ImportError:
        raise UsageError("reading from a database needs healthval[tables]; install it") from None
    engine = _engine(query.url)
    try:
        names, rows = _fetch(engine, query.statement)
    except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, OSError):
        raise CohortError(
            "the database cannot be reached, or refuses the login or the query; check all three"
        ) from None
    except Exception:  # each driver has its own errors, and their texts quote values
        raise CohortError(
            "the database refuses the query; try it with the database's own client"
        ) from None
    finally:
        engine.dispose()
    return pd.DataFrame([tuple(row) for row in rows], columns=names, dtype=object)


def _engine(url: str) -> Any:
    import sqlalchemy

    try:
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    except Exception:  # some of these errors quote the address and its password
        raise UsageError(
            "the database address is not one of SQLAlchemy's, or its driver is not installed"
        ) from None


def _fetch(engine: Any, statement: str) -> tuple[list[str], list[Any]]:
    import sqlalchemy

    with engine.connect() as connection:
        _make_read_only(connection)
        result = connection.execution_options(stream_results=True).execute(
            sqlalchemy.text(statement)
        )
        names = list(result.keys())
        rows: list[Any] = []
        while block := result.fetchmany(_BLOCK):
            rows += block
        connection.rollback()
    return names, rows


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
