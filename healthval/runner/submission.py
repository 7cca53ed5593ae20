"""End of a run: its result, the next command, and the submission that a person confirms."""

from collections.abc import Callable, Iterator
from pathlib import Path

from healthval.client import Client
from healthval.contracts.submission import Receipt, Submission
from healthval.disclosure import Release, releases
from healthval.disclosure.release_view import headline
from healthval.errors import SubmissionError, counted
from healthval.evaluation import Site, newest_release, release_before
from healthval.evaluation.secure_sum import Progress
from healthval.plan import load_plan
from healthval.runner.parameters import (
    EvaluateParameters,
    NotebookParameters,
    ProvisionParameters,
    ReportParameters,
)
from healthval.secure_sum.outcome import labels_of
from healthval.submit import submit


def send_release(
    hub_url: str,
    folder: Path,
    *,
    confirm: Callable[[Release, Submission | None], bool],
    agreed: str | None,
) -> Receipt:
    """Send the newest release of the site in `folder`.

    Parameters
    ----------
    confirm : gets the release and the result before it, returns True to send it
    agreed : the hash of the release, given instead of an answer

    Raises
    ------
    SubmissionError
        If the hash does not match or the person declined; nothing was sent.
    """
    site = Site.open(folder)
    message = newest_release(site)
    if agreed is not None and agreed != message.sha256:
        raise SubmissionError(
            "--yes hash does not match the newest release; run `healthval release` again"
        )
    before = release_before(message, site)
    with Client(hub_url, site.credential) as client:
        return submit(
            message,
            client,
            site.ledger,
            confirm=lambda shown: agreed is not None or confirm(shown, before),
        )


def sum_lines(progress: Progress) -> list[str]:
    """Return the lines to show after a step of a secure sum: what was sent, and what it waits for."""
    return [*_sum_lines(progress)]


def _sum_lines(progress: Progress) -> Iterator[str]:
    state = progress.state
    yield f"sent:     {', '.join(progress.sent) or 'nothing'} (attempt {state.attempt})"
    if state.reason:
        yield f"before:   an attempt failed: {state.reason}"
    labels = labels_of(state)
    if progress.is_shown is False:
        yield "total:    below the floor at every threshold; no number of it was sent"
    if progress.is_shown:
        yield "total:    opened, and sent at the thresholds at which it is above the floor"
    if state.round == "done":
        yield f"done:     sum of {counted(len(state.of('table')), 'hospital')}"
    elif state.round == "failed":
        yield f"failed:   {state.reason}"
    elif state.round == "keys":
        joined = ", ".join(labels.values())
        yield f"joined:   {joined}"
        yield "waits:    for the operator, who closes the round when all hospitals have joined"
    else:
        names = ", ".join(labels[site] for site in state.waits_for)
        yield f"waits:    in round '{state.round}' for {names}"
        yield "next:     run this command again later"


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
    if plan.secure_sum is not None:
        step = f"healthval sum next {parameters.plan} {folder} --hub {parameters.hub_url}"
        yield f"sum:      {step}"


def _reported(parameters: ReportParameters) -> Iterator[str]:
    from healthval.report import why_no_pdf

    missing = why_no_pdf()
    yield f"report:   {parameters.out / 'report.html'}"
    yield f"no PDF:   {missing}" if missing else f"PDF:      {parameters.out / 'report.pdf'}"
    yield f"next:     healthval verify {parameters.out} --key {parameters.operator_key}.pub"
