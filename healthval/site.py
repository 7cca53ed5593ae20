"""What a site holds and never sends, and which plans it registered."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from healthval.client import Credential
from healthval.deid import Secret
from healthval.disclosure import Ledger
from healthval.errors import PlanError, UsageError
from healthval.plan import Plan
from healthval.predict import AnswerCache

PLANS = "plans.json"


@dataclass(frozen=True)
class Registration:
    """How a plan stands to the one that this site registered first for the same study."""

    study: str
    first: str
    current: str

    @property
    def amended(self) -> bool:
        """Whether the plan differs from the one registered first; the report says so."""
        return self.first != self.current

    def __repr__(self) -> str:
        if not self.amended:
            return f"Plan '{self.study}' is registered as {self.current[:16]}."
        return (
            f"Plan '{self.study}' was AMENDED: registered first as {self.first[:16]}, now"
            f" {self.current[:16]}. It needs access of its own, and the report will say 'amended'."
        )


@dataclass(frozen=True)
class Site:
    """What a site holds and never sends: key, de-identification secret, ledger, paid answers."""

    folder: Path
    credential: Credential
    secret: Secret
    ledger: Ledger
    answers: AnswerCache

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a site folder; key and secret are made on first use, readable by their owner only."""
        home = Path(folder)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls._around(home, open_credential(home / "site.key"))

    @classmethod
    def beside(cls, credential: Credential) -> Self:
        """Open the folder that the key was read from, whatever the key's file is called.

        Raises
        ------
        UsageError
            If the key was not read from a file.
        """
        if credential.folder is None:
            raise UsageError("the credential was not read from a file; give the site's folder")
        return cls._around(credential.folder, credential)

    @classmethod
    def _around(cls, home: Path, credential: Credential) -> Self:
        return cls(
            folder=home,
            credential=credential,
            secret=_open_secret(home / "deid.secret"),
            ledger=Ledger(home / "ledger.jsonl"),
            answers=AnswerCache(home / "answers.sqlite"),
        )

    def register(self, plan: Plan) -> Registration:
        """Note the plan's hash before data are seen; the first one of a study stays its first.

        Raises
        ------
        PlanError
            If the site's record of its plans cannot be read.
        """
        path = self.folder / PLANS
        with _exclusive(path.with_suffix(".lock")):
            known = _read_plans(path)
            hashes = known.setdefault(plan.study, [])
            if plan.hash not in hashes:
                hashes.append(plan.hash)
                _write_durably(path, json.dumps(known, indent=1, sort_keys=True) + "\n")
        return Registration(plan.study, hashes[0], plan.hash)


def open_credential(path: Path) -> Credential:
    """Load a key, or make it at first use."""
    return Credential.load(path) if path.exists() else Credential.create(path)


def _open_secret(path: Path) -> Secret:
    """Load the site's de-identification secret, or make it at first use."""
    if not path.exists():
        _write_durably(path, secrets.token_hex(32))
    return Secret.from_file(path)


def _read_plans(path: Path) -> dict[str, list[str]]:
    if not path.exists():
        return {}
    try:
        known: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
        if all(isinstance(hashes[0], str) for hashes in known.values()):
            return known
    except (OSError, ValueError, AttributeError, TypeError, LookupError):
        pass
    raise PlanError(
        f"{PLANS} in the site's folder cannot be read, so nobody can tell which plan was registered"
        " first; restore it from a backup"
    )


def _write_durably(path: Path, text: str) -> None:
    """Write whole or not at all, readable by the owner only."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
