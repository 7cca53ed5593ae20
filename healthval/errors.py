"""All errors for users, each with an exit code; messages never quote a value.

::

    HealthvalError (1)
    ├── UsageError (2)              a parameter, option or path is not usable
    ├── PlanError (10)              the plan is missing, malformed or was amended
    ├── CohortError (11)            local data do not have the shape the plan needs
    │   └── ViewError (18)          a ViewDefinition is invalid
    ├── DeidentificationError (12)  something could not be de-identified
    │   └── LeakFound (19)          the audit found a source value in the output
    ├── PredictionError (13)        the model's answers are missing or unusable
    ├── MetricError (14)            the data do not allow the statistic (also a ValueError)
    │   ├── SingleClassError        all cases have the target condition, or all lack it
    │   └── MissingPredictionError  cases without a usable score
    ├── DisclosureRefused (15)      the gate refused a release
    ├── LedgerError (16)            the egress ledger is broken or busy
    ├── SubmissionError (17)        the person or the hub declined a submission
    ├── HubError (20)               the hub answered with a refusal
    │   ├── HubUnavailable (21)     no response from the hub
    │   └── AccessDenied (22)       the key is unknown, not approved or revoked
    ├── RunFailed (23)              a notebook failed; its copy is in the identifiable folder
    ├── ReportError (24)            a report cannot be made
    ├── IntegrityError (25)         a signature or hash does not match
    │   └── UnknownSigner (27)      the signature is valid, and its key is not trusted
    ├── HostingError (26)           the model server does not start or respond
    └── DeploymentError (28)        a deployment on AWS was refused or failed
"""

from typing import ClassVar


class HealthvalError(Exception):
    """Base of all errors that are meant for the user; shown without a traceback."""

    exit_code: ClassVar[int] = 1


class UsageError(HealthvalError):
    """A parameter, option or path is not usable."""

    exit_code = 2


class PlanError(HealthvalError):
    """The plan is missing, malformed or was amended."""

    exit_code = 10


class CohortError(HealthvalError):
    """Local data do not have the shape the plan needs; `rows` are the positions of those that do not fit."""

    exit_code = 11
    rows: tuple[int, ...] = ()


class ViewError(CohortError):
    """A ViewDefinition is invalid."""

    exit_code = 18


class DeidentificationError(HealthvalError):
    """Something could not be de-identified."""

    exit_code = 12


class LeakFound(DeidentificationError):
    """The audit found a source value in the output; the whole batch stops."""

    exit_code = 19


class PredictionError(HealthvalError):
    """The model's answers are missing or unusable."""

    exit_code = 13


class MetricError(HealthvalError, ValueError):
    """The data do not allow the statistic; also a ValueError, as in numpy and scikit-learn."""

    exit_code = 14


class SingleClassError(MetricError):
    """The statistic needs cases with and without the target condition."""


class MissingPredictionError(MetricError):
    """Some cases have no usable score."""


class DisclosureRefused(HealthvalError):
    """The gate refused a release; the message names field, reason and remedy."""

    exit_code = 15

    def __init__(self, field: str, reason: str, remedy: str) -> None:
        super().__init__(f"{field}: {reason}; {remedy}")
        self.field, self.reason, self.remedy = field, reason, remedy


class LedgerError(HealthvalError):
    """The egress ledger is broken or busy; sending is blocked."""

    exit_code = 16


class SubmissionError(HealthvalError):
    """The person or the hub declined a submission."""

    exit_code = 17


class HubError(HealthvalError):
    """The hub answered with a refusal."""

    exit_code = 20


class HubUnavailable(HubError):
    """No response from the hub's address."""

    exit_code = 21


class AccessDenied(HubError):
    """The key is unknown to the hub, not yet approved, or revoked."""

    exit_code = 22


class RunFailed(HealthvalError):
    """A notebook failed; its copy is in the folder marked as identifiable."""

    exit_code = 23


class ReportError(HealthvalError):
    """A report cannot be made from what was released."""

    exit_code = 24


class IntegrityError(HealthvalError):
    """A signature or hash does not match the content that it covers."""

    exit_code = 25


class UnknownSigner(IntegrityError):
    """A signature is valid, and its key is not trusted."""

    exit_code = 27


class HostingError(HealthvalError):
    """The model server does not start or does not respond."""

    exit_code = 26


class DeploymentError(HealthvalError):
    """A deployment on AWS was refused or failed."""

    exit_code = 28


# Verbs whose singular is not the plural and an s.
_ONE = {"are": "is", "have": "has", "do": "does", "were": "was"}


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """Write a count with its noun, or with its noun and verb, in the right number.

    >>> counted(1, "case"), counted(2, "study"), counted(0, "column is", "columns are")
    ('1 case', '2 studies', '0 columns are')
    """
    return f"{n} {singular if n == 1 else plural or _plural(singular)}"


def part(n: int, total: int, noun: str, predicate: str) -> str:
    """Write how many of a total are affected; the predicate begins with a verb in the plural.

    >>> part(2, 9, "score", "are missing"), part(1, 80, "date", "have no year"), part(1, 1, "case", "repeat")
    ('2 of 9 scores are missing', '1 of 80 dates has no year', '1 of 1 case repeats')
    """
    verb, _, rest = predicate.partition(" ")
    one = _ONE.get(verb, f"{verb}s")
    return f"{n} of {counted(total, noun)} {one if n == 1 else verb} {rest}".rstrip()


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
