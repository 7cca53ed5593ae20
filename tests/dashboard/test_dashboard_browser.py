"""Every screen of the dashboard in Chromium, over an embedded hub with the demo's three sites."""

import copy
import functools
import hashlib
import itertools
import json
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import jwt
import node_tools
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from playwright.sync_api import expect, sync_playwright
from shown import CHROMIUM, LONG, Shown
from staged import staged

from healthval.client import Client, Credential
from healthval.cloud.estimate import estimate, idle, overhead
from healthval.cloud.prices import load_prices
from healthval.contracts.access import VendorKey
from healthval.contracts.keys import fingerprint

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
# A label has no < and no >; a report's strings, and those of a lying hub, may have them.
QUOTES = "\" autofocus onfocus=alert(1) x='${alert(1)}"
MARKUP = "<img src=x onerror=alert(1)><script>alert(1)</script>"
WIDTHS = (360, 390, 1280, 3840)
TITLES = {
    "models": "Models",
    "model/aspirate-risk/1.0": "aspirate-risk 1.0",
    "compare": "Compare two versions",
    "access": "Access requests",
    "study": "Study record",
    "costs": "Runs and costs",
    "audit": "Audit",
}
VENDORS = ("models", "model/aspirate-risk/1.0", "compare", "study")
AUDITORS = ("models", "access", "study", "costs", "audit")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with staged(tmp_path_factory.mktemp("dashboard")) as running:
        running.publish(running.numbers, html=running.html)
        second = copy.deepcopy(running.numbers)
        second["study"]["auroc"]["value"] -= 0.125
        second["study"]["auroc"]["ci"] = [x - 0.125 for x in second["study"]["auroc"]["ci"]]
        running.publish(second, version="1.1")
        yield running


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        options = {"executable_path": CHROMIUM, "args": ["--no-sandbox"], "timeout": LONG}
        yield playwright.chromium.launch(**options)


@pytest.fixture
def new_page(browser, hub):
    """Make pages; at the end none of them may have a fault."""
    made = []

    def make(**options):
        made.append(Shown(browser, hub.url, **options))
        return made[-1]

    yield make
    faults = [fault for page in made for fault in page.faults()]
    for page in made:
        page.close()
    assert faults == []


@pytest.fixture(scope="module")
def signed_in(browser, hub):
    """One page of a vendor and one of the operator; to load a page takes longer than most tests."""
    pages = {name: Shown(browser, hub.url) for name in ("vendor", "operator")}
    pages["vendor"].open(hub.link("vendor"))
    pages["operator"].sign_in(hub.key("operator"))
    yield pages
    for page in pages.values():
        page.close()


@pytest.fixture
def vendor(signed_in):
    yield signed_in["vendor"].rested()
    assert signed_in["vendor"].faults() == []


@pytest.fixture
def operator(signed_in):
    yield signed_in["operator"].rested()
    assert signed_in["operator"].faults() == []


def request_of(hub, tmp_path, label):
    """Request access with a new key; its file has the name of the label."""
    with Client(hub.url, Credential.create(tmp_path / f"{label[:4]}.key")) as client:
        client.request_access(label=label, **hub.plan.subject)


def texts(value, change):
    """Change every string of a JSON value; names of members stay."""
    if isinstance(value, dict):
        return {name: texts(held, change) for name, held in value.items()}
    if isinstance(value, list):
        return [texts(held, change) for held in value]
    return change(value) if isinstance(value, str) else value


def test_a_link_opens_the_vendors_reports_and_leaves_no_token(new_page, hub):
    vendor = new_page().open(hub.link("vendor"))
    assert vendor.page.url == f"{hub.url}/"
    assert vendor.stored() == []
    vendor.page.reload()
    expect(vendor.page.get_by_role("heading", name="Sign in")).to_be_visible()
    vendor.page.go_back()
    assert "token" not in vendor.page.url


def is_current(report, version):
    return (report.version, report.status) == (version, "current")


