"""Evaluation at one site, from cohort to result: `evaluate(plan, cohort, client) -> SiteResult`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from healthval.client import Client
from healthval.cohort import (
    Cohort,
    check_verification,
    link_rows,
    read_cohort,
    select_cases,
)
from healthval.cohort.cohort import band_names
from healthval.cohort.eligibility import analysed_levels, common_cases
from healthval.cohort.tables import check_and_count, read_declared
from healthval.contracts.access import AccessGrant, Amendment
from healthval.contracts.identifiers import name_of
from healthval.contracts.model import InputContract
from healthval.contracts.submission import COMMON_LEVELS, FOLDED, Receipt, Submission
from healthval.deid import Secret, cohort_digest, deid_policy, deidentify_cases
from healthval.disclosure import Policy as DisclosurePolicy
from healthval.disclosure import Release, load_policy, releases
from healthval.errors import (
    CohortError,
    IntegrityError,
    PlanError,
    SubmissionError,
    UsageError,
    counted,
)
from healthval.metrics import SingleClassError, SiteResult, table_one
from healthval.metrics import evaluate as evaluate_scores
from healthval.plan import Plan
from healthval.plan_versions import versions_of
from healthval.predict import (
    Predictions,
    Session,
    deidentify_images,
    find_images,
    image_cases,
    predict,
)
from healthval.site import Registration, Site, open_credential
from healthval.submit import submit

if TYPE_CHECKING:
    from healthval.cohort.tables import Source

Files = list[tuple[Path, ...]] | None  # of each case, or None without images

__all__ = [
    "Registration",
    "Site",
    "Sources",
    "cohort_of",
    "evaluate",
    "gate_policy",
    "newest_release",
    "open_credential",
    "release_before",
    "request_access",
    "submit_if",
]


@dataclass(frozen=True)
class Sources:
    """Data sources of a plan: a table, FHIR resources, and linked tables by their name in the plan."""

    table: "Source | None" = field(default=None, repr=False)
    resources: str | Path | None = field(default=None, repr=False)
    linked: Mapping[str, "Source"] = field(default_factory=dict, repr=False)


def gate_policy(plan: Plan) -> DisclosurePolicy:
    """Return the plan's disclosure policy; its minimum cell can only be stricter than the preset's."""
    policy = load_policy(plan.disclosure.preset)
    floor = plan.disclosure.minimum_cell
    return policy if floor is None else policy.stricter(minimum_cell=floor)


def request_access(plan: Plan, client: Client, *, site: Site, label: str) -> AccessGrant:
    """Ask the operator for access to the plan's model; once the hub has the request, record the plan.

    A plan that replaces an earlier version of the site is sent with that version's hash and the reason
    given to `Site.amend`. The hub's countersignature of hash and time is kept with the version.

    Raises
    ------
    IntegrityError
        If the countersignature is for another plan or site.
    """
    grant = client.request_access(
        label=label,
        names=plan_names(plan),
        title=plan.title,
        amendment=_amendment(plan, site),
        model=plan.model.name,
        version=plan.model.version,
        plan_hash=plan.hash,
    )
    stamp = grant.stamp
    if stamp is not None and (stamp.kind, stamp.site, stamp.sha256) != (
        "plan",
        grant.site,
        plan.hash,
    ):
        raise IntegrityError("the hub's countersignature is for another plan or site")
    site.register(plan, stamp=stamp)
    return grant


def _amendment(plan: Plan, site: Site) -> Amendment | None:
    """Return the version that this plan replaces, and why; None for the first version."""
    versions = versions_of(site.folder, plan.study)
    hashes = [version.hash for version in versions]
    at = hashes.index(plan.hash) if plan.hash in hashes else len(hashes)
    if at == 0:
        return None
    reason = versions[at].reason if at < len(hashes) else None
    return Amendment(of=hashes[at - 1], reason=reason or "No reason was given.")


def plan_names(plan: Plan) -> tuple[str, ...]:
    """Names of variables, levels and steps that a result under the plan may contain, sorted."""
    names = {*plan.columns, *(step.step for step in plan.eligibility)}
    names |= {source.name for source in plan.linkage}
    names |= {f"with_{view}" for view in (plan.fhir.links if plan.fhir else ())}
    for column in plan.columns.values():
        if column.kind == "category":
            names |= {name_of(level) for level in column.names.values()}
        names |= {name_of(band) for band in band_names(getattr(column, "bands", ()))}
    if plan.levels is not None:
        names.add(FOLDED if plan.levels.rule == "fold" else COMMON_LEVELS)
    return tuple(sorted(names))


def newest_release(site: Site) -> Release:
    """Return the newest release in the site's ledger.

    Raises
    ------
    SubmissionError
        If the ledger contains no release.
    """
    found = releases(site.ledger)
    if not found:
        raise SubmissionError("the site's ledger contains no release; run the evaluation first")
    return found[-1]


def release_before(release: Release, site: Site) -> Submission | None:
    """Return the result of the same model that the site released before this one, if any."""
    found = [r.submission for r in releases(site.ledger) if r.sha256 != release.sha256]
    same = [s for s in found if s.model == release.submission.model]
    return same[-1] if same else None


def submit_if(send: bool, release: Release, client: Client, site: Site) -> Receipt | None:
    """Send the release if `send` is True, that is, if a person has agreed; else return None."""
    if not send:
        return None
    return submit(release, client, site.ledger, confirm=lambda _: send)


def cohort_of(plan: Plan, sources: Sources) -> Cohort:
    """Read the plan's cohort: table and views, then linked tables, then eligibility.

    Raises
    ------
    CohortError
        If a source is missing or does not fit its schema, or no case is left; the message
        contains counts and no value.
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
                f"linkage '{other.name}': its table was not given; add its file to 'linked'"
            )
        frame, others = read_declared(sources.linked[other.name], other.table)
        rows, counts = check_and_count(frame, other.table, others)
        cohort = cohort.with_counts(counts)
        cohort = link_rows(cohort, rows, other.table, other.link, step=other.name)
    return select_cases(cohort, plan.eligibility)


