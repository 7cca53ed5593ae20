"""The written report is complete, self-contained, tagged and reproducible."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import nbformat
import pytest
from markupsafe import Markup

from healthval.errors import ReportError
from healthval.report import Figure, build, render_html, render_pdf, write


@pytest.fixture(scope="session")
def html(report):
    return render_html(report.notebook())


@pytest.fixture(scope="session")
def folder(report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "new" / "folder"
    return folder, write(report, folder)


@pytest.fixture(scope="session")
def pdf(folder):
    return (folder[0] / "report.pdf").read_bytes()


class Page(HTMLParser):
    """Every tag with its attributes, in order."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def of(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


def test_the_page_names_its_language_and_forbids_all_loading(html):
    page = Page(html)
    assert page.of("html")[0]["lang"] == "en"
    policy = [
        m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in policy[0]


def test_the_page_names_no_outside_address_and_runs_no_script(html):
    assert not re.findall(r"(?:https?:)?//[a-z0-9]", re.sub(r"base64,[A-Za-z0-9+/=]+", "", html))
    assert not Page(html).of("script", "iframe", "link", "object", "embed")


def test_every_figure_has_its_numbers_in_the_alt_text(html):
    pictures = Page(html).of("img")
    assert len(pictures) >= 7
    assert all(len(p["alt"]) > 40 and re.search(r"\d", p["alt"]) for p in pictures)


def test_every_figure_has_the_numbers_behind_it(html):
    assert len(Page(html).of("details")) == len(Page(html).of("figure"))


def test_every_table_has_a_caption_and_scoped_headers(html):
    page = Page(html)
    assert len(page.of("table")) == len(page.of("caption")) >= 15
    assert all(head.get("scope") in {"row", "col"} for head in page.of("th"))


def test_no_input_is_shown(html):
    assert "report.section" not in html


def test_every_anchor_exists_and_ids_are_unique(html):
    ids = [a["id"] for _, a in Page(html).tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in Page(html).of("a")} <= set(ids)


def test_the_notebook_is_valid_and_survives_its_file_format(report):
    notebook = report.notebook()
    nbformat.validate(notebook)
    again = nbformat.reads(nbformat.writes(notebook), as_version=4)
    assert render_html(again) == render_html(notebook)


def test_the_same_releases_give_the_same_bytes(study, released, card, plan, html):
    again = build(study, list(reversed(released.values())), card, plan)
    assert render_html(again.notebook()) == html


def test_the_pdf_is_tagged_and_titled(pdf, report):
    import io

    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(pdf))
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert reader.metadata.title == report.title
    assert "/CreationDate" not in reader.metadata
    assert b"pdfuaid:part" in root["/Metadata"].get_data()
    text = "".join(page.extract_text() for page in reader.pages)
    assert all(section.heading in text for section in report.sections)


def test_the_pdf_holds_only_the_font_it_brings(pdf):
    import io

    from pypdf import PdfReader

    fonts = set()
    for page in PdfReader(io.BytesIO(pdf)).pages:
        fonts |= {f.get_object()["/BaseFont"] for f in page["/Resources"]["/Font"].values()}
    assert fonts
    assert all("healthval" in font or "DejaVu" in font for font in fonts)


SCRIPT = """
import hashlib, pathlib, sys
from healthval.report import render_pdf
html = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
print(hashlib.sha256(render_pdf(html)).hexdigest())
"""


def test_the_pdf_does_not_depend_on_process_clock_time_zone_or_fonts(report, tmp_path):
    chosen = (report.section("summary"), report.section("claim"), report.section("provenance"))
    html = render_html(replace(report, sections=chosen).notebook())
    pdf = render_pdf(html)
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    (tmp_path / "fonts.conf").write_text("<fontconfig></fontconfig>", encoding="utf-8")
    elsewhere = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHASHSEED": "77",
        "TZ": "Asia/Tokyo",
        "SOURCE_DATE_EPOCH": "1",
        "FONTCONFIG_FILE": str(tmp_path / "fonts.conf"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path / "page.html")],
        env=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(pdf).hexdigest()


def test_writing_gives_each_file_with_its_digest(folder, html):
    place, digests = folder
    cards = {"card.chai.xml", "committee.html", "committee.pdf", "model-card.md"}
    assert set(digests) == {"report.html", "report.pdf", "metrics.json"} | cards
    for name, digest in digests.items():
        assert hashlib.sha256((place / name).read_bytes()).hexdigest() == digest
    assert {p.name for p in place.iterdir()} == set(digests)
    assert (place / "report.html").read_text(encoding="utf-8") == html