def test_the_walk_from_the_models_to_the_signed_report(vendor, hub):
    (row,) = [row for row in vendor.table("Model versions") if row["Version"] == "1.0"]
    assert row["Hospitals"] == "3"
    vendor.page.get_by_role("link", name="aspirate-risk 1.0").click()
    vendor.settled()
    expect(vendor.main.get_by_text("Signature verified in this page")).to_be_visible()
    signer = fingerprint(Credential.load(hub.key("operator")).public_key)
    assert vendor.main.locator(".signature code").inner_text() == signer
    forest = {row["Hospital"]: row for row in vendor.table("AUROC by hospital")}
    for site in hub.numbers["study"]["auroc"]["sites"]:
        assert forest[site["site"]]["AUROC"] == f"{site['value']:.3f}"
        assert forest[site["site"]]["Interval"] == f"{site['lo']:.3f} to {site['hi']:.3f}"
    assert forest["Mean"]["AUROC"] == f"{hub.numbers['study']['auroc']['value']:.3f}"
    assert "A new hospital: 3 of at least 5 sites: no prediction interval." in vendor.text
    verdicts = vendor.table("Verdict on each criterion of the plan")
    assert [row["Verdict"].split(" ", 1)[1] for row in verdicts] == [
        one["outcome"] for one in hub.numbers["verdicts"]
    ]
    assert len(vendor.table("Results by subgroup")) == len(hub.numbers["study"]["subgroups"])
    for name in ("ROC curve", "Calibration plot"):
        expect(vendor.main.get_by_role("img", name=name)).to_be_visible()
    vendor.main.get_by_role("link", name=re.compile("^report-")).click()
    expect(vendor.main.get_by_role("heading", level=1)).to_have_text(re.compile("^Report report-"))
    vendor.settled()
    with vendor.page.expect_download() as download:
        vendor.main.get_by_role("button", name="Download report.html").click()
    (held,) = [one for one in hub.operator.reports() if is_current(one, "1.0")]
    assert download.value.path().read_bytes() == hub.operator.report_file(held, "report.html")
    with vendor.page.expect_download() as download:
        vendor.main.get_by_role("button", name="Download CSV: AUROC by hospital").click()
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0] == 'Hospital,Cases,AUROC,Interval,"Weight, %",Note'
    assert len(lines) == 1 + len(forest)


@pytest.mark.parametrize(
    ("holder", "screens"),
    [("operator", tuple(TITLES)), ("vendor", VENDORS), ("auditor", AUDITORS)],
)
def test_every_screen_fits_every_width_and_axe_finds_nothing(new_page, hub, holder, screens):
    shown = new_page(color_scheme="dark")
    shown.open(hub.link("vendor")) if holder == "vendor" else shown.sign_in(hub.key(holder))
    named = shown.page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    assert len(named) == len([name for name in screens if "/" not in name])
    for screen in screens:
        shown.go(screen, TITLES[screen])
        expect(shown.alert).to_have_count(0)
        assert shown.page.title().endswith(" · healthval")
        assert {width: shown.width(width) for width in WIDTHS} == {w: w for w in WIDTHS}
        for width, scheme in ((390, "light"), (1280, "dark")) if holder == "operator" else ():
            shown.width(width)
            shown.page.emulate_media(color_scheme=scheme)
            assert shown.axe() == [], (screen, width)


