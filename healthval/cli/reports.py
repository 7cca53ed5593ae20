"""Command group `report`: published reports, their comparison and export, and a site's own report."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healthval.cli.types import FILE, FOLDER, HUB, KEY, note_if_empty
from healthval.errors import ReportError, counted

if TYPE_CHECKING:
    from healthval.client import Client
    from healthval.contracts.report import Language, ReportOrderRecord, ReportRecord

OUT = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the files."
)
LANGUAGE = click.option(
    "--language",
    type=click.Choice(["en", "de"]),
    default="en",
    show_default=True,
    help="Language of the report; names and texts of plan and model card stay as they are.",
)


@click.group("report")
def reports() -> None:
    """Find, open, compare or withdraw reports."""


@reports.command("list")
@HUB
@KEY
def report_list(hub_url: str, key: Path) -> None:
    """List the reports on the hub, the newest first: also superseded and withdrawn ones."""
    with _client(hub_url, key) as client:
        found = client.reports()
    note_if_empty(found, "no reports yet; the operator publishes one with `healthval run report`")
    for record in sorted(found, key=_newest):
        click.echo(_line(record))


def _newest(record: "ReportRecord") -> float:
    return -record.published.timestamp() if record.published else 0.0


def _line(record: "ReportRecord") -> str:
    day = f"{record.published:%Y-%m-%d}" if record.published else "-"
    about = f"{record.model} {record.version}  {counted(record.n_sites, 'site')}"
    digest = record.files.get("report.html", "")[:12]
    return f"{record.id}  {day}  {_status(record)}  {about}  {_verdicts(record)}  {digest}"


def _status(record: "ReportRecord") -> str:
    if record.status == "withdrawn":
        return f"withdrawn ({record.reason})"
    return f"superseded by {record.superseded_by}" if record.superseded_by else record.status


def _verdicts(record: "ReportRecord") -> str:
    outcomes = [verdict.outcome for verdict in record.verdicts]
    kinds = ("met", "not met", "inconclusive")
    texts = [f"{outcomes.count(kind)} {kind}" for kind in kinds if kind in outcomes]
    return ", ".join(texts) or "no criteria"


@reports.command("get")
@HUB
@KEY
@click.argument("report_id")
@OUT
def report_get(hub_url: str, key: Path, report_id: str, out: Path | None) -> None:
    """Fetch all files of a report, each checked against its hash; then run `healthval verify`."""
    _fetch(hub_url, key, report_id, out)


@reports.command("open")
@HUB
@KEY
@click.argument("report_id")
@OUT
def report_open(hub_url: str, key: Path, report_id: str, out: Path | None) -> None:
    """Fetch a report, verify it, and open its page.

    The page is opened only if its signature is valid and its signer is trusted: by `healthval trust
    list`, or as a key that this hub publishes.
    """
    from healthval.cli.report import refuse_unknown_signer, verified

    page = _fetch(hub_url, key, report_id, out) / "report.html"
    found = verified(page, hub_url)
    for line in found.lines():
        click.echo(line)
    refuse_unknown_signer(found)
    click.echo(f"page         {page}")
    click.launch(str(page))


def _fetch(hub_url: str, key: Path, report_id: str, out: Path | None) -> Path:
    from healthval.files import write_durably

    with _client(hub_url, key) as client:
        record = _record(client, report_id)
        files = {name: client.report_file(record, name) for name in record.files}
    folder = out or Path(record.id)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_durably(folder / name, content, mode=0o644)
    click.echo(_line(record))
    click.echo(f"{counted(len(files), 'file')} in {folder}")
    if record.status != "current":
        click.echo(f"This report is not the current one: {_status(record)}.", err=True)
    return folder


@reports.command("compare")
@HUB
@KEY
@click.argument("first")
@click.argument("second")
@OUT
@LANGUAGE
def report_compare(  # noqa: PLR0913  # one parameter for each option
    hub_url: str, key: Path, first: str, second: str, *, out: Path | None, language: "Language"
) -> None:
    """Compare two reports, of two versions for example; FIRST and SECOND are ids."""
    from healthval.report.forms.comparison import compare
    from healthval.report.forms.files import write_form

    with _client(hub_url, key) as client:
        numbers = [_numbers(client, report_id) for report_id in (first, second)]
    made = compare(*numbers, language=language)
    for path in write_form(made, out or Path("comparison"), "comparison"):
        click.echo(str(path))


@reports.command("withdraw")
@HUB
@KEY
@click.argument("report_id")
@click.option("--reason", required=True, help="Shown to everybody who may read the report.")
def report_withdraw(hub_url: str, key: Path, report_id: str, reason: str) -> None:
    """Withdraw a report; it stays in the list with the reason."""
    with _client(hub_url, key) as client:
        record = client.withdraw_report(_record(client, report_id).id, reason)
    click.echo(_line(record))


@reports.command("order")
@HUB
@KEY
@click.argument("plan_file", metavar="PLAN", type=FILE)
@click.option(
    "--min-sites",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Hospitals with a result before the first report.",
)
@click.option(
    "--apart",
    multiple=True,
    metavar="LABEL",
    help="A hospital that is a different one although its result equals another's.",
)
@click.option("--cancel", is_flag=True, help="Make no more reports by this plan.")
def report_order(hub_url: str, key: Path, plan_file: Path, cancel: bool, **order: Any) -> None:
    """Let the hub make a new report after each result that counts.

    The hub pools the results, signs the report with a key that it publishes, and the developer can read
    it at once. PLAN is the plan under which the hospitals have access.
    """
    from healthval.plan_file import load_plan

    plan = load_plan(plan_file)
    with _client(hub_url, key) as client:
        given = client.order_reports(
            plan_file.read_bytes(),
            model=plan.model.name,
            version=plan.model.version,
            plan_hash=plan.hash,
            cancelled=cancel,
            **order,
        )
    click.echo(_order_line(given))


@reports.command("orders")
@HUB
@KEY
def report_orders(hub_url: str, key: Path) -> None:
    """List the standing orders, and what became of them."""
    with _client(hub_url, key) as client:
        found = client.report_orders()
    for given in found:
        click.echo(_order_line(given))
    if not found:
        click.echo("no standing orders; see `healthval report order`")


def _order_line(given: "ReportOrderRecord") -> str:
    about = f"{given.model} {given.version}  plan {given.plan_hash[:12]}"
    since = f"from {counted(given.min_sites, 'site')}"
    made = f"  {given.report}" if given.report else ""
    reason = f"  {given.reason}" if given.reason else ""
    return f"{about}  {since}  {given.state}{made}{reason}"


@reports.command("export")
@click.argument("page", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@OUT
def report_export(page: Path, out: Path | None) -> None:
    """Write the figures of a report.html as SVG and PNG, its tables as CSV and XLSX."""
    from healthval.report.forms.export import export

    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ReportError("the page cannot be read; give the report.html of a report") from None
    files = export(text, out or page.parent / "export")
    click.echo(f"{counted(len(files), 'file')} in {files[0].parent}")


@reports.command("site")
@HUB
@click.option("--site", "folder", type=FOLDER, required=True, help="The site's folder.")
@click.option("--plan", "plan_file", type=FILE, required=True, help="The study's plan.")
@click.option("--label", default="Our hospital", show_default=True, help="Name in the title.")
@OUT
@LANGUAGE
def report_site(  # noqa: PLR0913  # one parameter for each option
    hub_url: str,
    folder: Path,
    plan_file: Path,
    *,
    label: str,
    out: Path | None,
    language: "Language",
) -> None:
    """Report a hospital's own newest release to itself; nothing is sent."""
    from healthval.client import Client
    from healthval.evaluation import Site, newest_release
    from healthval.plan_file import load_plan
    from healthval.report.forms.files import write_form
    from healthval.report.forms.site import site_report

    home, plan = Site.open(folder), load_plan(plan_file)
    with Client(hub_url, home.credential) as client:
        card = client.model(plan.model.name, plan.model.version).registration.card
    made = site_report(newest_release(home), plan, card, label=label, language=language)
    for path in write_form(made, out or folder / "report", "site-report"):
        click.echo(str(path))


def _client(hub_url: str, key: Path) -> "Client":
    from healthval.client import Client, load_credential

    return Client(hub_url, load_credential(key))


def _record(client: "Client", report_id: str) -> "ReportRecord":
    for record in client.reports():
        if record.id == report_id:
            return record
    raise ReportError("no report with that id is open to this key; see `healthval report list`")


def _numbers(client: "Client", report_id: str) -> Any:
    record = _record(client, report_id)
    if "metrics.json" not in record.files:
        raise ReportError(f"{record.id} has no metrics.json and cannot be compared")
    return json.loads(client.report_file(record, "metrics.json"))
