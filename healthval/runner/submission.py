"""Submission of a site's newest release, confirmed by a person or by its hash."""

from collections.abc import Callable
from pathlib import Path

from healthval.client import Client
from healthval.contracts.submission import Receipt, Submission
from healthval.disclosure import Release
from healthval.errors import SubmissionError
from healthval.evaluation import Site, newest_release, release_before
from healthval.submit import submit


def send_release(
    hub_url: str,
    folder: Path,
    *,
    confirm: Callable[[Release, Submission | None], bool],
    agreed: str | None,
) -> Receipt:
    """Send the newest release of the site in `folder`.

    Parameters
    ----------
    confirm : gets the release and the result before it, returns True to send it
    agreed : the hash of the release, given instead of an answer

    Raises
    ------
    SubmissionError
        If the hash does not match or the person declined; nothing was sent.
    """
    site = Site.open(folder)
    message = newest_release(site)
    if agreed is not None and agreed != message.sha256:
        raise SubmissionError(
            "--yes hash does not match the newest release; run `healthval release` again"
        )
    before = release_before(message, site)
    with Client(hub_url, site.credential) as client:
        return submit(
            message,
            client,
            site.ledger,
            confirm=lambda shown: agreed is not None or confirm(shown, before),
        )