def test_the_screen_reader_reads_landmarks_headings_and_named_tables(operator):
    """Snapshots of the accessibility tree; a number or a time may be any."""
    expect(operator.page.locator("body")).to_match_aria_snapshot("""
      - link "Skip to content"
      - banner:
        - navigation "Screens":
          - link "Models"
          - link "Compare"
          - link "Access requests"
          - link "Study record"
          - link "Runs and costs"
          - link "Audit"
        - button "Sign out"
      - main:
        - heading "Models" [level=1]
        - 'button "Download CSV: Model versions"'
        - region "Model versions":
          - table "Model versions":
            - rowgroup:
              - row:
                - columnheader "Model"
            - rowgroup:
              - row:
                - rowheader "aspirate-risk 1.0":
                  - link "aspirate-risk 1.0"
    """)
    operator.go("model/aspirate-risk/1.0", "aspirate-risk 1.0")
    levels = operator.main.locator("h1, h2, h3").evaluate_all(
        "all => all.map(one => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    operator.go("access", "Access requests")
    operator.main.get_by_role("button", name="Decide").first.click()
    expect(operator.main).to_match_aria_snapshot("""
      - heading "Access requests" [level=1]
      - form /Decision on the request of .+/:
        - heading [level=2]
        - group "Decision":
          - radio "approved" [checked]
        - spinbutton "Valid for days"
        - spinbutton "At most cases"
        - textbox "Reason, which the hospital sees"
        - button "Save decision"
        - button "Cancel"
    """)


def test_the_keyboard_reaches_content_and_sorts(vendor):
    page = vendor.page
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.className") != "skip":
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    version = vendor.main.get_by_role("button", name="Version", exact=True)
    version.focus()
    orders = []
    for state in ("ascending", "descending"):
        page.keyboard.press("Enter")
        expect(vendor.main.get_by_role("columnheader", name="Version")).to_have_attribute(
            "aria-sort", state
        )
        orders.append([row["Version"] for row in vendor.table("Model versions")])
    assert orders[0] == sorted(orders[0]) == orders[1][::-1]


def choose(shown, place, version):
    """Select the report on a version."""
    chooser = shown.main.get_by_role("combobox", name=place)
    names = chooser.get_by_role("option").all_inner_texts()
    chooser.select_option(next(name for name in names if f"aspirate-risk {version} " in name))
    shown.settled()


def test_two_versions_are_compared_with_intervals_of_the_difference(vendor):
    vendor.go("compare", "Compare two versions")
    choose(vendor, "First", "1.0")
    choose(vendor, "Second", "1.1")
    caption = "Second (aspirate-risk 1.1) minus first (aspirate-risk 1.0)"
    rows = {row["Measure"]: row for row in vendor.table(caption)}
    assert rows["AUROC"]["Difference"] == "-0.125"
    low, high = map(float, rows["AUROC"]["95% CI, independent results"].split(" to "))
    wide, wider = map(float, rows["AUROC"]["Widest 95% CI"].split(" to "))
    assert wide < low < -0.125 < high < wider
    choose(vendor, "Second", "1.0")
    same = vendor.table("Second (aspirate-risk 1.0) minus first (aspirate-risk 1.0)")
    assert same[0]["Difference"] == "0.000"


def test_the_operator_approves_and_denies_with_a_reason(operator, hub, tmp_path):
    decided = {"approved": f"New ward {QUOTES}", "rejected": f"Old ward, longer {QUOTES}"}
    for status, label in decided.items():
        request_of(hub, tmp_path, label)
        operator.go("models").go("access", "Access requests")
        operator.main.get_by_role("button", name=f"Decide on the request of {label}").click()
        form = operator.main.get_by_role("form")
        expect(form.get_by_role("radio", name="approved")).to_be_focused()
        form.get_by_role("radio", name=status, exact=True).check()
        form.get_by_label("Valid for days").fill("7")
        form.get_by_label("At most cases").fill("250")
        form.get_by_label("Reason, which the hospital sees").fill(f"{status}: {QUOTES}")
        form.get_by_role("button", name="Save decision").click()
        expect(operator.main.get_by_role("status").first).to_have_text(f"{label}: {status}.")
        expect(form).to_have_count(0)
        operator.settled()
        assert operator.page.evaluate("document.activeElement.id") == "main"
        (row,) = [r for r in operator.table("Requests of hospitals") if r["Hospital"] == label]
        assert row["Reason"] == f"{status}: {QUOTES}"
        (grant,) = [g for g in hub.operator.access_requests() if g.label == label]
        assert (grant.status, grant.reason) == (status, f"{status}: {QUOTES}")
        if status == "approved":
            assert grant.max_cases == 250
            assert (grant.not_after - datetime.now(UTC)) < timedelta(days=7)
        operator.go("study", "Study record")
        assert label in operator.text


def test_the_costs_are_those_of_the_price_list(operator):
    operator.go("costs", "Runs and costs")
    prices = load_prices()
    for row in operator.table("Runs by hospital"):
        n = int(row["Inputs scored"].replace(",", ""))
        memory = int(row["Memory, MB"])
        cost = estimate(n, memory_mb=memory, seconds=0.05, megabytes=0.01, prices=prices)
        expected = (cost + overhead(prices)).usd if n else 0
        assert float(row["At most, USD"].removeprefix("$")) == pytest.approx(expected, rel=0.05)
    assert f"about ${idle(prices).usd:.2f}" in operator.text


def test_an_auditor_reads_requests_and_decides_nothing(new_page, hub):
    shown = new_page().sign_in(hub.key("auditor")).go("access", "Access requests")
    expect(shown.main.get_by_role("table")).to_be_visible()
    expect(shown.main.get_by_role("button", name=re.compile("Decide"))).to_have_count(0)
    shown.go("model/aspirate-risk/1.0")
    expect(shown.main.get_by_text("An auditor's key does not open reports.")).to_be_visible()


def test_the_operators_key_stays_in_memory(new_page, hub):
    operator = new_page().sign_in(hub.key("operator"))
    for screen in TITLES:
        operator.go(screen)
    assert operator.stored() == []
    pem = hub.key("operator").read_text(encoding="ascii").splitlines()[1]
    assert len(operator.sent) > 10
    assert not [sent for sent in operator.sent if pem in sent]
    operator.page.get_by_role("button", name="Sign out").click()
    expect(operator.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_file_that_is_no_key_and_a_hospitals_key_are_refused(new_page, hub, tmp_path):
    shown = new_page()
    shown.page.goto(hub.url)
    (tmp_path / "other.key").write_text(MARKUP, encoding="utf-8")
    Credential.create(tmp_path / "site.key")
    request_of(hub, tmp_path, "ward")
    for name, reason in {
        "other.key": "the text contains no Ed25519 private key",
        "site.key": "not signed by a key that this hub knows",
        "ward.key": "this key is a hospital's",
    }.items():
        shown.page.get_by_label("Key file").set_input_files(tmp_path / name)
        expect(shown.alert).to_contain_text(reason)
        expect(shown.page.get_by_label("Key file")).to_be_enabled()
    assert shown.axe() == []


def link_with(hub, **changes):
    """A link with these claims, signed by the hub's key."""
    pem = (hub.folder / "hub" / "hub.key").read_bytes()
    claims = {"iss": "hub", "sub": hub.ids["vendor"], "aud": hub.url, **changes}
    return (
        f"{hub.url}/#token={jwt.encode(claims, load_pem_private_key(pem, None), algorithm='EdDSA')}"
    )


def test_a_link_that_has_expired_is_cut_off_or_forged_opens_nothing(new_page, hub):
    now = int(datetime.now(UTC).timestamp())
    expired = link_with(hub, iat=now - 9000, exp=now - 1)
    whole = link_with(hub, iat=now - 100, exp=now + 1000)
    shown = new_page().open(whole)
    head, body, seal = whole.split("#token=")[1].split(".")
    forged = f"{hub.url}/#token={head}.{body}.{seal[:40]}AAAA{seal[44:]}"
    for link, title in {
        expired: "This link or key is not valid",
        forged: "This link or key is not valid",
        f"{hub.url}/#token={head}.{body}": "That did not work",
    }.items():
        shown.visit(link)
        expect(shown.alert.get_by_role("heading")).to_have_text(title)
        assert "aspirate-risk" not in shown.text
        assert "token" not in shown.page.url
    expect(shown.alert).to_contain_text("the link is incomplete")


def test_a_revoked_vendor_is_told_so_on_the_next_screen(new_page, hub, tmp_path):
    leaver = Credential.create(tmp_path / "leaver.key")
    enrolled = VendorKey(public_key=leaver.public_key, label="leaver", models=("aspirate-risk",))
    hub.operator.enrol_vendor(enrolled)
    link = hub.operator.dashboard_link(leaver.id)
    shown = new_page().open(f"{hub.url}/#{link.fragment}")
    hub.operator.revoke_key(leaver.id)
    shown.go("study", "Study record")
    expect(shown.alert).to_contain_text("This link or key is not valid")


@pytest.mark.parametrize("by", ["link", "key"])
def test_another_vendors_model_and_report_are_not_shown(new_page, hub, by):
    rival = new_page()
    rival.open(hub.link("rival")) if by == "link" else rival.sign_in(hub.key("rival"))
    assert "aspirate-risk" not in rival.text
    rival.go("model/aspirate-risk/1.0", "aspirate-risk 1.0")
    expect(rival.main.get_by_text("No report on this version is open to this key")).to_be_visible()
    (theirs, *_) = hub.operator.reports()
    rival.go(f"report/{theirs.id}")
    expect(rival.main.get_by_text("There is no such report, or it is not open to")).to_be_visible()
    assert "AUROC" not in rival.text
    token = hub.link("rival").split("#token=")[1]
    status = rival.page.evaluate(
        "async ([path, token]) => (await fetch(path, {headers: {authorization: `Bearer ${token}`}})).status",
        [f"/v1/reports/{theirs.id}/files/metrics.json", token],
    )
    assert status in {403, 404}


def test_every_string_of_a_signed_report_is_shown_as_text(vendor, hub):
    keep = {"healthval-metrics-1"}
    numbers = texts(hub.numbers, lambda text: text if text in keep else text + MARKUP)
    report = hub.publish(numbers, version="1.2")
    for screen in ("model/aspirate-risk/1.2", f"report/{report.id}", "compare", "study"):
        vendor.go(screen)
        expect(vendor.alert).to_have_count(0)
        assert vendor.main.locator("img, script, [onerror]").count() == 0
        assert (MARKUP in vendor.text) == (screen != "compare")
    vendor.go(f"report/{report.id}")
    for caption in ("Verdict on each criterion of the plan", "AUROC by hospital"):
        for row in vendor.table(caption):
            first, *_ = row.values()
            assert MARKUP in first or first == "Mean"


def test_no_string_of_a_lying_hub_becomes_markup(operator):
    """What does not fit the contract is refused without a quotation; what has no contract is text."""
    operator.change("**/v1/**", lambda answer: texts(answer, lambda text: text + MARKUP))
    for screen in reversed(TITLES):
        operator.go(screen)
        assert operator.main.locator("img, script, [onerror]").count() == 0
        if screen == "audit":
            assert MARKUP in operator.table("Changes, newest first")[0]["Subject"]
            expect(operator.alert).to_contain_text("The chain is broken at entry 1")
        else:
            expect(operator.alert.first).to_contain_text("does not fit its contract")
            assert "onerror" not in operator.text


def test_a_violation_of_the_policy_is_a_fault(browser, hub):
    """The watch itself: without it, the other tests would prove nothing."""
    shown = Shown(browser, hub.url)
    shown.page.goto(hub.url)
    shown.page.evaluate(
        "document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))"
    )
    shown.page.evaluate("try { document.body.innerHTML = '<b>x' } catch {}")
    expect(shown.page.get_by_role("heading", name="Sign in")).to_be_visible()
    blocked = {fault.split(" ")[0] for fault in shown.faults()}
    shown.close()
    assert {"img-src", "require-trusted-types-for"} <= blocked


def changed_file(hub, shown):
    """A hub that changes a result, and its own list of hashes with it."""
    data = json.dumps(texts(hub.numbers, str) | {"verdicts": []}).encode()
    digest = hashlib.sha256(data).hexdigest()

    def listed(answer):
        for report in answer["reports"]:
            report["files"]["metrics.json"] = digest
        return answer

    shown.change("**/v1/reports", listed)
    shown.answer("**/files/metrics.json", lambda route: route.fulfill(body=data))


def damaged_file(hub, shown):
    shown.answer("**/files/metrics.json", lambda route: route.fulfill(body=b"{}"))


def other_signer(hub, shown):
    hub.publish(hub.numbers, html=b"<p>other signer", signer="rival")


def other_version(hub, shown):
    """A hub that lists the signed report on 1.1 as one on 1.0."""
    reports = {one.version: one for one in hub.operator.reports() if one.status == "current"}

    def listed(answer):
        for report in answer["reports"]:
            if report["version"] == "1.0":
                report["id"] = reports["1.1"].id
                report["files"] = dict(reports["1.1"].files)
        return answer

    shown.change("**/v1/reports", listed)


def revoked_key(hub, shown):
    def listed(answer):
        for key in answer["keys"]:
            key["revoked"] = "2026-01-01T00:00:00Z"
        return answer

    shown.change("**/.well-known/healthval-keys.json", listed)


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (damaged_file, "metrics.json does not have the hash in the hub's list"),
        (changed_file, "metrics.json differs from the signed file"),
        (other_version, "about another model, version or plan"),
        (revoked_key, "not signed by a trusted key"),
        (other_signer, "not signed by a trusted key"),
    ],
)
def test_a_tampered_report_shows_no_number(vendor, hub, tamper, reason):
    tamper(hub, vendor)
    for screen in ("model/aspirate-risk/1.0", "study"):
        vendor.go(screen)
        expect(vendor.alert).to_contain_text("Do not rely on this report")
        expect(vendor.alert).to_contain_text(reason)
        assert not re.search(r"AUROC|Signature verified|0\.\d{3}", vendor.text)
    if tamper is other_signer:
        hub.publish(hub.numbers, html=hub.html + b"<!-- signed again -->")


