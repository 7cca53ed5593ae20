"""Differencing: comparison of a new release with the earlier ones in the ledger (pure)."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from healthval.contracts.base import canonical_json
from healthval.contracts.submission import Submission
from healthval.disclosure.attacks.joint import Assigned, recalled
from healthval.disclosure.ledger import Entry
from healthval.disclosure.policy import Policy
from healthval.errors import DisclosureRefused, counted
from healthval.metrics.result import SiteResult

MOST_COMPARED = 60  # releases whose cohorts are combined; older ones are compared pair by pair


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier release about the same model, with the keyed digests of its cases."""

    cohort: frozenset[str]
    submission: Submission


def past_releases(entries: Iterable[Entry], model: str | None = None) -> list[Past]:
    """Read the releases about a model, or all, from the ledger."""
    out = []
    for entry in entries:
        if entry.kind != "release" or model not in (None, entry.body["payload"]["model"]):
            continue
        payload = canonical_json(entry.body["payload"])
        out.append(Past(frozenset(entry.body["cohort"]), Submission.model_validate_json(payload)))
    return out


def case_record(cases: Assigned, secret: bytes) -> dict[str, Any]:
    """Atom and masked outcome of each case, for the ledger: later releases are judged with them."""
    bits = np.packbits(cases.outcome)
    return cases.facts() | {"outcome": (bits ^ _mask(cases.cases, secret)).tobytes().hex()}


def linked_releases(
    cohort: frozenset[str], entries: Iterable[Entry], secret: bytes
) -> list[Assigned]:
    """Earlier releases with cases of this cohort, or with cases of those, of any model and version.

    Raises
    ------
    DisclosureRefused
        If the ledger does not have the atoms of one of them.
    """
    left = [e.body for e in entries if e.kind == "release"]
    reached, found = set(cohort), []
    while near := [body for body in left if not reached.isdisjoint(body["cohort"])]:
        left = [body for body in left if body not in near]
        for body in near:
            reached |= set(body["cohort"])
            found.append(_recalled(body, secret))
    return found


def _recalled(body: dict[str, Any], secret: bytes) -> Assigned:
    if "cases" not in body:
        raise DisclosureRefused(
            "cohort",
            "the ledger lacks the cases' atoms of an earlier release about some of these patients",
            "release patients who are in no earlier release, or the earlier result again",
        )
    cases, facts = body["cohort"], body["cases"]
    bits = np.frombuffer(bytes.fromhex(facts["outcome"]), dtype=np.uint8) ^ _mask(cases, secret)
    return recalled(cases, np.unpackbits(bits, count=len(cases)).astype(bool), facts)


