"""Commands for a study: `init`, `demo`, `doctor`, `run` and `params`."""

import sys
from pathlib import Path

import click

from healthval.cli.hub import check_platform
from healthval.cli.types import FILE, FOLDER


@click.command()
@click.argument("study", type=FOLDER)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True),
    help="A table (CSV or Parquet), or a file or folder of FHIR resources.",
)
def init(study: Path, source: Path | None) -> None:
    """Start a study with a commented plan.

    The plan and the three notebooks are written to the folder STUDY, whose name becomes the study's
    name. With --from, columns, inputs, label and subgroups are proposed from names and values;
    confirm or correct them in the plan. Existing files are never overwritten.
    """
    from healthval.runner.new_study import start_study

    for line in start_study(study, source):
        click.echo(line)


@click.command()
@click.option(
    "--folder",
    type=FOLDER,
    default=Path("demo"),
    show_default=True,
    help="Folder for the inputs, the hub, the sites and the report.",
)
@click.option(
    "--track",
    type=click.Choice(["table", "fhir", "imaging"]),
    default="table",
    show_default=True,
    help="Inputs of the model: a table of real patients, or FHIR resources or images of invented ones.",
)
def demo(folder: Path, track: str) -> None:
    """Run the whole path on this machine.

    The patients are real ones from a public data set, or invented.
    """
    check_platform()
    from healthval.demo.run import run_demo

    for line in run_demo(folder, track):
        click.echo(line)


@click.command()
def doctor() -> None:
    """Check this machine for missing parts."""
    from healthval.runner.doctor import diagnose

    findings = diagnose()
    for finding in findings:
        click.echo(f"{'ok     ' if finding.ok else 'missing'}  {finding.what:<22} {finding.detail}")
    sys.exit(0 if all(f.ok or not f.required for f in findings) else 1)


@click.command()
@click.argument("notebook")
@click.option(
    "-p",
    "--parameter",
    "pairs",
    multiple=True,
    nargs=2,
    metavar="NAME VALUE",
    help="One parameter, as in papermill; may be repeated.",
)
@click.option("-f", "--file", "file", type=FILE, help="YAML file with parameters.")
@click.option(
    "-o",
    "--out",
    type=FOLDER,
    default=Path("runs"),
    show_default=True,
    help="Folder for the executed copy.",
)
def run(notebook: str, pairs: tuple[tuple[str, str], ...], file: Path | None, out: Path) -> None:
    """Execute provision, evaluate or report.

    The executed copy of an evaluation may show patient data; it is written to OUT/identifiable.
    """
    from healthval.runner.execute import run as execute
    from healthval.runner.parameters import parameters_for, read_parameters

    values = read_parameters(file) | dict(pairs)
    copy = execute(parameters_for(notebook, values), out)
    click.echo(f"finished: {copy}")


@click.command()
@click.argument("notebook")
def params(notebook: str) -> None:
    """List the parameters of a notebook.

    Each line has the name, the type, the default and the meaning.
    """
    from healthval.runner.parameters import describe

    for line in describe(notebook):
        click.echo(line)
