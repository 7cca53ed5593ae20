"""Site folder: key, de-identification secret, ledger, answer cache and registered plans."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from healthval.client import Credential
from healthval.deid import Secret
from healthval.disclosure import Ledger
from healthval.errors import PlanError, UsageError
from healthval.files import locked, write_durably
from healthval.plan import Plan
from healthval.predict import AnswerCache

PLANS = "plans.json"
LOCK_SECONDS = 30.0


@dataclass(frozen=True)
class Registration:
    """Registration of a plan: its hash, and the hash registered first for the same study."""

    study: str
    first: str
    current: str

    @property
    def amended(self) -> bool:
        """Whether the plan differs from the first one of its study; stated in the report."""
        return self.first != self.current

    def __repr__(self) -> str:
        if not self.amended:
            return f"Plan '{self.study}' is registered as {self.current[:16]}."
        return (
            f"Plan '{self.study}' was AMENDED: first registered as {self.first[:16]}, now"
            f" {self.current[:16]}. It needs a separate access request, and the report will state"
            " 'amended'."
        )


@dataclass(frozen=True, kw_only=True)
class Site:
    """Private state of a site: key, de-identification secret, ledger and cached answers."""

    folder: Path
    credential: Credential
    secret: Secret
    ledger: Ledger
    answers: AnswerCache

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a site folder; the first call creates key and secret, readable by their owner only."""
        home = Path(folder)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls._around(home, open_credential(home / "site.key"))

    @classmethod
    def beside(cls, credential: Credential) -> Self:
        """Open the folder that contains the key's file; the file may have any name.

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
            secret=_open_secret(home / "deid.secret", beside=home / "ledger.jsonl"),
            ledger=Ledger(home / "ledger.jsonl"),
            answers=AnswerCache(home / "answers.sqlite"),
        )

    def register(self, plan: Plan) -> Registration:
        """Record the plan's hash before data are seen; the first hash of a study is kept.

        Raises
        ------
        PlanError
            If the site's record of its plans cannot be read, or another process has locked it.
        """
        path = self.folder / PLANS
        busy = PlanError(f"another process uses {PLANS} in the site's folder; try again")
        with locked(path.with_suffix(".lock"), seconds=LOCK_SECONDS, busy=busy):
            known = _read_plans(path)
            hashes = known.setdefault(plan.study, [])
            if plan.hash not in hashes:
                hashes.append(plan.hash)
                text = json.dumps(known, indent=1, sort_keys=True) + "\n"
                write_durably(path, text.encode("utf-8"))
        return Registration(plan.study, hashes[0], plan.hash)


def open_credential(path: Path) -> Credential:
    """Load a key, or create it if the file does not exist."""
    return Credential.load(path) if path.exists() else Credential.create(path)


def _open_secret(path: Path, *, beside: Path) -> Secret:
    """Load the site's secret, or create it in a new folder; a lost secret is never made again.

    Raises
    ------
    UsageError
        If the secret is missing beside a ledger: with another secret, the ledger would no longer
        recognise the patients of earlier releases.
    """
    if not path.exists():
        if beside.exists() and beside.stat().st_size:
            raise UsageError(
                f"{path.name} is missing beside {beside.name}, which has entries; restore the file"
                " from a backup: with another secret, patients of earlier releases are not recognised"
            )
        # If two processes create it at the same time, both read the one that was first.
        write_durably(path, secrets.token_hex(32).encode("ascii"), replace=False)
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
        f"{PLANS} in the site's folder cannot be read, so the plan that was registered first is"
        " unknown; restore the file from a backup"
    )
