"""Disclosure control at the hospital wall: the gate, its policies and the egress ledger."""

from healthval.disclosure.attacks.score_search import find_scores
from healthval.disclosure.gate import Release, check_arrival, release, releases
from healthval.disclosure.ledger import Entry, Ledger, LedgerState
from healthval.disclosure.payload.suppression import Withheld
from healthval.disclosure.policy import Policy, check_not_laxer
from healthval.disclosure.presets import load_policy, policy_for
from healthval.errors import DisclosureRefused

__all__ = [
    "DisclosureRefused",
    "Entry",
    "Ledger",
    "LedgerState",
    "Policy",
    "Release",
    "Withheld",
    "check_arrival",
    "check_not_laxer",
    "find_scores",
    "load_policy",
    "policy_for",
    "release",
    "releases",
]
