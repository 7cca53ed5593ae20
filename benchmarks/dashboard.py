"""First screen of the dashboard in Chromium with 200 model versions and 2,000 reports.

From the request of the page to the first row of the list, by a vendor's link and by the operator's key.
"""

import hashlib
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from hub import SUBJECT, Bench, line

from healthval.client import Client, Credential
from healthval.contracts.access import VendorKey
from healthval.contracts.report import ReportVerdict

NAMES, VERSIONS, REPORTS = 100, 2, 10
ROUNDS = 5
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def fill(bench: Bench, operator: Client) -> None:
    """Publish one report, then copy its entry and that of its model."""
    verdict = ReportVerdict(criterion="AUROC at least 0.65", outcome="met")
    sites = ("North", "Harbour", "Valley")
    operator.publish_report(
        **SUBJECT, n_sites=3, sites=sites, verdicts=(verdict,), files={"metrics.json": b"{}"}
    )
    db = sqlite3.connect(bench.folder / "hub" / "index.sqlite", timeout=60)
    found = dict(
        db.execute("SELECT partition, value FROM items WHERE partition IN ('models', 'reports')")
    )
    model, report = json.loads(found["models"]), json.loads(found["reports"])
    rows = []
    for name in (f"model-{n:03}" for n in range(NAMES)):
        for version in (f"{v}.0" for v in range(VERSIONS)):
            model["registration"]["card"] |= {"name": name, "version": version}
            model["digest"] = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
            rows.append(("models", f"{name}#{version}", json.dumps(model)))
            for n in range(REPORTS):
                report_id = (
                    "report-" + hashlib.sha256(f"{name} {version} {n}".encode()).hexdigest()[:16]
                )
                day = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n)
                made = report | {"id": report_id, "model": name, "version": version}
                made |= {"plan_hash": f"{n:064x}", "published": day.isoformat()}
                rows.append(("reports", report_id, json.dumps(made)))
    with db:
        db.executemany("INSERT INTO items VALUES (?, ?, ?, 1, NULL)", rows)
    db.close()


def first_row(page, count: str) -> None:
    page.locator("tbody td").first.wait_for()
    found = page.get_by_role("status").first.inner_text()
    assert found == count, f"{found} in place of {count}"
    assert page.locator("tbody tr").count() < 80, "every row is in the page"


def by_link(browser, link: str) -> float:
    """Seconds from the request of the page to the first row, in a browser without a cache."""
    page = browser.new_page()
    began = time.perf_counter()
    page.goto(link)
    first_row(page, f"{NAMES * VERSIONS} rows")
    seconds = time.perf_counter() - began
    page.close()
    return seconds


def by_key(browser, url: str, key: Path) -> float:
    """Seconds from the choice of the key to the first row."""
    page = browser.new_page()
    page.goto(url)
    chooser = page.get_by_label("Key file")
    began = time.perf_counter()
    chooser.set_input_files(key)
    first_row(page, f"{NAMES * VERSIONS + 1} rows")
    seconds = time.perf_counter() - began
    page.close()
    return seconds


def main() -> None:
    missing = "Chromium" if CHROMIUM is None else None if find_spec("playwright") else "playwright"
    if missing:
        print(f"{'first screen':44}  not installed: {missing} is missing")
        return
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder))
        bench.model()
        with Client(bench.url, Credential.load(bench.key)) as operator:
            fill(bench, operator)
            vendor = Credential.create(Path(folder) / "vendor.key")
            models = tuple(f"model-{n:03}" for n in range(NAMES))
            enrolled = VendorKey(public_key=vendor.public_key, label="Bench", models=models)
            operator.enrol_vendor(enrolled)
            link = f"{bench.url}/#{operator.dashboard_link(vendor.id).fragment}"
        with sync_playwright() as playwright:
            options = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}
            browser = playwright.chromium.launch(**options)
            times = {
                "first screen by link": [by_link(browser, link) for _ in range(ROUNDS)],
                "first screen by key": [
                    by_key(browser, bench.url, bench.key) for _ in range(ROUNDS)
                ],
            }
            browser.close()
        for name, found in times.items():
            median = statistics.median(found)
            value = f"{median:.2f} s ({min(found):.2f} to {max(found):.2f})"
            line(name, value, "< 1 s", median < 1)
        bench.direct.stop()
        bench.hub.stop()


if __name__ == "__main__":
    main()
