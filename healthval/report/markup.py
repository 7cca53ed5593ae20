"""HTML blocks of the report: numbers, counts, tables, lists and boxes, all text escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from healthval.contracts.submission import SUPPRESSED
from healthval.report.wording.language import grouped, localized, mark, reword, say

Count = int | str | None  # a number, "suppressed" or a band
WHOLE = 16  # rows; a longer table may continue on the next page, where its header is repeated
WITHHELD = mark("withheld")


def number(value: float | None, digits: int = 3) -> str:
    """Format a number with fixed digits and a true minus sign; None is an en dash.

    >>> number(-0.04, 2), number(None), number(-0.0001, 2)
    ('−0.04', '–', '0.00')
    """
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return localized(text.replace("-", "−"))


def exact(value: float) -> str:
    """Format a number with the digits it has, without an exponent.

    >>> exact(0.995), exact(-0.0625), exact(1.0), exact(0.00001)
    ('0.995', '−0.0625', '1', '0.00001')
    """
    return localized(_digits(value).replace("-", "−"))


def _digits(value: float) -> str:
    text = f"{Decimal(repr(float(value))):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text if float(text) else "0"


def decimals(value: float) -> int:
    """Count the decimals of a number.

    >>> decimals(0.76), decimals(12.0)
    (2, 0)
    """
    return len(_digits(value).partition(".")[2])


def interval(value: float | None, lo: float | None, hi: float | None, digits: int = 3) -> str:
    """Format an estimate with its confidence interval, as medical journals do.

    >>> interval(0.858, 0.847, 0.871)
    '0.858 (0.847 to 0.871)'
    """
    if lo is None or hi is None:
        return number(value, digits)
    return say(
        "{value} ({lo} to {hi})",
        value=number(value, digits),
        lo=number(lo, digits),
        hi=number(hi, digits),
    )


def percent(value: float, digits: int = 0) -> str:
    """Format a percentage with its sign.

    >>> percent(45.2), percent(3.04, 1)
    ('45%', '3.0%')
    """
    return say("{value}%", value=number(value, digits))


def p_value(p: float) -> str:
    """Format a p-value with two digits and never as zero.

    >>> p_value(0.0421), p_value(0.00001), p_value(1.0)
    ('p = 0.042', 'p < 0.001', 'p = 1')
    """
    return localized("p < 0.001" if p < 0.001 else f"p = {p:.2g}")


def count(cell: Count) -> str:
    """Format a count with narrow spaces between thousands.

    A suppressed count is "withheld", not "<11": the site's gate also suppresses larger counts that
    would reveal a small one, and a release does not distinguish the two. A band is printed as it is.

    >>> count(345), count("suppressed"), count("<11"), count("30-40"), count(None)
    ('345', 'withheld', '<11', '30 to 40', '–')
    """
    if cell is None:
        return "–"
    if cell == SUPPRESSED:
        return say(WITHHELD)
    if isinstance(cell, str):
        low, dash, high = cell.partition("-")
        return say("{low} to {high}", low=low, high=high) if dash else cell
    return grouped(cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An estimate as the report prints it; without a value, `why` is printed instead.

    `digits` are the decimals that were released; more are never printed.
    """

    value: float | None
    lo: float | None = None
    hi: float | None = None
    why: str = WITHHELD
    digits: int | None = None

    def text(self, digits: int = 3) -> str:
        """Format value and interval, or the reason for the missing value.

        >>> as_shown(0.76, 0.6, 0.88, digits=2).text()
        '0.76 (0.60 to 0.88)'
        """
        if self.value is None:
            return reword(self.why)
        shown = digits if self.digits is None else min(digits, self.digits)
        return interval(self.value, self.lo, self.hi, shown)

    def __html__(self) -> str:
        return unbroken(self.text())


def as_shown(
    value: float | None,
    lo: float | None = None,
    hi: float | None = None,
    why: str = WITHHELD,
    *,
    digits: int | None = None,
) -> Shown:
    """Return a printed estimate; its interval is optional."""
    return Shown(value=value, lo=lo, hi=hi, why=why, digits=digits)


def count_cell(cell: Count, floor: int) -> Markup:
    """Format a count for a table cell; a suppressed count is hatched and has the reason as title."""
    if not isinstance(cell, str):
        return escape(count(cell))
    return Markup('<span class="suppressed" title="{title}">{text}</span>').format(
        title=say("below {floor}, or would reveal a count below {floor}", floor=floor),
        text=count(cell),
    )


