"""Words, numbers and tables as HTML: escaped, captioned, scoped, with one way to print a number."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from healthval.contracts.submission import SUPPRESSED

Count = int | Literal["suppressed"] | None
WHOLE = 16  # rows; a longer table may go on over a page, with its head repeated
WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Markup:
    """A piece of HTML that is already escaped; every other string is escaped when it is shown."""

    html: str


def number(value: float | None, digits: int = 3) -> str:
    """Print a number with fixed digits and a true minus sign; None is an en dash.

    >>> number(-0.04, 2), number(None), number(-0.0001, 2)
    ('−0.04', '–', '0.00')
    """
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def interval(value: float | None, lo: float | None, hi: float | None, digits: int = 3) -> str:
    """Print an estimate as the journals do.

    >>> interval(0.858, 0.847, 0.871)
    '0.858 (0.847 to 0.871)'
    """
    if lo is None or hi is None:
        return number(value, digits)
    return f"{number(value, digits)} ({number(lo, digits)} to {number(hi, digits)})"


def count(cell: Count) -> str:
    """Print a count with narrow spaces.

    A suppressed one is "withheld", not "<11": the site's gate also holds back larger counts that
    would give a small one away, and a release does not tell which is which.

    >>> count(345), count("suppressed"), count(None)
    ('345', 'withheld', '–')
    """
    if cell is None:
        return "–"
    if cell == SUPPRESSED:
        return WITHHELD
    return f"{cell:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def sites(n: int) -> str:
    """Count sites in words.

    >>> sites(1), sites(3)
    ('1 site', '3 sites')
    """
    return f"{n} site" if n == 1 else f"{n} sites"


@dataclass(frozen=True, slots=True)
class Shown:
    """An estimate as a reader meets it; without a value, `why` says what stands in its place."""

    value: float | None
    lo: float | None = None
    hi: float | None = None
    why: str = WITHHELD

    def text(self, digits: int = 3) -> str:
        """Print value and interval, or the reason why there is none."""
        if self.value is None:
            return self.why
        return interval(self.value, self.lo, self.hi, digits)


def counted(cell: Count, floor: int) -> Markup:
    """Put a count in a table; a suppressed one is hatched and says why."""
    text = escape(count(cell))
    if cell != SUPPRESSED:
        return Markup(text)
    why = f"below {floor}, or would give a count below {floor} away"
    return Markup(f'<span class="suppressed" title="{why}">{text}</span>')


def hatched(floors: Iterable[int]) -> str:
    """Explain the hatched cells of a table under the policies of its sites."""
    named = " or ".join(f"<{floor}" for floor in sorted(set(floors)))
    return f"Hatched: withheld by the site, being {named} or giving such a count away."


def words(column: str) -> str:
    """Turn a column name into words.

    >>> words("with_reference")
    'with reference'
    """
    return column.replace("_", " ")


def show(value: Any) -> str:
    """Escape a word unless it is markup already; an estimate stays on one line."""
    if isinstance(value, Shown):
        return unbroken(value.text()).html
    return value.html if isinstance(value, Markup) else escape(str(value))


def hashed(digest: str) -> Markup:
    """Set a digest in its own type."""
    return Markup(f'<span class="hash">{escape(digest)}</span>')


def unbroken(text: str) -> Markup:
    """Keep a short text on one line."""
    return Markup(f'<span class="unbroken">{escape(text)}</span>')


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    kind: str = "numbers",
    note: str = "",
) -> Markup:
    """Build a semantic table: caption, column scopes, the first cell of each row as its header.

    Parameters
    ----------
    caption, note : plain text, shown above and below the table
    columns : one header for each column
    rows : cells, plain text or `Markup`
    kind : class of the table; ``numbers`` right-aligns all but the first column

    Examples
    --------
    >>> table("Sites", ["Site", "n"], [["A", 12]]).html.count('scope="row"')
    1
    """
    head = "".join(f'<th scope="col">{show(name)}</th>' for name in columns)
    rows = list(rows)
    body = "".join(
        f'<tr><th scope="row">{show(first)}</th>{"".join(f"<td>{show(c)}</td>" for c in rest)}</tr>'
        for first, *rest in rows
    )
    foot = f'<p class="note">{show(note)}</p>' if note else ""
    return Markup(
        f'<div class="table{" long" if len(rows) > WHOLE else ""}"><table class="{kind}"><caption>{show(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}</div>"
    )


def facts(pairs: Iterable[tuple[str, Any]]) -> Markup:
    """Build a description list; pairs without a value are left out."""
    items = "".join(
        f"<div><dt>{show(name)}</dt><dd>{show(value)}</dd></div>" for name, value in pairs if value
    )
    return Markup(f'<dl class="facts">{items}</dl>')


def tiles(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Build a row of the numbers that are read first."""
    items = "".join(f"<div><dt>{show(n)}</dt><dd>{show(v)}</dd></div>" for n, v in pairs)
    return Markup(f'<dl class="tiles">{items}</dl>')


def paragraphs(*texts: str) -> Markup:
    """Wrap plain text in paragraphs, escaped."""
    return Markup("".join(f"<p>{escape(text)}</p>" for text in texts if text))


def bullets(items: Iterable[Any]) -> Markup:
    """Build a list of plain text or markup."""
    return Markup(f"<ul>{''.join(f'<li>{show(item)}</li>' for item in items)}</ul>")


def box(heading: str, inside: Markup, kind: str = "box") -> Markup:
    """Set something apart under a small heading."""
    return Markup(f'<div class="{kind}"><h3>{escape(heading)}</h3>{inside.html}</div>')
