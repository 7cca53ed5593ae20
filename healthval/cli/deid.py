"""Command `deid`: de-identify a batch of DICOM files and audit the result."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healthval.cli.types import FILE, FOLDER
from healthval.errors import DeidentificationError, UsageError, counted

if TYPE_CHECKING:
    from healthval.credential import Credential
    from healthval.deid import Manifest, Policy

OPTIONS = (
    "clean-pixel-data",
    "clean-graphics",
    "clean-structured-content",
    "clean-descriptors",
    "retain-full-dates",
    "retain-modified-dates",
    "retain-patient-characteristics",
    "retain-device-identity",
    "retain-uids",
    "retain-safe-private",
    "retain-institution-identity",
)


@click.command("deid", epilog="\b\nValues of --option:\n" + "\n".join(f"  {o}" for o in OPTIONS))
@click.argument("source", type=click.Path(path_type=Path, exists=True), nargs=-1)
@click.option("-o", "--out", type=FOLDER, help="New folder outside the source.")
@click.option(
    "--secret",
    type=FILE,
    help="File with the site's secret (32 bytes or more), such as deid.secret in the site folder.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    type=click.Choice(OPTIONS),
    metavar="OPTION",
    help="Option of the confidentiality profile, listed below; may be repeated.",
)
@click.option("--rules", type=FILE, help="YAML file with rectangles to blank, by device.")
@click.option(
    "--text",
    type=click.Choice(["ignore", "refuse", "blank"]),
    default="ignore",
    show_default=True,
    help="Action on an image in which a text detector finds text.",
)
@click.option(
    "--sign-off",
    help="Name of the person who inspected the images that are refused otherwise; printed in the report.",
)
@click.option(
    "--known", type=FILE, help="File of further identifiers that the audit looks for, one per line."
)
@click.option(
    "--remove",
    multiple=True,
    metavar="TAG",
    help="Attribute to remove, such as FilterType or 0018,1160; may be repeated.",
)
@click.option(
    "--skip-leaking",
    is_flag=True,
    help="Leave out files in whose result the audit finds an identifier; write the others.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Number of worker processes.",
)
@click.option(
    "--scheduler", help="Address of a Dask scheduler, tcp://... or tls://..., for its workers."
)
@click.option(
    "--sign",
    type=FILE,
    help="Key file that signs the evidence of the batch, such as site.key in the site folder.",
)
@click.option("--explain", is_flag=True, help="Print the action for each attribute and stop.")
def deid_command(explain: bool, **given: Any) -> None:
    """De-identify DICOM files and audit the result.

    The audit reads every byte of the result; one leak withdraws the whole batch, unless --skip-leaking
    leaves the file out. Dates are removed unless an option
    retains them. A second run finishes an interrupted batch.
    """
    for line in _explanation(_policy(given)) if explain else _batch(given):
        click.echo(line)


def _policy(given: dict[str, Any]) -> "Policy":
    from healthval.deid import Option, PixelPolicy, Policy, read_region_rules

    rules = read_region_rules(given["rules"]) if given["rules"] else ()
    pixels = PixelPolicy(rules=rules, text=given["text"], sign_off=given["sign_off"])
    return Policy(options=frozenset(map(Option, given["options"])), pixels=pixels)


def _explanation(policy: "Policy") -> Iterator[str]:
    """One line per attribute: tag, keyword, action, meaning."""
    from healthval.deid import explain

    for row in explain(policy):
        yield f"{row.tag:<12} {row.keyword:<48} {row.action:<3} {row.meaning}"


def _batch(given: dict[str, Any]) -> Iterator[str]:
    """De-identify and audit the batch; report counts, never the content of a file."""
    from healthval.deid import Secret, deidentify_files

    if not (given["source"] and given["out"] and given["secret"]):
        raise UsageError(
            "name the source, --out and --secret:"
            " healthval deid images/ -o deidentified/ --secret site/deid.secret"
        )
    signer = _signer(given["sign"])
    manifest = deidentify_files(
        list(given["source"]),
        given["out"],
        _policy(given),
        Secret.from_file(given["secret"]),
        workers=given["workers"],
        known=_known_identifiers(given["known"]),
        remove=given["remove"],
        skip_leaking=given["skip_leaking"],
        scheduler=given["scheduler"],
    )
    if signer is not None:
        from healthval.report.proof.evidence import sign_evidence

        sign_evidence(manifest.folder, signer)
    yield from _counts(manifest)


def _signer(key: Path | None) -> "Credential | None":
    """Key that signs the evidence; read before the batch, so that a wrong one costs nothing."""
    if key is None:
        return None
    from healthval.credential import Credential

    return Credential.load(key)


def _counts(manifest: "Manifest") -> Iterator[str]:
    from healthval.deid.dicom.files.refused_list import identifiable_folder

    yield f"files in       {manifest.files_in}"
    yield f"written        {manifest.files_out} (audited: no identifier of the source found)"
    yield f"duplicates     {manifest.duplicates}"
    for word, number in (("withdrawn", manifest.withdrawn), ("replaced", manifest.replaced)):
        if number:
            yield f"{word:<14} {counted(number, 'output')} of an earlier run"
    yield from (f"refused        {n} {reason}" for reason, n in sorted(manifest.refused.items()))
    yield from (f"look at        {n} {flag}" for flag, n in sorted(manifest.flags.items()))
    if manifest.refused:
        folder = identifiable_folder(manifest.folder)
        yield f"refused files  {folder / 'refused.csv'} (identifiable: stays here)"
    yield f"manifest       {manifest.folder / 'manifest.json'}"
    yield f"evidence       {manifest.folder / 'evidence.json'}"
    if not manifest.files_out:
        raise DeidentificationError("no file was written; see the counts above")


def _known_identifiers(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeError):
        raise UsageError("the file of known identifiers cannot be read as UTF-8 text") from None
    return [line.strip() for line in lines if line.strip()]
