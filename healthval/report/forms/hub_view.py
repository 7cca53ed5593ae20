"""Page for a privacy officer: all that left a site, as the hub sees it."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from healthval.contracts.aws_role import AwsRole
from healthval.contracts.keys import fingerprint
from healthval.disclosure import Release, releases
from healthval.disclosure.ledger import Entry
from healthval.disclosure.ledger_view import STYLE, chain_table, verify
from healthval.disclosure.release_view import html as release_tables
from healthval.errors import counted
from healthval.evaluation import Site, plan_names
from healthval.files import write_durably
from healthval.plan import Plan
from healthval.plan_versions import PlanVersion, all_versions

Cells = Sequence[str]
_PSEUDONYMS = (
    "The hub gets each case under a pseudonym, 'case-' and 16 hexadecimal digits: a keyed hash of the "
    "case's identifier under a secret of this site, another one for each plan. The secret stays in "
    "deid.secret. The ledger has the SHA-256 of each request, not its content."
)
_PLANS = (
    "A request for access sends the hospital's label, the site's public key, and of the plan: its hash, "
    "title, model, the names of columns, levels and steps that a result may contain, and the reason of a "
    "change. The list has each plan that was registered here, whether or not access was asked for."
)
_NOT_HERE = (
    "Not on this page: what other programs sent, and the form of each call (address, time, a signature "
    "with the site's key). With a result the last hash of the chain below is sent."
)


def write_hub_view(site: Site, path: Path) -> Path:
    """Write the page and return its path.

    Raises
    ------
    LedgerError
        If the chain of the ledger is broken; nothing is written.
    PlanError
        If the site's record of its plans cannot be read.
    """
    write_durably(path, hub_view(site).encode(), mode=0o644)
    return path


def hub_view(site: Site) -> str:
    """Render plans, inputs, releases and ledger of a site as a page without scripts."""
    summary, entries = verify(site.ledger), site.ledger.entries()
    public = site.credential.public_key
    if isinstance(public, AwsRole):
        identity = f"AWS role {public.arn}"
    else:
        identity = f"key fingerprint {fingerprint(public)}"
    name = f"The hub knows this site as {site.credential.id}, {identity}."
    sent = [entry for entry in entries if entry.kind == "payload"]
    parts = [
        _section("Name", _paragraph(name)),
        _section("Plans", _paragraph(_PLANS), _table(_PLAN_HEAD, _plans(site.folder))),
        _section(
            "De-identified inputs", _paragraph(_PSEUDONYMS), _table(_INPUT_HEAD, _inputs(sent))
        ),
        _section("Released results", *map(_release, releases(site.ledger))),
        _section("Ledger", _paragraph(summary), chain_table(entries), _paragraph(_NOT_HERE)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>As the hub sees it</title><style>{STYLE}</style></head><body>"
        f"<h1>As the hub sees it</h1>{''.join(parts)}</body></html>\n"
    )


_PLAN_HEAD = ("Study", "Title", "Hash", "Registered (UTC)", "Reason of the change", "Names")


def _plans(folder: Path) -> Iterator[Cells]:
    for study, versions in all_versions(folder).items():
        for version in versions:
            title, names = _told(folder, version)
            when = f"{version.registered:%Y-%m-%d %H:%M}"
            yield (study, title, version.hash, when, version.reason or "–", names)


def _told(folder: Path, version: PlanVersion) -> tuple[str, str]:
    """Title of a plan and the names that a request for access sends, where its text is kept."""
    path = folder / "plans" / f"{version.hash}.json"
    if not path.is_file():
        return "–", "the plan's text is not kept here"
    try:
        plan = Plan.model_validate_json(path.read_bytes(), strict=False)
    except ValueError:  # written by another version of this package
        return "–", "the plan's text kept here cannot be read"
    return plan.title, ", ".join(plan_names(plan))


_INPUT_HEAD = ("Model", "Fields", "Requests", "Cases", "Bytes", "First (UTC)", "Last (UTC)")


def _inputs(sent: Sequence[Entry]) -> Iterator[Cells]:
    """One row for each model and set of fields; a case that was sent twice counts twice."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in sent:
        fields = ", ".join(entry.body.get("fields", ())) or "not recorded"
        groups.setdefault((f"{entry.body['model']} {entry.body['version']}", fields), []).append(
            entry
        )
    for (model, fields), found in groups.items():
        cases, size = (sum(e.body[key] for e in found) for key in ("n_cases", "n_bytes"))
        times = [entry.when[:16].replace("T", " ") for entry in (found[0], found[-1])]
        yield (model, fields, f"{len(found):,}", f"{cases:,}", f"{size:,}", *times)


def _release(release: Release) -> str:
    whole = json.dumps(json.loads(release.payload), indent=1, ensure_ascii=False)
    size = counted(len(release.payload), "byte")
    return (
        f"<h3>{escape(release.sha256[:16])}</h3>{release_tables(release)}"
        f"<details><summary>The message itself, {size}</summary><pre>{escape(whole)}</pre></details>"
    )


def _section(heading: str, *parts: str) -> str:
    return f"<h2>{heading}</h2>{''.join(parts) or '<p>Nothing.</p>'}"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _table(head: Cells, rows: Iterator[Cells]) -> str:
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in head)
    return (
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        if body
        else "<p>Nothing.</p>"
    )
