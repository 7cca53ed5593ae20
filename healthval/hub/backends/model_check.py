"""Check of a model on its developer's machine: the model as a hub runs it, and as a hospital sees it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from healthval.contracts.base import digest
from healthval.contracts.model import ModelRegistration
from healthval.errors import HostingError
from healthval.hosting import sandbox
from healthval.hosting.scaffold import REGISTRATION, TO_FILL_IN
from healthval.hub.backends.memory import MemoryObjects
from healthval.hub.backends.model_process import HostOptions
from healthval.hub.backends.processes import ProcessHost
from healthval.hub.ports import HostedModel, HostUnavailable, ModelFailed, ModelHost
from healthval.hub.trial import Row, call, check_answers, trial_rows


def check(registration: ModelRegistration, packed: bytes) -> Iterator[str]:
    """Yield the lines of a check of a registration and its packed artefact.

    Raises
    ------
    HostingError
        If the model does not load, or does not answer with one score for each row.
    """
    yield from _card(registration)
    yield f"artefact: {len(packed):,} bytes packed, digest of the registration {digest(registration)[:16]}"
    missing = sandbox.unavailable()
    yield f"isolation: {'as at a hub' if missing is None else f'none ({missing})'}"
    objects = MemoryObjects()
    objects.put_if_absent(f"objects/{registration.artefact_sha256}.bin", packed)
    with tempfile.TemporaryDirectory() as home:
        options = HostOptions(isolated=missing is None, hidden=Path(home))
        host = ProcessHost(objects, Path(home) / "models", options)
        try:
            yield from _answers(host, registration)
        except (ModelFailed, HostUnavailable) as failure:
            raise HostingError(f"the model is not ready for a hub: {failure}") from None
        finally:
            host.close()
    if TO_FILL_IN in registration.card.model_dump_json():
        yield f"to do: replace each {TO_FILL_IN} in {REGISTRATION}"


def _card(registration: ModelRegistration) -> Iterator[str]:
    card = registration.card
    yield f"{card.title} ({card.name} {card.version}), {card.developer}"
    yield f"target condition: {card.target_condition}; intended use: {card.intended_use}"
    for field in registration.inputs.fields:
        limits = [
            f"{word} {value:g}"
            for word, value in (("from", field.low), ("to", field.high))
            if value is not None
        ]
        about = ", ".join(field.levels) if field.kind == "category" else " ".join(limits)
        yield f"input {field.name}: {field.kind} {about or 'without limits'} {field.unit}".rstrip()


def _answers(host: ModelHost, registration: ModelRegistration) -> Iterator[str]:
    """Yield scores of trial rows, and whether they repeat alone and together."""
    model = HostedModel(
        name=registration.card.name,
        version=registration.card.version,
        artefact=registration.artefact_sha256,
        memory_mb=registration.memory_mb,
        max_concurrency=registration.max_concurrency,
    )
    host.start(model)
    yield "loads: yes"
    if registration.inputs.kind != "table" or not registration.inputs.fields:
        yield "scores: not tried, because trial images are yours; send one with `healthval model serve`"
        return
    check_answers(host, model, registration.inputs)
    rows = trial_rows(registration.inputs)
    scores = call(host, model, rows)
    yield from (_line(row, score) for row, score in zip(rows, scores, strict=True))
    alone = [call(host, model, [row])[0] for row in rows]
    if alone != scores or call(host, model, rows) != scores:
        raise ModelFailed(
            "a row has another score when it is sent again or alone; fix the seed, and let no row "
            "depend on the others"
        )
    yield "scores repeat, together and alone: yes"


def _line(row: Row, score: float | None) -> str:
    values = ", ".join(f"{name} {_shown(value)}" for name, value in row.items())
    return (
        f"case {values}: {'no score (model_declined)' if score is None else f'score {score:.4f}'}"
    )


def _shown(value: float | str | None) -> str:
    return "missing" if value is None else f"{value:g}" if isinstance(value, float) else value
