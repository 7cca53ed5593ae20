"""Images of the cases: find them by the plan, de-identify and audit them as one batch.

A leak in any file withdraws the whole batch before anything is sent. The hospital's files are only
read.
"""

import os
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any

from healthval.cohort import Cohort
from healthval.cohort.dicom.folder import Instance, read_folder
from healthval.contracts.images import ImageInputs
from healthval.contracts.model import Value
from healthval.deid import (
    DeidentifiedCases,
    Policy,
    Secret,
    case_id,
    deidentify_files,
    normalise_patient_id,
    uid,
)
from healthval.errors import CohortError, DeidentificationError, counted

FILES_PER_PROCESS = 200
Group = tuple[Instance, ...]
_SEAL = object()


@dataclass(frozen=True, kw_only=True)
class ImageCases:
    """De-identified, audited files and row of each case; made only by `image_cases`."""

    cases: tuple[str, ...] = field(repr=False)
    files: tuple[tuple[Path, ...], ...] = field(repr=False)
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...] = field(repr=False)
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise DeidentificationError("ImageCases cannot be built by hand; use image_cases")


def find_images(cohort: Cohort, folder: str | Path, wanted: ImageInputs) -> tuple[Group, ...]:
    """Return the images of each case, in the order of the cohort; empty for a case without images.

    Raises
    ------
    CohortError
        If the folder contains no image of the modalities, a case names more than one study, series
        or image, or images belong to another patient than their case.
    """
    found = [i for i in read_folder(folder).instances if i.modality in wanted.modalities]
    if not found:
        raise CohortError(
            "the DICOM folder contains no image of the plan's modalities"
            f" ({', '.join(wanted.modalities)}); check 'images' in the plan"
        )
    groups: dict[str, list[Instance]] = {}
    for one in found:
        groups.setdefault(_key(getattr(one, wanted.by)), []).append(one)
    keys = [_key(key) for key in cohort.frame[wanted.on]]
    cases = tuple(tuple(groups.get(key, ())) if key else () for key in keys)
    _check_units(cases, wanted)
    if wanted.patient is not None:
        _check_patients(cases, cohort.frame[wanted.patient], wanted.patient)
    return cases


def _key(value: Any) -> str:
    return normalise_patient_id(value) if isinstance(value, str) else ""


def _check_units(cases: Sequence[Group], wanted: ImageInputs) -> None:
    unit = {"study": "study", "series": "series", "image": "instance"}[wanted.case]
    several = [i for i, group in enumerate(cases) if len({getattr(g, unit) for g in group}) > 1]
    if several:
        raise CohortError(
            f"column '{wanted.on}': cases that name more than one {wanted.case}: {len(several)} of"
            f" {len(cases)} (first at row {several[0]}); use a column that names one, or correct"
            " 'case' under 'images' in the plan"
        )


def _check_patients(cases: Sequence[Group], patients: Any, column: str) -> None:
    pairs = zip(cases, (_key(p) for p in patients), strict=True)
    other = [i for i, (group, p) in enumerate(pairs) if any(_key(g.patient) != p for g in group)]
    if other:
        raise CohortError(
            f"column '{column}': cases whose images belong to another patient: {len(other)} of"
            f" {len(cases)} (first at row {other[0]}); correct the table, nothing was sent"
        )


def deidentify_images(
    cases: Sequence[Group],
    out: Path,
    policy: Policy,
    secret: Secret,
    *,
    scheduler: str | None = None,
) -> tuple[tuple[Path, ...], ...]:
    """De-identify and audit the cases' files as one batch, here or on a Dask cluster.

    Returns
    -------
    The written files of each case; empty for a case with a refused file.

    Raises
    ------
    LeakFound
        If the audit finds a source's identifier in any file: the batch is withdrawn.
    CohortError
        If no case is left; the message counts the refused files by reason.
    """
    paths = [one.path for group in cases for one in group]
    workers = max(1, min(os.cpu_count() or 1, len(paths) // FILES_PER_PROCESS))
    manifest = deidentify_files(paths, out, policy, secret, workers=workers, scheduler=scheduler)
    written = {
        r.instance: manifest.folder / r.output for r in manifest.records if r.status == "written"
    }
    files = [tuple(written.get(uid(secret, one.instance)) for one in group) for group in cases]
    # Copies of a file in several folders are one image.
    whole = tuple(() if None in g else tuple(dict.fromkeys(filter(None, g))) for g in files)
    if not any(whole):
        refused = manifest.refused.items()
        reasons = ", ".join(f"{reason}: {counted(n, 'file')}" for reason, n in refused)
        raise CohortError(
            f"no images that may leave the site for {counted(len(cases), 'case')} ({reasons});"
            " see 'pixels' under 'images' in the plan"
        )
    return whole


def image_cases(
    cohort: Cohort,
    files: Sequence[tuple[Path, ...]],
    secret: Secret,
    rows: DeidentifiedCases | None,
) -> ImageCases:
    """Combine the de-identified files of each case with its de-identified row, if there is one."""
    return ImageCases(
        cases=tuple(case_id(secret, str(key)) for key in cohort.cases),
        files=tuple(files),
        columns=rows.columns if rows else (),
        rows=rows.rows if rows else ((),) * len(cohort),
        seal=_SEAL,
    )
