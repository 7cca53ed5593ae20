"""The site's patients as cases, with counts at every step."""

from healthval.cohort.cohort import Cohort
from healthval.cohort.resources import read_resources, refuse_conflicts
from healthval.cohort.tables import read_table
from healthval.cohort.views import run_view
from healthval.contracts.table import TableSchema

__all__ = ["Cohort", "TableSchema", "read_resources", "read_table", "refuse_conflicts", "run_view"]
