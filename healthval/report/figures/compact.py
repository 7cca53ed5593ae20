"""Small SVG: matplotlib's output without unused ids, comments and blanks, drawn the same.

Coordinates are rounded to hundredths of a point, which is far below a printer's dot. Paths have
relative coordinates. Text stays text in one list of fonts: the first ones are the packaged fonts of
the PDF, and a browser shapes names in any script.
"""

import re
from collections.abc import Iterator
from string import ascii_letters
from xml.etree import ElementTree as ET

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
HREF = f"{{{XLINK}}}href"
HUNDREDTHS = 100
DRAWN_WITH = "font-family: 'DejaVu Sans'; "
LINE_ENDS = "*{stroke-linejoin: round; stroke-linecap: butt}"  # matplotlib's only rule
_FONTS_IN_ONE = frozenset({"font", "font-family"})
FONTS = "healthval Sans,healthval CJK,healthval Devanagari,DejaVu Sans,Verdana,sans-serif"
_UPRIGHT = re.compile(r"rotate\(-?0 ")
_NUMBER = re.compile(r"-?[0-9]+\.[0-9]+(?:e-?[0-9]+)?")
_TOKEN = re.compile(r"[A-Za-z]|-?[0-9]*\.?[0-9]+(?:e-?[0-9]+)?")
_URL = re.compile(r"url\(#([^)]+)\)")
_SHIFT = re.compile(r"translate\((\S+) 0\)")
_ARGUMENTS = {"M": 2, "L": 2, "Q": 4, "C": 6, "Z": 0, "z": 0}
_CODED = (
    ("%", "%25"),
    ("#", "%23"),
    ("<", "%3C"),
    (">", "%3E"),
    ("//", "%2F%2F"),
    ("\n", " "),
)
_ROUNDED = frozenset({"x", "y", "x1", "x2", "y1", "y2", "width", "height", "transform", "r"})


def compact(svg: str) -> str:
    """Return the same drawing in fewer bytes; equal drawings give equal bytes."""
    root = ET.fromstring(svg)  # noqa: S314 - drawn by matplotlib in this process
    _gather_definitions(root)
    _set_family(root)
    _shorten_ids(root)
    for element in root.iter():
        _shorten(element)
        _unfold_style(element)
    _unwrap(root)
    _join_lines(root)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{SVG}}}")
    root.set("xmlns", SVG)
    text = ET.tostring(root, encoding="unicode").replace(" />", "/>")
    return text if "'" in text else text.replace('"', "'")  # needs no escape in an HTML attribute


def data_url(svg: str) -> str:
    """Return a drawing as data URL; base64 would be a third longer.

    The slashes of its namespace are coded, so that a page without outside addresses contains none.
    """
    for raw, coded in _CODED:
        svg = svg.replace(raw, coded)
    return f"data:image/svg+xml,{svg}"


def _gather_definitions(root: ET.Element) -> None:
    """Move all definitions to the front; a glyph is defined once already."""
    found = ET.Element(f"{{{SVG}}}defs")
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == found.tag:
                found.extend(child)
                parent.remove(child)
    for sheet in [child for child in found if child.tag == f"{{{SVG}}}style"]:
        if (sheet.text or "").strip() == LINE_ENDS:
            found.remove(sheet)
            root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt"}
    if len(found):
        root.insert(0, found)


def _set_family(root: ET.Element) -> None:
    """Name the fonts once for the figure instead of in every text."""
    for element in root.iter(f"{{{SVG}}}text"):
        element.set("style", element.get("style", "").replace(DRAWN_WITH, ""))
        if _UPRIGHT.match(element.get("transform", "")):
            del element.attrib["transform"]
    root.set("font-family", FONTS)


def _shorten_ids(root: ET.Element) -> None:
    used: dict[str, str] = {}
    for element in root.iter():
        for value in element.attrib.values():
            for name in _URL.findall(value):
                used.setdefault(name, _short(len(used)))
        if HREF in element.attrib:
            used.setdefault(element.attrib[HREF][1:], _short(len(used)))
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in used:
            element.set("id", used[name])
        target = element.attrib.pop(HREF, None)
        if target is not None:
            element.set("href", f"#{used[target[1:]]}")
        for attribute, value in element.attrib.items():
            element.set(attribute, _URL.sub(lambda m: f"url(#{used[m[1]]})", value))


def _short(position: int) -> str:
    """Return an id of one letter or two.

    >>> _short(0), _short(51), _short(52)
    ('a', 'Z', 'aa')
    """
    rest, last = divmod(position, len(ascii_letters))
    return (_short(rest - 1) if rest else "") + ascii_letters[last]


