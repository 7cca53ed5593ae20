"""Watch of a model during a run: the same synthetic cases before, during and after, and equal answers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from healthval.contracts.model import ModelRecord
from healthval.contracts.prediction import Prediction, ProbeInstances, TableInstances
from healthval.errors import PredictionError, counted
from healthval.predict.canary import canary_cases
from healthval.predict.session import Session

Answer = tuple[float | None, str]


@dataclass(slots=True)
class ModelWatch:
    """Asks canary cases (of a table model) and the developer's probes whenever it is told to.

    Attributes
    ----------
    state : whether an answer changed between two of the calls
    """

    model: ModelRecord
    session: Session
    state: Literal["unchanged", "changed", "not_run"] = "not_run"
    _first: list[Answer] | None = field(default=None, repr=False)

    def ask(self) -> None:
        """Ask all cases once, and compare the answers with the first ones.

        Raises
        ------
        PredictionError
            If the first answers to the probes are not the registered scores.
        """
        probes = self._probes()
        if self._first is None:
            self._check([score for score, _ in probes])
        answers = [*self._canary(), *probes]
        if self._first is not None and answers:
            self.note(is_same=answers == self._first)
        self._first = self._first or answers

    def note(self, *, is_same: bool) -> None:
        """Note one more comparison; a change is never undone."""
        if self.state != "changed":
            self.state = "unchanged" if is_same else "changed"

    def _check(self, scores: list[float | None]) -> None:
        if wrong := self.model.registration.wrong_probes(scores):
            raise PredictionError(
                f"{len(wrong)} of {counted(len(scores), 'probe')} of the developer: the model's score"
                f" is not the registered one (first: probe {wrong[0]}); no case was sent, ask the"
                " operator"
            )

    def _canary(self) -> list[Answer]:
        contract = self.model.registration.inputs
        if contract.kind != "table" or not contract.fields:
            return []
        ids, rows = canary_cases(contract, self.session.plan_hash)
        columns = tuple(f.name for f in contract.fields)
        answers = self.session.ask(self.model, ids, TableInstances(columns=columns, rows=rows))
        return _in_order(ids, answers)

    def _probes(self) -> list[Answer]:
        probes = self.model.registration.probes
        if not probes:
            return []
        ids = [_id(i, self.session.plan_hash) for i in range(len(probes))]
        return _in_order(ids, self.session.ask(self.model, ids, ProbeInstances()))


def _in_order(ids: Sequence[str], answers: dict[str, Prediction]) -> list[Answer]:
    return [(answers[i].score, answers[i].reason) for i in ids]


def _id(i: int, plan_hash: str) -> str:
    return f"case-{hashlib.sha256(f'probe {i} {plan_hash}'.encode()).hexdigest()[:16]}"
