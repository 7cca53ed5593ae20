"""Packaged fonts: matplotlib's DejaVu Sans, and subsets of Noto Sans for CJK and Devanagari.

DejaVu Sans has Latin, Greek, Cyrillic, Hebrew and Arabic. The CJK subset has the more frequent
characters of GB 2312, JIS X 0208 and Big5 (their first levels), kana, and the syllables of KS X 1001.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache
from html import unescape
from pathlib import Path

from healthval.errors import ReportError, counted
from healthval.files import packaged

SANS, MONO = "healthval Sans", "healthval Mono"
_SHOWN = 3  # scripts that a refusal names


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One font file, and how the page names it."""

    path: Path
    family: str
    weight: str = "normal"
    style: str = "normal"

    def css(self) -> str:
        """Return the rule that makes the file known under its family."""
        return (
            f'@font-face {{ font-family: "{self.family}"; font-weight: {self.weight};'
            f' font-style: {self.style}; src: url("{self.path.as_uri()}"); }}\n'
        )


@cache
def _always() -> tuple[Face, ...]:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return (
        Face(path=folder / "DejaVuSans.ttf", family=SANS),
        Face(path=folder / "DejaVuSans-Bold.ttf", family=SANS, weight="bold"),
        Face(path=folder / "DejaVuSans-Oblique.ttf", family=SANS, style="italic"),
        Face(path=folder / "DejaVuSansMono.ttf", family=MONO),
    )


def _more() -> tuple[Face, ...]:
    folder = packaged("fonts")
    return (
        Face(path=folder / "NotoSansCJK-subset.otf", family="healthval CJK"),
        Face(path=folder / "NotoSansDevanagari-subset.ttf", family="healthval Devanagari"),
    )


def font_files() -> list[Path]:
    """Return the files of all packaged fonts."""
    return [face.path for face in (*_always(), *_more())]


@cache
def _glyphs(path: Path) -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(path, lazy=True) as font:
        return frozenset(font.getBestCmap())


@cache
def _advances(path: Path) -> dict[int, float]:
    from fontTools.ttLib import TTFont

    with TTFont(path) as font:
        widths, size = font["hmtx"].metrics, font["head"].unitsPerEm
        return {code: widths[name][0] / size for code, name in font.getBestCmap().items()}


def width(text: str) -> float:
    """Return the width of a text in em; a character of another font is a whole em wide."""
    advances = _advances(_always()[0].path)
    return sum(advances.get(ord(c), 1.0) for c in text)


def _lacking(text: str) -> set[int]:
    """Return the visible characters of a text that DejaVu Sans lacks."""
    visible = {ord(c) for c in set(unescape(text)) if not c.isspace() and c.isprintable()}
    return visible - _glyphs(_always()[0].path)


def check_glyphs(text: str) -> None:
    """Refuse a text with a character that no packaged font has: it would be an empty box.

    Raises
    ------
    ReportError
        With the number of the characters and their scripts.
    """
    missing = _lacking(text)
    for face in _more() if missing else ():
        missing -= _glyphs(face.path)
    if missing:
        first = {unicodedata.name(chr(c), "unnamed").split()[0].capitalize() for c in missing}
        scripts = sorted(first)
        more = " and others" if len(scripts) > _SHOWN else ""
        raise ReportError(
            f"{counted(len(missing), 'character')} of the report ({', '.join(scripts[:_SHOWN])}{more})"
            f" {'is' if len(missing) == 1 else 'are'} in no packaged font; write the names in "
            "another script, or with more common characters"
        )


def font_css(text: str) -> str:
    """Return the rules for the fonts that a page needs; larger ones only if it has their characters."""
    missing = _lacking(text)
    more = [face for face in _more() if missing & _glyphs(face.path)] if missing else []
    families = ", ".join(f'"{name}"' for name in (SANS, *(face.family for face in more)))
    mono = families.replace(SANS, MONO, 1)
    rules = "".join(face.css() for face in (*_always(), *more))
    return (
        f"{rules}html, body {{ font-family: {families} !important }}\n"
        f"code, pre, .hash {{ font-family: {mono} !important }}\n"
    )
