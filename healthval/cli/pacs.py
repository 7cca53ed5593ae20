"""Commands `pacs find` and `pacs get`: count and copy studies of a PACS."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healthval.cli.types import FILE, FOLDER
from healthval.errors import UsageError, counted

if TYPE_CHECKING:
    from healthval.cohort.dicom.folder import Study
    from healthval.cohort.dicom.pacs import Pacs

_SHARED = (
    click.option("--url", help="DICOMweb address, such as https://pacs.example/dicom-web."),
    click.option("--dimse", metavar="HOST:PORT:AET", help="DIMSE address, in place of --url."),
    click.option("--calling", default="HEALTHVAL", show_default=True, help="Own AE title."),
    click.option(
        "--listen",
        metavar="HOST:PORT",
        help="Own address to which the PACS delivers (C-MOVE, in place of C-GET).",
    ),
    click.option("--tls", is_flag=True, help="DIMSE over TLS."),
    click.option(
        "--token",
        metavar="NAME",
        help="Environment variable with the bearer token of the DICOMweb server.",
    ),
    click.option("--ca", type=FILE, help="File of certificates that verify the server."),
    click.option("--certificate", type=FILE, help="Own certificate, with --key."),
    click.option("--key", type=FILE, help="File of the own certificate's key."),
    click.option(
        "--timeout",
        type=float,
        default=60,
        show_default=True,
        help="Seconds to wait for an answer.",
    ),
    click.option("--accession", type=FILE, help="File of accession numbers, one per line."),
    click.option("--study", type=FILE, help="File of Study Instance UIDs, one per line."),
    click.option("--date", help="Study date or range, such as 20230101-20231231."),
    click.option("--modality", help="Modality in the study, such as CT."),
)
_CONNECTION = (
    *("url", "dimse", "calling", "listen", "tls", "token", "ca", "certificate", "key", "timeout"),
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
    images = counted(n_images, "instance")
    click.echo(f"found          {counted(len(studies), 'study', 'studies')}, {images}")
    _echo_missing(given, n_missing)


@pacs.command("get")
@_with_source
@click.option("-o", "--out", type=FOLDER, required=True, help="Folder for identifiable files.")
def get_command(out: Path, **given: Any) -> None:
    """Copy the studies that match into a folder of identifiable files.

    A second run continues: files that were copied are kept.
    """
    from healthval.cohort.dicom.pacs import check_all_retrieved, retrieve_studies

    studies, n_missing = _found(given)
    done = retrieve_studies(_source(given), studies, out, n_not_found=n_missing)
    click.echo(f"copied         {counted(done.n_files, 'file')}")
    _echo_missing(given, done.n_not_found)
    for reason, n in done.failed.most_common():
        click.echo(f"not copied     {counted(n, 'study', 'studies')}: {reason}")
    check_all_retrieved(done)


def _echo_missing(given: dict[str, Any], count: int) -> None:
    if given["accession"] or given["study"]:
        click.echo(f"not found      {counted(count, 'entry', 'entries')} of the list")


def _source(given: dict[str, Any]) -> "Pacs":
    from pydantic import ValidationError

    from healthval.cohort.dicom.pacs import open_pacs
    from healthval.contracts.base import explain
    from healthval.contracts.images import PacsChoice

    if bool(given["url"]) == bool(given["dimse"]):
        raise UsageError("name the PACS with either --url or --dimse")
    chosen = {name: given[name] for name in _CONNECTION}
    texts = {
        name: str(value) if isinstance(value, Path) else value for name, value in chosen.items()
    }
    try:
        choice = PacsChoice.model_validate(texts)
    except ValidationError as wrong:
        raise UsageError(
            f"the PACS is not complete: {explain(wrong)}; write --url with its scheme, and --dimse "
            "as HOST:PORT:AET, for example pacs.example:104:ARCHIVE"
        ) from None
    return open_pacs(choice)


def _found(given: dict[str, Any]) -> tuple[list["Study"], int]:
    """Studies that match, each once, and the number of entries of the list without a study."""
    from healthval.cohort.dicom.pacs import find_studies

    queries = list(_queries(given))
    return find_studies(_source(given), queries)


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
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeError):
        raise UsageError("the list of studies cannot be read as UTF-8 text") from None
    bad = [n for n, line in enumerate(lines, 1) if set(line) & set("*?\\")]
    if bad:
        raise UsageError(
            f"{counted(len(bad), 'line')} of the list contain wildcards (first: line {bad[0]})"
        )
    if not any(lines):
        raise UsageError("the list of studies is empty; write one number per line")
    return list(dict.fromkeys(line for line in lines if line))
