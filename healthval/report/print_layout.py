"""Print layout of a parsed page: given column widths, and the numbers behind a figure in one paragraph.

WeasyPrint lays out each cell of a table several times to find the widths of the columns. Here the
widths follow from the advances of the packaged font, by the rule of CSS 2.1 (17.5.2.2): each column has
its smallest width, and the rest is shared by what its texts would take on one line.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, zip_longest
from xml.etree.ElementTree import Element, SubElement

Measure = Callable[[str], float]

WIDTH = 63.0  # em: a table of the printed page
_SMALL = 0.85  # type of a table that is too wide even so, as in print.css
_PADDING = 1.4  # em: both sides of a cell
_HEADER = 7.2  # em: least width of a row's header, whose words may break
_BOLD = 1.18  # advance of bold letters
_SIGNED = frozenset({"verdict", "suppressed"})
_SIGN = 1.3  # em: hatched square of a withheld count, or both ends of a verdict


def prepare(root: Element, measure: Measure) -> None:
    """Give tables their column widths, and print the numbers behind figures as text.

    Parameters
    ----------
    root : parsed page; it is changed
    measure : width of a text in em
    """
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == "details" and "data" in _classes(child):
                _print_numbers(parent, child)
    for table in root.iter("table"):
        _set_widths(table, measure)


def _classes(element: Element) -> list[str]:
    return element.get("class", "").split()


def _print_numbers(parent: Element, details: Element) -> None:
    """Replace the table of a figure by a paragraph, or drop it where the figure prints its numbers."""
    if "drawn" in _classes(details):
        parent.remove(details)
        return
    heads = [_text(e) for tag in ("summary", "caption") for e in details.iter(tag)]
    rows = _sentences([list(map(_text, row)) for row in details.iter("tr")])
    tail = details.tail
    details.clear()
    details.tag, details.tail = "p", tail
    details.set("class", "data")
    details.text = ": ".join([*heads, "; ".join(rows)])


def _sentences(rows: Sequence[Sequence[str]]) -> list[str]:
    r"""Join the cells of each row; of several rows about one site, only the first one names it.

    >>> [r.replace("\xa0", " ") for r in _sentences([["Site", "x"], ["A", "1"], ["A", "2"]])]
    ['Site: x', 'A: 1', '2']
    """
    dot, names = "\N{NO-BREAK SPACE}· ", [row[0] for row in rows]
    if all(name != other for name, other in pairwise(names)):
        return [dot.join(row) for row in rows]
    return [
        dot.join(row[1:]) if row[0] == before else f"{row[0]}: {dot.join(row[1:])}"
        for before, row in zip([None, *names], rows, strict=False)
    ]


def _text(element: Element) -> str:
    return "".join(element.itertext()).strip()


def _set_widths(table: Element, measure: Measure) -> None:
    rows = [list(row) for row in table.iter("tr")]
    cells = [cell for row in rows for cell in row]
    spanning = any(cell.get("colspan") or cell.get("rowspan") for cell in cells)
    if not cells or spanning or "narrow" in _classes(table) or list(table.iter("colgroup")):
        return
    for cell in cells:
        _unwrap(cell)
    widths = _widths(rows, measure, whole="numbers" in _classes(table))
    if widths is None:  # an estimate and its interval need two lines
        widths = _widths(rows, measure, whole=False)
        table.set("class", f"{table.get('class', '')} broken")
    if widths is None:  # long words, such as "withheld" in German, in many columns
        widths = _widths(rows, measure, whole=False, room=WIDTH / _SMALL)
        table.set("class", f"{table.get('class', '')} small")
    if widths is None:
        return
    group = Element("colgroup")
    for width in widths:
        SubElement(group, "col", style=f"width: {100 * width / sum(widths):.2f}%")
    table.insert(int(table[0].tag == "caption"), group)
    table.set("style", "table-layout: fixed")


def _widths(
    rows: Sequence[Sequence[Element]], measure: Measure, *, whole: bool, room: float = WIDTH
) -> list[float] | None:
    columns = zip_longest(*([_ends(c, measure, whole=whole) for c in row] for row in rows))
    return shared([[pair for pair in column if pair] for column in columns], room)


def _unwrap(cell: Element) -> None:
    """Move the class of an only span to its cell."""
    if len(cell) == 1 and cell[0].tag == "span" and not (cell.text or cell[0].tail):
        inner = cell[0]
        if _classes(inner) == ["unbroken"] and not len(inner):
            cell.text = inner.text
            cell.remove(inner)
            cell.set("class", " ".join([*_classes(cell), "unbroken"]))


def _ends(cell: Element, measure: Measure, *, whole: bool) -> tuple[float, float]:
    """Return the least width of a cell, and the width of its longest text on one line."""
    least = most = 0.0
    for part, text in _parts(cell):
        classes = set(_classes(part))
        bold = cell.tag == "th" or "verdict" in classes
        width = measure(text) * (_BOLD if bold else 1.0) + (_SIGN if classes & _SIGNED else 0.0)
        unbroken = classes & {"unbroken", *_SIGNED} or (whole and cell.tag == "td")
        words = max(map(measure, text.split()), default=0.0) * (_BOLD if cell.tag == "th" else 1.0)
        least, most = max(least, width if unbroken else words), max(most, width)
    if cell.tag == "th" and cell.get("scope") == "row":
        least = min(least, _HEADER)
    return least + _PADDING, most + _PADDING


def _parts(cell: Element) -> Iterable[tuple[Element, str]]:
    """Yield each text of a cell with the element that it is in; what has a sign is one text."""
    for element in cell.iter():
        signed = _SIGNED.intersection(_classes(element))
        yield element, _text(element) if signed else (element.text or "").strip()
        if element is not cell:
            yield cell, (element.tail or "").strip()


def shared(
    columns: Sequence[Sequence[tuple[float, float]]], room: float = WIDTH
) -> list[float] | None:
    """Return the widths of columns in em, or None if the smallest ones are wider than the room.

    >>> shared([[(10, 10)], [(11, 11)]])
    [30.0, 33.0]
    """
    least = [max((low for low, _ in column), default=_PADDING) for column in columns]
    most = [max((high for _, high in column), default=_PADDING) for column in columns]
    if sum(least) > room:
        return None
    if sum(most) <= room:
        return [width * room / sum(most) for width in most]
    rest = (room - sum(least)) / (sum(most) - sum(least))
    return [low + rest * (high - low) for low, high in zip(least, most, strict=True)]
