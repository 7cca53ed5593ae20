"""Command group `access`: request access to a model, list requests, decide on them."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from healthval.cli.types import FILE, FOLDER, HUB, KEY, agrees, note_if_empty
from healthval.errors import UsageError, counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from healthval.contracts.access import AccessGrant, PublicKey
    from healthval.contracts.aws_role import AwsRole


@click.group()
def access() -> None:
    """Request access, or decide on requests."""


@access.command("request")
@HUB
@click.option("--site", type=FOLDER, required=True, help="Folder of the site.")
@click.option(
    "--new-site",
    is_flag=True,
    help="Create the folder with its key and secret: the hub counts each key as a hospital.",
)
@click.option("--plan", "plan_file", type=FILE, required=True, help="The study's plan.")
@click.option("--label", required=True, help="Site name shown to the operator.")
def access_request(hub_url: str, site: Path, new_site: bool, plan_file: Path, label: str) -> None:
    """Ask for access to the plan's model.

    A hospital keeps one site folder for all its studies. Its first request has --new-site.
    """
    from healthval.client import Client
    from healthval.evaluation import Site, request_access
    from healthval.plan_file import load_plan

    plan = load_plan(plan_file)
    home = Site.create(site) if new_site else Site.open(site)
    with Client(hub_url, home.credential) as client:
        grant = request_access(plan, client, site=home, label=label)
    click.echo(repr(home.register(plan)))
    click.echo(f"{grant.site}: {grant.status}")


@access.command("list")
@HUB
@KEY
def access_list(hub_url: str, key: Path) -> None:
    """List requests and grants. A site sees only its own."""
    from healthval.client import Client, load_credential

    with Client(hub_url, load_credential(key)) as client:
        grants = client.access_requests()
    for grant in grants:
        click.echo(_line(grant))
    note_if_empty(grants, "no requests yet; a hospital asks with `healthval access request`")


def _line(grant: "AccessGrant") -> str:
    day = f"{grant.requested:%Y-%m-%d}" if grant.requested else "-"
    about = f"{grant.plan_hash[:12]}  {day}  {grant.model} {grant.version}  {grant.label}"
    title = f'  "{grant.title}"' if grant.title else ""
    quota = (
        f"  {grant.used_cases} of {counted(grant.max_cases, 'case')} until {grant.not_after:%Y-%m-%d}"
        if grant.not_after
        else ""
    )
    reason = f"  ({grant.reason})" if grant.reason else ""
    role = f"  {grant.aws_role}" if grant.aws_role else ""
    return f"{grant.site}  {grant.state or grant.status:<9}  {about}{title}{quota}{role}{reason}"


SITE = click.argument("site")
PLAN = click.option(
    "--plan",
    "plan_hash",
    metavar="HASH",
    help="First digits of the plan's hash, 8 or more; needed for a renewal, and where several requests wait.",
)
REASON = click.option("--reason", help="Why; the site and the audit log can read it.")
DAYS = click.option(
    "--days",
    "valid_days",
    type=click.IntRange(1, 366),
    default=90,
    show_default=True,
    help="Days until the approval expires.",
)
CASES = click.option(
    "--cases",
    "max_cases",
    type=click.IntRange(1, 10_000_000),
    default=100_000,
    show_default=True,
    help="Cases that the site may have scored.",
)
YES = click.option("--yes", is_flag=True, help="Decide without the question.")


@access.command("approve")
@HUB
@KEY
@SITE
@PLAN
@REASON
@DAYS
@CASES
def access_approve(valid_days: int, max_cases: int, **given: Any) -> None:
    """Approve one request of the site SITE. The key is the operator's.

    With --plan, an approval is renewed: its end is counted from now, and its cases include those
    already scored.
    """
    _decide("approved", limits={"valid_days": valid_days, "max_cases": max_cases}, **given)


@access.command("deny")
@HUB
@KEY
@SITE
@PLAN
@REASON
def access_deny(**given: Any) -> None:
    """Deny one request of the site SITE. The key is the operator's."""
    _decide("rejected", **given)


@access.command("suspend")
@HUB
@KEY
@SITE
@PLAN
@REASON
def access_suspend(**given: Any) -> None:
    """Suspend one approval of the site SITE.

    It can be approved again. The key is the operator's.
    """
    _decide("suspended", **given)


@access.command("revoke")
@HUB
@KEY
@SITE
@PLAN
@REASON
@YES
def access_revoke(yes: bool, **given: Any) -> None:
    """Revoke one approval of the site SITE. The key is the operator's.

    Revocation is final: the site would need a new plan and a new request. You are asked first.
    """

    def confirm(grant: "AccessGrant") -> bool:
        click.echo(_line(grant))
        return agrees("Revoke this access for good?")

    _decide("revoked", confirm=(lambda _: True) if yes else confirm, **given)


def _decide(
    status: str,
    *,
    confirm: "Callable[[AccessGrant], bool]" = lambda _: True,
    limits: dict[str, int] | None = None,
    reason: str | None,
    **given: Any,
) -> None:
    from healthval.client import Client, load_credential
    from healthval.contracts.access import AccessDecision
    from healthval.runner.operator_tasks import decide

    try:
        wanted = {"status": status, "reason": reason, **(limits or {})}
        decision = AccessDecision.model_validate(wanted)
    except ValueError:
        raise UsageError(
            "the reason is empty, longer than 200 characters or not one line"
        ) from None
    with Client(given["hub_url"], load_credential(given["key"])) as client:
        grant = decide(client, given["site"], decision, plan=given["plan_hash"], confirm=confirm)
    click.echo(_line(grant))