def evaluate(
    plan: Plan,
    cohort: Cohort,
    client: Client | None = None,
    *,
    site: Site | None = None,
    images: str | Path | None = None,
) -> SiteResult:
    """Evaluate the plan's model on a cohort: de-identify, predict, compare at the site.

    Only de-identified inputs leave the site, and each payload is recorded in the ledger before it
    is sent. The reference standard never leaves the site.

    Parameters
    ----------
    site : the site; by default the folder from which the client's key was read
    images : folder with the cases' DICOM files, if the plan has images; it is only read. Without it,
        the images are copied from the plan's PACS into the site's folder

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
    # Cases without a reference standard cannot be evaluated and are not sent.
    known = cohort.reference.notna().to_numpy()
    judged = cohort if known.all() else cohort.keep("with_reference", known)
    _groups(plan, judged, range(len(judged)))  # refuses invalid groups before anything is sent
    # Names of patients and cases differ between plans, so that the hub cannot link their cases.
    secret = site.secret.scoped(plan.hash)
    judged, files = (judged, None) if plan.images is None else _imaged(plan, judged, site, images)
    judged, files = _with_common_levels(plan, judged, files)
    columns = tuple(entry.name for entry in model.registration.inputs.fields)
    rows = deidentify_cases(judged, columns, deid_policy(plan), secret) if columns else None
    ready = rows if files is None else image_cases(judged, files, secret, rows)
    assert ready is not None  # noqa: S101 - a plan has inputs, images or both
    registration = site.register(plan, evaluates=True)
    session = Session(client, site.ledger, site.answers, plan.hash)
    predictions = predict(ready, model, session)
    found = compare(plan, cohort, judged, predictions, amended=registration.amended)
    digests = _digests(judged, site.secret)
    kept = zip(digests, np.isnan(predictions.score), strict=True)
    return replace(found, cohort=frozenset(digest for digest, gone in kept if not gone))


def _with_common_levels(plan: Plan, judged: Cohort, files: Files) -> tuple[Cohort, Files]:
    """Exclude the cases of small levels, with a count, if the plan says so; they are not sent."""
    if plan.levels is None or plan.levels.rule == "fold":
        return judged, files
    common = common_cases(judged, plan.subgroups, plan.levels)
    kept = files and [found for found, is_kept in zip(files, common, strict=True) if is_kept]
    return judged.keep(COMMON_LEVELS, common), kept


def _digests(judged: Cohort, secret: Secret) -> list[str]:
    """Digest of each case for the ledger, the same under every plan."""
    cases = judged.cases
    patients = cases if judged.clusters is None else judged.clusters
    pairs = zip(patients, cases, strict=True)
    return [cohort_digest(secret, str(patient), str(case)) for patient, case in pairs]


def _imaged(
    plan: Plan, judged: Cohort, site: Site, folder: str | Path | None
) -> tuple[Cohort, list[tuple[Path, ...]]]:
    """Find and de-identify images; exclude cases without images that may leave, with a count."""
    assert plan.images is not None  # noqa: S101  by the caller
    folder = _image_folder(plan, judged, site) if folder is None else folder
    found = find_images(judged, folder, plan.images)
    judged = judged.keep("with_images", [bool(group) for group in found])
    out = site.folder / "deidentified" / plan.hash[:16]
    secret = site.secret.scoped(plan.hash)
    files = deidentify_images([g for g in found if g], out, deid_policy(plan), secret)
    ready = [bool(group) for group in files]
    return judged.keep("images_deidentified", ready), [group for group in files if group]


def _image_folder(plan: Plan, judged: Cohort, site: Site) -> Path:
    """Folder of the site with the cases' images, copied from the PACS that the plan names."""
    wanted = plan.images
    if wanted is None or wanted.pacs is None:
        raise CohortError(
            "the plan takes images and none were given; give their folder as 'images', or name a"
            " PACS under 'images' in the plan"
        )
    from healthval.cohort.dicom.pacs import retrieve_cases

    folder = site.folder / "identifiable" / plan.hash[:16]
    values = judged.frame[wanted.on].dropna().astype(str).str.strip()
    retrieve_cases(wanted.pacs, wanted.by, [value for value in values if value], folder)
    return folder


