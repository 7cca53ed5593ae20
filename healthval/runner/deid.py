"""`healthval deid`: the command's words into a policy, the batch's counts into lines."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from healthval.deid import (
    Option,
    PixelPolicy,
    Policy,
    Secret,
    deidentify_files,
    explain,
    read_region_rules,
)
from healthval.errors import UsageError, counted

Text = Literal["ignore", "refuse", "blank"]


def policy_of(
    options: Iterable[str], rules: Path | None, text: Text, sign_off: str | None
) -> Policy:
    """The policy that the command's options name."""
    found = read_region_rules(rules) if rules else ()
    pixels = PixelPolicy(rules=found, text=text, sign_off=sign_off)
    return Policy(options=frozenset(map(Option, options)), pixels=pixels)


def explanation(policy: Policy) -> list[str]:
    """One line an attribute: tag, keyword, action, meaning."""
    return [
        f"{row.tag:<12} {row.keyword:<48} {row.action:<3} {row.meaning}" for row in explain(policy)
    ]


def batch(  # noqa: PLR0913  the two last are by keyword
    source: tuple[Path, ...],
    out: Path | None,
    policy: Policy,
    secret: Path | None,
    *,
    known: Path | None = None,
    workers: int = 1,
) -> list[str]:
    """De-identify and audit a batch; tell counts, never a file's content.

    `known` is a file of further identifiers that the audit looks for, one a line.
    """
    if not source or out is None or secret is None:
        raise UsageError(
            "name the source, --out and --secret: healthval deid images/ -o deidentified/ --secret site/deid.secret"
        )
    found = Secret.from_file(secret)
    words = _lines(known) if known else ()
    manifest = deidentify_files(list(source), out, policy, found, workers=workers, known=words)
    return [
        f"files in       {manifest.files_in}",
        f"written        {manifest.files_out} (audited: no identifier of the source found)",
        f"duplicates     {manifest.duplicates}",
        *(
            f"{word:<14} {counted(number, 'output')} of an earlier run"
            for word, number in (
                ("withdrawn", manifest.withdrawn),
                ("replaced", manifest.replaced),
            )
            if number
        ),
        *(f"refused        {count} {reason}" for reason, count in sorted(manifest.refused.items())),
        *(f"look at        {count} {flag}" for flag, count in sorted(manifest.flags.items())),
        f"manifest       {manifest.folder / 'manifest.json'}",
    ]


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeError):
        raise UsageError("the file of known identifiers cannot be read as UTF-8 text") from None
    return [line.strip() for line in lines if line.strip()]
