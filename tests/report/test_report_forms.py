"""Other forms of a report: committee summary, comparison, exported figures and tables."""

import csv
import io
import struct
from xml.etree import ElementTree as ET

import pytest
from openpyxl import load_workbook

from healthval.aggregate import pool
from healthval.errors import ReportError
from healthval.report import build, render_html, why_no_pdf, with_signer
from healthval.report.fonts import check_glyphs, font_css
from healthval.report.forms.committee import (
    COMMITTEE_HTML,
    COMMITTEE_PDF,
    committee,
    render_committee,
)
from healthval.report.forms.comparison import compare, differences
from healthval.report.forms.export import export, read_page
from healthval.report.forms.files import write_form
from healthval.report.values.means import site_mean

needs_pdf = pytest.mark.skipif(why_no_pdf() is not None, reason="Pango is not installed")


@pytest.fixture(scope="module")
def page(report):
    return render_html(report.notebook())


@pytest.fixture(scope="module")
def exported(page, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    return {path.name: path.read_bytes() for path in export(page, folder)}


def test_every_figure_is_exported_as_svg_and_png(page, exported):
    drawings, _ = read_page(page)
    assert drawings
    assert len(drawings) == page.count("<figure ")
    for drawing in drawings:
        root = ET.fromstring(exported[f"{drawing.name}.svg"])
        assert root.tag.endswith("svg")
        picture = exported[f"{drawing.name}.png"]
        assert picture.startswith(b"\x89PNG")
        assert struct.unpack(">I", picture[16:20]) == (2000,)


def test_names_of_files_are_unique_and_name_section_and_caption(exported):
    assert "discrimination-figure-01-auroc.svg" in exported
    assert any(name.startswith("cohort-table-") for name in exported)
    assert all(name.isascii() for name in exported)


def test_every_table_is_exported_as_csv_and_as_sheet(page, exported):
    _, sheets = read_page(page)
    assert len(sheets) == page.count("<table")
    book = load_workbook(io.BytesIO(exported["tables.xlsx"]))
    assert len(book.sheetnames) == len(sheets)
    for sheet, name in zip(sheets, book.sheetnames, strict=True):
        text = exported[f"{sheet.name}.csv"].decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text)))
        assert [len(row) for row in rows] == [len(row) for row in sheet.rows]
        assert book[name]["A1"].value == sheet.caption


def test_a_name_that_looks_like_a_formula_is_text(released, card, plan, tmp_path):
    first, *others = released
    sites = {'=HYPERLINK("x")': released[first]} | {s: released[s] for s in others}
    html = render_html(build(pool(tuple(sites.items())), sites, card, plan).notebook())
    files = {path.name: path.read_bytes() for path in export(html, tmp_path)}
    sheets = [n for n in files if n.endswith(".csv") and b"HYPERLINK" in files[n]]
    assert sheets
    for name in sheets:
        rows = csv.reader(io.StringIO(files[name].decode("utf-8-sig")))
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    book = load_workbook(io.BytesIO(files["tables.xlsx"]))
    kinds = {c.data_type for page in book for row in page.iter_rows() for c in row if c.value}
    assert kinds == {"s"}


