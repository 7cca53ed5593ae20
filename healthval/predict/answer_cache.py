"""Cache of model answers, so that an interrupted run resumes without repeated requests."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from healthval.contracts.base import digest
from healthval.contracts.model import Value
from healthval.contracts.prediction import Prediction


def input_digest(columns: Sequence[str], row: Sequence[Value]) -> str:
    """SHA-256 of one de-identified row with its column names."""
    return digest([list(columns), list(row)])


class AnswerCache:
    """Scores by model digest and input digest, in a SQLite file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch(mode=0o600, exist_ok=True)
        with closing(self._connect()) as db, db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS answer (model TEXT, input TEXT, score REAL, reason TEXT,"
                " PRIMARY KEY (model, input)) WITHOUT ROWID"
            )

    def get(self, model: str, inputs: Iterable[str]) -> dict[str, tuple[float | None, str]]:
        """Return the cached answers of a model, by input digest."""
        wanted = set(inputs)
        with closing(self._connect()) as db:
            rows = db.execute("SELECT input, score, reason FROM answer WHERE model = ?", (model,))
            return {key: (score, reason) for key, score, reason in rows if key in wanted}

    def put(self, model: str, answers: dict[str, Prediction]) -> None:
        """Store answers by input digest, except failures, which are requested again."""
        rows = [
            (model, key, answer.score, answer.reason)
            for key, answer in answers.items()
            if answer.reason != "model_failed"
        ]
        with closing(self._connect()) as db, db:
            db.executemany("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?)", rows)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=30)
