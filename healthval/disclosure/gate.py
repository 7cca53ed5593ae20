"""The gate: builds a release, attacks it and writes it to the ledger; the only maker of a `Release`."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import Any, TypeAlias

from pydantic import ValidationError

from healthval import __version__
from healthval.contracts import submission as shapes
from healthval.contracts.base import Wire, canonical_json, digest
from healthval.contracts.submission import AttackPassed, Submission
from healthval.disclosure import release_view
from healthval.disclosure.attacks import checks, confusions, consistency, estimates
from healthval.disclosure.attacks.bounds import Exposed, bound
from healthval.disclosure.attacks.joint import Assigned, assigned, exposed_kind
from healthval.disclosure.attacks.released_sets import rows_of, sets_of
from healthval.disclosure.attacks.score_search import find_scores
from healthval.disclosure.history import (
    Past,
    case_record,
    check_budget,
    check_overlap,
    excluded_before,
    linked_releases,
    past_releases,
    related_releases,
)
from healthval.disclosure.ledger import Entry, Ledger, fingerprint, seconds
from healthval.disclosure.noise import noisy_display
from healthval.disclosure.payload.build import build, has_few_levels
from healthval.disclosure.payload.protect import protected
from healthval.disclosure.payload.suppression import Context, Withheld
from healthval.disclosure.policy import Policy
from healthval.errors import DisclosureRefused, counted
from healthval.metrics.result import SiteResult

Check: TypeAlias = Callable[[Submission, Policy], int]
Built: TypeAlias = tuple[Submission, tuple[Withheld, ...]]

CHECKS: dict[str, Check] = {
    "count-noise": checks.check_count_noise,
    "decimals": checks.check_decimals,
    "small-cells": checks.check_small_cells,
    "classes": estimates.check_classes,
    "list-sizes": checks.check_sizes,
    "names": checks.check_names,
    "rounding-by-class": estimates.check_estimates,
    "intervals": estimates.check_intervals,
    "confusion-complements": confusions.check_confusions,
    "rational-reconstruction": estimates.check_reconstruction,
    "roc-inversion": consistency.check_curves,
    "calibration-parts": consistency.check_calibration,
    "neighbouring-cuts": consistency.check_cuts,
    "table-complements": consistency.check_tables,
    "means": consistency.check_means,
    "exclusions": consistency.check_flow,
    "histogram-noise": checks.check_noise,
}

FIELDS = frozenset(
    name
    for shape in vars(shapes).values()
    if isinstance(shape, type) and issubclass(shape, Wire)
    for name in shape.model_fields
)
MOST_ROUNDS = 8
WITHHELD_AFTER = {"bins": 2, "thresholds": 4}  # rounds in which levels alone did not suffice
MOST_PAST = 10_000
SEND_RELEASED = "send the bytes that the gate released"
_MADE_BY_GATE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A submission that passed the attacks and is in the ledger; `submit` sends nothing else.

    Attributes
    ----------
    payload : the canonical JSON that is sent, byte for byte
    sha256 : its hash, which a person confirms before sending
    withheld : the fields that the gate withheld from the result
    """

    submission: Submission
    payload: bytes = field(repr=False)
    sha256: str
    withheld: tuple[Withheld, ...] = field(repr=False)
    made_by: InitVar[object] = None

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _MADE_BY_GATE:
            raise TypeError("a Release is made by healthval.disclosure.release only")

    def __str__(self) -> str:
        return "\n".join(release_view.lines(self))

    def _repr_html_(self) -> str:
        return release_view.html(self)


def _seal(
    submission: Submission, attacks: Sequence[AttackPassed], withheld: tuple[Withheld, ...]
) -> Release:
    """Certify a submission that passed the attacks, and make its release."""
    certificate = submission.certificate.model_copy(update={"attacks": tuple(attacks)})
    certified = submission.model_copy(update={"certificate": certificate})
    payload = canonical_json(certified.model_dump(mode="json"))
    return Release(
        submission=certified,
        payload=payload,
        sha256=hashlib.sha256(payload).hexdigest(),
        withheld=withheld,
        made_by=_MADE_BY_GATE,
    )


def releases(ledger: Ledger) -> list[Release]:
    """All releases in the site's ledger, oldest first, byte for byte as they were made."""
    held = []
    for body in (entry.body for entry in ledger.entries() if entry.kind == "release"):
        submission = Submission.model_validate_json(canonical_json(body["payload"]))
        withheld = tuple(Withheld(*note) for note in body.get("withheld", ()))
        held.append(_seal(submission, submission.certificate.attacks, withheld))
    return held


