"""Proposal of a plan's table or views from names, codes and values, for the user to confirm."""

from healthval.cohort.propose.proposal import Proposal
from healthval.cohort.propose.tables import propose_table
from healthval.cohort.propose.views import propose_views

__all__ = ["Proposal", "propose_table", "propose_views"]