def test_a_new_vendor_sees_empty_lists(new_page, hub):
    shown = new_page().open(hub.link("rival"))
    for screen, words in {
        "models": "No model is open to this key",
        "compare": "A comparison needs two current reports",
        "study": "No hospital has requested access yet",
    }.items():
        shown.go(screen)
        expect(shown.main.locator("p.state")).to_contain_text(words)


def test_loading_failing_and_trying_again(vendor):
    waiting, page = [], vendor.page

    def held(route):
        waiting.append(route)

    vendor.answer("**/v1/reports", held)
    page.evaluate("location.hash = '#/study'")
    expect(vendor.main.get_by_role("status")).to_have_text("Loading the study record …")
    problem = {"type": "about:blank", "title": "The disk is full", "status": 500}
    waiting.pop().fulfill(status=500, body=json.dumps(problem))
    expect(vendor.alert).to_contain_text("the hub refused: The disk is full")
    vendor.main.get_by_role("button", name="Try again").click()
    expect(vendor.main.get_by_role("status")).to_have_text("Loading the study record …")
    waiting.pop().continue_()
    vendor.settled()
    assert len(vendor.table("Hospitals by study")) >= 3


def test_offline_and_back(vendor):
    vendor.page.evaluate("Math.random = () => 0")  # no pause between attempts
    vendor.offline(True)
    expect(vendor.page.get_by_role("alert").first).to_contain_text("Offline")
    vendor.go("study")
    expect(vendor.alert.get_by_role("heading")).to_have_text("Offline")
    vendor.offline(False)
    vendor.main.get_by_role("button", name="Try again").click()
    vendor.settled()
    expect(vendor.page.get_by_role("alert")).to_have_count(0)
    assert len(vendor.table("Hospitals by study")) >= 3


