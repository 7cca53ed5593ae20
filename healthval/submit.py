"""Submission of a release: show it to a person, get a confirmation, send it to the hub."""

from collections.abc import Callable

from healthval.client import Client
from healthval.contracts.submission import Receipt
from healthval.disclosure import Ledger, Release
from healthval.errors import IntegrityError, LedgerError, SubmissionError


def submit(
    release: Release, client: Client, ledger: Ledger, *, confirm: Callable[[Release], bool]
) -> Receipt:
    """Send one release after a person has seen the complete message.

    Parameters
    ----------
    release : Release
        Message that passed the gate; the ledger already contains all of it.
    confirm : callable
        Receives the release and returns True to send it.

    Raises
    ------
    SubmissionError
        If the person declined; nothing was sent.
    LedgerError
        If the ledger's chain is broken, does not contain the release, or lacks the entry that was
        the newest one at the last submission.
    IntegrityError
        If the hub's receipt is for other bytes.
    """
    state = ledger.verify()
    _check_same_chain(client.ledger_head(), ledger)
    if not ledger.holds(release.sha256):
        raise LedgerError("this release is not in the site's ledger; release it again here")
    if not confirm(release):
        raise SubmissionError("not confirmed, so nothing was sent; the release stays in the ledger")
    receipt = client.submit(release.payload, ledger_head=state.head)
    if receipt.submission_sha256 != release.sha256:
        raise IntegrityError(
            "the hub's receipt is for other bytes than the ones sent; inform the operator"
        )
    return receipt


def _check_same_chain(head: str | None, ledger: Ledger) -> None:
    """Refuse a ledger that was rolled back, replaced or continued elsewhere since the last submission."""
    if head is not None and all(entry.hash != head for entry in ledger.entries()):
        raise LedgerError(
            "the ledger lacks the newest entry of the last submission, which the hub has kept: it was"
            " rolled back, replaced or continued on another machine; restore it from a backup"
        )
