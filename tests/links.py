"""Ask every external link of README and docs for an answer: `make links`. Needs a network, so no test runs it.

The links are in tests/external_links.txt, one a line; a test compares that list with the documents.
"""

import re
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("external_links.txt")
LINK = re.compile(r"https?://[^\s)>\"'`|]+")
# Addresses of examples, of this machine, and a code system's name, which is no page.
EXAMPLES = re.compile(
    r"https?://(127\.0\.0\.1|localhost|loinc\.org|([\w-]+\.)*example(\.org)?([/:]|$))"
)


def documents() -> list[Path]:
    """README, the other pages of the root, and the docs."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def found() -> list[str]:
    """External links of all documents, sorted."""
    texts = [path.read_text(encoding="utf-8") for path in documents()]
    links = {link.rstrip(".,;:") for text in texts for link in LINK.findall(text)}
    return sorted(link for link in links if not EXAMPLES.match(link))


def problem(link: str) -> str | None:
    """Why a link has no answer, or None."""
    request = urllib.request.Request(link, headers={"User-Agent": "healthval links"})
    try:
        with urllib.request.urlopen(request, timeout=30):
            return None
    except OSError as trouble:
        return str(trouble)


def main() -> int:
    """Print each link with its state; 1 if one has no answer."""
    troubles = {link: problem(link) for link in LIST.read_text(encoding="utf-8").split()}
    for link, trouble in troubles.items():
        print(f"{trouble or 'ok':<40} {link}")
    return int(any(troubles.values()))


if __name__ == "__main__":
    sys.exit(main())
