"""Site folder: key, de-identification secret, ledger, answer cache and registered plans."""

import secrets
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Self

from healthval.client import AnyCredential, Credential, load_credential
from healthval.contracts.stamp import Stamp
from healthval.deid import Secret
from healthval.disclosure import Ledger
from healthval.errors import PlanError, UsageError
from healthval.files import write_durably
from healthval.plan import Plan
from healthval.plan_versions import PLANS, PlanVersion, check_reason, record, versions_of
from healthval.predict import AnswerCache

KEY, LEDGER = "site.key", "ledger.jsonl"


@dataclass(frozen=True)
class Registration:
    """Registration of a plan: its hash, and all versions of its study's plan at the site."""

    study: str
    current: str
    versions: tuple[PlanVersion, ...]

    @property
    def first(self) -> str:
        """Hash of the version under which data were evaluated first; the current one before that."""
        evaluated = [v for v in self.versions if v.evaluated is not None]
        return min(evaluated, key=attrgetter("evaluated")).hash if evaluated else self.current

    @property
    def amended(self) -> bool:
        """Whether data were evaluated under another version before; stated in the report."""
        return self.first != self.current

    def __repr__(self) -> str:
        if not self.amended:
            return f"Plan '{self.study}' is registered as {self.current[:16]}."
        return (
            f"Plan '{self.study}' was AMENDED: data were first evaluated under {self.first[:16]}, now"
            f" it is {self.current[:16]}. It needs a separate access request, and the report will state"
            " 'amended'."
        )


@dataclass(frozen=True, kw_only=True)
class Site:
    """Private state of a site: key, de-identification secret, ledger and cached answers."""

    folder: Path
    credential: AnyCredential
    secret: Secret
    ledger: Ledger
    answers: AnswerCache

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open the folder of a site that exists.

        Raises
        ------
        UsageError
            If the folder or its key is missing; nothing is created.
        """
        home = Path(folder)
        check_site_folder(home)
        return cls._around(home, load_credential(home / KEY))

    @classmethod
    def create(cls, folder: str | Path) -> Self:
        """Create the folder of a new site with its key and secret, readable by their owner only.

        A folder that has a key is opened as it is.

        Raises
        ------
        UsageError
            If the key is missing beside a ledger or registered plans: with a new key, the hub would
            count the hospital as another one.
        """
        home = Path(folder)
        if not (home / KEY).exists():
            left = [name for name in (LEDGER, PLANS) if (home / name).exists()]
            if left:
                raise UsageError(
                    f"{KEY} is missing beside {' and '.join(left)} in {home.absolute()}; restore the"
                    " file from a backup: with a new key, the hub would count this hospital twice"
                )
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(home / ".gitignore", b"*\n", mode=0o644, replace=False)
        return cls._around(home, open_credential(home / KEY))

    @classmethod
    def beside(cls, credential: AnyCredential) -> Self:
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
    def _around(cls, home: Path, credential: AnyCredential) -> Self:
        return cls(
            folder=home,
            credential=credential,
            secret=_open_secret(home / "deid.secret", beside=home / LEDGER),
            ledger=Ledger(home / LEDGER),
            answers=AnswerCache(home / "answers.sqlite"),
        )

    def register(
        self, plan: Plan, *, evaluates: bool = False, stamp: Stamp | None = None
    ) -> Registration:
        """Record the plan's hash, time and text; with `evaluates`, that data are evaluated under it.

        `stamp` is the hub's countersignature of the plan's hash.

        Raises
        ------
        PlanError
            If the site's record of its plans cannot be read, or another process has locked it.
        """
        versions = record(self.folder, plan, evaluates=evaluates, stamp=stamp)
        return Registration(plan.study, plan.hash, versions)

    def amend(self, plan: Plan, reason: str) -> Registration:
        """Record a changed plan with the reason; earlier versions are kept.

        Raises
        ------
        PlanError
            If the study has no earlier version, the plan is one, or the reason is not a text; also as
            in `register`.
        """
        before = versions_of(self.folder, plan.study)
        if not before:
            raise PlanError(
                "this study has no registered plan to amend; request access under this one"
            )
        if plan.hash == before[0].hash or any(v.hash == plan.hash and v.reason for v in before):
            raise PlanError("this version is registered already; change the plan, then amend it")
        check_reason(reason)
        return Registration(plan.study, plan.hash, record(self.folder, plan, reason=reason))


def check_site_folder(folder: Path) -> None:
    """Refuse a folder that is not the folder of a site; nothing is created.

    Raises
    ------
    UsageError
        Names the folder, the folder that was searched and the remedy.
    """
    if (folder / KEY).is_file():
        return
    place = folder.absolute()
    if folder.is_dir():
        problem = f"{place} is not the folder of a site: it has no {KEY}"
    else:
        problem = f"no site folder {folder.name}; looked in {place.parent}"
    raise UsageError(
        f"{problem}; correct the path, or create a new site with `healthval access request --new-site`"
    )


def open_credential(path: Path) -> AnyCredential:
    """Load a key or AWS role, or create a key if the file does not exist."""
    return load_credential(path) if path.exists() else Credential.create(path)


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