def test_a_page_without_figures_and_tables_is_refused(tmp_path):
    with pytest.raises(ReportError, match="no figure and no table"):
        export("<html><p>nothing</p></html>", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_committee_summary_has_verdicts_hospitals_owed_and_proof(report):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    signed = with_signer(report, Ed25519PrivateKey.generate().public_key())
    made = committee(signed)
    assert [s.id for s in made.sections] == ["summary", "hospitals", "stated", "proof"]
    text = made._repr_html_()
    assert "Acceptance criteria of the plan" in text
    assert "Not stated by the sites" in text
    assert signed.numbers["signer"]["fingerprint"] in text


@needs_pdf
@pytest.mark.parametrize("k", [3, 40])
def test_the_committee_summary_has_two_pages(simulated, site_of, card, plan, k):
    from pypdf import PdfReader

    long = {"limitations": "A limitation of some length. " * 60, "out_of_scope": "None. " * 300}
    sites = simulated([site_of(200 + i) for i in range(k)])
    study = pool(tuple(sites.items()), bivariate="none")
    report = build(study, sites, card.model_copy(update=long), plan)
    files = render_committee(report, pdf=True)
    pages = PdfReader(io.BytesIO(files[COMMITTEE_PDF])).pages
    assert len(pages) <= 2
    assert long["limitations"].strip() in files[COMMITTEE_HTML].decode()


def test_a_comparison_shows_differences_at_common_hospitals(report, released, card, plan):
    first, *others = released
    fewer = {s: released[s] for s in others}
    worse = released[others[0]].auroc.model_copy(update={"value": 0.6, "lo": 0.5, "hi": 0.7})
    fewer[others[0]] = released[others[0]].model_copy(update={"auroc": worse})
    second = build(pool(tuple(fewer.items())), fewer, card, plan)
    made = compare(report.numbers, second.numbers)
    text = made._repr_html_()
    assert f"Only in A: {first}." in text
    assert "under the same plan" in text
    at = {(d["measure"], d["site"]): d for d in made.numbers["differences"]}
    found = at["AUROC", others[0]]
    assert found["value"] == pytest.approx(0.6 - released[others[0]].auroc.value)
    assert found["lo"] < found["value"] < found["hi"] < 0
    assert ("AUROC", first) not in at
    assert ("AUROC", None) not in at  # two hospitals are not pooled


def test_a_comparison_prints_the_intervals_of_the_two_reports(simulated, site_of, card, plan):
    sites = simulated([site_of(10 + i) for i in range(6)])  # O:E: wider than Hartung-Knapp alone
    one = dict(list(sites.items())[:1])
    made = [build(pool(tuple(s.items())), s, card, plan) for s in (sites, one)]
    means = str(compare(*(report.numbers for report in made)).section("means").blocks[0])
    for name in ("auroc", "oe", "slope"):
        assert site_mean(sites, name).shown().text() in means
    assert means.count("not pooled") == 4


def test_the_mean_difference_of_equal_results_is_zero(report):
    found = differences(report.numbers, report.numbers)
    means = [d for d in found if d.site is None]
    assert means
    for d in found:
        assert d.value == pytest.approx(0, abs=1e-12)
        assert d.lo < 0 < d.hi
    with pytest.raises(ReportError, match="both reports are the same"):
        compare(report.numbers, report.numbers)


def test_numbers_of_another_format_are_refused(report):
    with pytest.raises(ReportError, match="not in the format"):
        compare({"format": "other"}, report.numbers)


def test_a_comparison_is_written_as_page_numbers_and_pdf(report, released, card, plan, tmp_path):
    fewer = dict(list(released.items())[1:])
    second = build(pool(tuple(fewer.items())), fewer, card, plan)
    made = write_form(compare(report.numbers, second.numbers), tmp_path, "comparison")
    kinds = {".html", ".json"} | ({".pdf"} if why_no_pdf() is None else set())
    assert {path.suffix for path in made} == kinds
    assert all(path.stat().st_size for path in made)


SCRIPTS = {
    "Latin": "Hôpital d'Été Łódź Tuần",
    "Greek and Cyrillic": "Νοσοκομείο Больница",
    "Hebrew and Arabic": "בית חולים מستشفى",
    "Devanagari": "सफदरजंग अस्पताल",
    "Japanese": "東京大学医学部附属病院",
    "Chinese": "北京协和医院 臺灣大學醫院",
    "Korean": "서울대학교병원",
}


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_names_in_many_scripts_have_glyphs(text):
    check_glyphs(text)


def test_a_character_without_glyph_is_refused_with_its_script():
    with pytest.raises(ReportError, match=r"2 characters of the report \(Thai\) are in no"):
        check_glyphs("<p>โร</p>")


def test_a_larger_font_is_read_only_for_a_page_that_needs_it():
    assert "CJK" not in font_css("Hospital")
    assert "NotoSansCJK" in font_css("東京")
    assert "CJK" not in font_css("अस्पताल")


@needs_pdf
def test_the_pdf_embeds_the_font_of_a_name_and_no_font_of_the_machine():
    from pypdf import PdfReader

    from healthval.report import render_pdf

    html = "<html lang='en'><title>x</title><p>東京 अस्पताल Hospital</p></html>"
    pdf = render_pdf(html)
    assert render_pdf(html) == pdf
    fonts = set()
    for sheet in PdfReader(io.BytesIO(pdf)).pages:
        fonts |= {str(f.get_object()["/BaseFont"]) for f in sheet["/Resources"]["/Font"].values()}
    names = {name.partition("+")[2] for name in fonts}
    assert len(names) == 3, names


@needs_pdf
def test_the_pdf_has_the_numbers_behind_a_curve(report):
    from pypdf import PdfReader

    from healthval.report import render_pdf

    pdf = render_pdf(render_html(report.notebook()))
    text = " ".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(pdf)).pages)
    words = " ".join(text.split())
    assert "Calibration curves: Site: Predicted · Observed (95% CI)" in words
    assert "AUROC: · n · Events" not in words  # a forest plot prints its numbers itself
