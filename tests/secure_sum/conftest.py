"""Sites of a secure sum in memory, and a hub that keeps their messages."""

from dataclasses import dataclass, field

import pytest

from healthval.credential import Credential
from healthval.secure_sum.checks import Terms
from healthval.secure_sum.masks import Secrets
from healthval.secure_sum.messages import SumState
from healthval.secure_sum.protocol import (
    Member,
    keys_message,
    opening_message,
    shares_message,
    table_message,
    total_message,
)

SUBJECT = {"model": "tumour", "version": "1.0", "plan_hash": "a" * 64}
TERMS = Terms(n_cells=4, minimum_sites=3, floor=11)


def member_of(seed: int, terms: Terms = TERMS, attempt: int = 1) -> Member:
    """A site whose secrets follow from a number."""
    credential = Credential.generate()
    return Member(
        site=credential.id,
        public_key=credential.public_key,
        terms=terms,
        secrets=Secrets(bytes([seed, attempt]) * 16),
        sign=credential.private_key.sign,
    )


@dataclass
class Sum:
    """One attempt over sites in memory; `tables` are in the order of `members`."""

    members: list[Member]
    tables: list[list[int]]
    state: SumState = field(default_factory=lambda: SumState(**SUBJECT))

    def post(self, round_, *, without=()):
        """Each member but those left out sends its message of the round."""
        made = {
            "keys": keys_message,
            "shares": shares_message,
            "opening": opening_message,
            "total": total_message,
        }
        sent = []
        for member, table in zip(self.members, self.tables, strict=True):
            if member.site in without:
                continue
            if round_ == "table":
                sent.append(table_message(member, self.state, table))
            else:
                sent.append(made[round_](member, self.state))
        self.keep(*sent, round_=round_)

    def keep(self, *messages, round_=None):
        """Add messages to the state, sorted as the hub does."""
        order = ("keys", "shares", "table", "opening", "total")
        every = sorted(
            (*self.state.messages, *messages), key=lambda m: (order.index(m.round), m.site)
        )
        update = {"messages": tuple(every)} | ({"round": round_} if round_ else {})
        self.state = self.state.model_copy(update=update)

    def run(self, upto="total", dropped=None):
        """Run all rounds; `dropped` names the sites that are absent from a round on."""
        gone = set()
        for round_ in ("keys", "shares", "table", "opening", "total"):
            gone |= set((dropped or {}).get(round_, ()))
            self.post(round_, without=gone)
            if round_ == upto:
                return self
        return self


@pytest.fixture(scope="session")
def new_sum():
    """Make a sum of sites with these tables."""

    def make(tables, terms=TERMS):
        members = [member_of(i, terms) for i in range(len(tables))]
        return Sum(members, [list(t) for t in tables])

    return make


@pytest.fixture
def new_member():
    return member_of