def check_inputs(plan: Plan, contract: InputContract) -> None:
    """Refuse a plan whose inputs differ from those in the model's contract."""
    if problems := input_problems(plan, contract):
        raise PlanError("; ".join(problems))


def input_problems(plan: Plan, contract: InputContract) -> list[str]:
    """Return all differences between a plan's inputs and a model's contract, with their remedies."""
    found = []
    wanted = [entry.name for entry in contract.fields]
    if set(wanted) != set(plan.inputs):
        found.append(
            f"the plan names {counted(len(plan.inputs), 'input')}, the model takes {len(wanted)}:"
            f" {', '.join(wanted) or 'only images'}; correct 'inputs' in the plan"
        )
    if (plan.images is not None) != (contract.kind != "table"):
        takes = "images: add 'images' to" if contract.kind != "table" else "none: remove it from"
        found.append(f"the plan and the model differ in images; the model takes {takes} the plan")
    foreign = set(plan.images.modalities if plan.images else ()) - set(contract.modalities)
    if contract.modalities and foreign:
        found.append(
            f"the plan names {counted(len(foreign), 'modality')} that the model does not take; it"
            f" takes {', '.join(contract.modalities)}"
        )
    return found


def compare(
    plan: Plan, cohort: Cohort, judged: Cohort, predictions: Predictions, *, amended: bool = False
) -> SiteResult:
    """Compare paired scores with the reference standard, at the site."""
    scored = ~np.isnan(predictions.score)
    if not scored.any():
        raise CohortError(
            f"no score for any of {counted(len(scored), 'case')}; see the model's input contract"
        )
    reference = _reference(judged, scored)
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
        flow=(*judged.steps, ("scored", int(scored.sum()))),
        # A table's dates never leave: only its numbers, ages and categories do.
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


def _reference(judged: Cohort, scored: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Reference standard of the scored cases; both classes must occur."""
    reference: NDArray[np.bool_] = judged.reference.to_numpy(dtype=bool)[scored]
    n_events = int(reference.sum())
    if n_events in {0, reference.size}:
        raise SingleClassError(
            f"{n_events} of {counted(reference.size, 'scored case')} with the target condition;"
            " AUROC and calibration need cases with and without it; widen the cohort"
        )
    return reference


def _groups(plan: Plan, judged: Cohort, chosen: Any) -> dict[str, Any]:
    """Level of each case in each subgroup variable; numbers and ages by their declared bands."""
    found = analysed_levels(judged, plan.subgroups, plan.levels)
    return {name: levels[np.asarray(chosen)] for name, levels in found.items()}


def _characteristics(plan: Plan, judged: Cohort, chosen: Any) -> dict[str, Any]:
    """Values of the model's inputs and ages for Table 1, except those that are subgroups."""
    frame = judged.frame
    names: Iterable[str] = dict.fromkeys((*judged.schema.of_kind("age"), *plan.inputs))
    return {n: frame[n].to_numpy()[np.asarray(chosen)] for n in names if n not in plan.subgroups}
