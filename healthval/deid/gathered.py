"""What the audit reads of a data set in memory: its values end to end, and where each of them is.

Shares no code with the engine.
"""

from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from healthval.deid.wire import PIXELS, TELLING, Leaf, Reader, vr_of

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_BETWEEN: Final = b"\xff"
_HEAD: Final = 8  # tag and length in implicit VR
_Path = tuple[int, ...]


class Gathered:
    """Values of one data set; afterwards `data`, `leaves` and `frames` tell the result.

    Native pixels are numbers only and left out; `frames` are compressed ones, b"" if there are
    none. With `only`, of all values those of names, dates, unknown VR and of these tags are taken.
    """

    pixels: None = None
    stopped: None = None

    def __init__(self, dataset: Dataset, only: frozenset[int] | None = None) -> None:
        self.leaves, self.frames = list[Leaf](), b""
        self._only, self._at = only, 0
        self._parts: list[bytes] = []
        self._little = dataset.original_encoding[1] is not False
        self._add(dataset, (), "iso8859")
        self.data = _BETWEEN.join(self._parts)

    def _add(self, dataset: Dataset, path: _Path, parent: Any) -> None:
        element: Any
        charset = dataset.get("SpecificCharacterSet", parent)
        for tag, element in list(dataset.items()):
            here = (*path, int(tag))
            if element.is_raw and element.value is None and element.length:
                element = dataset.get_item(tag)  # noqa: PLW2901  put off when the file was read
            if tag in PIXELS and not path:
                self._pixels(element)
            elif element.is_raw:
                self._raw(here, element)
            elif element.VR == "SQ":
                for item in element.value:
                    self._add(item, here, charset)
            else:
                value = _encoded(element, charset, little=self._little)[_HEAD:]
                self._value(here, element.VR, value, implicit=True)

    def _raw(self, path: _Path, element: Any) -> None:
        vr = element.VR or vr_of(path[-1])
        self._value(path, vr, element.value or b"", implicit=element.is_implicit_VR)

    def _value(self, path: _Path, vr: str, value: bytes, *, implicit: bool) -> None:
        if vr == "SQ" or (vr == "UN" and value[:4] in _ITEM):
            self._items(path, value, implicit=implicit or vr == "UN")
        elif self._only is None or vr in TELLING or path[-1] in self._only:
            self._leaf(path, vr, value)

    def _leaf(self, path: _Path, vr: str, value: bytes) -> None:
        self.leaves.append(Leaf(path, vr, self._at, self._at + len(value)))
        self._parts.append(value)
        self._at += len(value) + len(_BETWEEN)

    def _items(self, path: _Path, value: bytes, *, implicit: bool) -> None:
        little = value[:2] != _ITEM[1][:2]
        read = Reader(value, implicit=implicit, little=little, only=self._only, within=path)
        for leaf in read.leaves:
            self._leaf(leaf.path, leaf.vr, value[leaf.start : leaf.end])
        if read.stopped is not None:
            self._leaf(path, "UN", value[read.stopped :])

    def _pixels(self, element: Any) -> None:
        undefined = element.length == _UNDEFINED if element.is_raw else element.is_undefined_length
        if undefined:
            self.frames = element.value if element.is_raw else _encoded(element, [], little=True)


def _encoded(element: Any, charset: Any, *, little: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, little
    write_data_element(buffer, element, charset)
    return bytes(buffer.getvalue())