def test_the_prediction_interval_of_five_hospitals_is_drawn(vendor, hub):
    numbers = copy.deepcopy(hub.numbers)
    measure = numbers["study"]["auroc"]
    one = measure["sites"][0] | {"lo": 0.78, "hi": 0.92}
    measure["sites"] = [one | {"site": f"Hospital {n}"} for n in range(5)]
    measure |= {"k": 5, "ci": [0.81, 0.89], "prediction": [0.7, 0.96], "reason": None}
    numbers["derived"]["means"]["auroc"] |= {"ci": [0.8, 0.9], "prediction": [0.7, 0.96]}
    report = hub.publish(numbers, version="1.2")
    vendor.go(f"report/{report.id}")
    expect(
        vendor.main.get_by_text("A new hospital: 0.700 to 0.960 (95% prediction")
    ).to_be_visible()
    rows = {row["Hospital"]: row for row in vendor.table("AUROC by hospital")}
    assert rows["A new hospital (prediction)"]["Interval"] == "0.700 to 0.960"
    lines = vendor.main.get_by_role("table", name="AUROC by hospital").locator("svg .interval")
    spans = [
        float(line.get_attribute("x2")) - float(line.get_attribute("x1")) for line in lines.all()
    ]
    assert len(spans) == 7
    assert spans[-1] == max(spans)
    assert spans[-1] / spans[-2] == pytest.approx(0.26 / 0.1)


