"""The gate: the only maker of a Release."""

from healthval.disclosure.attacks.score_search import find_scores
from healthval.disclosure.gate import check_arrival, release
from healthval.disclosure.ledger import Entry, Ledger, LedgerState
from healthval.disclosure.policy import Policy, check_not_laxer, load_policy
from healthval.disclosure.release import Release, Withheld, releases
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
    "release",
    "releases",
]