def test_without_pango_the_rest_is_written_and_one_line_says_how_to_get_it(
    report, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    (tmp_path / "report.pdf").write_bytes(b"of an earlier run")
    assert "report.pdf" not in write(report, tmp_path)
    assert not (tmp_path / "report.pdf").exists()
    with pytest.raises(ReportError, match="pip install"):
        render_pdf("<html></html>")


def test_a_missing_pango_library_is_reported_in_one_line(monkeypatch, capsys):
    class Broken:
        def find_spec(self, name, *_):
            if name == "weasyprint":
                print("a long note")
                raise OSError("cannot load library")

    for name in [m for m in sys.modules if m.split(".")[0] == "weasyprint"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(ReportError, match="apt-get install libpango") as told:
        render_pdf("<html></html>")
    assert "\n" not in str(told.value)
    assert capsys.readouterr().out == ""


def test_a_folder_that_cannot_be_written_is_an_error(report, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ReportError, match="cannot be written"):
        write(report, tmp_path / "file" / "folder")


def test_the_numbers_hold_what_the_report_shows(folder, study):
    numbers = json.loads((folder[0] / "metrics.json").read_bytes())
    assert numbers["study"]["auroc"]["value"] == pytest.approx(study.auroc.value, rel=1e-8)
    assert numbers["study"]["k"] == 3
    assert [v["outcome"] for v in numbers["verdicts"]]


def test_a_notebook_shows_the_report_and_its_sections(report):
    assert report._repr_html_().count("<section id=") == len(report.sections)
    assert "<h2>Calibration</h2>" in report.section("calibration")._repr_html_()
    with pytest.raises(ReportError, match="summary, cohort"):
        report.section("nowhere")
    assert "svg" not in repr(report.section("calibration"))


def cell(output, **metadata):
    from nbformat import v4

    return v4.new_notebook(
        cells=[v4.new_code_cell("1", id="a", outputs=[output], metadata=metadata)]
    )


def shown(data, **metadata):
    from nbformat import v4

    return v4.new_output("display_data", data=data, metadata=metadata)


def test_any_executed_notebook_is_rendered_without_inputs_warnings_and_scripts():
    from nbformat import v4

    notebook = v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# A *title*", id="m"),
            v4.new_code_cell(
                "secret_input()",
                id="c",
                outputs=[
                    v4.new_output("stream", name="stdout", text="n = 12 < 13"),
                    v4.new_output("stream", name="stderr", text="/home/me warns"),
                    v4.new_output(
                        "execute_result",
                        data={"text/html": "<table></table>", "text/plain": "t"},
                        execution_count=1,
                    ),
                    v4.new_output(
                        "display_data",
                        data={"application/javascript": "run()", "text/plain": "plain"},
                    ),
                    shown({"image/png": "aGk="}, **{"image/png": {"alt": "Twelve cases"}}),
                ],
            ),
        ]
    )
    html = render_html(notebook)
    assert "<em>title</em>" in html
    assert "n = 12 &lt; 13" in html
    assert "<table>" in html
    assert 'alt="Twelve cases"' in html
    assert not any(word in html for word in ("secret_input", "warns", "run()"))


def test_the_exporter_of_jupyter_renders_the_same_page_and_refuses_the_same(report, tmp_path):
    import tomllib
    from pathlib import Path

    from healthval.report.exporter import ReportExporter

    project = tomllib.loads(
        (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]
    named = project["entry-points"]["nbconvert.exporters"]["healthval"]
    assert named == f"{ReportExporter.__module__}:{ReportExporter.__name__}"
    chosen = replace(report, sections=(report.section("summary"), report.section("claim")))
    path = tmp_path / "run.ipynb"
    nbformat.write(chosen.notebook(), path)
    page, resources = ReportExporter().from_filename(str(path))
    assert page == render_html(chosen.notebook())
    assert resources["output_extension"] == ".html"
    with pytest.raises(ReportError, match="no alt text"):
        ReportExporter().from_notebook_node(cell(shown({"image/png": "aGk="})))


def test_a_figure_without_alt_text_is_refused():
    with pytest.raises(ReportError, match="cell 0: figure has no alt text"):
        render_html(cell(shown({"image/png": "aGk="})))
    with pytest.raises(ReportError, match="no alt text"):
        Figure("<svg/>", "  ", "caption", Markup(""))


def test_a_failed_notebook_is_never_rendered_and_its_values_are_in_no_message():
    from nbformat import v4

    failed = v4.new_output(
        "error", ename="KeyError", evalue="Zyx-Canary-4711", traceback=["Zyx-Canary-4711"]
    )
    with pytest.raises(ReportError, match="failed") as told:
        render_html(cell(failed))
    assert "Canary" not in str(told.value)


@pytest.mark.parametrize(
    "markup",
    [
        '<img alt="x" src="https://example.org/Canary.png">',
        '<script src="//example.org/Canary.js"></script>',
        '<link rel="stylesheet" href="Canary.css">',
        '<style>@import "https://example.org/Canary.css"</style>',
        '<div style="background: url(https://example.org/Canary.png)"></div>',
        '<iframe srcdoc="Canary"></iframe>',
        '<video poster="Canary.png"></video>',
        '<meta http-equiv="Refresh" content="0; url=Canary">',
        '<base href="https://example.org/Canary">',
    ],
)
def test_a_notebook_that_would_call_out_is_refused(markup):
    with pytest.raises(ReportError, match="1 element loads an outside resource") as told:
        render_html(cell(shown({"text/html": markup})))
    assert "Canary" not in str(told.value)


def test_the_pdf_fetches_nothing_even_when_asked(tmp_path):
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    page = f'<html lang="en"><title>t</title><img alt="a" src="{(tmp_path / "secret.txt").as_uri()}"></html>'
    assert b"secret" not in render_pdf(page)


def test_drawing_leaves_the_settings_of_the_user_alone(study, released, card, plan):
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcParams["font.size"] = 31.0
        mpl.rcParams["svg.hashsalt"] = "mine"
        before = dict(mpl.rcParams)
        again = build(study, released, card, plan)
        assert dict(mpl.rcParams) == before
    figures = [b for s in again.sections for b in s.blocks if isinstance(b, Figure)]
    calm = build(study, released, card, plan)
    assert [f.svg for f in figures] == [
        b.svg for s in calm.sections for b in s.blocks if isinstance(b, Figure)
    ]
