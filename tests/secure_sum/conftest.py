"""Sites of a secure sum in memory, and a hub that keeps their messages."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from healthval.contracts.base import canonical_json
from healthval.credential import Credential
from healthval.errors import HubUnavailable
from healthval.evaluation import Site
from healthval.plan import DisclosureChoice, SecureSum
from healthval.secure_sum.checks import Terms
from healthval.secure_sum.masks import Secrets
from healthval.secure_sum.messages import ROUNDS, SumState
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
        label=f"Hospital {seed}",
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
        every = sorted(
            (*self.state.messages, *messages), key=lambda m: (ROUNDS.index(m.round), m.site)
        )
        update = {"messages": tuple(every)} | ({"round": round_} if round_ else {})
        self.state = self.state.model_copy(update=update)

    def run(self, upto="total", dropped=None):
        """Run all rounds; `dropped` names the sites that are absent from a round on."""
        gone = set()
        for round_ in ROUNDS:
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


class MemoryHub:
    """Keeps messages in memory, as an honest hub does; a test may change `state` to lie."""

    def __init__(self):
        self.state = SumState(**SUBJECT)
        self.is_down = False

    def keep(self, message):
        """Store a message; the round ends with its last one, except the first round."""
        if self.is_down:
            raise HubUnavailable("no response")
        every = [*self.state.messages, message]
        every.sort(key=lambda m: (ROUNDS.index(m.round), m.site))
        self.state = self.state.model_copy(update={"messages": tuple(every)})
        if message.round != "keys" and not self.state.waits_for:
            self.close()
        return self.state

    def close(self):
        """Open the next round."""
        after = (*ROUNDS, "done")[ROUNDS.index(self.state.round) + 1]
        self.state = self.state.model_copy(update={"round": after})


class MemoryClient:
    """The calls of a site that a secure sum makes."""

    def __init__(self, hub, credential, label):
        self.hub, self.credential, self.label, self.sent = hub, credential, label, []
        self.site = credential.id

    def secure_sum(self, **_):
        return self.hub.state

    def send_to_sum(self, message):
        self.sent.append(message)
        return self.hub.keep(message)

    def access_status(self, **_):
        return SimpleNamespace(label=self.label)


@pytest.fixture
def hub():
    return MemoryHub()


@pytest.fixture
def plan():
    """The parts of a plan that a secure sum reads."""
    return SimpleNamespace(
        hash=SUBJECT["plan_hash"],
        subject=SUBJECT,
        thresholds=(0.5,),
        disclosure=DisclosureChoice(),
        secure_sum=SecureSum(),
    )


@pytest.fixture
def new_site(hub, plan, tmp_path):
    """Make a site with a released result; its table is events below and above, then non-events."""
    made = []

    def make(table=(12, 30, 70, 40), plan=plan):
        n = len(made)
        site = Site.create(tmp_path / f"site{n}")
        made.append(site)
        give_table(site, plan, table, [f"p{n}-{i}:c{i}" for i in range(60)])
        return site, MemoryClient(hub, site.credential, f"Hospital {n}")

    return make


def give_table(site, plan, table, cohort):
    """Write what an evaluation and a release leave in the site's folder."""
    folder = site.folder / "sums" / plan.hash[:16]
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"cells": list(table), "cohort": sorted(cohort)}
    (folder / "table.json").write_bytes(canonical_json(kept))
    body = {"payload": {"plan_hash": plan.hash}, "cohort": sorted(cohort), "sha256": "0" * 64}
    with site.ledger.recording_release() as (_, record):
        record(body)


@pytest.fixture(scope="session")
def evaluated():
    return give_table
