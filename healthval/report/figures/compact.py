"""Compact SVG: matplotlib's output without what a reader does not see."""

import re

# The first family is the packaged font of the PDF; text stays text, so that a browser shapes a name
# in any script and a reader can search it.
FONTS = "'healthval Sans','DejaVu Sans',Verdana,sans-serif"
_FAMILY = "font-family: 'DejaVu Sans'; "
_TAG = re.compile(r"(<[^>]*>)")
_NUMBER = re.compile(r"(?<![\w#.])-?\d+\.\d{3,}(?![\w.])")


def compact(svg: str) -> str:
    """Round coordinates to 0.01 pt, drop empty groups, unused names and white space.

    The content of text elements is not changed.
    """
    used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", svg))
    out: list[str] = []
    groups: list[bool] = []  # whether each open group is kept
    inside_text = False
    for part in _TAG.split(svg):
        if not part.startswith("<"):
            out.append(part if inside_text else part.strip())
            continue
        inside_text = part.startswith("<text") or (inside_text and not part.startswith("</text"))
        tag = _short(part, used)
        if tag == "</g>":
            out.append(tag if groups.pop() else "")
        elif tag == "<g>" or tag.startswith("<g "):
            groups.append(tag != "<g>")
            out.append(tag if groups[-1] else "")
        else:
            out.append(tag)
    return "".join(out).replace("</style>", f"text{{font-family:{FONTS}}}</style>", 1)


def _short(tag: str, used: set[str]) -> str:
    tag = re.sub(r"\s+", " ", tag)
    tag = re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", tag)
    tag = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", tag)
    tag = _NUMBER.sub(lambda m: _rounded(m[0]), tag)
    tag = re.sub(r'style="([^"]*)"', lambda m: f'style="{_style(m[1])}"', tag)
    return re.sub(r' (?="|/?>)', "", tag)


def _rounded(number: str) -> str:
    text = f"{float(number):.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _style(style: str) -> str:
    return re.sub(r"\s*([;:,])\s*", r"\1", style.replace(_FAMILY, ""))
