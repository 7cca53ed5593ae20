"""Composes the stages for one site: `evaluate(plan, cohort, client) -> SiteResult`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from healthval.client import Client
from healthval.cohort import (
    Cohort,
    check_verification,
    link_rows,
    read_cohort,
    select_cases,
)
from healthval.cohort.tables import check_frame, read_source
from healthval.contracts.access import AccessGrant
from healthval.contracts.model import InputContract
from healthval.contracts.submission import Receipt
from healthval.deid import PixelPolicy, Policy, deidentify_cases
from healthval.disclosure import Policy as DisclosurePolicy
from healthval.disclosure import Release, load_policy, releases
from healthval.errors import CohortError, PlanError, SubmissionError
from healthval.metrics import SingleClassError, SiteResult, table_one
from healthval.metrics import evaluate as evaluate_scores
from healthval.plan import Plan
from healthval.predict import (
    Predictions,
    deidentify_images,
    find_images,
    image_cases,
    predict,
)
from healthval.predict.predictions import Desk
from healthval.site import Registration, Site, open_credential
from healthval.submit import submit

if TYPE_CHECKING:
    from healthval.cohort.tables import Source

__all__ = ["Registration", "Site", "Sources", "cohort_of", "evaluate", "gate_policy", "newest_release", "open_credential", "request_access", "submit_if"]  # fmt: skip


@dataclass(frozen=True)
class Sources:
    """Where a plan's patients lie: a table, FHIR resources, further tables by the plan's name."""

    table: "Source | None" = field(default=None, repr=False)
    resources: str | Path | None = field(default=None, repr=False)
    linked: Mapping[str, "Source"] = field(default_factory=dict, repr=False)


def gate_policy(plan: Plan) -> DisclosurePolicy:
    """The disclosure policy that the plan names; a site's minimum cell can only be stricter."""
    policy = load_policy(plan.disclosure.preset)
    floor = plan.disclosure.minimum_cell
    return policy if floor is None else policy.stricter(minimum_cell=floor)


def deid_policy(plan: Plan) -> Policy:
    """The de-identification policy that the plan names."""
    pixels = PixelPolicy()
    if plan.images is not None:
        pixels = PixelPolicy(text=plan.images.pixels.text, sign_off=plan.images.pixels.sign_off)
    return Policy(dates="shift" if plan.dates == "shifted" else "remove", pixels=pixels)


def request_access(plan: Plan, client: Client, *, site: Site, label: str) -> AccessGrant:
    """Register the plan at the site, then ask the operator for access to its model."""
    site.register(plan)
    return client.request_access(label=label, **plan.subject)


def newest_release(site: Site) -> Release:
    """The last message that the gate let pass at this site, from its ledger."""
    found = releases(site.ledger)
    if not found:
        raise SubmissionError(
            "the gate has let nothing pass at this site yet; run the evaluation first"
        )
    return found[-1]


def submit_if(send: bool, release: Release, client: Client, site: Site) -> Receipt | None:
    """Send the release where `send` says that a person has agreed; else nothing leaves."""
    if not send:
        return None
    return submit(release, client, site.ledger, confirm=lambda _: send)


def cohort_of(plan: Plan, sources: Sources) -> Cohort:
    """Read the plan's cohort: its table and views, then what is linked, then who is eligible.

    Raises
    ------
    CohortError
        If a source is missing, does not fit, or no case is left; counted, no value quoted.
    """
    cohort = read_cohort(
        plan.table,
        table=sources.table,
        resources=sources.resources if plan.fhir else None,
        fhir=plan.fhir,
    )
    for other in plan.linkage:
        if other.name not in sources.linked:
            raise CohortError(
                f"linkage '{other.name}': its table was not given; name its file under 'linked'"
            )
        rows = check_frame(read_source(sources.linked[other.name]), other.table)
        cohort = link_rows(cohort, rows, other.table, other.link, step=other.name)
    return select_cases(cohort, plan.eligibility)


def evaluate(
    plan: Plan,
    cohort: Cohort,
    client: Client,
    *,
    site: Site | None = None,
    images: str | Path | None = None,
) -> SiteResult:
    """Judge the plan's model on a cohort: de-identify, predict, compare locally.

    Only de-identified inputs leave, each payload written into the site's ledger first. The
    reference standard never does.

    Parameters
    ----------
    site : the site's folder; by default the one that the client's key was read from
    images : folder with the cases' DICOM files, where the plan names images; it is only read

    Raises
    ------
    PlanError
        If the plan's inputs are not what the model takes.
    CohortError, DeidentificationError, PredictionError, HubError
        From the stages; nothing of the result has been sent by then.
    """
    site = site or Site.beside(client.credential)
    registration = site.register(plan)
    model = client.model(plan.model.name, plan.model.version)
    check_inputs(plan, model.registration.inputs)
    check_verification(cohort)
    # Whoever lacks a reference standard cannot be judged and is not sent at all.
    known = cohort.reference.notna().to_numpy()
    judged = cohort if known.all() else cohort.keep("with_reference", known)
    _groups(plan, judged, range(len(judged)))  # refused before anything is sent, if at all
    judged, files = (judged, None) if plan.images is None else _imaged(plan, judged, site, images)
    columns = tuple(entry.name for entry in model.registration.inputs.fields)
    rows = deidentify_cases(judged, columns, deid_policy(plan), site.secret) if columns else None
    ready = rows if files is None else image_cases(judged, files, site.secret, rows)
    assert ready is not None  # noqa: S101 - a plan has inputs, images or both
    desk = Desk(client, site.ledger, site.answers, plan.hash)
    predictions = predict(ready, model, desk)
    return compare(plan, cohort, judged, predictions, amended=registration.amended)


