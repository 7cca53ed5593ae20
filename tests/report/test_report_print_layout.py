"""The print layout keeps each word, and no column is narrower than its longest word."""

import gc
import io
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from healthval.report import fonts, render, render_pdf, why_no_pdf
from healthval.report.figures.compact import data_url
from healthval.report.markup import as_shown, table
from healthval.report.print_layout import WIDTH, prepare, shared
from healthval.report.sections.summary import badge

pair = st.tuples(st.floats(0.1, 12), st.floats(0, 60)).map(lambda x: (x[0], x[0] + x[1]))


def prepared(html):
    root = ET.fromstring(f"<main>{html}</main>")
    prepare(root, fonts.width)
    return root


def numbers_table(rows):
    return str(table("Rates", ["Site", "Value (95% CI)"], rows))


@given(st.lists(st.lists(pair, min_size=1, max_size=4), min_size=1, max_size=5))
def test_columns_fill_the_page_and_none_is_too_narrow(columns):
    widths = shared(columns)
    least = [max(low for low, _ in column) for column in columns]
    if widths is None:
        assert sum(least) > WIDTH
    else:
        assert sum(widths) == pytest.approx(WIDTH)
        assert all(w >= low - 1e-9 for w, low in zip(widths, least, strict=True))


def test_a_table_keeps_its_words_and_has_a_width_for_each_column():
    html = numbers_table([["North", as_shown(0.8, 0.7, 0.9)], ["South", "withheld"]])
    before = "".join(ET.fromstring(html).itertext())
    root = prepared(html)
    assert "".join(root.itertext()) == before
    widths = [float(col.get("style")[7:-1]) for col in root.iter("col")]
    assert len(widths) == 2
    assert sum(widths) == pytest.approx(100, abs=0.02)
    assert [e.tag for e in root.find(".//table")][:2] == ["caption", "colgroup"]


@pytest.mark.parametrize("change", ["colspan", "rowspan"])
def test_a_table_with_joined_cells_is_left_alone(change):
    html = f'<table><tr><td {change}="2">a</td><td>b</td></tr></table>'
    assert ET.tostring(prepared(html)) == ET.tostring(ET.fromstring(f"<main>{html}</main>"))


def test_a_table_of_uneven_rows_gets_a_width_for_each_column():
    root = prepared("<table><tr><td>a</td></tr><tr><td>b</td><td>c</td></tr></table>")
    assert len(list(root.iter("col"))) == 2


def test_the_numbers_behind_a_figure_are_one_paragraph_with_all_its_words():
    inside = f"<summary>Numbers</summary>{numbers_table([['North', '0.8'], ['South', '0.7']])}"
    root = prepared(f'<details class="data">{inside}</details><p>after</p>')
    text = root.find("p").text
    assert not list(root.iter("table"))
    assert text.startswith("Numbers: Rates: Site")
    assert [word for word in ("North", "0.8", "South", "0.7") if word not in text] == []
    assert [p.text for p in root][-1] == "after"


def test_a_figure_that_prints_its_numbers_has_no_second_copy_in_print():
    root = prepared('<details class="data drawn"><summary>n</summary></details><p>after</p>')
    assert [e.tag for e in root] == ["p"]


def test_details_of_a_reader_stay():
    assert [e.tag for e in prepared("<details><summary>more</summary>x</details>")] == ["details"]


def test_the_collector_runs_again_after_a_page():
    with render._without_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_runs_again_after_a_failure():
    with pytest.raises(KeyError), render._without_collection():
        raise KeyError
    assert gc.isenabled()


def test_the_width_of_a_text_is_that_of_its_letters():
    assert fonts.width("mm") == pytest.approx(2 * fonts.width("m"))
    assert fonts.width("i") < fonts.width("m") < fonts.width("病") == 1


@pytest.mark.skipif(why_no_pdf() is not None, reason="Pango is not installed")
def test_names_of_any_script_are_joined_and_in_order_in_a_figure_as_in_a_text():
    """WeasyPrint alone draws a figure letter by letter: unjoined, and from the wrong side."""
    from pypdf import PdfReader

    names = ("مستشفى الملك", "הדסה עין כרם", "आयुर्विज्ञान", "北京协和医院")
    drawn = "".join(f"<text x='9' y='{30 + 30 * i}'>{n}</text>" for i, n in enumerate(names))
    fonts = "healthval Sans,healthval CJK,healthval Devanagari"
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' width='400' height='200' font-family='{fonts}'>"
    figure = f'<img alt="names" src="{data_url(svg + drawn + "</svg>")}">'
    text = "".join(f"<p>{name}</p>" for name in names)
    pages = [
        PdfReader(io.BytesIO(render_pdf(f"<html lang='en'><title>t</title>{body}</html>"))).pages[0]
        for body in (text, figure)
    ]
    printed, in_figure = ([line for line in p.extract_text().splitlines() if line] for p in pages)
    assert in_figure == printed == list(names)


def test_a_table_too_wide_for_one_line_breaks_its_cells_and_stays_on_the_page():
    rows = [["2026 Q1", *["0.872 (0.834 to 0.903)"] * 7]]
    root = prepared(str(table("Periods", ["Period", *"ABCDEFG"], rows)))
    found = root.find(".//table")
    assert "broken" in found.get("class").split()
    assert len(list(root.iter("col"))) == 8


def test_a_column_has_room_for_a_whole_verdict_and_its_ends():
    def column(outcome):
        rows = [["AUROC at a threshold of the plan", outcome, "withheld for a reason " * 9]]
        root = prepared(str(table("Criteria", ["Criterion", "Verdict", "Why"], rows, kind="words")))
        return WIDTH * float(list(root.iter("col"))[1].get("style")[7:-1]) / 100

    shown = badge("inconclusive")
    assert column(shown) >= fonts.width("▲ inconclusive") * 1.18 + 1.2 + 1.4
    assert column(shown) > column("inconclusive") + 1.2


def test_numbers_of_many_sites_name_each_site_once():
    rows = [["North", "0.1", "0.2"], ["North", "0.3", "0.4"], ["South", "0.1", "0.5"]]
    sheet = table("Curves", ["Site", "Predicted", "Observed"], rows)
    root = prepared(f'<details class="data"><summary>Numbers</summary>{sheet}</details>')
    text = "".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ")
    assert text == (
        "Numbers: Curves: Site: Predicted · Observed; North: 0.1 · 0.2; 0.3 · 0.4; South: 0.1 · 0.5"
    )


def test_a_table_of_long_words_is_set_in_small_type_within_the_page():
    word = Markup('<span class="suppressed">zurückgehalten</span>')
    rows = [["Universitätsklinikum", *[word] * 4, *["zurückgehalten"] * 2]]
    root = prepared(str(table("Standorte", ["Standort", *"ABCDEF"], rows)))
    assert "small" in root.find(".//table").get("class").split()
    assert len(list(root.iter("col"))) == 7
