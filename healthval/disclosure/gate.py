"""The gate: build the payload, attack it, write it to the ledger, and only then let it go."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

from pydantic import ValidationError

from healthval.contracts import submission as shapes
from healthval.contracts.base import Wire, canonical_json, digest
from healthval.contracts.submission import AttackPassed, Certificate, Submission
from healthval.disclosure.attacks import checks, consistency
from healthval.disclosure.attacks.bounds import bound
from healthval.disclosure.attacks.intervals import check_intervals
from healthval.disclosure.attacks.reconstruct import check_reconstruction
from healthval.disclosure.attacks.score_search import find_scores
from healthval.disclosure.history import Past, check_overlap, past_releases, relate
from healthval.disclosure.ledger import Entry, Ledger
from healthval.disclosure.noise import check_noise, noisy_display
from healthval.disclosure.payload.build import build, has_few_levels
from healthval.disclosure.payload.context import Context
from healthval.disclosure.policy import Policy
from healthval.disclosure.release import Release, Withheld, seal
from healthval.errors import DisclosureRefused
from healthval.metrics.result import SiteResult

Check: TypeAlias = Callable[[Submission, Policy], int]

CHECKS: dict[str, Check] = {
    "decimals": checks.check_decimals,
    "small-cells": checks.check_small_cells,
    "classes": checks.check_classes,
    "list-sizes": checks.check_sizes,
    "names": checks.check_names,
    "rounding-by-class": checks.check_estimates,
    "intervals": check_intervals,
    "confusion-complements": consistency.check_confusions,
    "rational-reconstruction": check_reconstruction,
    "roc-inversion": consistency.check_curves,
    "calibration-parts": consistency.check_calibration,
    "neighbouring-cuts": consistency.check_cuts,
    "table-complements": consistency.check_tables,
    "means": consistency.check_means,
    "exclusions": consistency.check_flow,
    "histogram-noise": check_noise,
}

FIELDS = frozenset(
    name
    for shape in vars(shapes).values()
    if isinstance(shape, type) and issubclass(shape, Wire)
    for name in shape.model_fields
)
MOST_ROUNDS = 8
MOST_PAST = 10_000


def run_checks(submission: Submission, policy: Policy) -> tuple[AttackPassed, ...]:
    """Run every attack that needs the submission alone."""
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
    scores : the cases' scores if the result does not hold them; searched for in every byte

    Raises
    ------
    DisclosureRefused
        Names the field, the reason and the remedy.
    LedgerError
        If the ledger is broken or busy: then nothing is released.
    """
    known = tuple(scores) or result.scores
    few = has_few_levels(result, known, policy)
    request = digest(_build(result, policy, Context(few_levels=few))[0])
    made: list[Release] = []

    def make(entries: tuple[Entry, ...]) -> Entry | dict[str, Any]:
        asked = {"request": request, "cohort": sorted(result.cohort)}
        again = next((e for e in entries if asked.items() <= e.body.items()), None)
        past = past_releases(entries if again is None else entries[: again.seq], result.model)
        display, epsilon = noisy_display(result, policy, entries)
        made.append(_release_after(past, result, (policy, display), known))
        if again is not None and again.body["sha256"] == made[0].sha256:
            return again
        payload = made[0].payload
        return asked | {
            "sha256": made[0].sha256,
            "n_bytes": len(payload),
            "epsilon": epsilon,
            "payload": json.loads(payload),
        }

    ledger.record_release(make)
    return made[0]


def _release_after(
    past: list[Past],
    result: SiteResult,
    how: tuple[Policy, dict[str, Any]],
    scores: tuple[float, ...],
) -> Release:
    """Build and attack a release, given the earlier ones about the same model."""
    policy, display = how
    check_overlap(result.cohort, past, policy)
    few = has_few_levels(result, scores, policy)
    context = replace(relate(result, past, policy), few_levels=few)
    submission, withheld = _audited(result, policy, context)
    submission = submission.model_copy(update=display)
    attacks = [
        *run_checks(submission, policy),
        AttackPassed(name="ledger-differencing", checked=len(past)),
    ]
    sealed = seal(submission, attacks, withheld)
    if found := find_scores(sealed.payload, scores):
        raise DisclosureRefused(
            "payload", f"{found} scores of single cases stand in it", "report this as a defect"
        )
    return sealed


def _audited(
    result: SiteResult, policy: Policy, context: Context
) -> tuple[Submission, tuple[Withheld, ...]]:
    """Hide further rows of subgroups until the auditor can bound no hidden count.

    What earlier releases of the same cases told, under a laxer policy, cannot be taken back.
    """
    told = {e.field for e in bound(context.same, policy)} if context.same else set()
    for _ in range(MOST_ROUNDS):
        submission, withheld = _build(result, policy, context)
        exposed = [e for e in bound([*context.same, submission], policy) if e.field not in told]
        if not exposed:
            return submission, withheld
        more = dict(context.more)
        for place in {e.place for e in exposed}:
            more[place] = 2 * more.get(place, 0) + 1
        context = replace(context, more=more)
    raise DisclosureRefused(
        exposed[0].field,
        "it can be bounded to a few values from what is released",
        "merge levels, or drop this threshold or subgroup variable",
    )


def _build(
    result: SiteResult, policy: Policy, context: Context
) -> tuple[Submission, tuple[Withheld, ...]]:
    try:
        return build(result, policy, context)
    except ValidationError as error:
        raise _misshapen(error, "correct it in the plan") from None


def _misshapen(error: ValidationError, remedy: str) -> DisclosureRefused:
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    # Only names of our own fields and positions: a key that the client made up is not repeated.
    place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in FIELDS)
    return DisclosureRefused(place or "payload", "not the shape of a submission", remedy)


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
    certificate_says = {attack.name: attack.checked for attack in certificate.attacks}
    for attack in run_checks(parsed, policy):
        if certificate_says.pop(attack.name, None) != attack.checked:
            raise _uncertified()
    if bound([parsed], policy):
        raise DisclosureRefused(
            "payload",
            "a hidden count can be bounded to a few values",
            "merge levels, or drop a threshold or subgroup variable",
        )
    if (
        certificate_says.keys() != {"ledger-differencing"}
        or max(certificate_says.values()) > MOST_PAST
    ):
        raise _uncertified()
    return parsed


def _uncertified() -> DisclosureRefused:
    return DisclosureRefused(
        "certificate.attacks", "not the attacks on this payload", "send what the gate released"
    )


def _parse(payload: bytes) -> Submission:
    try:
        parsed = Submission.model_validate_json(payload)
    except ValidationError as error:
        raise _misshapen(error, "send what the gate released") from None
    if canonical_json(parsed.model_dump(mode="json")) != payload:
        raise DisclosureRefused(
            "payload", "not canonical: bytes that say nothing", "send what the gate released"
        )
    return parsed
