"""Text behind coded data: bytes between the last coded value and the next marker, which decoders skip.

Only a decoder knows where coded data end. They look random: the end of random data is a text of ten
characters once in 200,000 times. Such a stream is refused, because its image may need these bytes.
"""

import re
from typing import Final

from healthval.deid.pixels.streams.pieces import Buffer, check

_END: Final = 256  # bytes before the end that are searched for a short text
_NEAR: Final = 1 << 12  # bytes before the end that are searched for a longer one
_FEWEST: Final = 5  # different bytes of a text; a flat image repeats fewer
_CHARACTER: Final = rb"(?:[0-9A-Za-z ^.,:/=-]\x00?|[\xc3-\xc5][\x80-\xbf])"
_OTHER_SCRIPTS: Final = rb"(?:[\xc3-\xdb][\x80-\xbf]){5,}|(?:[\xe0-\xed][\x80-\xbf]{2}){3,}"
_STOP: Final = rb"[\x00\x80\xff\r\n]*[^\x00]?\x00*\Z"
_LONG: Final = 16  # characters of a text that is recognised away from the end, or in many units
_USUAL: Final = 10
_HEAD: Final = 16  # bytes of coded data before a text


def _pattern(characters: int, stop: bytes = b"") -> re.Pattern[bytes]:
    run = _CHARACTER + b"{%d,}" % characters
    return re.compile(b"(?:" + run + b"|" + _OTHER_SCRIPTS + b")" + stop)


_AT_END: Final = _pattern(_USUAL, _STOP)
_LONG_AT_END: Final = _pattern(_LONG, _STOP)
_INSIDE: Final = re.compile(_CHARACTER + b"{%d,}" % _LONG)


def check_no_text(coded: Buffer, *, is_one_of_many: bool = False) -> None:
    """Refuse coded data that end with a text.

    Parameters
    ----------
    coded : data up to the next marker or start code
    is_one_of_many : whether a stream has thousands of such ends, so that only a longer text, and
        only one behind other data, counts

    Raises
    ------
    BadStreamError
        If the last bytes are a text.
    """
    end = bytes(coded[-_END:])
    if is_one_of_many:
        check(not _has_text(_LONG_AT_END, end, _HEAD))
    else:
        check(not _has_text(_AT_END, end))
        check(not _has_text(_INSIDE, bytes(coded[-_NEAR:])))


def _has_text(pattern: re.Pattern[bytes], data: bytes, start: int = 0) -> bool:
    """Whether a text begins at an offset or after it."""
    return any(
        found.start() >= start and len(set(found[0])) >= _FEWEST for found in pattern.finditer(data)
    )
