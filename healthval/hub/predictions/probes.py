"""Probes: a developer's synthetic cases with their scores, asked when a model starts and by sites."""

import base64
from collections.abc import Callable
from typing import Any

from healthval.contracts.model import ModelRecord, ModelRegistration, Probe
from healthval.contracts.prediction import MAX_INLINE_BYTES
from healthval.errors import counted
from healthval.hub import registry
from healthval.hub.ports import Backend, ModelFailed, Refusal
from healthval.hub.predictions.tripwire import check_file
from healthval.hub.predictions.uploads import ROW_BYTES

Scores = list[float | None]
Invoke = Callable[[dict[str, Any]], Scores]


def check_files(backend: Backend, registration: ModelRegistration) -> None:
    """Refuse a registration whose probe files are missing, too large together, or not de-identified."""
    for number, probe in enumerate(registration.probes, start=1):
        size = 0
        for sha256 in probe.files:
            try:
                data = backend.objects.get(registry.object_key(sha256))
            except KeyError:
                title = f"A file of probe {number} is not stored here"
                raise Refusal(422, title, "PUT it to /v1/objects first") from None
            size += len(data)
            check_file(data)
        if size > MAX_INLINE_BYTES - ROW_BYTES:
            limit = (
                f"the files of a probe have at most {MAX_INLINE_BYTES - ROW_BYTES} bytes together"
            )
            raise Refusal(413, f"Probe {number} is too large", limit)


def probe_scores(backend: Backend, model: ModelRecord, invoke: Invoke) -> Scores:
    """Return the model's score for each probe."""
    probes, inputs = model.registration.probes, model.registration.inputs
    names = [entry.name for entry in inputs.fields]
    rows = [[probe.row[name] for name in names] for probe in probes]
    if inputs.kind == "table":
        scores = invoke({"columns": names, "rows": rows}) if probes else []
    else:
        scores = []
        for probe, row in zip(probes, rows, strict=True):
            files: list[Any] = _files(backend, probe)
            of_one = (
                {"files": files}
                if inputs.kind == "dicom"
                else {"columns": names, "rows": [row], "files": [files]}
            )
            scores += invoke(of_one)
    if len(scores) != len(probes):
        raise ModelFailed("the host's answer has another number of scores")
    return scores


def check_scores(registration: ModelRegistration, scores: Scores) -> None:
    """Raise ModelFailed if a probe's score is not the registered one."""
    if wrong := registration.wrong_probes(scores):
        raise ModelFailed(
            f"{len(wrong)} of {counted(len(scores), 'probe')} with another score than the registered"
            f" one (first: probe {wrong[0]})"
        )


def _files(backend: Backend, probe: Probe) -> list[str]:
    stored = (backend.objects.get(registry.object_key(sha256)) for sha256 in probe.files)
    return [base64.b64encode(data).decode() for data in stored]
