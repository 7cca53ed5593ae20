"""The dashboard's files as the hub serves them."""

import re
from pathlib import Path

import httpx
import pytest

from healthval.hub.api.dashboard import FOLDER, POLICY

pytestmark = pytest.mark.parametrize("hub", ["embedded"], indirect=True, scope="session")


def test_the_page_is_at_the_root_and_names_files_of_this_origin_only(hub):
    page = httpx.get(hub.url + "/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 3
    assert {a.split("/")[0] for a in addresses} == {".", "data:,"}
    assert not re.search(r"<(script|style)[^>]*>[^<]", page.text), "no inline script or style"


def test_every_file_has_the_policy_and_is_cached_by_its_hash(hub):
    names = [f"/assets/{path.name}" for path in (FOLDER / "assets").iterdir()]
    assert sorted(Path(name).suffix for name in names) == [".css", ".js"]
    for address in ("/", *names):
        answer = httpx.get(hub.url + address)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        cache = answer.headers["cache-control"]
        assert cache == ("no-cache" if address == "/" else "public, max-age=31536000, immutable")
        head = httpx.head(hub.url + address)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]
    kinds = {Path(n).suffix: httpx.head(hub.url + n).headers["content-type"] for n in names}
    assert kinds == {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


@pytest.mark.parametrize(
    "address",
    ["/assets/none.js", "/assets/..%2Findex.html", "/assets/%2e%2e/index.html", "/index.html"],
)
def test_no_other_file_is_served(hub, address):
    answer = httpx.get(hub.url + address)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_page_changes_nothing(hub):
    answer = httpx.post(hub.url + "/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_policy_allows_no_foreign_origin_and_no_inline_code(hub):
    sources = {part for rule in POLICY.split("; ") for part in rule.split()[1:]}
    assert sources == {"'none'", "'self'", "data:", "'script'"}
