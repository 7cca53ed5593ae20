"""The `healthval` command: its groups, and one line with an exit code for each error.

Heavy libraries are imported by the command that needs them, so that `healthval --help` is quick.
"""

import io
import os
import signal
import sys
from typing import NoReturn

import click

from healthval import __version__
from healthval.cli.access import access
from healthval.cli.batch import batch, kernel
from healthval.cli.cloud import cost
from healthval.cli.deid import deid_command
from healthval.cli.hub import HUB_PLATFORMS, hub
from healthval.cli.infra import infra
from healthval.cli.ledger import ledger, release, secure_sum, submit_command
from healthval.cli.model import model, models, vendor
from healthval.cli.pacs import pacs
from healthval.cli.plan import check, plan
from healthval.cli.query import query
from healthval.cli.report import trust, verify
from healthval.cli.reports import reports
from healthval.cli.study import demo, docs, doctor, init, params, run
from healthval.errors import HealthvalError
from healthval.files import disk_problem, install_command

# Modules of Python's standard library that the hub uses and Windows lacks.
_UNIX_MODULES = frozenset({"fcntl", "resource"})
# Extra of pyproject.toml -> modules that come with it.
_EXTRAS = {
    "notebooks": {
        "ipykernel",
        "jupyter_client",
        "matplotlib",
        "nbclient",
        "nbconvert",
        "nbformat",
        "papermill",
    },
    "hub": {"fastapi", "starlette", "uvicorn"},
    "pdf": {"pydyf", "weasyprint"},
    "fhir": {"fhirpathpy"},
    "aws": {"boto3", "botocore", "mangum"},
    "dicom": {"dicomweb_client", "pynetdicom", "requests"},
    "export": {"openpyxl", "resvg_py"},
    "query": {"duckdb"},
    "dask": {"dask", "distributed"},
    "tables": {"pyarrow", "sqlalchemy"},
    "files": {"pyreadstat"},
    "demo": {"joblib", "sklearn"},
}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def cli() -> None:
    """Judge a medical AI model on a hospital's own patients; only vetted aggregates leave.

    Start with `healthval demo`.
    """


_COMMANDS = (
    init,
    demo,
    doctor,
    run,
    params,
    check,
    docs,
    models,
    vendor,
    batch,
    kernel,
    hub,
    access,
    model,
    plan,
    pacs,
    deid_command,
    release,
    submit_command,
    secure_sum,
    ledger,
    reports,
    verify,
    trust,
    cost,
    infra,
    query,
)
for _command in _COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command; print an error as one line and exit with its code."""
    _escape_foreign_letters()
    try:
        cli(prog_name="healthval", standalone_mode=False)
    except HealthvalError as error:
        _stop(str(error), error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a further one would interrupt Python's end
        _stop("interrupted; completed work is kept", 130)
    except ModuleNotFoundError as error:
        _stop(_missing_module(error.name), 2)
    except Exception as error:
        if os.environ.get("HEALTHVAL_DEBUG"):
            raise
        if (known := _of_the_machine(error)) is not None:
            _stop(known, 74)
        # The text of a foreign error may quote a patient: only its kind is shown.
        _stop(
            f"unexpected {type(error).__name__}; its text may quote patients, so it is not shown."
            " Set HEALTHVAL_DEBUG=1 to see it on this machine only.",
            70,
        )


def _escape_foreign_letters() -> None:
    """Print letters that the terminal's character set lacks as escapes, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in {
            "utf-8",
            "utf8",
        }:
            stream.reconfigure(errors="backslashreplace")


def _of_the_machine(error: Exception) -> str | None:
    """Message for a disk or a name that the system refuses."""
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return "the name of a file or folder is not valid UTF-8; rename it"
    return disk_problem(error) if isinstance(error, OSError) else None


def _missing_module(name: str | None) -> str:
    if name in _UNIX_MODULES:
        return HUB_PLATFORMS
    top = (name or "").partition(".")[0]
    extra = next((extra for extra, modules in _EXTRAS.items() if top in modules), None)
    if extra is None:
        return (
            f"the Python module {name} is not installed; `healthval doctor` lists the missing parts"
        )
    return f"the Python module {name} is not installed: {install_command(extra)}"


def _stop(message: str, code: int) -> NoReturn:
    click.echo(f"healthval: {message}", err=True)
    sys.exit(code)