def hatched(floors: Iterable[int]) -> str:
    """Explain the hatched cells of a table; `floors` are the minimum cells of its sites."""
    found = set(floors)
    lowest, highest = min(found), max(found)
    if lowest == highest:
        return say(
            "Hatched: withheld by the site because the count is <{floor} or would reveal such a "
            "count.",
            floor=lowest,
        )
    return say(
        "Hatched: withheld by the site because the count is below the minimum cell of the site "
        "({lowest} to {highest}) or would reveal such a count.",
        lowest=lowest,
        highest=highest,
    )


def words(column: str) -> str:
    """Format a column name as words.

    >>> words("with_reference")
    'with reference'
    """
    return column.replace("_", " ")


def hashed(digest: str) -> Markup:
    """Format a digest in monospaced type."""
    return Markup('<span class="hash">{}</span>').format(digest)


def unbroken(text: str) -> Markup:
    """Keep a short text on one line."""
    return Markup('<span class="unbroken">{}</span>').format(text)


def beside(main: Markup, detail: str) -> Markup:
    """Show a detail, if there is one, in small type under the main content of a table cell."""
    if not detail:
        return main
    return Markup('{}<span class="detail">{}</span>').format(main, detail)


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    kind: str = "numbers",
    note: str = "",
) -> Markup:
    """Build a semantic table: caption, column scopes, the first cell of each row as row header.

    The table can be scrolled with the keyboard where it is wider than the screen.

    Parameters
    ----------
    caption, note : plain text, shown above and below the table
    columns : one header for each column
    rows : cells: plain text, `Markup` or `Shown`
    kind : class of the table; ``numbers`` right-aligns all columns but the first

    Examples
    --------
    >>> table("Sites", ["Site", "n"], [["A", 12]]).count('scope="row"')
    1
    """
    rows = list(rows)
    return Markup(
        '<div class="table{long}" role="group" tabindex="0" aria-label="{caption}">'
        '<table class="{kind}"><caption>{caption}</caption>'
        "<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}</div>"
    ).format(
        long=" long" if len(rows) > WHOLE else "",
        kind=kind,
        caption=caption,
        head=Markup("").join(_head(column) for column in columns),
        body=Markup("").join(_table_row(row) for row in rows),
        foot=Markup('<p class="note">{}</p>').format(note) if note else "",
    )


def _head(column: str) -> Markup:
    """Return a header cell; an empty one is not a header cell, which screen readers would announce."""
    return Markup('<th scope="col">{}</th>').format(column) if column else Markup("<td></td>")


def _table_row(row: Sequence[Any]) -> Markup:
    first, *rest = row
    cells = _each(Markup("<td>{}</td>"), rest)
    return Markup('<tr><th scope="row">{}</th>{}</tr>').format(first, cells)


def _each(template: Markup, items: Iterable[Any]) -> Markup:
    return Markup("").join(template.format(item) for item in items)


def facts(pairs: Iterable[tuple[str, Any]]) -> Markup:
    """Build a description list; pairs without a value are left out."""
    return Markup('<dl class="facts">{}</dl>').format(_terms(pair for pair in pairs if pair[1]))


def tiles(pairs: Iterable[tuple[str, str | Markup]]) -> Markup:
    """Build the row of headline numbers."""
    return Markup('<dl class="tiles">{}</dl>').format(_terms(pairs))


def _terms(pairs: Iterable[tuple[str, Any]]) -> Markup:
    template = Markup("<div><dt>{}</dt><dd>{}</dd></div>")
    return Markup("").join(template.format(name, value) for name, value in pairs)


def paragraphs(*texts: str) -> Markup:
    """Build one paragraph for each text that is not empty."""
    return _each(Markup("<p>{}</p>"), filter(None, texts))


def bullets(items: Iterable[Any]) -> Markup:
    """Build a list of plain text or markup."""
    return Markup("<ul>{}</ul>").format(_each(Markup("<li>{}</li>"), items))


def box(heading: str, inside: Markup, kind: str = "box") -> Markup:
    """Build a box under a small heading."""
    return Markup('<div class="{}"><h3>{}</h3>{}</div>').format(kind, heading, inside)