def test_a_vendor_reads_how_many_inputs_a_hospital_without_a_result_scored(vendor, hub):
    """A hospital that scored its patients and sent nothing may have seen a bad result."""
    numbers = copy.deepcopy(hub.numbers)
    sent, silent, refused = numbers["conduct"]["hospitals"]
    silent |= {"sent": False, "inputs": 1214}
    refused |= {"sent": False, "inputs": 0}
    hub.publish(numbers, version="1.2")
    vendor.go("study", "Study record")
    rows = vendor.table("Hospitals by study")
    seen = {
        row["Hospital"]: (row["Result"], row["Inputs scored"])
        for row in rows
        if row["Study"].startswith("aspirate-risk 1.2")
    }
    assert seen == {
        sent["label"]: ("in the report", "–"),
        silent["label"]: ("none", "1,214"),
        refused["label"]: ("none", "0"),
    }


def test_a_report_over_4000_hospitals_draws_the_visible_rows_only(vendor, hub):
    numbers = copy.deepcopy(hub.numbers)
    one = numbers["study"]["auroc"]["sites"][0]
    names = [f"Hospital {n:04}" for n in range(4000)]
    numbers["study"]["auroc"]["sites"] = [
        one | {"site": name, "n": n} for n, name in enumerate(names)
    ]
    report = hub.publish(numbers, version="1.2")
    vendor.go(f"report/{report.id}")
    region = vendor.main.get_by_role("region", name="AUROC by hospital", exact=True)
    expect(region.get_by_role("table")).to_have_attribute("aria-rowcount", "4002")
    assert region.get_by_role("row").count() < 80
    region.evaluate("box => { box.scrollTop = box.scrollHeight }")
    expect(region.get_by_role("rowheader", name="Mean")).to_be_visible()
    vendor.page.emulate_media(media="print")
    expect(region.locator("tbody tr")).to_have_count(4001)
    vendor.page.emulate_media(media="screen")
    expect(region.locator("tbody tr")).not_to_have_count(4001)
    vendor.main.get_by_label("Filter: AUROC by hospital").fill("hospital 399")
    expect(region.get_by_role("row")).to_have_count(11)
    assert {width: vendor.width(width) for width in WIDTHS} == {w: w for w in WIDTHS}
    vendor.page.emulate_media(media="print")
    expect(vendor.page.get_by_role("banner")).to_be_hidden()
    expect(vendor.main.get_by_text("10 of 4,001 rows")).to_be_visible()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the packed client and the two examples of its page in the docs."""
    folder = node_tools.project(tmp_path_factory.mktemp("project"))
    text = (node_tools.ROOT / "docs" / "javascript.md").read_text(encoding="utf-8")
    for kind, name in {"js": "evaluate.mjs", "html": "verify.html"}.items():
        (example,) = re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)
        (folder / name).write_text(example, encoding="utf-8")
    return folder


def test_the_example_of_the_docs_runs_in_node(project, hub):
    command = (node_tools.NODE, "evaluate.mjs", hub.url, str(hub.key("operator")))
    out = node_tools.run(*command, folder=project).splitlines()
    assert [line.split(" ")[0] for line in out] == ["scores", "AUROC", "sensitivity"]
    assert all(0 < float(score) < 1 for score in out[0].split(" ")[1:])
    assert 0 <= float(out[1].split(" ")[1]) <= 1


def test_the_example_of_the_docs_runs_in_a_page(project, hub, browser, served):
    (held,) = [one for one in hub.operator.reports() if is_current(one, "1.0")]
    names = ("attestation.dsse.json", "metrics.json", "report.html")
    for name in names:
        (project / name).write_bytes(hub.operator.report_file(held, name))
    page = browser.new_page()
    page.goto(f"{served(project)}/verify.html")
    chosen = [*(project / name for name in names), hub.folder / "operator.key.pub"]
    page.get_by_label("Report and key").set_input_files(chosen)
    signer = fingerprint(Credential.load(hub.key("operator")).public_key)
    told = f"Verified: aspirate-risk 1.0, signed with {signer}."
    expect(page.get_by_role("status")).to_have_text(told)
    (project / "metrics.json").write_bytes(b"{}")
    page.reload()
    page.get_by_label("Report and key").set_input_files(chosen)
    expect(page.get_by_role("status")).to_contain_text("Do not rely on this report: metrics.json")
    page.close()


@pytest.fixture
def served():
    """Serve a folder on loopback, as `python3 -m http.server` does."""
    running = []

    def serve(folder):
        handler = functools.partial(QuietHandler, directory=str(folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and writes no log."""

    def log_message(self, *_args):
        pass