def _shorten(element: ET.Element) -> None:
    element.text = (element.text or "").strip() or None
    element.tail = None
    for name, value in list(element.attrib.items()):
        if name == "d":
            element.set("d", relative_path(value))
        elif name == "style":
            element.set("style", re.sub(r"\s*([:;,])\s*", r"\1", value.strip()))
        elif name in _ROUNDED:
            element.set(name, _rounded(value))
    shift = _SHIFT.fullmatch(element.get("transform", ""))
    if element.tag == f"{{{SVG}}}use" and shift and "x" not in element.attrib:
        del element.attrib["transform"]
        element.set("x", f"{float(shift[1]):.0f}")  # hundredths of the font's size


def _unfold_style(element: ET.Element) -> None:
    """Write a style as attributes, which need no parser of CSS for each element."""
    pairs = [part.partition(":") for part in element.get("style", "").split(";") if part]
    if pairs and not {name for name, *_ in pairs} & _FONTS_IN_ONE:
        del element.attrib["style"]
        for name, _, value in pairs:
            element.set(name, value.removesuffix("px"))


def _join_lines(root: ET.Element) -> None:
    """Join neighbouring lines of one style; a transparent one would be drawn once less where they cross."""
    for parent in root.iter():
        last = None
        for child in list(parent):
            if last is not None and _is_line(child) and _look(child) == _look(last):
                last.set("d", f"{last.get('d')}M{child.get('d', '')[1:]}")
                parent.remove(child)
            else:
                last = child if _is_line(child) else None


def _is_line(element: ET.Element) -> bool:
    attributes = element.attrib
    return (
        element.tag == f"{{{SVG}}}path"
        and attributes.get("fill") == "none"
        and attributes.get("d", "").startswith("m")
        and not {"id", "opacity", "stroke-opacity", "transform"} & set(attributes)
    )


def _look(element: ET.Element) -> dict[str, str]:
    return {name: value for name, value in element.attrib.items() if name != "d"}


def _rounded(value: str) -> str:
    """Round lengths; a scale keeps its digits."""
    moved, scale, factor = value.partition("scale")
    short = _NUMBER.sub(lambda found: printed(round(float(found[0]) * HUNDREDTHS)), moved)
    return short + scale + factor.replace("0.", ".")


def printed(hundredths: int) -> str:
    """Write a length given in hundredths.

    >>> printed(-50), printed(1200)
    ('-0.5', '12')
    """
    whole, rest = divmod(abs(hundredths), HUNDREDTHS)
    text = str(whole) + (f".{rest:02d}".rstrip("0") if rest else "")
    return f"-{text}" if hundredths < 0 else text


def _unwrap(parent: ET.Element) -> None:
    """Replace groups without attributes by their children, and drop empty ones."""
    for child in list(parent):
        _unwrap(child)
        if child.tag == f"{{{SVG}}}g" and not child.attrib:
            at = list(parent).index(child)
            parent.remove(child)
            for offset, inner in enumerate(child):
                parent.insert(at + offset, inner)


def relative_path(path: str) -> str:
    """Write a path with relative coordinates, horizontal and vertical lines and no repeated letters.

    Sums of the rounded steps are exact, so that errors do not add up. A path with other commands
    than matplotlib's is returned as it is.

    >>> relative_path("M 10 10 L 20 10 L 20 30.5 z ")
    'm10 10h10v20.5z'
    """
    tokens = _TOKEN.findall(path)
    if {token for token in tokens if token.isalpha()} - set(_ARGUMENTS):
        return path
    text, last = "", ""
    for letter, steps in _steps(tokens):
        numbers = [printed(step) for step in steps]
        joined = "".join(n if n[0] == "-" or not i else f" {n}" for i, n in enumerate(numbers))
        same = letter == last and letter not in "mz"
        gap = "" if joined.startswith("-") else " "
        text += (gap if same else letter) + joined
        last = letter
    return text


def _steps(tokens: list[str]) -> Iterator[tuple[str, list[int]]]:
    """Yield each command in lower case with its steps from the current point, in hundredths."""
    here = start = (0, 0)
    at = 0
    while at < len(tokens):
        letter = tokens[at]
        count = _ARGUMENTS[letter]
        values = [round(float(t) * HUNDREDTHS) for t in tokens[at + 1 : at + 1 + count]]
        at += 1 + count
        if not values:
            here = start
            yield "z", []
            continue
        steps = [value - here[i % 2] for i, value in enumerate(values)]
        here = (values[-2], values[-1])
        start = here if letter == "M" else start
        yield _line(steps) if letter == "L" else (letter.lower(), steps)


def _line(steps: list[int]) -> tuple[str, list[int]]:
    if steps[1] == 0:
        return "h", steps[:1]
    return ("v", steps[1:]) if steps[0] == 0 else ("l", steps)
