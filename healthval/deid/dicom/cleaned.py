"""`Cleaned`: the engine's output, saved as the bytes it is made of."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from healthval.deid.dicom import values
from healthval.deid.dicom.values import Element
from healthval.deid.dicom.writer import encode_meta, encoded_parts

_META_LENGTH: Final = 0x00020000
_SYNTAX: Final = 0x00020010
_DATA_SET: Final = 0x00030000  # groups below are commands and file meta


class Cleaned(Dataset):
    """A data set whose elements are encoded already, and are written so.

    pydicom's writer takes every element apart again, which costs more than engine and audit
    together. Whatever has been put into another encoding since is left to that writer.
    """

    def save_as(self, filename: Any, /, *args: Any, **kwargs: Any) -> None:
        """Do what `pydicom.Dataset.save_as` does."""
        is_plain = not args and not kwargs and isinstance(filename, (str, os.PathLike))
        syntax = _syntax(self) if is_plain else None
        if syntax is None or not _stands(self, (syntax.is_implicit_VR, syntax.is_little_endian)):
            super().save_as(filename, *args, **kwargs)
            return
        parts = encoded_parts(self, implicit=syntax.is_implicit_VR, little=syntax.is_little_endian)
        with Path(filename).open("wb") as file:
            file.write(self.preamble + encode_meta(_without_length(self.file_meta)))
            file.writelines(parts)

    def __eq__(self, other: object) -> bool:
        """Compare as a plain data set does, with any other."""
        return Dataset(self) == other

    __hash__ = None  # type: ignore[assignment]  # as of any data set


def _syntax(dataset: Cleaned) -> UID | None:
    """Transfer syntax of a data set with all parts of a file; None where pydicom must decide."""
    meta, preamble = getattr(dataset, "file_meta", None), getattr(dataset, "preamble", None)
    if not meta or _META_LENGTH not in meta or not preamble or len(preamble) != 128:
        return None
    syntax = UID(values.text_of(meta, _SYNTAX))
    is_public = syntax.is_transfer_syntax and not syntax.is_private
    return syntax if is_public and syntax != DeflatedExplicitVRLittleEndian else None


def _stands(dataset: Dataset, encoding: tuple[bool, bool]) -> bool:
    """Whether what is encoded already, at every depth, is in this encoding.

    Does not ask pydicom, which would decode what it is asked for.
    """
    was = dataset.original_character_set
    return (
        dataset.original_encoding == encoding
        and ([was] if isinstance(was, str) else list(was)) == values.charsets(dataset)
        and min(map(int, dataset.keys()), default=_DATA_SET) >= _DATA_SET
        and all(_stands(item, encoding) for item in _items(dataset))
    )


def _items(dataset: Dataset) -> Iterator[Dataset]:
    """Items of sequences that are not mere bytes."""
    element: Element
    for element in dataset._dict.values():
        if not element.is_raw and element.VR == "SQ":
            yield from element.value


def _without_length(meta: Dataset) -> Iterator[tuple[int, Element]]:
    return ((tag, element) for tag, element in meta.items() if tag != _META_LENGTH)
