"""The gate: the only maker of a Release."""

from healthval.disclosure.gate import check_arrival, release
from healthval.disclosure.ledger import Entry, Ledger, LedgerState
from healthval.disclosure.ledger_view import (
    export_ledger,
    ledger_html,
    show_ledger,
    verify_ledger,
)
from healthval.disclosure.policy import Policy, check_not_laxer, load_policy
from healthval.disclosure.release import Release, Withheld, releases
from healthval.disclosure.search import find_scores
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
    "export_ledger",
    "find_scores",
    "ledger_html",
    "load_policy",
    "release",
    "releases",
    "show_ledger",
    "verify_ledger",
]
