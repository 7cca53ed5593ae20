"""Releases in the site's ledger: the gate's policy, the newest release, and its submission."""

from healthval.client import Client
from healthval.contracts.submission import Receipt, Submission
from healthval.disclosure import Policy as DisclosurePolicy
from healthval.disclosure import Release, load_policy, releases
from healthval.errors import SubmissionError
from healthval.plan import Plan
from healthval.site import Site
from healthval.submit import submit


def gate_policy(plan: Plan) -> DisclosurePolicy:
    """Return the plan's disclosure policy; its minimum cell can only be stricter than the preset's."""
    policy = load_policy(plan.disclosure.preset)
    floor = plan.disclosure.minimum_cell
    return policy if floor is None else policy.stricter(minimum_cell=floor)


def newest_release(site: Site) -> Release:
    """Return the newest release in the site's ledger.

    Raises
    ------
    SubmissionError
        If the ledger contains no release.
    """
    found = releases(site.ledger)
    if not found:
        raise SubmissionError("the site's ledger contains no release; run the evaluation first")
    return found[-1]


def release_before(release: Release, site: Site) -> Submission | None:
    """Return the result of the same model that the site released before this one, if any."""
    found = [r.submission for r in releases(site.ledger) if r.sha256 != release.sha256]
    same = [s for s in found if s.model == release.submission.model]
    return same[-1] if same else None


def submit_if(send: bool, release: Release, client: Client, site: Site) -> Receipt | None:
    """Send the release if `send` is True, that is, if a person has agreed; else return None."""
    if not send:
        return None
    return submit(release, client, site.ledger, confirm=lambda _: send)
