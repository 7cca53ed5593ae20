"""Private names of pydicom that healthval uses, and silence for pydicom's warnings and log lines.

pydicom may change these names in any release. `pyproject.toml` allows version 3 only, and
`tests/files/test_pydicom_internals.py` has a test for each name.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, Final, TypeVar

from pydicom.config import disable_value_validation
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

Kind = TypeVar("Kind", bound=Dataset)

# Elements of a data set by tag, in the state in which they were read: `Dataset.items` copies them,
# `Dataset.__getitem__` decodes them.
elements_of: Final[Callable[[Dataset], dict[Any, Any]]] = attrgetter("_dict")
# Python codec, or list of codecs, that an item has from the data set around it.
parent_encoding: Final[Callable[[Dataset], Any]] = attrgetter("_parent_encoding")

# Builds a raw element from (tag, VR, length, value, value_tell, is_implicit_VR, is_little_endian,
# *RAW_DEFAULTS), three times as fast as the constructor of the named tuple.
raw_from_fields: Final[Callable[[tuple[Any, ...]], RawDataElement]] = partial(
    tuple.__new__, RawDataElement
)
RAW_DEFAULTS: Final = tuple(RawDataElement._field_defaults.values())


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress pydicom's warnings and log lines, which quote values."""
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)  # unlike `disabled`, child loggers inherit the level
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def dataset_of(kind: type[Kind], elements: dict[Any, Any]) -> Kind:
    """Build the same data set as `kind(elements)`, five times as fast.

    `Dataset.__setattr__` looks every name up in the dictionary of attributes.
    """
    dataset = kind.__new__(kind)
    state = _empty_state(kind).items()  # type: ignore[arg-type]  # a class is hashable
    vars(dataset).update({name: v.copy() if type(v) is dict else v for name, v in state})
    vars(dataset)["_dict"] = elements
    return dataset


@lru_cache(maxsize=8)
def _empty_state(kind: Any) -> dict[str, Any]:
    return dict(vars(kind()))


def set_parent_encoding(item: Dataset, codecs: list[str]) -> None:
    """Give an item the character sets of the data set around it."""
    vars(item)["_parent_encoding"] = codecs


def copy_encoding(source: Dataset, target: Dataset) -> None:
    """Give a data set the byte encoding and character sets of another one."""
    implicit, little = source.original_encoding
    vars(target).update(
        _read_implicit=implicit,
        _read_little=little,
        _read_charset=source.original_character_set,
        _parent_encoding=parent_encoding(source),
        is_undefined_length_sequence_item=source.is_undefined_length_sequence_item,
    )


def with_fields(element: RawDataElement, **fields: Any) -> RawDataElement:
    """Copy a raw element with other values in some fields."""
    return element._replace(**fields)


def concepts() -> dict[str, dict[str, dict[str, tuple[str, Any]]]]:
    """Codes of the standard's context groups: scheme, keyword, code, (meaning, groups)."""
    from pydicom.sr import _concepts_dict

    found: Any = _concepts_dict.concepts
    return dict(found)
