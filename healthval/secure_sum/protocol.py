"""The messages of a site, round by round, and the total that it opens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from healthval.contracts.access import PublicKey
from healthval.errors import IntegrityError
from healthval.secure_sum.checks import (
    INFORM,
    Terms,
    check_enough,
    check_state,
    keys_of,
)
from healthval.secure_sum.floor import shown_part
from healthval.secure_sum.masks import (
    Secrets,
    added,
    agreed,
    commitment_of,
    derived,
    mask,
    public_text,
    sealed,
    to_text,
    unsealed,
)
from healthval.secure_sum.messages import (
    Round,
    SealedShares,
    SumKeys,
    SumMessage,
    SumOpening,
    SumShares,
    SumState,
    SumTable,
    SumTotal,
    context_of,
    signed_bytes,
)
from healthval.secure_sum.shamir import SHARE_BYTES, join, split, threshold_of

Content = SumKeys | SumShares | SumTable | SumOpening | SumTotal
LARGEST_CELL = 2**40  # no hospital has so many cases; a larger total was not unmasked


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A site that takes part in a secure sum.

    Attributes
    ----------
    label : the hospital's name, as in its access request
    sign : signs bytes with the private half of `public_key` (Ed25519)
    """

    site: str
    label: str
    public_key: PublicKey
    terms: Terms
    secrets: Secrets
    sign: Callable[[bytes], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Masks:
    """Masks of one table; with another set of sites in round 2 all masks are others."""

    context: str
    n_cells: int

    def own(self, self_mask: bytes) -> list[int]:
        """Return the mask that a site adds by itself."""
        return mask(derived(self_mask, "own mask", self.context), self.n_cells)

    def between(self, secret: bytes, public: str, pair: tuple[str, str]) -> list[int]:
        """Return what the first site of a pair adds; the second one adds its negative.

        `secret` is the mask key of one of them and `public` that of the other.
        """
        low, high = sorted(pair)
        found = mask(agreed(secret, public, "pair mask", self.context, low, high), self.n_cells)
        return found if pair == (low, high) else added([0] * self.n_cells, found, -1)


def keys_message(member: Member, state: SumState) -> SumMessage:
    """Make the message of round 1: public keys and the terms of the plan."""
    content = SumKeys(
        label=member.label,
        public_key=member.public_key,
        mask_key=public_text(member.secrets.mask_secret),
        share_key=public_text(member.secrets.share_secret),
        commitment=commitment_of(member.secrets.self_mask),
        n_cells=member.terms.n_cells,
        minimum_sites=member.terms.minimum_sites,
        floor=member.terms.floor,
    )
    return _message(member, state, content)


def shares_message(member: Member, state: SumState) -> SumMessage:
    """Make the message of round 2: shares of both secrets, sealed for each other site.

    Raises
    ------
    IntegrityError
        If the roster is too small or does not have this site's own keys; also as in `check_state`.
    """
    roster = _checked(member, state)
    check_enough(list(roster), member.terms, len(roster), "joined")
    context = _context(state, "shares")
    own = _own_shares(member, roster, context)
    content = tuple(
        SealedShares(
            to=site,
            data=sealed(
                _pair_key(member, roster, site, "shares", context, is_sent=True),
                _packed([own[0][x], own[1][x]]),
            ),
        )
        for x, site in enumerate(roster, 1)
        if site != member.site
    )
    return _message(member, state, SumShares(sealed=content))


def table_message(member: Member, state: SumState, table: Sequence[int]) -> SumMessage:
    """Make the message of round 3: the table under the site's own mask and those with other sites.

    Parameters
    ----------
    table : whole numbers from 0, as many as the terms say

    Raises
    ------
    IntegrityError
        If too few sites gave shares, or shares for this site cannot be read; also as in `check_state`.
    """
    roster = _checked(member, state)
    sharers = state.sites("shares")
    check_enough(sharers, member.terms, len(roster), "gave shares")
    _received(member, state)  # refuses shares that cannot be read, before the table leaves
    masks = _Masks(_context(state, "table"), member.terms.n_cells)
    cells = added(list(table), masks.own(member.secrets.self_mask))
    for other in sharers:
        if other != member.site:
            pair = (member.site, other)
            between = masks.between(member.secrets.mask_secret, roster[other].mask_key, pair)
            cells = added(cells, between)
    return _message(member, state, SumTable(cells="".join(f"{cell:016x}" for cell in cells)))


def opening_message(member: Member, state: SumState) -> SumMessage:
    """Make the message of round 4: one share for each site, sealed for the sites whose tables arrived.

    Call it once for one set of tables: the caller keeps a durable record, because two answers for two
    sets could give both shares of one site.

    Raises
    ------
    IntegrityError
        If too few tables arrived; also as in `check_state`.
    """
    roster = _checked(member, state)
    tables = state.sites("table")
    check_enough(tables, member.terms, len(roster), "sent a table")
    context = _context(state, "opening")
    text = _packed(_one_share_each(member, state))
    content = tuple(
        SealedShares(
            to=site,
            data=sealed(_pair_key(member, roster, site, "opening", context, is_sent=True), text),
        )
        for site in tables
        if site != member.site
    )
    return _message(member, state, SumOpening(sealed=content))


def total_message(member: Member, state: SumState) -> SumMessage:
    """Make the message of round 5: the total at the thresholds at which it is above the floor.

    Raises
    ------
    IntegrityError
        As in `open_total`.
    """
    shown = shown_part(open_total(member, state), member.terms.floor)
    content = SumTotal() if shown is None else SumTotal(kept=shown.kept, cells=shown.cells)
    return _message(member, state, content)


def open_total(member: Member, state: SumState) -> list[int]:
    """Put the masks together from the shares, and return the sum of the tables.

    Returns
    -------
    events in each bin, then non-events in each bin; it may be below the floor and stays in memory

    Raises
    ------
    IntegrityError
        If there are too few openings, or shares that do not belong to what their site committed to.
    """
    roster = _checked(member, state)
    shares = _opened_shares(member, state, roster)
    needed = threshold_of(len(roster))
    if len(shares) < needed:
        raise IntegrityError(
            f"secure sum: {len(shares)} openings can be read, and {needed} are needed; {INFORM}"
        )
    chosen = dict(list(shares.items())[:needed])
    sharers, tables = state.sites("shares"), _tables(state)
    masks = _Masks(_context(state, "table"), member.terms.n_cells)
    total = [0] * member.terms.n_cells
    for cells in tables.values():
        total = added(total, cells)
    for i, site in enumerate(sharers):
        secret = join({x: given[i] for x, given in chosen.items()}) or b""
        if site in tables:
            if commitment_of(secret) != roster[site].commitment:
                raise _misfit(site)
            total = added(total, masks.own(secret), -1)
            continue
        if not secret or public_text(secret) != roster[site].mask_key:
            raise _misfit(site)
        for other in tables:
            between = masks.between(secret, roster[other].mask_key, (other, site))
            total = added(total, between, -1)
    if max(total) > LARGEST_CELL:
        raise IntegrityError(f"secure sum: the masks of the tables do not cancel; {INFORM}")
    return total


def _checked(member: Member, state: SumState) -> dict[str, SumKeys]:
    """Check the state, and that its roster has this site's own keys; return the roster."""
    check_state(state, member.terms)
    roster = keys_of(state)
    own = roster.get(member.site)
    secrets = (member.secrets.mask_secret, member.secrets.share_secret)
    expected = (member.public_key, *map(public_text, secrets))
    if own is None or (own.public_key, own.mask_key, own.share_key) != expected:
        raise IntegrityError(f"secure sum: the roster does not have this site's own keys; {INFORM}")
    return roster


def _context(state: SumState, round_: Round) -> str:
    return str(context_of(state.messages, round_))


def _message(member: Member, state: SumState, content: Content) -> SumMessage:
    unsigned = SumMessage(
        site=member.site,
        model=state.model,
        version=state.version,
        plan_hash=state.plan_hash,
        attempt=state.attempt,
        context=context_of(state.messages, content.kind),
        content=content,
        signature="A" * 86,
    )
    signature = to_text(member.sign(signed_bytes(unsigned)))
    return unsigned.model_copy(update={"signature": signature})


def _own_shares(
    member: Member, roster: dict[str, SumKeys], context: str
) -> tuple[dict[int, int], dict[int, int]]:
    """Shares of the own mask and of the mask key, by position in the roster."""
    n, s = len(roster), member.secrets
    power = threshold_of(n) - 1
    return (
        split(s.self_mask, s.coefficients("shares of the self mask", context, power), n),
        split(s.mask_secret, s.coefficients("shares of the mask key", context, power), n),
    )


def _received(member: Member, state: SumState) -> dict[str, tuple[int, int]]:
    """Both shares that this site has of each site of round 2, its own included."""
    roster, context = keys_of(state), _context(state, "shares")
    at = list(roster).index(member.site) + 1
    own = _own_shares(member, roster, context)
    found = {member.site: (own[0][at], own[1][at])}
    for m in state.of("shares"):
        if m.site == member.site:
            continue
        key = _pair_key(member, roster, m.site, "shares", context, is_sent=False)
        text = _text_for(member, m, key)
        if text is None or len(text) != 2 * SHARE_BYTES:
            raise IntegrityError(f"secure sum: the shares of {m.site} cannot be read; {INFORM}")
        found[m.site] = (_numbers(text)[0], _numbers(text)[1])
    return found


def _one_share_each(member: Member, state: SumState) -> list[int]:
    """The share of its own mask for a site whose table arrived, else of its mask key."""
    received, tables = _received(member, state), set(state.sites("table"))
    return [received[site][0 if site in tables else 1] for site in state.sites("shares")]


def _opened_shares(
    member: Member, state: SumState, roster: dict[str, SumKeys]
) -> dict[int, list[int]]:
    """The shares in each opening that this site can read, by the giver's position in the roster."""
    place = {site: x for x, site in enumerate(roster, 1)}
    context, n = _context(state, "opening"), len(state.sites("shares"))
    found = {place[member.site]: _one_share_each(member, state)}
    for m in state.of("opening"):
        if m.site != member.site:
            key = _pair_key(member, roster, m.site, "opening", context, is_sent=False)
            text = _text_for(member, m, key)
            if text is not None and len(text) == n * SHARE_BYTES:
                found[place[m.site]] = _numbers(text)
    return found


def _text_for(member: Member, m: SumMessage, key: bytes) -> bytes | None:
    """Decrypt what a message has for this site; None where it has nothing that can be read."""
    given = m.content.sealed if isinstance(m.content, SumShares | SumOpening) else ()
    mine = [part.data for part in given if part.to == member.site]
    return unsealed(key, mine[0]) if len(mine) == 1 else None


def _pair_key(
    member: Member,
    roster: dict[str, SumKeys],
    other: str,
    *info: str,
    is_sent: bool,
) -> bytes:
    """Key for what one site seals for another: another one for each round, context and direction."""
    way = (member.site, other) if is_sent else (other, member.site)
    return agreed(member.secrets.share_secret, roster[other].share_key, *info, *way)


def _tables(state: SumState) -> dict[str, list[int]]:
    return {
        m.site: [int(m.content.cells[i : i + 16], 16) for i in range(0, len(m.content.cells), 16)]
        for m in state.of("table")
        if isinstance(m.content, SumTable)
    }


def _packed(numbers: Sequence[int]) -> bytes:
    return b"".join(number.to_bytes(SHARE_BYTES, "big") for number in numbers)


def _numbers(data: bytes) -> list[int]:
    steps = range(0, len(data), SHARE_BYTES)
    return [int.from_bytes(data[i : i + SHARE_BYTES], "big") for i in steps]


def _misfit(site: str) -> IntegrityError:
    return IntegrityError(
        f"secure sum: the shares of {site} do not fit its keys, so that there is no total;"
        " inform the operator"
    )
