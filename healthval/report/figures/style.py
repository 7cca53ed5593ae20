"""Style of all figures, and the context in which they are drawn to reproducible SVG."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from healthval.errors import UsageError
from healthval.files import install_command
from healthval.report.figures.compact import compact
from healthval.report.wording.language import localized

# Okabe & Ito (2008); together with the line styles, distinct in grey and for colour-blind readers.
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
)
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
INK, MUTED, GREY, PALE = "#1b1f24", "#57606a", "#8c959f", "#d0d7de"

STYLE: dict[str, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8.0,
    "legend.edgecolor": "none",
    "legend.facecolor": "white",
    "legend.fancybox": False,
    "legend.framealpha": 0.85,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "healthval",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
}


class Board:
    """A figure in the making; `svg` is set when the drawing is complete."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure
        self.svg = ""


@contextmanager
def board(
    width: float = 5.5, height: float = 4.0, layout: Literal["constrained"] | None = "constrained"
) -> Iterator[Board]:
    """Open a figure of the given size in inches under the report's style.

    The style extends matplotlib's defaults, not the user's settings, so that the bytes do not
    depend on those settings. The user's settings are restored at the end.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise UsageError(f"a report needs matplotlib: {install_command('notebooks')}") from None
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(), warnings.catch_warnings():
        # A reader's font has the glyphs of a name that the font of the layout lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        settings: Any = mpl.rcParams  # its keys are typed as literals
        settings.update(STYLE)
        figure = Figure(figsize=(width, height), layout=layout)
        FigureCanvasSVG(figure)
        drawn = Board(figure)
        yield drawn
        _localize(figure)
        drawn.svg = _svg(figure)


def _localize(figure: Any) -> None:
    """Give the ticks that matplotlib labels the decimal sign of the report's language."""
    from matplotlib.ticker import ScalarFormatter

    class Localized(ScalarFormatter):
        """Writes a tick as `ScalarFormatter` does, with the decimal sign of the language."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            return localized(super().__call__(x, pos))

    if localized("0.5") == "0.5":
        return
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if type(axis.get_major_formatter()) is ScalarFormatter:
                axis.set_major_formatter(Localized())


def _svg(figure: Any) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]  # drops the prolog, which refers to an external DTD
    return compact(re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL))
