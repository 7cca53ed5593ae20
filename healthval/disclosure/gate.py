"""The gate: build the payload, attack it, write it to the ledger, and only then let it go."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from pydantic import ValidationError

from healthval.contracts.submission import AttackPassed, Certificate, Submission
from healthval.disclosure import checks, consistency
from healthval.disclosure.ledger import Entry, Ledger
from healthval.disclosure.payload import build
from healthval.disclosure.policy import Policy
from healthval.disclosure.release import Release, seal
from healthval.errors import DisclosureRefused
from healthval.metrics.result import SiteResult

Check: TypeAlias = Callable[[Submission, Policy], int]

CHECKS: dict[str, Check] = {
    "small-cells": checks.check_small_cells,
    "classes": checks.check_classes,
    "list-sizes": checks.check_sizes,
    "names": checks.check_names,
    "decimals": checks.check_decimals,
    "rounding-by-class": checks.check_estimates,
    "confusion-complements": consistency.check_confusions,
    "curves-from-counts": consistency.check_curves,
    "calibration-parts": consistency.check_calibration,
    "neighbouring-cuts": consistency.check_cuts,
    "table-complements": consistency.check_tables,
    "exclusions": consistency.check_flow,
}


def run_checks(submission: Submission, policy: Policy) -> tuple[AttackPassed, ...]:
    """Run every check that needs the submission alone."""
    return tuple(
        AttackPassed(name=name, checked=check(submission, policy)) for name, check in CHECKS.items()
    )


def release(
    result: SiteResult, policy: Policy, ledger: Ledger, *, scores: Iterable[float] = ()
) -> Release:
    """Let out what may be known of a result, or refuse.

    The release is built from named fields, suppressed, merged and rounded, then attacked with all
    that the ledger says left before, and written to the ledger. Asking again for the same result
    gives the same release, and nothing new is written.

    Parameters
    ----------
    result : SiteResult
    policy : Policy
    ledger : Ledger of this site
    scores : the cases' scores, to be searched for in every byte of the payload

    Raises
    ------
    DisclosureRefused
        Names the field, the reason and the remedy.
    LedgerError
        If the ledger is broken or busy: then nothing is released.
    """
    try:
        submission, withheld = build(result, policy)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise DisclosureRefused(
            place, "does not have the shape of a released field", "correct it in the plan"
        ) from None
    attacks = run_checks(submission, policy)
    sealed = seal(
        submission.model_copy(
            update={"certificate": submission.certificate.model_copy(update={"attacks": attacks})}
        ),
        withheld,
    )

    def check(entries: list[Entry]) -> None:
        return None

    ledger.record_release(sealed.payload, cohort=result.cohort, check=check)
    return sealed


def check_arrival(submission: bytes | Submission, policy: Policy) -> Submission:
    """Check a submission as if nothing were known of the client that made it.

    Parameters
    ----------
    submission : the bytes that arrived, or the parsed shape
    policy : the hub's; a stricter site passes, a laxer one does not

    Raises
    ------
    DisclosureRefused
        Names the first field that breaks a rule.
    """
    parsed = submission if isinstance(submission, Submission) else _parse(submission)
    certificate: Certificate = parsed.certificate
    if certificate.minimum_cell < policy.minimum_cell:
        raise DisclosureRefused(
            "certificate.minimum_cell",
            f"the site's policy is laxer than the hub's floor of {policy.minimum_cell}",
            "release again under the hub's policy or a stricter one",
        )
    run_checks(parsed, policy)
    return parsed


def _parse(payload: bytes) -> Submission:
    try:
        return Submission.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"] if part in Submission.model_fields)
        raise DisclosureRefused(
            place or "payload", "not the shape of a submission", "send what the gate released"
        ) from None
