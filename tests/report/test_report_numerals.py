"""Every numeral of page and PDF is in ``metrics.json``, or in the fixed words of the report."""

import io
import re

import pytest
from page_numerals import Texts, numerals, untraced

from healthval.report import build, render_html, render_pdf, why_no_pdf


@pytest.fixture(scope="module")
def page(report):
    return render_html(report.notebook())


def test_every_numeral_of_the_page_is_in_the_numbers(page, report):
    assert untraced(page, report.numbers) == []


def test_a_changed_numeral_is_found(page, report):
    changed = page.replace(">0.9", ">0.1234567", 1)
    assert changed != page
    assert untraced(changed, report.numbers)


def test_every_numeral_is_traced_for_many_sites_and_for_one(simulated, site_of, card, plan):
    from healthval.aggregate import pool

    for k in (1, 7):
        sites = simulated([site_of(180 + 40 * i) for i in range(k)], seed=k)
        study = pool(tuple(sites.items()), bivariate="none")
        made = build(study, sites, card, plan)
        assert untraced(render_html(made.notebook()), made.numbers) == []


@pytest.mark.skipif(why_no_pdf() is not None, reason="Pango is not installed")
def test_every_numeral_of_the_pdf_is_on_the_page(page):
    from pypdf import PdfReader

    texts = Texts()
    texts.feed(page)
    known = {t for text in [*texts.found, *texts.drawn] for t in numerals(text)}
    for sheet in PdfReader(io.BytesIO(render_pdf(page))).pages:
        text = re.sub(r"Page \d+ of \d+", "", sheet.extract_text())
        assert not [t for t in numerals(text) if t not in known]
