"""Commands for a study: `init`, `demo`, `doctor`, `docs`, `run` and `params`."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from healthval.cli.batch import end_in_order
from healthval.cli.hub import check_platform
from healthval.cli.types import FILE, FOLDER, FolderOrS3
from healthval.errors import UsageError

if TYPE_CHECKING:
    from healthval.client import ModelContract


@click.command()
@click.argument("study", type=FOLDER)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True),
    help="A table (CSV or Parquet), or a file or folder of FHIR resources.",
)
@click.option("--model", "name", help="Name of a model at the hub, whose inputs the plan takes.")
@click.option("--version", "version", help="Version of that model; by default the only one.")
@click.option("--hub", "hub_url", envvar="HEALTHVAL_HUB", help="Address of the hub, for --model.")
@click.option("--key", type=FILE, help="Your private key, for --model.")
def init(study: Path, source: Path | None, **asked: Any) -> None:
    """Start a study with a commented plan.

    The plan and the three notebooks are written to the folder STUDY, whose name becomes the study's
    name. With --from, columns, inputs, label and subgroups are proposed from names and values;
    confirm or correct them in the plan. With --model, the inputs are those of the model's contract,
    which the hub shows after approval of your access, and columns that the table lacks are named.
    Existing files are never overwritten.
    """
    from healthval.runner.new_study import start_study

    contract = None if asked["name"] is None else _contract_of(**asked)
    for line in start_study(study, source, contract):
        click.echo(line)


def _contract_of(
    name: str, version: str | None, hub_url: str | None, key: Path | None
) -> "ModelContract":
    from healthval.client import Client, load_credential

    if hub_url is None or key is None:
        raise UsageError("--model needs --hub and --key, for example site/site.key")
    with Client(hub_url, load_credential(key)) as client:
        return client.contract(name, version)


@click.command()
@click.argument("page", required=False)
@click.option("--html", "in_browser", is_flag=True, help="Open the pages in a browser.")
def docs(page: str | None, in_browser: bool) -> None:
    """List, show or open the pages of the docs."""
    from healthval.files import packaged

    folder = packaged("docs")
    pages = {path.stem: path for path in sorted(folder.glob("*.md"))}
    if in_browser:
        _open_pages(folder / "_build" / "html", page or "index")
        return
    if page is None:
        for name, path in pages.items():
            title = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
            click.echo(f"{name:<20} {title}")
        click.echo("\nhealthval docs PAGE shows one of them.")
        return
    if page not in pages:
        raise UsageError("there is no such page; `healthval docs` lists them")
    click.echo_via_pager(pages[page].read_text(encoding="utf-8"))


def _open_pages(folder: Path, page: str) -> None:
    if not (folder / "index.html").exists():
        raise UsageError(
            "this installation has no HTML pages; `make docs` in the project builds them"
        )
    if page not in {path.stem for path in folder.glob("*.html")}:
        raise UsageError("there is no such page; `healthval docs` lists them")
    address = (folder / f"{page}.html").resolve().as_uri()
    click.echo(address)
    click.launch(address)


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
@click.option("--serve", is_flag=True, help="Keep hub and dashboard open until Ctrl-C.")
def demo(folder: Path, track: str, serve: bool) -> None:
    """Run the whole path on this machine.

    The patients are real ones from a public data set, or invented. The last line is a signed link to
    the dashboard, which works while --serve keeps the hub open.
    """
    check_platform()
    from healthval.demo.run import run_demo

    def show(lines: list[str]) -> None:
        for line in lines:
            click.echo(line)

    def stay(lines: list[str]) -> None:
        show(lines)
        with suppress(KeyboardInterrupt):
            Event().wait()

    if serve:
        run_demo(folder, track, stay=stay)
    else:
        show(run_demo(folder, track))


@click.command()
@click.option("--plan", type=FILE, help="Plan whose PACS is asked for a study, if it names one.")
@click.option("--hub", envvar="HEALTHVAL_HUB", help="Address of a hub that should answer.")
@click.option("--key", type=FILE, help="Your private key; with --hub, its access is listed.")
@click.option("--fhir", help="Address of a FHIR server that should answer.")
def doctor(plan: Path | None, hub: str | None, key: Path | None, fhir: str | None) -> None:
    """Check this machine and its connections."""
    from healthval.runner.doctor import diagnose

    findings = diagnose(plan=plan, hub=hub, key=key, fhir=fhir)
    for finding in findings:
        click.echo(f"{'ok    ' if finding.ok else 'not ok'}  {finding.what:<22} {finding.detail}")
    sys.exit(0 if all(f.ok or not f.required for f in findings) else 1)


class _RunCommand(click.Command):
    """`run`, whose help also lists the parameters of the notebook that is named before it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember the notebook for the help."""
        ctx.meta["notebook"] = next((word for word in args if not word.startswith("-")), None)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the parameters below the options."""
        notebook = ctx.meta.get("notebook")
        if notebook is None:
            return
        from healthval.runner.own_notebook import describe_any

        formatter.write_paragraph()
        formatter.write(f"Parameters of {notebook}:\n")
        for line in describe_any(notebook):
            formatter.write(f"  {line}\n")


