"""axe-core finds nothing on the page, on a telephone and on a desk, in light and dark."""

import shutil

import pytest

from healthval.report import build, render_html
from healthval.report.forms.committee import committee

LONG = 300_000  # milliseconds; only a machine that hangs needs as many
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
CAPTIONS_CUT = (
    "width => [...document.querySelectorAll('caption')]"
    ".filter(caption => caption.getBoundingClientRect().right > width).length"
)
axe = pytest.importorskip("axe_playwright_python.sync_playwright")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox"], timeout=LONG
        )


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("form", ["report", "committee", "german"])
def test_axe_finds_nothing(form, report, study, released, card, plan, browser, tmp_path):
    page = tmp_path / "page.html"
    made = committee(report) if form == "committee" else report
    if form == "german":
        made = build(study, released, card, plan, language="de")
    page.write_text(render_html(made.notebook()), encoding="utf-8")
    for width, scheme in ((390, "light"), (1280, "dark")):
        # axe is injected as a script, which the page's own policy forbids
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
        )
        context.set_default_timeout(LONG)
        shown = context.new_page()
        shown.goto(page.as_uri())
        found = axe.Axe().run(shown).response["violations"]
        assert [(v["id"], len(v["nodes"])) for v in found] == []
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        assert shown.evaluate(CAPTIONS_CUT, width) == 0
        context.close()
