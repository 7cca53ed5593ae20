"""The `healthval` command: parse, call one function, show the answer.

Nothing heavy is imported before a command needs it; `healthval --help` stays instant.
"""

import os
import sys
from pathlib import Path

import click

from healthval.errors import HealthvalError

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


def main() -> None:
    """Run the command; our errors become one line and their exit code."""
    try:
        cli(prog_name="healthval", standalone_mode=False)
    except HealthvalError as error:
        click.echo(f"healthval: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("healthval: stopped; what was finished is kept", err=True)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("HEALTHVAL_DEBUG"):
            raise
        # Its text may quote a patient: only the kind is shown.
        click.echo(
            f"healthval: unexpected {type(error).__name__}; its text may quote patients, so it is not shown."
            " Set HEALTHVAL_DEBUG=1 to see it on this machine only.",
            err=True,
        )
        sys.exit(70)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="healthval")
def cli() -> None:
    """Judge a medical AI model on a hospital's own patients; only vetted aggregates leave.

    Start with `healthval demo`.
    """


@cli.command()
@click.option(
    "--folder", type=FOLDER, default=Path("demo"), show_default=True, help="Where its products lie."
)
def demo(folder: Path) -> None:
    """Run the whole path once, on real patients, on this machine."""
    from healthval.runner.demo import run_demo

    for line in run_demo(folder):
        click.echo(line)


@cli.command()
def doctor() -> None:
    """Check that this machine has what evaluations and reports need."""
    from healthval.runner.doctor import diagnose

    findings = diagnose()
    for finding in findings:
        click.echo(f"{'ok     ' if finding.ok else 'missing'}  {finding.what:<22} {finding.detail}")
    sys.exit(0 if all(f.ok or not f.required for f in findings) else 1)


@cli.command(context_settings={"ignore_unknown_options": False})
@click.argument("notebook")
@click.option(
    "-p",
    "--parameter",
    "pairs",
    multiple=True,
    nargs=2,
    metavar="NAME VALUE",
    help="One parameter, as in papermill.",
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
    """Execute one of the notebooks: provision, evaluate or report."""
    from healthval.runner.execute import run as execute
    from healthval.runner.parameters import parameters_for, read_parameters

    values = read_parameters(file) | dict(pairs)
    copy = execute(parameters_for(notebook, values), out)
    click.echo(f"finished: {copy}")


@cli.command()
@click.argument("notebook")
def params(notebook: str) -> None:
    """List the parameters of a notebook with their types and meaning."""
    from healthval.runner.parameters import describe

    for line in describe(notebook):
        click.echo(line)