@access.command("keys")
@HUB
@KEY
def access_keys(hub_url: str, key: Path) -> None:
    """List the keys that the hub knows. The key is the operator's or an auditor's."""
    from healthval.client import Client, load_credential

    with Client(hub_url, load_credential(key)) as client:
        known = client.keys()
    for one in known:
        more = "".join(f"  {text}" for text in (one.label, one.aws_role) if text)
        click.echo(f"{one.name}  {one.holder}  {one.role:<8}  {one.state:<7}{more}")


@access.command("rotate-key")
@HUB
@KEY
@click.option(
    "--days",
    type=click.IntRange(0, 30),
    default=7,
    show_default=True,
    help="Days for which the hub still accepts the old key.",
)
def access_rotate_key(hub_url: str, key: Path, days: int) -> None:
    """Replace your key by a new one.

    The new key is in the same file; grants and results stay yours.
    """
    from healthval.client import Client, load_credential

    with Client(hub_url, load_credential(key)) as client:
        new = client.rotate_key(key, overlap_days=days)
    click.echo(
        f"{new.id}: the new key is {new.key_name}; the old one ends in {counted(days, 'day')}"
    )


@access.command("revoke-key")
@HUB
@KEY
@click.argument("name")
@YES
def access_revoke_key(hub_url: str, key: Path, name: str, yes: bool) -> None:
    """Revoke the key NAME.

    It is the key of a site, vendor or auditor; --key is the operator's. Revocation is final and ends at
    once what the key may do; you are asked first.
    """
    from healthval.client import Client, load_credential

    if not yes and not agrees("Revoke this key for good?"):
        raise UsageError("not confirmed, so the key was not revoked")
    with Client(hub_url, load_credential(key)) as client:
        client.revoke_key(name)
    click.echo(f"{name}: revoked")


LABEL = click.option("--label", required=True, help="Name of the holder.")


@access.command("link")
@HUB
@KEY
@click.argument("vendor")
@click.option(
    "--hours", type=click.IntRange(1, 8), default=8, show_default=True, help="Hours until it ends."
)
def access_link(hub_url: str, key: Path, vendor: str, hours: int) -> None:
    """Print a vendor's dashboard link.

    VENDOR is the name of the vendor's key. Whoever has the link can read the vendor's reports until it ends.
    """
    from healthval.client import Client, load_credential

    with Client(hub_url, load_credential(key)) as client:
        link = client.dashboard_link(vendor, hours=hours)
        click.echo(f"{client.transport.origin}/#{link.fragment}")


@access.command("enrol-auditor")
@HUB
@KEY
@click.argument("public_key", type=FILE)
@LABEL
def access_enrol_auditor(hub_url: str, key: Path, public_key: Path, label: str) -> None:
    """Enrol an auditor by its PUBLIC_KEY.

    It is the .pub file of a key or AWS role; its holder is allowed to read audit chain, grants and keys.
    """
    from healthval.client import Client, load_credential
    from healthval.contracts.access import AuditorKey, site_id

    public = read_public_key(public_key)
    try:
        auditor = AuditorKey(public_key=public, label=label)
    except ValueError:
        raise UsageError("the label is malformed; correct it") from None
    with Client(hub_url, load_credential(key)) as client:
        client.enrol_auditor(auditor)
    click.echo(f"{site_id(public)}: auditor")


@access.command("enrol-operator")
@HUB
@KEY
@click.argument("role", type=FILE)
@LABEL
def access_enrol_operator(hub_url: str, key: Path, role: Path, label: str) -> None:
    """Enrol an AWS role as operator.

    It is a .pub file that `access use-role` wrote; --key is the operator's own key, which alone enrols.
    """
    from healthval.client import Client, load_credential
    from healthval.contracts.access import OperatorRole, site_id
    from healthval.contracts.aws_role import AwsRole

    public = read_public_key(role)
    if not isinstance(public, AwsRole):
        raise UsageError("the file names no AWS role; give the .pub file of `access use-role`")
    try:
        enrolled = OperatorRole(public_key=public, label=label)
    except ValueError:
        raise UsageError("the label is malformed; correct it") from None
    with Client(hub_url, load_credential(key)) as client:
        client.enrol_operator(enrolled)
    click.echo(f"{site_id(public)}: operator")


@access.command("use-role")
@click.argument("arn")
@click.argument("key", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--profile", help="Profile of ~/.aws/config; without it, AWS's default chain.")
def access_use_role(arn: str, key: Path, profile: str | None) -> None:
    """Sign calls of a hub on AWS by a role.

    Writes the credential KEY of the IAM role ARN.

    The file has no secret. Use it as --key, or as site.key of a new site's folder; a vendor, auditor or
    operator sends KEY.pub to be enrolled.
    """
    from healthval.client import RoleCredential

    made = RoleCredential.create(key, arn, profile)
    click.echo(f"{made.id}: {key} names {made.public_key.arn}; it has no secret")


def read_public_key(path: Path) -> "PublicKey | AwsRole":
    """Read the public half of a key, or the AWS role in place of one."""
    from healthval.contracts.access import PublicKey
    from healthval.contracts.aws_role import AwsRole
    from healthval.contracts.base import read_wire

    content = path.read_bytes()
    with suppress(ValueError):
        return read_wire(PublicKey, content)
    with suppress(ValueError):
        return read_wire(AwsRole, content)
    raise UsageError("the file is neither a public key nor an AWS role; give its .pub file")
