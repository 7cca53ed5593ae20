"""SVG drawing of lines, filled shapes and texts in points; those of one style share an element.

A plot with a row for each site consists of hundreds of equal lines and texts. One path for all lines of
a style, and one group for its texts, are a fraction of the bytes and of the time of a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from healthval.report.figures.compact import FONTS, HUNDREDTHS, SVG, printed

_BACKGROUND, _LINES, _SHAPES, _TEXTS = range(4)  # from the back to the front


Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stroke:
    """Style of a line; `dash` are the lengths of strokes and gaps, `back` puts it behind all others."""

    colour: str
    width: float
    dash: str = ""
    back: bool = False


@dataclass(frozen=True, slots=True)
class Letters:
    """Style of a text; `anchor` is the end that its position is for."""

    colour: str
    anchor: Literal["start", "middle", "end"] = "start"
    size: int = 8
    bold: bool = False


class Drawing:
    """Collects the parts of a figure of the given size; `svg` returns them in one order for all."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = _points(width), _points(height)
        self._parts: dict[tuple[int, str], list[str]] = {}
        corners = ((0, 0), (width, 0), (width, height), (0, height))
        self._add(_BACKGROUND, "fill='#ffffff'", _polygon(corners))

    def line(self, start: Point, end: Point, stroke: Stroke) -> None:
        """Draw a straight line."""
        style = f"fill='none' stroke='{stroke.colour}' stroke-width='{stroke.width:g}'"
        if stroke.dash:
            style += f" stroke-dasharray='{stroke.dash}'"
        to = f"H{_points(end[0])}" if start[1] == end[1] else f"L{_pair(end)}"
        self._add(_BACKGROUND if stroke.back else _LINES, style, f"M{_pair(start)}{to}")

    def shape(self, corners: Sequence[Point], colour: str) -> None:
        """Fill a polygon."""
        self._add(_SHAPES, f"fill='{colour}'", _polygon(corners))

    def text(self, place: Point, text: str, letters: Letters) -> None:
        """Write a text on a base line."""
        style = f"fill='{letters.colour}' font-size='{letters.size}' text-anchor='{letters.anchor}'"
        style += " font-weight='bold'" * letters.bold
        x, y = map(_points, place)
        self._add(_TEXTS, style, f"<text x='{x}' y='{y}'>{escaped(text)}</text>")

    def svg(self) -> str:
        """Return the figure; equal parts in the same order give equal bytes."""
        inside = "".join(
            f"<g {style}>{''.join(parts)}</g>"
            if layer == _TEXTS
            else f"<path {style} d='{''.join(parts)}'/>"
            for (layer, style), parts in sorted(self._parts.items(), key=lambda part: part[0][0])
        )
        return (
            f"<svg width='{self.width}pt' height='{self.height}pt' "
            f"viewBox='0 0 {self.width} {self.height}' "
            f"font-family='{FONTS}' xmlns='{SVG}'>{inside}</svg>"
        )

    def _add(self, layer: int, style: str, part: str) -> None:
        self._parts.setdefault((layer, style), []).append(part)


def _points(value: float) -> str:
    return printed(round(value * HUNDREDTHS))


def _pair(point: Point) -> str:
    return " ".join(map(_points, point))


def _polygon(corners: Sequence[Point]) -> str:
    return f"M{'L'.join(map(_pair, corners))}Z"


def escaped(text: str) -> str:
    """Escape a text for SVG with attributes in single quotes.

    >>> escaped("St. Mary's <65")
    'St. Mary&#39;s &lt;65'
    """
    return escape(text, {"'": "&#39;"})
