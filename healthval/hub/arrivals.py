"""Arrival check: a submission is parsed, and the checks of the site's gate are repeated.

The check needs the scientific stack, which the API does not import: it runs here only when a
submission arrives, or in a worker.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from healthval.contracts.base import read_wire
from healthval.contracts.submission import Submission
from healthval.hub.ports import Refusal

if TYPE_CHECKING:
    from healthval.disclosure import Policy

ArrivalCheck = Callable[[bytes], Submission]


def parse(payload: bytes) -> Submission:
    """Parse a submission; a refusal names place and type of the first error."""
    try:
        return read_wire(Submission, payload)
    except ValueError as misfit:
        raise Refusal(422, "The submission does not match its contract", str(misfit)) from None


def gate_check(policy: "Policy | None" = None) -> ArrivalCheck:
    """Return the check by this policy, or by the default one, in this process."""

    def check(payload: bytes) -> Submission:
        from healthval.disclosure import DisclosureRefused, check_arrival, load_policy, policy_for

        submission = parse(payload)
        least = policy or load_policy()
        try:
            return check_arrival(submission, policy_for(least, submission.certificate.policy))
        except ValueError as misfit:
            raise Refusal(422, "The submission does not match its contract", str(misfit)) from None
        except DisclosureRefused as refused:
            raise Refusal(422, "The submission discloses too much", str(refused)) from None

    return check
