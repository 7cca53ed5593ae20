"""Evaluation at one site, from cohort to result: `evaluate(plan, cohort, client) -> SiteResult`."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

from healthval.client import Client
from healthval.cohort import Cohort, check_verification
from healthval.deid import Secret, cohort_digest
from healthval.errors import UsageError
from healthval.evaluation.compare import compare, groups_of
from healthval.evaluation.contract import check_inputs
from healthval.evaluation.inputs import deidentified_inputs
from healthval.evaluation.periods import in_ended_periods
from healthval.evaluation.secure_sum import keep_table
from healthval.metrics import SiteResult
from healthval.plan import Plan
from healthval.predict import Session, predict
from healthval.site import Site


def evaluate(  # noqa: PLR0913  the last ones are keyword-only
    plan: Plan,
    cohort: Cohort,
    client: Client | None = None,
    *,
    site: Site | None = None,
    images: str | Path | None = None,
    scheduler: str | None = None,
) -> SiteResult:
    """Evaluate the plan's model on a cohort: de-identify, predict, compare at the site.

    Only de-identified inputs leave the site, and each payload is recorded in the ledger before it
    is sent. The reference standard never leaves the site.

    Parameters
    ----------
    site : the site; by default the folder from which the client's key was read
    images : folder with the cases' DICOM files, if the plan has images; it is only read. Without it,
        the images are copied from the plan's PACS into the site's folder
    scheduler : address of a Dask scheduler, whose workers de-identify images and send the batches of
        cases; without it, this machine does. The result is the same

    Raises
    ------
    PlanError
        If the plan's inputs differ from those in the model's contract.
    CohortError, DeidentificationError, PredictionError, HubError
        From the stages; no result has been sent at that point.
    """
    if client is None or not isinstance(plan, Plan):
        raise UsageError(
            "healthval.evaluate runs a study: plan, cohort and client; labels and scores go to"
            " healthval.metrics.evaluate(reference, score)"
        )
    site = site or Site.beside(client.credential)
    site.register(plan)
    model = client.model(plan.model.name, plan.model.version)
    check_inputs(plan, model.registration.inputs)
    check_verification(cohort)
    judged = in_ended_periods(
        plan, cohort, _with_reference(cohort), today=dt.datetime.now(dt.UTC).date()
    )
    groups_of(plan, judged, range(len(judged)))  # refuses invalid groups before anything is sent
    columns = tuple(entry.name for entry in model.registration.inputs.fields)
    judged, inputs = deidentified_inputs(
        plan, judged, site, columns=columns, folder=images, scheduler=scheduler
    )
    registration = site.register(plan, evaluates=True)
    session = Session(
        client=client,
        ledger=site.ledger,
        cache=site.answers,
        plan_hash=plan.hash,
        scheduler=scheduler,
    )
    predictions = predict(inputs, model, session)
    found = compare(plan, cohort, judged, predictions, digests=_digests(judged, site.secret))
    keep_table(plan, site, found)
    return replace(found, plan_amended=registration.amended)


def _with_reference(cohort: Cohort) -> Cohort:
    """Cases that can be evaluated; the others are not sent."""
    known = cohort.reference.notna().to_numpy()
    return cohort if known.all() else cohort.keep("with_reference", known)


def _digests(judged: Cohort, secret: Secret) -> list[str]:
    """Digest of each case for the ledger, the same under every plan."""
    cases = judged.cases
    patients = cases if judged.clusters is None else judged.clusters
    pairs = zip(patients, cases, strict=True)
    return [cohort_digest(secret, str(patient), str(case)) for patient, case in pairs]