def _imaged(
    plan: Plan, judged: Cohort, site: Site, folder: str | Path | None
) -> tuple[Cohort, list[tuple[Path, ...]]]:
    """Find and de-identify images; cases without images that may leave drop out, counted."""
    if folder is None or plan.images is None:
        raise CohortError(
            "the plan takes images and none were given; name their folder as 'images'"
        )
    found = find_images(judged, folder, plan.images)
    judged = judged.keep("with_images", [bool(group) for group in found])
    out = site.folder / "deidentified" / plan.hash[:16]
    files = deidentify_images([g for g in found if g], out, deid_policy(plan), site.secret)
    ready = [bool(group) for group in files]
    return judged.keep("images_deidentified", ready), [group for group in files if group]


def check_inputs(plan: Plan, contract: InputContract) -> None:
    """Refuse a plan whose inputs are not those of the model's contract."""
    wanted = [entry.name for entry in contract.fields]
    if set(wanted) != set(plan.inputs):
        raise PlanError(
            f"the plan names {len(plan.inputs)} inputs, the model takes {len(wanted)}:"
            f" {', '.join(wanted) or 'none but images'}; correct 'inputs' in the plan"
        )
    if (plan.images is not None) != (contract.kind != "table"):
        takes = "images: add 'images' to" if contract.kind != "table" else "none: remove it from"
        raise PlanError(
            f"the plan and the model differ in images; the model takes {takes} the plan"
        )
    foreign = set(plan.images.modalities if plan.images else ()) - set(contract.modalities)
    if contract.modalities and foreign:
        raise PlanError(
            f"the plan names {len(foreign)} modalities that the model does not take; it takes"
            f" {', '.join(contract.modalities)}"
        )


def compare(
    plan: Plan, cohort: Cohort, judged: Cohort, predictions: Predictions, *, amended: bool = False
) -> SiteResult:
    """Compare paired scores with the reference standard, at the site."""
    scored = ~np.isnan(predictions.score)
    if not scored.any():
        raise CohortError(
            f"none of {len(scored)} cases has a score; see the model's input contract"
        )
    reference = judged.reference.to_numpy(dtype=bool)[scored]
    n_events = int(reference.sum())
    if n_events in {0, reference.size}:
        raise SingleClassError(
            f"AUROC and calibration need cases with and without the target condition; of"
            f" {reference.size} scored cases {n_events} are positive; widen the cohort"
        )
    clusters = judged.clusters
    groups = _groups(plan, judged, scored)
    return SiteResult(
        model=plan.model.name,
        version=plan.model.version,
        model_digest=predictions.model_digest,
        plan_hash=plan.hash,
        evaluation=evaluate_scores(
            reference,
            predictions.score[scored],
            thresholds=plan.thresholds,
            groups=groups or None,
            cluster=None if clusters is None else clusters[scored],
        ),
        flow=(*judged.flow, ("scored", int(scored.sum()))),
        # Of a table only the named numbers, ages and categories leave, whatever the plan says.
        dates="shifted" if plan.images and plan.dates == "shifted" else "removed",
        cohort=frozenset(
            case for case, kept in zip(predictions.cases, scored, strict=True) if kept
        ),
        scores=tuple(predictions.score[scored].tolist()),
        table_one=table_one(groups | _characteristics(plan, judged, scored), reference),
        n_indeterminate=cohort.n_indeterminate + predictions.n_indeterminate,
        n_missing_reference=cohort.n_missing_reference,
        plan_amended=amended,
        pixel_sign_off=bool(plan.images and plan.images.pixels.sign_off),
        canary=predictions.canary,
    )


def _groups(plan: Plan, judged: Cohort, chosen: Any) -> dict[str, Any]:
    """Levels of each subgroup variable; numbers and ages by their declared bands."""
    return {name: judged.levels(name)[np.asarray(chosen)] for name in plan.subgroups}


def _characteristics(plan: Plan, judged: Cohort, chosen: Any) -> dict[str, Any]:
    """The model's inputs and the cases' age, for Table 1, where they are no subgroups."""
    frame = judged.frame
    names: Iterable[str] = dict.fromkeys((*judged.schema.of_kind("age"), *plan.inputs))
    return {n: frame[n].to_numpy()[np.asarray(chosen)] for n in names if n not in plan.subgroups}