def run_checks(submission: Submission, policy: Policy) -> tuple[AttackPassed, ...]:
    """Run every attack that needs the submission alone."""
    return tuple(
        AttackPassed(name=name, checked=check(submission, policy)) for name, check in CHECKS.items()
    )


def release(
    result: SiteResult, policy: Policy, ledger: Ledger, *, scores: Iterable[float] = ()
) -> Release:
    """Release the parts of a result that may leave the site, or refuse.

    The submission is built from named fields, suppressed, merged and rounded, then attacked
    together with all earlier releases in the ledger, and written to the ledger. A repeated request
    for the same result returns the same release and writes nothing.

    Parameters
    ----------
    result : SiteResult
    policy : Policy
    ledger : Ledger of this site
    scores : the cases' scores if the result does not contain them; all bytes are searched for them

    Raises
    ------
    DisclosureRefused
        Names the field, the reason and the remedy.
    LedgerError
        If the ledger is broken or busy; there is no release then.
    """
    scores = tuple(scores) or result.scores
    context = Context(
        healthval_version=__version__, few_levels=has_few_levels(result, scores, policy)
    )
    _build(result, policy, context)  # refuses a misshapen result before the ledger is opened
    with ledger.recording_release() as (entries, record):
        secret = ledger.noise_secret(entries)
        shown = protected(result, policy, secret, scores)  # rows to atoms, atoms to protected table
        first = _build(shown, policy, context)  # numbers of this table alone
        request = _request(first[0], shown, policy, entries)
        judged = _Judged(
            result, shown, policy, linked_releases(result.cohort, request.before, secret)
        )
        numbers = _audited(judged, request.context(context, shown, policy), first)
        display, epsilon = noisy_display(shown, policy, entries)
        sent = numbers[0].model_copy(update=display)
        past = AttackPassed(name="ledger-differencing", checked=len(request.past))
        made = _seal(sent, (*run_checks(sent, policy), past), numbers[1])  # attacks, then the seal
        _search(made, scores)
        if request.again is None or request.again.body["sha256"] != made.sha256:
            noise = {"noise_secret": fingerprint(secret), "numbers": request.numbers}
            cases = case_record(judged.cases(sent), secret)
            record(_entry(made, request, epsilon) | noise | {"cases": cases})
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A request for a release, as the ledger knows it.

    Attributes
    ----------
    facts : digest of the submission that was asked for, and the cohort
    numbers : digest of what it reveals of the cases, without the names of model and plan
    again : the entry of the same request, if there was one
    before : the entries before it
    past : the releases among them about the same model
    """

    facts: dict[str, Any]
    numbers: str
    again: Entry | None
    before: Sequence[Entry]
    past: list[Past]

    def context(self, context: Context, result: SiteResult, policy: Policy) -> Context:
        """Add the earlier releases about the same model, after a check of the cohorts."""
        check_overlap(result.cohort, self.past, policy)
        if policy.noise_scale is not None:
            return context  # noise is fresh for other cases and the same for the same ones
        same, nested = related_releases(result, self.past, policy)
        excluded = excluded_before(result.cohort, past_releases(self.before))
        return replace(context, same=same, nested=nested, excluded=excluded)


def _request(
    first: Submission, result: SiteResult, policy: Policy, entries: Sequence[Entry]
) -> _Request:
    """Find the request in the ledger; a new one must be within the budget of its patients."""
    facts = {"request": digest(first), "cohort": sorted(result.cohort)}
    names = {"model", "version", "model_digest", "plan_hash", "plan_amended", "certificate"}
    numbers = digest(first.model_dump(mode="json", exclude=names | {"healthval_version"}))
    again = next((e for e in entries if facts.items() <= e.body.items()), None)
    before = entries if again is None else entries[: again.seq]
    past = past_releases(before, result.model)
    if again is None and policy.noise_scale is not None:
        check_budget(result.cohort, numbers, entries, policy)
    return _Request(facts=facts, numbers=numbers, again=again, before=before, past=past)


def _entry(made: Release, request: _Request, epsilon: float) -> dict[str, Any]:
    """Body of a release's entry in the ledger."""
    return request.facts | {
        "sha256": made.sha256,
        "n_bytes": len(made.payload),
        "epsilon": epsilon,
        "payload": json.loads(made.payload),
        "withheld": [[note.field, note.reason] for note in made.withheld],
    }


def _search(made: Release, scores: Sequence[float]) -> None:
    """Refuse a release whose bytes contain scores of single cases."""
    if found := find_scores(made.payload, scores):
        raise DisclosureRefused(
            "payload",
            f"it contains {counted(found, 'score')} of single cases",
            "report this as a defect",
        )


