"""De-identified inputs of the model: table rows, images, or both."""

from pathlib import Path

from healthval.cohort import Cohort
from healthval.cohort.eligibility import common_cases
from healthval.contracts.submission import COMMON_LEVELS
from healthval.deid import DeidentifiedCases, deid_policy, deidentify_cases
from healthval.errors import CohortError
from healthval.plan import Plan
from healthval.predict import ImageCases, deidentify_images, find_images, image_cases
from healthval.site import Site

Files = list[tuple[Path, ...]] | None  # of each case, or None without images


def deidentified_inputs(  # noqa: PLR0913  the last ones are keyword-only
    plan: Plan,
    judged: Cohort,
    site: Site,
    *,
    columns: tuple[str, ...],
    folder: str | Path | None,
    scheduler: str | None = None,
) -> tuple[Cohort, DeidentifiedCases | ImageCases]:
    """De-identify the cases' inputs; exclude cases without images that may leave, with a count.

    Also excluded are the cases of small levels, if the plan says so.

    Parameters
    ----------
    columns : table columns that the model takes; none for a model that takes only images
    folder, scheduler : as `images` and `scheduler` of `evaluate`
    """
    # Names of patients and cases differ between plans, so that the hub cannot link their cases.
    secret = site.secret.scoped(plan.hash)
    files: Files = None
    if plan.images is not None:
        judged, files = _images(plan, judged, site, folder, scheduler=scheduler)
    judged, files = _with_common_levels(plan, judged, files)
    rows = deidentify_cases(judged, columns, deid_policy(plan), secret) if columns else None
    inputs = rows if files is None else image_cases(judged, files, secret, rows)
    assert inputs is not None  # noqa: S101 - a plan has inputs, images or both
    return judged, inputs


def _with_common_levels(plan: Plan, judged: Cohort, files: Files) -> tuple[Cohort, Files]:
    """Exclude the cases of small levels, with a count, if the plan says so; they are not sent."""
    if plan.levels is None or plan.levels.rule == "fold":
        return judged, files
    common = common_cases(judged, plan.subgroups, plan.levels)
    kept = files and [found for found, is_kept in zip(files, common, strict=True) if is_kept]
    return judged.keep(COMMON_LEVELS, common), kept


def _images(
    plan: Plan,
    judged: Cohort,
    site: Site,
    folder: str | Path | None,
    *,
    scheduler: str | None,
) -> tuple[Cohort, Files]:
    assert plan.images is not None  # noqa: S101  by the caller
    folder = _image_folder(plan, judged, site) if folder is None else folder
    found = find_images(judged, folder, plan.images)
    judged = judged.keep("with_images", [bool(group) for group in found])
    out = site.folder / "deidentified" / plan.hash[:16]
    secret = site.secret.scoped(plan.hash)
    groups = [group for group in found if group]
    files = deidentify_images(groups, out, deid_policy(plan), secret, scheduler=scheduler)
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
