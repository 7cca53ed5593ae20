"""A case's images: found by the plan's contract, de-identified and audited as one batch.

A leak anywhere withdraws the batch before anything is sent. The hospital's own files are only read.
"""

import os
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any

from healthval.cohort import Cohort
from healthval.cohort.dicom.folder import Instance, read_folder
from healthval.contracts.prediction import Value
from healthval.deid import (
    DeidentifiedCases,
    Policy,
    Secret,
    case_id,
    deidentify_files,
    normalise_patient_id,
    uid,
)
from healthval.errors import CohortError, DeidentificationError
from healthval.plan import ImageInputs

FILES_PER_PROCESS = 200
Group = tuple[Instance, ...]
_SEAL = object()


@dataclass(frozen=True)
class ImageCases:
    """De-identified, audited files of each case, with its row; made only by `image_cases`."""

    cases: tuple[str, ...] = field(repr=False)
    files: tuple[tuple[Path, ...], ...] = field(repr=False)
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...] = field(repr=False)
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise DeidentificationError("ImageCases cannot be built by hand; use image_cases")


def find_images(cohort: Cohort, folder: str | Path, wanted: ImageInputs) -> tuple[Group, ...]:
    """Return each case's images, none where there are none.

    Raises
    ------
    CohortError
        If the folder holds none of the modalities, a case names several studies, series or images
        where it must name one, or images belong to another patient than their case.
    """
    found = [i for i in read_folder(folder).instances if i.modality in wanted.modalities]
    if not found:
        raise CohortError(
            f"the DICOM folder holds no image of the plan's modalities"
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
            f"column '{wanted.on}': {len(several)} of {len(cases)} cases name more than one"
            f" {wanted.case} (first at row {several[0]}); name one by another column, or correct"
            " 'case' under 'images' in the plan"
        )


def _check_patients(cases: Sequence[Group], patients: Any, column: str) -> None:
    pairs = zip(cases, (_key(p) for p in patients), strict=True)
    other = [i for i, (group, p) in enumerate(pairs) if any(_key(g.patient) != p for g in group)]
    if other:
        raise CohortError(
            f"column '{column}': the images of {len(other)} of {len(cases)} cases belong to another"
            f" patient (first at row {other[0]}); correct the table, nothing was sent"
        )


def deidentify_images(
    cases: Sequence[Group], out: Path, policy: Policy, secret: Secret
) -> tuple[tuple[Path, ...], ...]:
    """De-identify and audit the cases' files as one batch.

    Returns
    -------
    The written files of each case; none where one of them was refused.

    Raises
    ------
    LeakFound
        If the audit finds a source's identifier in any file: the batch is withdrawn.
    CohortError
        If no case is left; counts the refused files by reason.
    """
    paths = [one.path for group in cases for one in group]
    workers = max(1, min(os.cpu_count() or 1, len(paths) // FILES_PER_PROCESS))
    manifest = deidentify_files(paths, out, policy, secret, workers=workers)
    written = {
        r.instance: manifest.folder / r.output for r in manifest.records if r.status == "written"
    }
    files = [tuple(written.get(uid(secret, one.instance)) for one in group) for group in cases]
    # The same file lying in two places is one image.
    whole = tuple(() if None in g else tuple(dict.fromkeys(filter(None, g))) for g in files)
    if not any(whole):
        reasons = ", ".join(f"{reason}: {n} files" for reason, n in manifest.refused.items())
        raise CohortError(
            f"none of {len(cases)} cases has images that may leave ({reasons}); see 'pixels' under"
            " 'images' in the plan"
        )
    return whole


def image_cases(
    cohort: Cohort,
    files: Sequence[tuple[Path, ...]],
    secret: Secret,
    rows: DeidentifiedCases | None,
) -> ImageCases:
    """Put the de-identified files of each case beside its de-identified row, if it has one."""
    return ImageCases(
        cases=tuple(case_id(secret, str(key)) for key in cohort.cases),
        files=tuple(files),
        columns=rows.columns if rows else (),
        rows=rows.rows if rows else ((),) * len(cohort),
        seal=_SEAL,
    )