def _mask(cases: Sequence[str], secret: bytes) -> NDArray[np.uint8]:
    """Keyed bytes, one bit for each case: a copy of the ledger alone does not have the outcomes."""
    key = hmac.digest(secret, b"outcomes\0" + canonical_json(list(cases)), "sha256")
    n = -(-len(cases) // 8)
    blocks = (hashlib.sha256(key + i.to_bytes(4, "big")).digest() for i in range(-(-n // 32)))
    return np.frombuffer(b"".join(blocks)[:n], dtype=np.uint8)


def check_overlap(cohort: frozenset[str], past: Sequence[Past], policy: Policy) -> None:
    """Refuse a cohort whose difference to earlier ones singles out a few patients.

    Parameters
    ----------
    cohort : keyed digests of the cases; ``patient:case`` where a patient may have several

    Raises
    ------
    DisclosureRefused
        If an earlier cohort, or a sum of earlier ones, differs from it by fewer patients than the
        floor.
    """
    touching = [p.cohort for p in past if p.cohort & cohort and p.cohort != cohort]
    for earlier in touching:
        apart = (earlier - cohort, cohort - earlier)
        if all(_patients(part) < policy.minimum_cell for part in apart):
            raise _too_close(policy)
    if _is_isolating(cohort, touching[-MOST_COMPARED:], policy):
        raise _too_close(policy)


def check_budget(
    cohort: frozenset[str], numbers: str, entries: Iterable[Entry], policy: Policy
) -> None:
    """Refuse more releases about one patient than the policy allows, over all models and plans.

    A release with the numbers of an earlier one, under other names, adds nothing.

    Parameters
    ----------
    numbers : digest of the numbers of the release

    Raises
    ------
    DisclosureRefused
        If `max_releases` releases were made about some of these patients.
    """
    before: dict[str, set[str]] = {}
    for entry in entries:
        if entry.kind == "release":
            mark = entry.body.get("numbers", entry.body["sha256"])
            for patient in {case.partition(":")[0] for case in entry.body["cohort"]}:
                before.setdefault(patient, set()).add(mark)
    patients = {case.partition(":")[0] for case in cohort}
    spent = [p for p in patients if len(before.get(p, set()) - {numbers}) >= policy.max_releases]
    if spent:
        left = len(patients) - len(spent)
        others = (
            f"release the other {counted(left, 'patient')} alone, for example those of the last "
            "quarter"
            if left >= policy.minimum_cell
            else f"wait until {policy.minimum_cell} patients are new, and release them alone"
        )
        raise DisclosureRefused(
            "cohort",
            f"{counted(len(spent), 'patient is', 'patients are')} in {policy.max_releases} earlier "
            "releases; the noise of more could be averaged away",
            f"{others}, or release an earlier result again",
        )


def _too_close(policy: Policy) -> DisclosureRefused:
    return DisclosureRefused(
        "cohort",
        f"with earlier releases about this model it singles out fewer than {policy.minimum_cell} "
        "patients",
        "release the earlier cohort again, or wait until enough patients are new",
    )


def _patients(cases: Iterable[str]) -> int:
    return len({case.partition(":")[0] for case in cases})


def _is_isolating(
    cohort: frozenset[str], earlier: Sequence[frozenset[str]], policy: Policy
) -> bool:
    """Whether sums and differences of the cohorts leave few patients of the new one.

    Patients who belong to the same cohorts form an atom; released counts are sums over atoms. If
    a combination of earlier cohorts cancels every large atom, the remainder is about small ones.
    """
    if not earlier:
        return False
    member: dict[str, int] = dict.fromkeys(cohort, 1)
    for bit, cases in enumerate(earlier, start=1):
        for case in cases:
            member[case] = member.get(case, 0) | 1 << bit
    people = {(case.partition(":")[0], mask) for case, mask in member.items()}
    sizes = Counter(mask for _, mask in people)
    atoms = np.array(
        [[mask >> bit & 1 for mask in sizes] for bit in range(len(earlier) + 1)], float
    )
    large = np.array([size >= policy.minimum_cell for size in sizes.values()])
    weights = np.linalg.lstsq(atoms[1:, large].T, atoms[0, large], rcond=None)[0]
    left = atoms[0] - weights @ atoms[1:]
    return bool(np.abs(left[large]).max(initial=0) < 1e-7 and np.abs(left).max(initial=0) > 1e-7)


def excluded_before(cohort: frozenset[str], past: Iterable[Past]) -> dict[str, frozenset[int]]:
    """Counts of steps and of excluded cases in earlier releases about fewer or more of these cases."""
    near = [p.submission for p in past if p.cohort <= cohort or cohort <= p.cohort]
    steps = {f.n for s in near for f in s.flow} | {s.n for s in near}
    found = {
        "flow": steps,
        "n_indeterminate": {s.n_indeterminate for s in near},
        "n_missing_reference": {s.n_missing_reference for s in near},
    }
    return {
        name: frozenset(x for x in counts if isinstance(x, int)) for name, counts in found.items()
    }


def related_releases(
    result: SiteResult, past: Sequence[Past], policy: Policy
) -> tuple[tuple[Submission, ...], tuple[Submission, ...]]:
    """Earlier releases about the same cases, and about fewer or more of them.

    Raises
    ------
    DisclosureRefused
        If the class sizes of an earlier release reveal the outcome of a few patients.
    """
    cohort, m = result.cohort, result.evaluation.n_events
    others = result.evaluation.n - m
    same, nested = [], []
    for p in past:
        if not (p.cohort <= cohort or cohort <= p.cohort):
            continue
        s = p.submission
        if not isinstance(s.n, int) or not isinstance(s.n_events, int):
            continue
        apart = (m - s.n_events, others - (s.n - s.n_events))
        if not all(x == 0 or abs(x) >= policy.minimum_cell for x in apart):
            raise DisclosureRefused(
                "n_events",
                "with an earlier release it reveals the outcome of fewer than "
                f"{policy.minimum_cell} patients",
                "wait until more cases are new, or release the earlier cohort again",
            )
        if p.cohort == cohort and apart == (0, 0) and s.version == result.version:
            same.append(s)
        elif s.version == result.version:
            nested.append(s)
    return tuple(same), tuple(nested)
