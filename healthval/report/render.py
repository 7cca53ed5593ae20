"""Rendering: a notebook to HTML by an nbconvert template, that HTML to a tagged PDF."""

import contextlib
import gc
import io
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from typing import Any

from healthval.errors import ReportError, counted
from healthval.files import install_command, packaged
from healthval.report.fonts import check_glyphs, font_css, font_files, width
from healthval.report.print_layout import prepare
from healthval.report.wording.language import say, written_in

PANGO = (
    "the PDF needs Pango: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
    " (Debian, Ubuntu) or brew install pango (macOS); the HTML report works without it"
)


def render_html(notebook: Any) -> str:
    """Render an executed notebook as one self-contained page, without scripts and outside resources.

    Inputs and warnings are left out. Equal notebooks give equal bytes.

    Parameters
    ----------
    notebook : NotebookNode, from `Report.notebook` or read by nbformat

    Raises
    ------
    ReportError
        If a cell failed, a figure has no alt text, or an element would load an outside resource.
    UsageError
        If the installation lacks the template.
    """
    _check_cells(notebook)
    html = page_of(notebook, exclude_input=True, exclude_anchor_links=True)
    _check_self_contained(html)
    return html


def page_of(notebook: Any, **options: Any) -> str:
    """Return a notebook as a page of the template, in its language, without the checks of a report.

    Parameters
    ----------
    options : further traits of nbconvert's HTMLExporter
    """
    language = notebook.metadata.get("healthval", {}).get("language", "en")
    exporter = _exporter()(
        template_name="healthval",
        extra_template_basedirs=[str(packaged("templates"))],
        anchor_link_text="",
        language_code=language,
        **options,
    )
    exporter.environment.globals["say"] = say
    with written_in(language):
        html, _ = exporter.from_notebook_node(notebook)
    return str(html)


_NO_ALT = re.compile(r"<img(?![^>]*\salt=)")


@cache
def _exporter() -> Any:
    from nbconvert import HTMLExporter, TemplateExporter

    class Exporter(HTMLExporter):
        """Writes a page as the template gives it; nbconvert's own parses and prints it once more.

        That second round adds missing alternative texts only, and takes longer than the template.
        """

        def from_notebook_node(self, nb: Any, resources: Any = None, **options: Any) -> Any:
            made = TemplateExporter.from_notebook_node(self, nb, resources, **options)
            if _NO_ALT.search(made[0]):
                return super().from_notebook_node(nb, resources, **options)
            return made

    return Exporter


def _check_cells(notebook: Any) -> None:
    for position, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                raise ReportError(
                    f"cell {position} failed; a failed notebook may contain identifiable values and is "
                    "never rendered: correct the cell and run the notebook again"
                )
            if _lacks_alt_text(cell, output):
                raise ReportError(
                    f"cell {position}: figure has no alt text; show it with "
                    'display(figure, metadata={"image/png": {"alt": "the numbers in words"}})'
                )


def _lacks_alt_text(cell: Any, output: Any) -> bool:
    pictures = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
    if not pictures or {"text/html", "text/markdown"} & set(output.data):
        return False
    texts = [output.metadata.get(kind, {}).get("alt") for kind in pictures]
    return not any([*texts, output.metadata.get("alt"), cell.metadata.get("alt")])


_LOADING = frozenset({"src", "srcset", "data", "poster", "background"})
_FRAMES = frozenset({"iframe", "frame", "object", "embed", "base"})
_STYLE_LOADS = re.compile(r"@import|url\(\s*[\"']?(?!data:|#)", re.IGNORECASE)


