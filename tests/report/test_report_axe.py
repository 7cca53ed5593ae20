"""axe-core finds nothing on the page, on a telephone and on a desk, in light and dark."""

import shutil

import pytest

from healthval.report import render_html
from healthval.report.forms.committee import committee

LONG = 300_000  # milliseconds; only a machine that hangs needs as many
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox"], timeout=LONG
        )


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("form", ["report", "committee"])
def test_axe_finds_nothing(form, report, browser, tmp_path):
    page = tmp_path / "page.html"
    made = report if form == "report" else committee(report)
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
        context.close()
