"""What the audit reads of a data set in memory: its values end to end, and where each of them is.

Shares no code with the engine.
"""

from functools import cached_property
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from healthval.deid.audit.reader import (
    CHARSET,
    ITEMS,
    PIXELS,
    TELLING,
    Leaf,
    Reader,
    items_of_unknown,
    vr_of,
)

_BETWEEN: Final = b"\xff"
_HEAD: Final = 8  # tag and length in implicit VR
_Path = tuple[int, ...]


class Gathered:
    """Values of one data set; afterwards `data`, `leaves` and `frames` tell the result.

    `frames` are the bytes of the pixels, b"" if there are none. With `only`, of all values those of
    names, dates, unknown VR and of these tags are taken.
    """

    pixels: None = None
    stopped: None = None

    def __init__(self, dataset: Dataset, only: frozenset[int] | None = None) -> None:
        self.frames = b""
        self._only = only
        self._found: list[tuple[_Path, str, bytes, bytes]] = []  # path, VR, value, charset
        self._little = dataset.original_encoding[1] is not False
        self._add(dataset, (), "iso8859", b"")
        self.data = _BETWEEN.join([value for _, _, value, _ in self._found])

    @cached_property
    def leaves(self) -> list[Leaf]:
        """Every value, and where it is in `data`."""
        leaves, at = list[Leaf](), 0
        for path, vr, value, charset in self._found:
            leaves.append(Leaf(path, vr, at, at + len(value), charset))
            at += len(value) + len(_BETWEEN)
        return leaves

    def _add(self, dataset: Dataset, path: _Path, parent: Any, around: bytes) -> None:
        element: Any
        characters = dataset.get("SpecificCharacterSet", parent)
        charset = _terms(characters) if CHARSET in dataset else around
        found, only = self._found, self._only
        for tag, element in list(dataset.items()):
            if element.is_raw and element.value is None and element.length:
                element = dataset.get_item(tag)  # noqa: PLW2901  put off when the file was read
            if tag in PIXELS and not path:
                self.frames += _pixels(element, characters)
            elif element.is_raw:
                vr, value = element.VR or vr_of(tag), element.value or b""
                if vr in ("SQ", "UN"):
                    self._value((*path, int(tag)), vr, value, charset, implicit=element.is_implicit_VR)  # fmt: skip
                elif only is None or vr in TELLING or tag in only:
                    found.append(((*path, int(tag)), vr, value, charset))
            elif element.VR == "SQ":
                for item in element.value:
                    self._add(item, (*path, int(tag)), characters, charset)
            else:
                value = _encoded(element, characters, little=self._little)[_HEAD:]
                self._value((*path, int(tag)), element.VR, value, charset, implicit=True)

    def _value(self, path: _Path, vr: str, value: bytes, charset: bytes, *, implicit: bool) -> None:
        if vr == "UN" and value[:4] in ITEMS:
            self._take(items_of_unknown(value, path, charset, self._only), path, charset)
        elif vr == "SQ":
            little = value[:2] != ITEMS[1][:2]
            self._take(Reader(value, implicit=implicit, little=little, only=self._only, within=path, charset=charset), path, charset)  # fmt: skip
        elif self._only is None or vr in TELLING or path[-1] in self._only:
            self._found.append((path, vr, value, charset))

    def _take(self, read: Reader, path: _Path, charset: bytes) -> None:
        value = read.data
        for leaf in read.leaves:
            self._found.append((leaf.path, leaf.vr, value[leaf.start : leaf.end], leaf.charset))
        if read.stopped is not None:
            self._found.append((path, "UN", value[read.stopped :], charset))


def _terms(charset: Any) -> bytes:
    terms = [charset] if isinstance(charset, str) else list(charset or ())
    return "\\".join(terms).encode("ascii", "replace")


def _pixels(element: Any, charset: Any) -> bytes:
    value = element.value or b""
    return value if isinstance(value, bytes) else _encoded(element, charset, little=True)


def _encoded(element: Any, charset: Any, *, little: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, little
    write_data_element(buffer, element, charset)
    return bytes(buffer.getvalue())
