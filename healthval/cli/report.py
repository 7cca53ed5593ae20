"""Commands `verify` and `trust`: check a published report, and choose whose reports to trust."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from healthval.cli.types import FILE
from healthval.errors import UnknownSigner, UsageError

if TYPE_CHECKING:
    from healthval.contracts.keys import HubKeys
    from healthval.report.proof.trust import Verified


def trusted_keys() -> Path:
    """Return the file of the user's pinned keys, in the configuration folder of the system."""
    return Path(click.get_app_dir("healthval")) / "trusted-keys.json"


@click.command()
@click.argument("report", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--key",
    type=FILE,
    help="The platform's public key (.pub), obtained through a different channel than the report.",
)
@click.option(
    "--hub", "hub_url", help="Trust the keys that this hub publishes (https or loopback)."
)
def verify(report: Path, key: Path | None, hub_url: str | None) -> None:
    """Check a report's signature and signer.

    Every file that the signature covers is checked too. When each hospital's plan was registered,
    amended and first used is printed; --hub also checks the hub's countersignatures of these times.

    Without --key and --hub, the keys of `healthval trust list` are trusted. A key beside the
    report is never trusted by itself.
    """
    from healthval.report.proof.registration import registration_lines

    if key is not None and hub_url is not None:
        raise UsageError("give --key or --hub, not both")
    keys = _published(hub_url)
    found = _verified(report, key, keys, hub_url)
    for line in [*found.lines(), *registration_lines(report, keys)]:
        click.echo(line)
    refuse_unknown_signer(found)
    click.echo("verified     signature valid, signer trusted, every signed file unchanged")


def verified(report: Path, hub_url: str) -> "Verified":
    """Check a report's signature by the keys that a hub publishes, or else by the pinned ones.

    A key that the hub revoked is refused even if it is pinned.
    """
    from healthval.report.proof.trust import verify_by_hub, verify_pinned

    found = verify_by_hub(report, hub_url, _keys_of(hub_url))
    return verify_pinned(report, trusted_keys()) if found.trusted_as is None else found


def refuse_unknown_signer(found: "Verified") -> None:
    """Raise `UnknownSigner` if no trusted key made the signature."""
    if found.trusted_as is None:
        raise UnknownSigner(
            "signature valid, signer unknown: anyone can create a key and sign with it. Compare "
            "the fingerprint with the one that the platform publishes, then name the key with "
            "--key or pin it with `healthval trust add`"
        )


def _keys_of(hub_url: str) -> "HubKeys":
    from healthval.client import published_keys

    return published_keys(hub_url)


def _published(hub_url: str | None) -> "HubKeys | None":
    return None if hub_url is None else _keys_of(hub_url)


def _verified(
    report: Path, key: Path | None, keys: "HubKeys | None", hub_url: str | None
) -> "Verified":
    from healthval.report.proof.trust import verify_by_hub, verify_named, verify_pinned

    if key is not None:
        return verify_named(report, key)
    if keys is not None and hub_url is not None:
        return verify_by_hub(report, hub_url, keys)
    return verify_pinned(report, trusted_keys())


@click.group()
def trust() -> None:
    """Choose the keys whose reports you trust."""


@trust.command("add")
@click.argument("key", type=FILE)
@click.option("--label", help="Your name for the key's holder; by default the file's name.")
def trust_add(key: Path, label: str | None) -> None:
    """Pin a platform's public key (.pub), obtained through a different channel than its reports."""
    from healthval.report.proof.trust import pin, read_public_key

    entry = pin(trusted_keys(), read_public_key(key), label or key.name)
    click.echo(f"trusted      {entry.label}")
    click.echo(f"fingerprint  {entry.fingerprint}")
    click.echo("Compare the fingerprint with the one that the platform publishes.")


@trust.command("list")
def trust_list() -> None:
    """List the pinned keys: fingerprint, day of pinning, label."""
    from healthval.report.proof.trust import pinned

    for entry in pinned(trusted_keys()):
        click.echo(f"{entry.fingerprint}  {entry.added:%Y-%m-%d}  {entry.label}")


@trust.command("remove")
@click.argument("which")
def trust_remove(which: str) -> None:
    """Remove a pinned key, named by its label or the first digits of its fingerprint."""
    from healthval.report.proof.trust import unpin

    click.echo(f"no longer trusted: {unpin(trusted_keys(), which).label}")
