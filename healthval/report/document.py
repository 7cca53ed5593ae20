"""`Report`: ordered sections of text, tables and figures, shown as a notebook or as HTML."""

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from healthval.contracts.report import Language
from healthval.errors import ReportError
from healthval.report.figures.compact import data_url
from healthval.report.wording.language import mark, say, written_in

_DETAILS = Markup('<details class="{}"><summary>{}</summary>{}</details>')

_NUMBERS = mark("Numbers behind the figure")


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with its alternative text, its caption and the table of its numbers."""

    svg: str = field(repr=False)
    alt: str
    caption: str
    data: Markup = field(repr=False)

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise ReportError("a figure has no alt text; describe its numbers in one sentence")

    def details(self) -> Markup:
        """Return the table of the numbers, folded under a summary."""
        return _DETAILS.format("data", say(_NUMBERS), self.data)

    def __html__(self) -> str:
        return Markup(
            '<figure><img alt="{alt}" src="{source}">'
            "<figcaption>{caption}</figcaption></figure>{details}"
        ).format(
            alt=self.alt,
            source=data_url(self.svg),
            caption=self.caption,
            details=self.details(),
        )


class NumberedFigure(Figure):
    """A drawing that prints its numbers itself; print leaves out their table."""

    def details(self) -> Markup:
        """Return the table of the numbers, folded under a summary and left out in print."""
        return _DETAILS.format("data drawn", say(_NUMBERS), self.data)


Block = Markup | Figure


@dataclass(frozen=True, slots=True)
class Section:
    """One heading with its blocks; `id` is its anchor."""

    id: str
    heading: str
    blocks: tuple[Block, ...]

    def _repr_html_(self) -> str:
        inside = Markup("").join(self.blocks)
        template = Markup('<section id="{}"><h2>{}</h2>{}</section>')
        return str(template.format(self.id, self.heading, inside))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The results on one model under one plan as sections.

    `numbers` is the content of ``metrics.json``, the same in every language; the sections show the
    same numbers.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    numbers: dict[str, Any] = field(repr=False)
    language: Language = "en"

    def section(self, name: str) -> Section:
        """Return the section with this anchor."""
        for section in self.sections:
            if section.id == name:
                return section
        raise ReportError(
            "the report has no section with that name; its sections are "
            f"{', '.join(section.id for section in self.sections)}"
        )

    def notebook(self) -> Any:
        """Return the report as a notebook (nbformat 4) whose outputs are the blocks.

        Cell ids are the anchors of the sections and no time is recorded, so that equal reports are
        equal notebooks.
        """
        v4 = _v4()
        with written_in(self.language):
            cells = [
                v4.new_code_cell(
                    id=section.id,
                    source=f'report.section("{section.id}")',
                    metadata={"healthval": {"heading": section.heading}},
                    outputs=_outputs(section),
                )
                for section in self.sections
            ]
        metadata = {
            "title": self.title,
            "healthval": {"subtitle": self.subtitle, "language": self.language},
            "language_info": {"name": "python"},
        }
        return v4.new_notebook(cells=cells, metadata=metadata)

    def _repr_html_(self) -> str:
        with written_in(self.language):
            inside = "".join(section._repr_html_() for section in self.sections)
        head = Markup("<h1>{}</h1>").format(self.title)
        return f"<article>{head}{inside}</article>"


def _v4() -> Any:
    """Import the notebook format when it is needed; the module has no type information."""
    from nbformat import v4

    return v4


def _outputs(section: Section) -> list[Any]:
    heading = Markup('<h2 id="{}-heading">{}</h2>').format(section.id, section.heading)
    outputs = [_output("text/html", heading)]
    for block in section.blocks:
        if isinstance(block, Figure):
            alt_and_caption = {"alt": block.alt, "caption": block.caption}
            metadata = {"image/svg+xml": alt_and_caption}
            outputs.append(_output("image/svg+xml", block.svg, metadata))
            outputs.append(_output("text/html", block.details()))
        else:
            outputs.append(_output("text/html", block))
    return outputs


def _output(kind: str, value: str, metadata: dict[str, Any] | None = None) -> Any:
    return _v4().new_output("display_data", data={kind: str(value)}, metadata=metadata or {})
