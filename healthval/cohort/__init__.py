"""The site's patients as cases, with counts at every step."""

from healthval.cohort.cohort import Cohort
from healthval.cohort.tables import read_table
from healthval.cohort.views import run_view
from healthval.contracts.table import TableSchema

__all__ = ["Cohort", "TableSchema", "read_table", "run_view"]
