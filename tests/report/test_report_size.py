"""Size of the page, and figures that are drawn the same in fewer bytes."""

import re
from html import unescape
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval.report import Figure, render_html
from healthval.report.figures.compact import compact, data_url, relative_path

POINT = st.tuples(*[st.integers(-99_999, 99_999).map(lambda n: n / 100)] * 2)
COMMANDS = {"M": 1, "L": 1, "Q": 2, "C": 3}


@st.composite
def paths(draw):
    """A path as matplotlib writes it, with the points where its commands end."""
    text, ends = "", []
    for letter in ["M", *draw(st.lists(st.sampled_from("MLQCz"), max_size=12))]:
        points = [draw(POINT) for _ in range(COMMANDS.get(letter, 0))]
        text += " ".join([letter, *(f"{x} {y}" for x, y in points)]) + " \n"
        ends.append((letter, points))
    return text, ends


def points_of(path):
    """Absolute points of a path with relative commands, counted in hundredths."""
    here = start = (0, 0)
    found = []
    for letter, inside in re.findall(r"([a-zA-Z])([^a-zA-Z]*)", path):
        steps = [round(float(n) * 100) for n in re.findall(r"-?\d*\.?\d+", inside)]
        if letter == "z":
            here = start
            found.append(("z", []))
            continue
        if letter in "hv":
            steps = [v for s in steps for v in ((s, 0) if letter == "h" else (0, s))]
        size = {"q": 4, "c": 6}.get(letter, 2)
        for at in range(0, len(steps), size):
            part = steps[at : at + size]
            points = [
                (here[0] + x, here[1] + y) for x, y in zip(part[::2], part[1::2], strict=True)
            ]
            here = points[-1]
            found.append((letter.replace("h", "l").replace("v", "l"), points))
        if letter == "m":
            start = here
    return found


@given(paths())
def test_a_relative_path_reaches_the_same_points(drawn):
    text, ends = drawn
    expected = [
        (letter.lower(), [(round(x * 100), round(y * 100)) for x, y in points])
        for letter, points in ends
    ]
    assert points_of(relative_path(text)) == expected


def test_a_path_with_other_commands_stays_as_it_is():
    assert relative_path("M 0 0 A 1 1 0 0 1 2 2") == "M 0 0 A 1 1 0 0 1 2 2"


def test_every_reference_inside_a_figure_leads_somewhere(report):
    figures = [b for s in report.sections for b in s.blocks if isinstance(b, Figure)]
    assert figures
    for figure in figures:
        root = ET.fromstring(figure.svg)
        ids = [e.get("id") for e in root.iter() if e.get("id")]
        named = set(re.findall(r"url\(#(\w+)\)|href='#(\w+)'", figure.svg))
        assert len(ids) == len(set(ids))
        assert {name for pair in named for name in pair if name} == set(ids)
        assert "<g/>" not in figure.svg


def test_a_data_url_has_no_character_that_ends_it(report):
    figure = next(b for s in report.sections for b in s.blocks if isinstance(b, Figure))
    url = data_url(figure.svg)
    assert not set('<>#"\n') & set(url)


@pytest.mark.parametrize("text", ["100 %", "a#b", "<svg>", "line\nbreak", "a//b"])
def test_a_data_url_is_read_back_as_it_was(text):
    from urllib.parse import unquote

    assert unquote(data_url(text).split(",", 1)[1]) == text.replace("\n", " ")


def test_the_template_and_the_notebook_show_the_same_address(report):
    page = unescape(render_html(report.notebook()))
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Figure):
                assert data_url(block.svg) in unescape(block.__html__())
                assert data_url(block.svg) in page


def test_a_page_of_three_sites_has_at_most_300_kilobytes(report):
    assert len(render_html(report.notebook()).encode()) <= 300_000


def test_drawing_a_foreign_svg_keeps_its_text_and_attributes():
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><g><text x="1.23456">it\'s</text></g></svg>'
    small = compact(svg)
    assert "it's" in small
    assert 'x="1.23"' in small
