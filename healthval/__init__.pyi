from healthval import (
    aggregate as aggregate,
)
from healthval import (
    cohort as cohort,
)
from healthval import (
    deid as deid,
)
from healthval import (
    disclosure as disclosure,
)
from healthval import (
    metrics as metrics,
)
from healthval import (
    predict as predict,
)
from healthval import (
    report as report,
)
from healthval.client import Client as Client
from healthval.evaluation import evaluate as evaluate
from healthval.plan import Plan as Plan
from healthval.plan import load_plan as load_plan
from healthval.report.local import local_report as local_report

__version__: str
