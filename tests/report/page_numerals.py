"""Numerals of a page, and those that are not in ``metrics.json``."""

import ast
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import healthval.report

NUMERAL = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\d)")
TICK = re.compile(r"[−-]?\d+(?:\.\d{1,2})?")


class Texts(HTMLParser):
    """Visible texts, alternative texts and titles, and the texts of the figures."""

    def __init__(self):
        super().__init__()
        self.found, self.drawn, self.hidden = [], [], False

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.hidden = tag == "style"
        self.found += [given[name] for name in ("alt", "title", "aria-label") if name in given]
        if tag == "img":
            svg = unquote(given["src"].split(",", 1)[1])
            self.drawn += [unescape(t) for t in re.findall(r"<text[^>]*>([^<]*)<", svg)]

    def handle_data(self, data):
        if not self.hidden:
            self.found.append(data)


def numerals(text):
    plain = text.replace("\N{NARROW NO-BREAK SPACE}", "").replace("−", "-")
    return NUMERAL.findall(plain)


def flat(value):
    if isinstance(value, dict):
        yield from (t for key in value for t in numerals(key.replace("_", " ")))
        for item in value.values():
            yield from flat(item)
    elif isinstance(value, list | tuple):
        yield str(len(value))
        for item in value:
            yield from flat(item)
    elif isinstance(value, str):
        yield from numerals(value.replace("_", " "))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def own_words():
    """Numerals in the strings of the report's modules, such as "95% CI"."""
    found = set()
    for path in Path(healthval.report.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(numerals(node.value))
    return found


class Known:
    def __init__(self, numbers):
        every = list(flat(numbers))
        self.words = {v for v in every if isinstance(v, str)} | own_words()
        self.values = sorted({abs(float(v)) for v in every if not isinstance(v, str)})

    def has(self, token, text):
        """Whether a number has this token when printed with the token's decimals."""
        if token in self.words:
            return True
        scales = (
            [1.0] + [100.0] * ("%" in text or " of 100" in text) + [1000.0] * ("." not in token)
        )
        digits = len(token.partition(".")[2])
        return any(
            f"{value * scale:.{digits}f}" == token for scale in scales for value in self.values
        )


def untraced(html, numbers):
    page = Texts()
    page.feed(html)
    known = Known(numbers)
    left = [(t, text) for text in page.found for t in numerals(text) if not known.has(t, text)]
    for text in page.drawn:
        if not TICK.fullmatch(text.strip()):
            left += [(t, text) for t in numerals(text) if not known.has(t, text)]
    return left
