"""Messages of a secure sum, and its state at the hub: wire shapes.

Rounds: ``keys`` -> ``shares`` -> ``table`` -> ``opening`` -> ``total``. Each message is signed by its
site and names by `context` all messages of the rounds before it.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import Field

from healthval.contracts.access import Label, PublicKey
from healthval.contracts.base import Name, Sha256, SiteId, Version, Wire, canonical_json, digest

MAX_SITES: Final = 30
FEWEST_SITES: Final = 3
FEWEST_CELLS: Final = 4
MAX_CELLS: Final = 42  # two classes between, below and above 20 thresholds
MAX_ATTEMPTS: Final = 100
LARGEST_TOTAL: Final = 2**53 - 1  # the largest whole number that JSON holds in every language

Round = Literal["keys", "shares", "table", "opening", "total"]
ROUNDS: Final[tuple[Round, ...]] = ("keys", "shares", "table", "opening", "total")
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]


class SumKeys(Wire):
    """Round 1: the site's keys, and what the plan fixes, in which all sites must agree.

    `label` is the hospital's name, as in its access request. `mask_key` and `share_key` are X25519;
    `commitment` is a hash of the site's own mask.
    """

    kind: Literal["keys"] = "keys"
    label: Label
    public_key: PublicKey
    mask_key: Key
    share_key: Key
    commitment: Sha256
    n_cells: Annotated[int, Field(ge=FEWEST_CELLS, le=MAX_CELLS)]
    minimum_sites: Annotated[int, Field(ge=FEWEST_SITES, le=MAX_SITES)]
    floor: Annotated[int, Field(ge=2, le=1000)]


class SealedShares(Wire):
    """Shares that one site alone can read (AES-GCM)."""

    to: SiteId
    data: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{20,8000}$")]


Sealed = Annotated[tuple[SealedShares, ...], Field(min_length=1, max_length=MAX_SITES)]


class SumShares(Wire):
    """Round 2: shares of the site's own mask and of its mask key, for each other site."""

    kind: Literal["shares"] = "shares"
    sealed: Sealed


class SumTable(Wire):
    """Round 3: the masked table; 16 hexadecimal digits for each cell."""

    kind: Literal["table"] = "table"
    cells: Annotated[str, Field(pattern=rf"^([0-9a-f]{{16}}){{{FEWEST_CELLS},{MAX_CELLS}}}$")]


class SumOpening(Wire):
    """Round 4: one share for each site of round 2, sealed for each site of round 3.

    For a site whose table arrived it is the share of its own mask, for another that of its mask key;
    never both.
    """

    kind: Literal["opening"] = "opening"
    sealed: Sealed


class SumTotal(Wire):
    """Round 5: the total as the site opened it, at the thresholds at which it is above the floor.

    `kept` are positions of thresholds, and `cells` the counts between these: events, then non-events. Both
    are empty where the total is above the floor at no threshold.
    """

    kind: Literal["total"] = "total"
    kept: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=MAX_CELLS // 2 - 1)], ...],
        Field(max_length=MAX_CELLS // 2 - 1),
    ] = ()
    cells: Annotated[
        tuple[Annotated[int, Field(ge=0, le=LARGEST_TOTAL)], ...], Field(max_length=MAX_CELLS)
    ] = ()


class SumMessage(Wire):
    """One message of a site, signed with its Ed25519 key.

    `context` is the hash of all messages of the rounds before; None in the first round.
    """

    site: SiteId
    model: Name
    version: Version
    plan_hash: Sha256
    attempt: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)]
    context: Sha256 | None = None
    content: Annotated[
        SumKeys | SumShares | SumTable | SumOpening | SumTotal, Field(discriminator="kind")
    ]
    signature: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{86}$")]

    @property
    def round(self) -> Round:
        """The round to which the message belongs."""
        return self.content.kind


Messages = tuple[SumMessage, ...]


class SumState(Wire):
    """A secure sum as the hub has it; without messages before the first site has joined.

    Attributes
    ----------
    attempt : number of the attempt; another begins after one that failed
    round : the round that is open; ``failed`` and ``done`` have no open round
    messages : all messages of the attempt, by round and site
    reason : why the last attempt failed
    """

    model: Name
    version: Version
    plan_hash: Sha256
    attempt: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)] = 1
    round: Round | Literal["done", "failed"] = "keys"
    reason: Annotated[str, Field(max_length=400)] = ""
    messages: Annotated[Messages, Field(max_length=len(ROUNDS) * MAX_SITES)] = ()

    def of(self, round_: Round) -> Messages:
        """Return the messages of one round, sorted by site."""
        return tuple(m for m in self.messages if m.round == round_)

    def sites(self, round_: Round) -> tuple[str, ...]:
        """Return the sites with a message in a round."""
        return tuple(m.site for m in self.of(round_))

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Sites whose message is missing in the open round; in the first round they are unknown."""
        if self.round in {"keys", "done", "failed"}:
            return ()
        open_ = next(round_ for round_ in ROUNDS if round_ == self.round)
        there = self.sites(open_)
        return tuple(site for site in expected(self, open_) if site not in there)


class SumClosing(Wire):
    """Decision of the operator to end a round; the round is named, so that no later one is ended."""

    attempt: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)]
    round: Round


def expected(state: SumState, round_: Round) -> tuple[str, ...]:
    """Return the sites that may take part in a round after the first: those of the one before.

    Sites whose tables arrived may give the total, also where their opening is missing.
    """
    before: Round = "table" if round_ in {"opening", "total"} else ROUNDS[ROUNDS.index(round_) - 1]
    return state.sites(before)


def signed_bytes(message: SumMessage) -> bytes:
    """Return the bytes that a site signs: all fields but the signature."""
    unsigned = message.model_dump(mode="json", exclude={"signature"})
    return b"healthval-secure-sum-message-v1\n" + canonical_json(unsigned)


def context_of(messages: Iterable[SumMessage], round_: Round) -> str | None:
    """Return the hash of all messages of the rounds before; None for the first round."""
    earlier = ROUNDS[: ROUNDS.index(round_)]
    if not earlier:
        return None
    found = sorted(
        (ROUNDS.index(m.round), m.site, digest(m)) for m in messages if m.round in earlier
    )
    return digest([list(row) for row in found])
