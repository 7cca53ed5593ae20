"""`Release`: the only thing that `submit` sends; nobody but the gate can make one."""

import hashlib
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field

from healthval.contracts.base import canonical_json
from healthval.contracts.submission import AttackPassed, Submission
from healthval.disclosure.ledger import Ledger

_MADE_BY_GATE = object()


@dataclass(frozen=True, slots=True)
class Withheld:
    """A field that the gate left out, and why; for the site's eyes, it is not sent."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Release:
    """A submission that withstood the attacks and stands in the ledger.

    Attributes
    ----------
    payload : the canonical JSON that is sent, byte for byte
    sha256 : its hash, which a person confirms before sending
    withheld : what the gate left out of the result
    """

    submission: Submission
    payload: bytes = field(repr=False)
    sha256: str
    withheld: tuple[Withheld, ...] = field(repr=False)
    made_by: InitVar[object] = None

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _MADE_BY_GATE:
            raise TypeError("a Release is made by healthval.disclosure.release only")


def seal(
    submission: Submission, attacks: Sequence[AttackPassed], withheld: tuple[Withheld, ...]
) -> Release:
    """Certify a submission and make its release; the gate calls this after its attacks failed."""
    certificate = submission.certificate.model_copy(update={"attacks": tuple(attacks)})
    certified = submission.model_copy(update={"certificate": certificate})
    payload = canonical_json(certified.model_dump(mode="json"))
    mark = hashlib.sha256(payload).hexdigest()
    return Release(certified, payload, mark, withheld, made_by=_MADE_BY_GATE)


def releases(ledger: Ledger) -> list[Release]:
    """All that the gate let pass at this site, oldest first, byte for byte as it was."""
    payloads = (canonical_json(e.body["payload"]) for e in ledger.entries() if e.kind == "release")
    held = (Submission.model_validate_json(payload) for payload in payloads)
    return [seal(submission, submission.certificate.attacks, ()) for submission in held]
