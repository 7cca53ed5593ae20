"""`Report`: ordered sections of text, tables and figures, shown as a notebook or as HTML."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from healthval.errors import ReportError
from healthval.report.markup import Markup


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with what it says in words and the numbers behind it."""

    svg: str = field(repr=False)
    alt: str
    caption: str
    data: Markup = field(repr=False)

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise ReportError(
                "a figure has no alternative text; describe its numbers in one sentence"
            )


Block = str | Markup | Figure
"""Markdown written by ourselves, escaped HTML, or a figure."""


@dataclass(frozen=True, slots=True)
class Section:
    """One heading with its blocks; `id` is its anchor."""

    id: str
    heading: str
    blocks: tuple[Block, ...]

    def _repr_html_(self) -> str:
        inside = "".join(_as_html(block) for block in self.blocks)
        return f'<section id="{self.id}"><h2>{escape(self.heading)}</h2>{inside}</section>'


@dataclass(frozen=True, slots=True)
class Report:
    """What is known about one model under one plan, ready to be shown.

    `numbers` is the content of ``metrics.json``; the sections only show it.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    numbers: dict[str, Any] = field(repr=False)

    def section(self, name: str) -> Section:
        """Look one section up by its anchor."""
        for section in self.sections:
            if section.id == name:
                return section
        raise ReportError(
            f"no section of that name; there are {', '.join(s.id for s in self.sections)}"
        )

    def notebook(self) -> Any:
        """Give the report as a notebook (nbformat 4) whose outputs are the blocks.

        Cell ids are the anchors of the sections and no time is recorded, so equal reports are
        equal notebooks.
        """
        v4 = _v4()
        cells = [
            v4.new_code_cell(
                id=section.id,
                source=f'report.section("{section.id}")',
                metadata={"healthval": {"heading": section.heading}},
                outputs=[output for block in _headed(section) for output in _outputs(block)],
            )
            for section in self.sections
        ]
        metadata = {
            "title": self.title,
            "healthval": {"subtitle": self.subtitle},
            "language_info": {"name": "python"},
        }
        return v4.new_notebook(cells=cells, metadata=metadata)

    def _repr_html_(self) -> str:
        inside = "".join(section._repr_html_() for section in self.sections)
        return f"<article><h1>{escape(self.title)}</h1>{inside}</article>"


def _v4() -> Any:
    """The notebook format, loaded when it is needed; it carries no types."""
    from nbformat import v4

    return v4


def _headed(section: Section) -> Sequence[Block]:
    heading = Markup(f'<h2 id="{section.id}-heading">{escape(section.heading)}</h2>')
    return (heading, *section.blocks)


def _outputs(block: Block) -> list[Any]:
    if isinstance(block, str):
        return [_output("text/markdown", block)]
    if isinstance(block, Markup):
        return [_output("text/html", block.html)]
    words = {"alt": block.alt, "caption": block.caption}
    picture = _output("image/svg+xml", block.svg, {"image/svg+xml": words})
    return [picture, _output("text/html", _details(block.data))]


def _output(kind: str, value: str, metadata: dict[str, Any] | None = None) -> Any:
    return _v4().new_output("display_data", data={kind: value}, metadata=metadata or {})


def _details(data: Markup) -> str:
    return (
        f'<details class="data"><summary>Numbers behind the figure</summary>{data.html}</details>'
    )


def _as_html(block: Block) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>"
    if isinstance(block, Markup):
        return block.html
    source = base64.b64encode(block.svg.encode()).decode()
    picture = f'<img alt="{escape(block.alt)}" src="data:image/svg+xml;base64,{source}">'
    caption = f"<figcaption>{escape(block.caption)}</figcaption>"
    return f"<figure>{picture}{caption}</figure>{_details(block.data)}"