@dataclass(frozen=True, slots=True)
class _Judged:
    """A result, its protected copy, and the earlier releases that are judged with it as one system."""

    result: SiteResult
    shown: SiteResult
    policy: Policy
    past: list[Assigned]

    def cases(self, submission: Submission) -> Assigned:
        """Atoms of the cases, from the sets that a submission counts."""
        is_exact = self.policy.noise_scale is None
        sets = sets_of(self.result, self.shown, submission, self.policy)
        outcome = rows_of(self.result).outcome
        return assigned(sorted(self.result.cohort), outcome, sets, exact=is_exact)

    def exposed(self, submission: Submission) -> list[Exposed]:
        """Counts that follow from the submission and all earlier releases together."""
        kind = exposed_kind(self.cases(submission), self.past, self.policy, clock=seconds)
        if not kind:
            return []
        variables = {r.variable for r in submission.subgroups}
        variables |= {r.variable for r in submission.table_one}
        hidden = ("n", "events") if kind == "n" else ("events", "sensitivity", "specificity")
        found = [Exposed("payload", 0, 0, (v, part)) for v in sorted(variables) for part in hidden]
        return found or [Exposed("payload", 0, 0, ("", kind))]


def _audited(judged: _Judged, context: Context, first: Built) -> Built:
    """Hide rows of subgroups, bins and thresholds until no small count can be derived or bounded closely.

    Counts that earlier releases of the same cases revealed, under a laxer policy, stay revealed.
    Perturbed numbers are the same however much is hidden, so that they are judged once.
    """
    policy = judged.policy
    if policy.noise_scale is not None:
        if judged.exposed(first[0]):
            raise _derivable("payload")
        return first
    revealed = {e.field for e in bound(context.same, policy)} if context.same else set()
    for i in range(MOST_ROUNDS):
        built = _build(judged.shown, policy, context)
        exposed = [e for e in bound([*context.same, built[0]], policy) if e.field not in revealed]
        exposed = exposed or judged.exposed(built[0])
        if not exposed:
            return built
        more = dict(context.more)
        for place in {e.place for e in exposed}:
            more[place] = 2 * more.get(place, 0) + 1
        hidden = frozenset(part for part, after in WITHHELD_AFTER.items() if i >= after)
        context = replace(context, more=more, without=hidden)
    raise _derivable(exposed[0].field)


def _derivable(field: str) -> DisclosureRefused:
    return DisclosureRefused(
        field,
        "the released numbers, with those of earlier releases, bound a small count to a few values",
        "merge levels, drop a threshold or subgroup variable, or release the earlier result again",
    )


def _build(result: SiteResult, policy: Policy, context: Context) -> Built:
    try:
        return build(result, policy, context)
    except ValidationError as error:
        raise _misshapen(error, "correct it in the plan") from None


def _misshapen(error: ValidationError, remedy: str) -> DisclosureRefused:
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    # Only names of known fields, and positions: a key from the client is not repeated.
    place = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in FIELDS)
    return DisclosureRefused(place or "payload", "not the shape of a submission", remedy)


def check_arrival(submission: bytes | Submission, policy: Policy) -> Submission:
    """Check a submission without trust in the client that made it.

    Parameters
    ----------
    submission : the bytes that arrived, or the parsed shape
    policy : the hub's; a submission under a laxer policy is refused

    Raises
    ------
    DisclosureRefused
        Names the first field that breaks a rule.
    """
    parsed = submission if isinstance(submission, Submission) else _parse(submission)
    certificate = parsed.certificate
    if certificate.minimum_cell < policy.minimum_cell:
        raise DisclosureRefused(
            "certificate.minimum_cell",
            f"the site's policy is laxer than the hub's floor of {policy.minimum_cell}",
            "release again under the hub's policy or a stricter one",
        )
    certified = {attack.name: attack.checked for attack in certificate.attacks}
    for attack in run_checks(parsed, policy):
        if certified.pop(attack.name, None) != attack.checked:
            raise _uncertified()
    if parsed.noise is None and bound([parsed], policy):
        raise DisclosureRefused(
            "payload",
            "a hidden count can be bounded to a few values",
            "merge levels, or drop a threshold or subgroup variable",
        )
    if certified.keys() != {"ledger-differencing"} or max(certified.values()) > MOST_PAST:
        raise _uncertified()
    return parsed


def _uncertified() -> DisclosureRefused:
    return DisclosureRefused(
        "certificate.attacks", "not the attacks on this payload", SEND_RELEASED
    )


def _parse(payload: bytes) -> Submission:
    try:
        parsed = Submission.model_validate_json(payload)
    except ValidationError as error:
        raise _misshapen(error, SEND_RELEASED) from None
    if canonical_json(parsed.model_dump(mode="json")) != payload:
        raise DisclosureRefused("payload", "not in canonical form", SEND_RELEASED)
    return parsed
