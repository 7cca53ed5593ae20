"""Lines about a finished notebook: its result, whether anything was sent, the next command."""

from collections.abc import Iterator

from healthval.disclosure import releases
from healthval.disclosure.release_view import headline
from healthval.plan import load_plan
from healthval.runner.parameters import (
    EvaluateParameters,
    NotebookParameters,
    ProvisionParameters,
    ReportParameters,
)
from healthval.site import Site


def outcome_of(parameters: NotebookParameters) -> list[str]:
    """Return the lines to show after a notebook has finished with these parameters."""
    if isinstance(parameters, EvaluateParameters):
        return [*_evaluated(parameters)]
    if isinstance(parameters, ReportParameters):
        return [*_reported(parameters)]
    if isinstance(parameters, ProvisionParameters):
        return [f"next:     healthval access list --hub {parameters.hub_url} --key KEY"]
    return []


def _evaluated(parameters: EvaluateParameters) -> Iterator[str]:
    plan, folder = load_plan(parameters.plan), parameters.site_folder
    made = [r for r in releases(Site.open(folder).ledger) if r.submission.plan_hash == plan.hash]
    if made:
        yield f"result:   {headline(made[-1].submission)}"
    if parameters.send:
        yield "sent:     the hub has received the release"
        yield f"next:     healthval ledger show {folder}"
    else:
        yield "sent:     nothing was sent but the de-identified inputs of the model"
        yield f"next:     healthval release {folder}"
        yield f"then:     healthval submit {folder} --hub {parameters.hub_url}"


def _reported(parameters: ReportParameters) -> Iterator[str]:
    from healthval.report import why_no_pdf

    missing = why_no_pdf()
    yield f"report:   {parameters.out / 'report.html'}"
    yield f"no PDF:   {missing}" if missing else f"PDF:      {parameters.out / 'report.pdf'}"
    yield f"next:     healthval verify {parameters.out} --key {parameters.operator_key}.pub"
