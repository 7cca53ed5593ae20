"""Rows from the hospital's database: one SELECT, read only, by SQLAlchemy."""

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
    """A SELECT at a database; the address holds a password and is shown nowhere.

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
            raise UsageError("the query must be one SELECT; this tool never changes a database")


def read_query(query: Query) -> pd.DataFrame:
    """Run the query in a read-only transaction that is rolled back.

    Raises
    ------
    CohortError
        If driver, database or query fail; messages of the database quote values and are not shown.
    """
    import pandas as pd

    try:
        import sqlalchemy
    except ImportError:
        raise UsageError("reading from a database needs healthval[tables]; install it") from None
    try:
        engine = sqlalchemy.create_engine(query.url, poolclass=sqlalchemy.pool.NullPool)
    except Exception:  # the address, which may hold a password, is quoted by some of them
        raise UsageError(
            "the database address is not one of SQLAlchemy's, or its driver is not installed"
        ) from None
    try:
        with engine.connect() as connection:
            _make_read_only(connection)
            result = connection.execution_options(stream_results=True).execute(
                sqlalchemy.text(query.statement)
            )
            names = list(result.keys())
            rows: list[Any] = []
            while block := result.fetchmany(_BLOCK):
                rows += block
            connection.rollback()
    except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, OSError):
        raise CohortError(
            "the database cannot be reached, or refuses login or query; check them"
        ) from None
    except Exception:  # every driver has its own; their texts quote values
        raise CohortError(
            "the database refuses the query; try it with the database's own client"
        ) from None
    finally:
        engine.dispose()
    return pd.DataFrame([tuple(row) for row in rows], columns=names, dtype=object)


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
