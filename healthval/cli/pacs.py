"""Commands `pacs find` and `pacs get`: count and copy studies of a PACS."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healthval.cli.types import FILE, FOLDER
from healthval.errors import CohortError, UsageError, counted

if TYPE_CHECKING:
    from healthval.cohort.dicom import DimsePacs, WebPacs
    from healthval.cohort.dicom.folder import Study

_SHARED = (
    click.option("--url", help="DICOMweb address, such as https://pacs.example/dicom-web."),
    click.option("--dimse", metavar="HOST:PORT:AET", help="DIMSE address, in place of --url."),
    click.option(
        "--token",
        metavar="NAME",
        help="Environment variable with the bearer token of the DICOMweb server.",
    ),
    click.option("--ca", type=FILE, help="File of certificates that verify the server."),
    click.option("--accession", type=FILE, help="File of accession numbers, one per line."),
    click.option("--study", type=FILE, help="File of Study Instance UIDs, one per line."),
    click.option("--date", help="Study date or range, such as 20230101-20231231."),
    click.option("--modality", help="Modality in the study, such as CT."),
)


def _with_source(command: Any) -> Any:
    for option in reversed(_SHARED):
        command = option(command)
    return command


@click.group()
def pacs() -> None:
    """Find and copy studies of a PACS."""


@pacs.command("find")
@_with_source
def find_command(**given: Any) -> None:
    """Count the studies that match; print no identifier."""
    studies, n_missing = _found(given)
    n_images = sum(study.n_instances or 0 for study in studies)
    click.echo(f"found          {counted(len(studies), 'study', 'studies')}, {n_images} instances")
    click.echo(f"not found      {counted(n_missing, 'entry', 'entries')} of the list")


@pacs.command("get")
@_with_source
@click.option("-o", "--out", type=FOLDER, required=True, help="Folder for identifiable files.")
def get_command(out: Path, **given: Any) -> None:
    """Copy the studies that match into a folder of identifiable files.

    A second run continues: files that were copied are kept.
    """
    from tqdm.auto import tqdm

    studies, n_missing = _found(given)
    source = _source(given)
    n_files = n_failed = 0
    for study in tqdm(studies, desc="copy", unit="study", disable=len(studies) < 2, leave=False):
        try:
            n_files += sum(1 for _ in source.retrieve([study.study], out))
        except CohortError as failed:
            n_failed += 1
            last = failed
    click.echo(f"copied         {counted(n_files, 'file')}")
    click.echo(f"not found      {counted(n_missing, 'entry', 'entries')} of the list")
    if n_failed:
        raise CohortError(f"{counted(n_failed, 'study', 'studies')} not copied; the last: {last}")


def _source(given: dict[str, Any]) -> "WebPacs | DimsePacs":
    from healthval.cohort.dicom import DimsePacs, WebPacs

    if bool(given["url"]) == bool(given["dimse"]):
        raise UsageError("name the PACS with either --url or --dimse")
    if given["url"]:
        return WebPacs(given["url"], _session(given))
    parts = given["dimse"].split(":")
    if len(parts) != 3 or not parts[1].isdigit():
        raise UsageError("write --dimse as HOST:PORT:AET, for example pacs.example:104:ARCHIVE")
    return DimsePacs(parts[0], int(parts[1]), parts[2])


def _session(given: dict[str, Any]) -> Any:
    import requests

    session = requests.Session()
    if given["ca"]:
        session.verify = str(given["ca"])
    if given["token"]:
        token = os.environ.get(given["token"])
        if not token:
            raise UsageError("the environment variable of --token is not set; set it first")
        session.headers["Authorization"] = f"Bearer {token}"
    return session


def _found(given: dict[str, Any]) -> tuple[list["Study"], int]:
    """Studies that match, each once, and the number of entries of the list without a study."""
    found: dict[str, Study] = {}
    n_missing = 0
    source = _source(given)
    for filters in _queries(given):
        studies = list(source.search(filters))
        n_missing += not studies
        found |= {study.study: study for study in studies}
    return list(found.values()), n_missing


def _queries(given: dict[str, Any]) -> Iterator[dict[str, str]]:
    common = {"StudyDate": given["date"], "ModalitiesInStudy": given["modality"]}
    filters = {keyword: value for keyword, value in common.items() if value}
    lists = {"AccessionNumber": given["accession"], "StudyInstanceUID": given["study"]}
    named = {keyword: file for keyword, file in lists.items() if file}
    if not (named or filters):
        raise UsageError("name the studies with --accession, --study, --date or --modality")
    if not named:
        yield filters
    for keyword, file in named.items():
        for value in _lines(file):
            yield filters | {keyword: value}


def _lines(file: Path) -> list[str]:
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except (OSError, UnicodeError):
        raise UsageError("the list of studies cannot be read as UTF-8 text") from None
    bad = [n for n, line in enumerate(lines, 1) if set(line) & set("*?\\")]
    if bad:
        raise UsageError(
            f"{counted(len(bad), 'line')} of the list contain wildcards (first: line {bad[0]})"
        )
    return list(dict.fromkeys(line for line in lines if line))
