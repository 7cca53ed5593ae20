"""Checks of messages: signatures, one roster for all, enough sites."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from healthval.contracts.access import PublicKey, raw_public_key
from healthval.errors import IntegrityError, counted, part
from healthval.secure_sum.masks import from_text
from healthval.secure_sum.messages import (
    ROUNDS,
    Round,
    SumKeys,
    SumMessage,
    SumState,
    context_of,
    expected,
    signed_bytes,
)
from healthval.secure_sum.shamir import threshold_of

INFORM: Final = "nothing was sent; inform the operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Terms of a secure sum, which follow from the plan and are the same at every site.

    Attributes
    ----------
    n_cells : length of the table: events in each bin, then non-events in each bin
    minimum_sites : fewest sites whose tables are added up
    floor : smallest count of a class in a bin of the total that is shown; both may be 0
    """

    n_cells: int
    minimum_sites: int
    floor: int


def is_signed_by(message: SumMessage, key: PublicKey) -> bool:
    """Return whether a message has the signature of this key."""
    public = Ed25519PublicKey.from_public_bytes(raw_public_key(key))
    try:
        public.verify(from_text(message.signature), signed_bytes(message))
    except InvalidSignature:
        return False
    return True


def keys_of(state: SumState) -> dict[str, SumKeys]:
    """Return each site's keys, sorted by site."""
    return {m.site: m.content for m in state.of("keys") if isinstance(m.content, SumKeys)}


def fewest(n: int, minimum_sites: int) -> int:
    """Return the fewest of `n` sites with which a sum goes on."""
    return max(threshold_of(n), minimum_sites)


def check_state(state: SumState, terms: Terms) -> None:
    """Check all messages of an attempt, without trust in the hub that shows them.

    Raises
    ------
    IntegrityError
        If a message is forged, repeated, from another sum or from no site of the roster, or names
        other messages before it; or if the sites differ in their terms.
    """
    keys = keys_of(state)
    own = (terms.n_cells, terms.minimum_sites, terms.floor)
    others = sum((k.n_cells, k.minimum_sites, k.floor) != own for k in keys.values())
    if others:
        raise IntegrityError(
            f"secure sum: {part(others, len(keys), 'site', 'have other terms')} than this plan; {INFORM}"
        )
    for kind in ("label", "public_key", "mask_key", "share_key", "commitment"):
        found = [getattr(k, kind) for k in keys.values()]
        if any(found.count(value) > 1 for value in found):
            raise IntegrityError(f"secure sum: two sites have the same {kind}; {INFORM}")
    for round_ in ROUNDS:
        _check_round(state, round_, keys)


def _check_round(state: SumState, round_: Round, keys: dict[str, SumKeys]) -> None:
    messages, sites = state.of(round_), state.sites(round_)
    context = context_of(state.messages, round_)
    subject = (state.model, state.version, state.plan_hash, state.attempt)
    if len(set(sites)) != len(sites):
        raise IntegrityError(f"secure sum: a site occurs twice in round '{round_}'; {INFORM}")
    if round_ != "keys" and set(sites) - set(expected(state, round_)):
        raise IntegrityError(
            f"secure sum: a message of round '{round_}' is from no site of the round before; {INFORM}"
        )
    for m in messages:
        if (m.model, m.version, m.plan_hash, m.attempt) != subject:
            raise IntegrityError(
                f"secure sum: a message of {m.site} belongs to another sum; {INFORM}"
            )
        if m.context != context:
            raise IntegrityError(
                f"secure sum: {m.site} answered to other messages than the hub shows here; {INFORM}"
            )
        if not is_signed_by(m, keys[m.site].public_key):
            raise IntegrityError(f"secure sum: the signature of {m.site} is not valid; {INFORM}")


def check_enough(sites: Sequence[str], terms: Terms, n_before: int, what: str) -> None:
    """Refuse to go on with fewer sites than the threshold of the shares or the plan's minimum.

    Raises
    ------
    IntegrityError
        Gives both numbers.
    """
    needed = fewest(n_before, terms.minimum_sites)
    if len(sites) < needed:
        raise IntegrityError(
            f"secure sum: only {counted(len(sites), 'site')} {what}, and {needed} of {n_before} are"
            f" needed; {INFORM}"
        )
