"""A page of the dashboard in Chromium; whatever its policy blocks, or fails in it, is a fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Browser, Locator, Page, Route, expect

LONG = 120_000  # milliseconds; only a machine that hangs needs as many
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
expect.set_options(timeout=LONG)
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
# The policy of the page is in force, so this runs before any script of the page.
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (e) => violations.push(`${e.effectiveDirective} ${e.blockedURI}`));
window.alert = () => violations.push("alert");
"""


class Shown:
    """One page; its faults are collected until `close` returns them."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self._context = browser.new_context(**options)
        self._context.set_default_timeout(LONG)
        self._context.add_init_script(WATCH)
        self.page: Page = self._context.new_page()
        self.url, self._faults = url, []
        self.sent: list[str] = []
        self.page.on("pageerror", lambda error: self._faults.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request) -> None:
        self.sent.append(f"{request.url} {request.headers} {request.post_data}")
        if not request.url.startswith((self.url + "/", "data:", f"blob:{self.url}")):
            self._faults.append(f"a request to {request.url}")

    def faults(self) -> list[str]:
        """Return what failed and what the policy blocked since the last call."""
        found, self._faults = self._faults, []
        return found + self.page.evaluate("violations.splice(0)")

    def close(self) -> None:
        """Close the page."""
        self._context.close()

    def rested(self) -> "Shown":
        """Return to the first screen and to the hub's own answers."""
        self.page.unroute_all()
        return self.go("models", "Models")

    def open(self, link: str) -> "Shown":
        """Sign in with a link."""
        self.visit(link)
        expect(self.main.get_by_role("heading", level=1)).to_have_text("Models")
        return self.settled()

    def visit(self, address: str) -> None:
        """Load an address anew, even if only its fragment differs."""
        self.page.goto("about:blank")
        self.page.goto(address)

    def sign_in(self, key: Path) -> "Shown":
        """Sign in with a private key file."""
        self.page.goto(self.url)
        self.page.get_by_label("Key file").set_input_files(key)
        expect(self.main.get_by_role("heading", level=1)).to_have_text("Models")
        return self.settled()

    def go(self, screen: str, title: str | None = None) -> "Shown":
        """Open a screen by its address and wait until nothing is loading."""
        self.page.evaluate("hash => { location.hash = hash }", f"#/{screen}")
        if title is not None:
            expect(self.main.get_by_role("heading", level=1)).to_have_text(title)
        return self.settled()

    def settled(self) -> "Shown":
        """Wait until nothing is loading."""
        expect(self.main.get_by_role("heading", level=1)).to_be_visible()
        expect(self.main.locator("p.state[role=status]")).to_have_count(0)
        return self

    @property
    def main(self) -> Locator:
        """The content beside the navigation."""
        return self.page.get_by_role("main")

    @property
    def alert(self) -> Locator:
        """The error that is shown."""
        return self.main.get_by_role("alert")

    @property
    def text(self) -> str:
        """Everything that can be read in the content."""
        return self.main.inner_text()

    def table(self, caption: str) -> list[dict[str, str]]:
        """Rows of a table, by the names of its columns."""
        head, *rows = self.main.get_by_role("table", name=caption, exact=True).evaluate(
            "table => [...table.rows].filter(row => !row.ariaHidden)"
            ".map(row => [...row.cells].map(cell => cell.innerText.trim()))"
        )
        return [dict(zip(head, row, strict=True)) for row in rows]

    def stored(self) -> list[str]:
        """Everything that the page left in the browser."""
        kept = self.page.evaluate(
            "async () => [...Object.keys(localStorage), ...Object.keys(sessionStorage),"
            " ...(await indexedDB.databases()).map(one => one.name), ...(await caches.keys())]"
        )
        return [*kept, *(cookie["name"] for cookie in self._context.cookies())]

    def offline(self, is_offline: bool) -> None:
        """Cut the network, or connect it again."""
        self._context.set_offline(is_offline)

    def answer(self, pattern: str, reply: Callable[[Route], None]) -> None:
        """Answer requests in place of the hub."""
        self.page.route(pattern, reply)

    def change(self, pattern: str, changed: Callable[[Any], Any]) -> None:
        """Change the hub's JSON answers on their way."""

        def reply(route: Route) -> None:
            answer = route.fetch()
            route.fulfill(response=answer, body=json.dumps(changed(answer.json())))

        self.page.route(pattern, reply)

    def width(self, pixels: int) -> int:
        """Give the window a width and return the width that the page takes."""
        self.page.set_viewport_size({"width": pixels, "height": 900})
        return self.page.evaluate("document.documentElement.scrollWidth")

    def axe(self) -> list[tuple[str, str]]:
        """Findings of axe-core with the first place of each."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        run = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
        found = self.page.evaluate(run)
        return [(one["id"], one["nodes"][0]["html"][:120]) for one in found]