@click.command(cls=_RunCommand)
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
@click.option(
    "-r",
    "--raw",
    multiple=True,
    nargs=2,
    metavar="NAME VALUE",
    help="One parameter whose value stays text.",
)
@click.option("-f", "--file", "file", type=FILE, help="YAML file with parameters.")
@click.option(
    "-o",
    "--out",
    type=FolderOrS3(file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder for the executed copy, or s3://bucket/prefix.",
)
@click.option("--help-notebook", is_flag=True, help="List the notebook's parameters.")
def run(
    notebook: str, file: Path | None, out: Path | str, help_notebook: bool, **given: Any
) -> None:
    """Execute one of the notebooks, or your own.

    NOTEBOOK is provision, evaluate, report, or the path of your own notebook.

    The parameters are checked before a kernel starts. A copy that may show patient data, that of an
    evaluation or of your own notebook, is written to OUT/identifiable.
    """
    from healthval.runner.execute import run as execute
    from healthval.runner.execute import run_own
    from healthval.runner.own_notebook import describe_any, is_own
    from healthval.runner.parameters import parameters_for, read_parameters
    from healthval.runner.submission import outcome_of

    if help_notebook:
        for line in describe_any(notebook):
            click.echo(line)
        return
    end_in_order()
    outcome: list[str] = []
    values = read_parameters(file) | dict(given["pairs"]) | dict(given["raw"])
    if is_own(notebook) and notebook.endswith(".ipynb"):
        typed = read_parameters(file) | _typed(given["pairs"]) | dict(given["raw"])
        copy = run_own(Path(notebook), typed, out)
    else:
        parameters = parameters_for(notebook, values)
        copy = execute(parameters, out)
        outcome = outcome_of(parameters)
    for line in (f"finished: {copy}", *outcome):
        click.echo(line)


def _typed(pairs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Read values as YAML 1.2 does, so that 3 is a number and true a truth value."""
    from healthval.files import parse_yaml

    return {
        name: parse_yaml(f"value: {value}", what=f"-p {name}", remedy="use -r for a text")["value"]
        for name, value in pairs
    }


@click.command()
@click.argument("notebook")
@click.option("--schema", is_flag=True, help="Print the JSON Schema instead.")
def params(notebook: str, schema: bool) -> None:
    """List the parameters of a notebook.

    Each line has the name, the type, the default and the meaning.
    """
    from healthval.runner.own_notebook import describe_any, is_own, schema_of
    from healthval.runner.parameters import check_name

    name = notebook if is_own(notebook) and notebook.endswith(".ipynb") else check_name(notebook)
    if schema:
        click.echo(json.dumps(schema_of(name), indent=2))
        return
    for line in describe_any(name):
        click.echo(line)
