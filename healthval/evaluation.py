"""Composes the stages for one site: `evaluate(plan, cohort, client) -> SiteResult`."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from healthval.client import Client, Credential
from healthval.cohort import Cohort
from healthval.contracts.submission import Receipt
from healthval.deid import Policy, Secret, deidentify_cases
from healthval.disclosure import Ledger, Release, load_policy, releases
from healthval.disclosure import Policy as DisclosurePolicy
from healthval.errors import CohortError, PlanError, SubmissionError
from healthval.metrics import SingleClassError, SiteResult
from healthval.metrics import evaluate as evaluate_scores
from healthval.plan import Plan
from healthval.predict import AnswerCache, Predictions, predict
from healthval.predict.predictions import Desk
from healthval.submit import submit


@dataclass(frozen=True)
class Site:
    """What a site holds and never sends: key, de-identification secret, ledger, paid answers."""

    folder: Path
    credential: Credential
    secret: Secret
    ledger: Ledger
    answers: AnswerCache

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a site folder; key and secret are made on first use, readable by their owner only."""
        home = Path(folder)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(
            folder=home,
            credential=open_credential(home / "site.key"),
            secret=_open_secret(home / "deid.secret"),
            ledger=Ledger(home / "ledger.jsonl"),
            answers=AnswerCache(home / "answers.sqlite"),
        )


def open_credential(path: Path) -> Credential:
    """Load a key, or make it at first use."""
    return Credential.load(path) if path.exists() else Credential.create(path)


def _open_secret(path: Path) -> Secret:
    """Load the site's de-identification secret, or make it at first use."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            os.fsync(file.fileno())
        draft.replace(path)
    return Secret.from_file(path)


def gate_policy(plan: Plan) -> DisclosurePolicy:
    """The disclosure policy that the plan names; a site's minimum cell can only be stricter."""
    policy = load_policy(plan.disclosure.preset)
    floor = plan.disclosure.minimum_cell
    return policy if floor is None else policy.stricter(minimum_cell=floor)


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


def evaluate(plan: Plan, cohort: Cohort, client: Client, *, site: Site) -> SiteResult:
    """Judge the plan's model on a cohort: de-identify, predict, compare locally.

    Only de-identified inputs leave, each batch written into the site's ledger first. The reference
    standard never does.

    Raises
    ------
    PlanError
        If the plan's inputs are not what the model takes.
    CohortError, DeidentificationError, PredictionError, HubError
        From the stages; nothing of the result has been sent by then.
    """
    model = client.model(plan.model.name, plan.model.version)
    wanted = tuple(field.name for field in model.registration.inputs.fields)
    if set(wanted) != set(plan.inputs):
        raise PlanError(
            f"the plan names {len(plan.inputs)} inputs, the model takes {len(wanted)}:"
            f" {', '.join(wanted)}; correct 'inputs' in the plan"
        )
    # Whoever lacks a reference standard cannot be judged and is not sent at all.
    known = cohort.reference.notna().to_numpy()
    judged = cohort if known.all() else cohort.keep("with_reference", known)
    cases = deidentify_cases(judged, wanted, Policy(), site.secret)
    desk = Desk(client, site.ledger, site.answers, plan.hash)
    predictions = predict(cases, model, desk)
    return compare(plan, cohort, judged, predictions)


def compare(plan: Plan, cohort: Cohort, judged: Cohort, predictions: Predictions) -> SiteResult:
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
    evaluation = evaluate_scores(
        reference,
        predictions.score[scored],
        thresholds=plan.thresholds,
        groups=_groups(plan, judged, scored),
        cluster=None if clusters is None else clusters[scored],
    )
    return SiteResult(
        model=plan.model.name,
        version=plan.model.version,
        model_digest=predictions.model_digest,
        plan_hash=plan.hash,
        evaluation=evaluation,
        flow=(*judged.flow, ("scored", int(scored.sum()))),
        dates="removed",
        cohort=frozenset(
            case for case, kept in zip(predictions.cases, scored, strict=True) if kept
        ),
        scores=tuple(predictions.score[scored].tolist()),
        n_indeterminate=cohort.n_indeterminate + predictions.n_indeterminate,
        n_missing_reference=cohort.n_missing_reference,
        canary=predictions.canary,
    )


def _groups(plan: Plan, judged: Cohort, scored: Any) -> Mapping[str, Any] | None:
    frame = judged.frame
    return {name: frame[name].to_numpy()[scored] for name in plan.subgroups} or None
