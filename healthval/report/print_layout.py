"""Print layout of a parsed page: given column widths, and the numbers behind a figure in one paragraph.

WeasyPrint lays out each cell of a table several times to find the widths of the columns. Here the
widths follow from the advances of the packaged font, by the rule of CSS 2.1 (17.5.2.2): each column has
its smallest width, and the rest is shared by what its texts would take on one line.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from xml.etree.ElementTree import Element, SubElement

Measure = Callable[[str], float]

WIDTH = 63.0  # em: a table of the printed page
_PADDING = 1.4  # em: both sides of a cell
_HEADER = 7.2  # em: least width of a row's header, whose words may break
_BOLD = 1.18  # advance of bold letters


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
    rows = ["\N{NO-BREAK SPACE}· ".join(map(_text, row)) for row in details.iter("tr")]
    tail = details.tail
    details.clear()
    details.tag, details.tail = "p", tail
    details.set("class", "data")
    details.text = ": ".join([*heads, "; ".join(rows)])


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
    whole = "numbers" in _classes(table)
    columns = list(zip_longest(*([_ends(c, measure, whole=whole) for c in row] for row in rows)))
    widths = shared([[pair for pair in column if pair] for column in columns])
    if widths is None:
        return
    group = Element("colgroup")
    for width in widths:
        SubElement(group, "col", style=f"width: {100 * width / sum(widths):.2f}%")
    table.insert(int(table[0].tag == "caption"), group)
    table.set("style", "table-layout: fixed")


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
        width = measure(text) * (_BOLD if cell.tag == "th" else 1.0)
        unbroken = "unbroken" in _classes(part) or (whole and cell.tag == "td")
        words = max(map(measure, text.split()), default=0.0) * (_BOLD if cell.tag == "th" else 1.0)
        least, most = max(least, width if unbroken else words), max(most, width)
    if cell.tag == "th" and cell.get("scope") == "row":
        least = min(least, _HEADER)
    return least + _PADDING, most + _PADDING


def _parts(cell: Element) -> Iterable[tuple[Element, str]]:
    """Yield each text of a cell with the element that it is in."""
    for element in cell.iter():
        yield element, (element.text or "").strip()
        if element is not cell:
            yield cell, (element.tail or "").strip()


def shared(columns: Sequence[Sequence[tuple[float, float]]]) -> list[float] | None:
    """Return the widths of columns in em, or None if the smallest ones are wider than the page.

    >>> shared([[(10, 10)], [(11, 11)]])
    [30.0, 33.0]
    """
    least = [max((low for low, _ in column), default=_PADDING) for column in columns]
    most = [max((high for _, high in column), default=_PADDING) for column in columns]
    if sum(least) > WIDTH:
        return None
    if sum(most) <= WIDTH:
        return [width * WIDTH / sum(most) for width in most]
    rest = (WIDTH - sum(least)) / (sum(most) - sum(least))
    return [low + rest * (high - low) for low, high in zip(least, most, strict=True)]