class _Loads(HTMLParser):
    """Collects the tags that make a browser load an outside resource or show another page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.in_style = tag == "style"
        given = {name: value or "" for name, value in attrs}
        refresh = tag == "meta" and given.get("http-equiv", "").lower() == "refresh"
        if tag in _FRAMES or refresh or any(_loads(tag, *pair) for pair in given.items()):
            self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.in_style = False

    def handle_data(self, data: str) -> None:
        if self.in_style and _STYLE_LOADS.search(data):
            self.found.append("style")


def _loads(tag: str, name: str, value: str) -> bool:
    if name == "style":
        return bool(_STYLE_LOADS.search(value))
    if name in _LOADING or (name in {"href", "xlink:href"} and tag != "a"):
        return not value.strip().lower().startswith(("data:", "#"))
    return False


def _check_self_contained(html: str) -> None:
    parser = _Loads()
    parser.feed(html)
    if parser.found:
        raise ReportError(
            f"{counted(len(parser.found), 'element loads', 'elements load')} an outside resource "
            f"(first: <{parser.found[0]}>); a report must be self-contained: embed the resources in "
            "the notebook"
        )


_VARIANT: dict[str, Any] = {"pdf_variant": "pdf/ua-1", "pdf_tags": True}


def render_pdf(html: str) -> bytes:
    """Print the page as a tagged PDF that aims at PDF/UA-1; equal pages give equal bytes.

    The fonts are packaged ones, so that the bytes do not depend on the fonts of the machine. The
    renderer uses no network.

    Raises
    ------
    ReportError
        If WeasyPrint or the Pango library it needs is not installed, or no packaged font has a
        character of the page.
    """
    with _without_collection():
        return _written(_laid_out(html))


def pdf_within(html: str, pages: int, *, points: float) -> bytes | None:
    """Print the page in a type of this size; None if it needs more pages."""
    size = f"<style>@media print {{ html {{ font-size: {points}pt }} }}</style></head>"
    with _without_collection():
        document = _laid_out(html.replace("</head>", size, 1))
        return _written(document) if len(document.pages) <= pages else None


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the collector of reference cycles: layout makes many objects, and all stay in use."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _laid_out(html: str) -> Any:
    check_glyphs(html)
    weasyprint = _weasyprint()
    from weasyprint.text.fonts import FontConfiguration

    fonts = FontConfiguration()
    fetch = _fetcher()
    face = weasyprint.CSS(string=font_css(html), font_config=fonts, url_fetcher=fetch)
    document = weasyprint.HTML(string=html, url_fetcher=fetch, media_type="print")
    prepare(document.etree_element, width)
    return document.render(stylesheets=[face], font_config=fonts, **_VARIANT)


def _written(document: Any) -> bytes:
    pdf: bytes = document.write_pdf(**_VARIANT)
    return pdf


def why_no_pdf() -> str | None:
    """Return the missing requirement of the PDF in one line, or None if the PDF can be made."""
    try:
        _weasyprint()
    except ReportError as missing:
        return str(missing)
    return None


def _weasyprint() -> Any:
    try:
        # WeasyPrint prints a long note about missing libraries; our error replaces it.
        with contextlib.redirect_stdout(io.StringIO()):
            import weasyprint
    except ImportError:
        raise ReportError(
            f"the PDF needs WeasyPrint: {install_command('pdf')}; the HTML report works without it"
        ) from None
    except OSError:
        raise ReportError(PANGO) from None
    _draw_whole_texts()
    return weasyprint


class _Run(str):
    """Text that is one letter to a loop over its letters."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        return iter((str(self),))


_BY_LETTER = frozenset({"rotate", "textLength", "letter-spacing"})


@cache
def _draw_whole_texts() -> None:
    """Let WeasyPrint draw each text of a figure as a whole.

    It draws them letter by letter, which turns Arabic and Hebrew around, takes the marks of
    Devanagari off their letters, and takes a quarter of the time of a report of 60 sites.
    """
    from weasyprint import svg

    inside: Any = svg
    by_letter = inside.text

    def text(image: Any, node: Any, font_size: float) -> None:
        places = (node.get(name, "").split() for name in ("x", "y", "dx", "dy"))
        if node.text and not _BY_LETTER & set(node.attrib) and all(len(p) < 2 for p in places):
            node._etree_node.text = _Run(node.text)
        by_letter(image, node, font_size)

    inside.TAGS.update({tag: text for tag, draw in inside.TAGS.items() if draw is by_letter})
    inside.text = text


def _fetcher() -> Any:
    from weasyprint.urls import URLFetcher

    fonts = {path.as_uri() for path in font_files()}

    class PackagedFonts(URLFetcher):  # type: ignore[misc]
        """Reads the packaged font files and data URLs; refuses every other URL."""

        def fetch(self, url: str, headers: Any = None) -> Any:
            if url in fonts or url.startswith("data:"):
                return super().fetch(url, headers)
            raise ValueError("a report loads no outside resource")

    return PackagedFonts()
