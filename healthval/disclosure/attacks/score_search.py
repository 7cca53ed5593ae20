"""Search for scores of single cases in any bytes: JSON, HTML, SVG, notebooks, PDF (pure)."""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

NUMBER = re.compile(rb"(?<![\w.])-?\d*\.(\d+)(?:[eE][-+]?\d+)?(?![\w.])")
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")
HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){32,}")
ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
DEPTH, LARGEST = 3, 1 << 26
LONG_DIGITS, FEWEST = 8, 8
Floats = NDArray[np.float64]


def find_scores(data: bytes, scores: Iterable[float]) -> int:
    """Count the scores in the data, as text or as binary floats, at any precision.

    Compressed, base64 and hexadecimal parts are decoded first. A number of 8 significant digits or
    more counts when it equals a score (or 1 - score, or a percentage) rounded to its decimals;
    shorter numbers count only where far more of them equal scores than by chance. Scores of at most
    4 decimals, such as 0.5, are indistinguishable from statistics and are ignored.

    Parameters
    ----------
    data : any file's bytes
    scores : the cases' scores, 0 to 1

    Examples
    --------
    >>> find_scores(b'{"x": [0.7341829301]}', [0.73418293013, 0.5])
    1
    """
    values = np.unique(np.asarray(list(scores), dtype=np.float64))
    values = values[np.isfinite(values) & (np.round(values, 4) != values)]
    if not values.size:
        return 0
    parts = [*decoded_parts(data)]
    return sum(_in_text(part, values) + _in_binary(part, values) for part in parts)


def decoded_parts(data: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """Yield the data, then the compressed, base64 and hexadecimal parts in it, decoded."""
    yield data
    if b"\0" in data[:4096]:
        yield data.replace(b"\0", b"")  # UTF-16 text
    if depth == 0:
        return
    for match in ZLIB.finditer(data):
        found = _inflated(data, match.start())
        if len(found) > 16:
            yield from decoded_parts(found, depth - 1)
    for pattern, decode in ((BASE64, _from_base64), (HEX, _from_hex)):
        for match in pattern.finditer(data):
            if found := decode(match.group()):
                yield from decoded_parts(found, depth - 1)


def _inflated(data: bytes, start: int) -> bytes:
    try:
        return zlib.decompressobj(wbits=47).decompress(data[start:], LARGEST)
    except zlib.error:
        return b""


def _from_base64(text: bytes) -> bytes:
    text = text.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(text[: len(text) // 4 * 4])
    except binascii.Error:
        return b""


def _from_hex(text: bytes) -> bytes:
    return binascii.unhexlify(text)


def _in_text(data: bytes, values: Floats) -> int:
    numbers: dict[int, set[float]] = {}
    long = 0
    for match in NUMBER.finditer(data):
        token = match.group()
        number = abs(float(token))
        mantissa, _, exponent = token.lower().partition(b"e")
        decimals = len(match.group(1)) - int(exponent or b"0")
        if not 4 <= decimals <= 30 or number == 0:
            continue
        digits = len(mantissa.replace(b".", b"").lstrip(b"-0"))
        if digits >= LONG_DIGITS:
            long += bool(_hits(np.array([number]), decimals, values))
        elif digits >= 4:
            numbers.setdefault(decimals, set()).add(number)
    return long + sum(_beyond_chance(found, d, values) for d, found in numbers.items())


def _hits(numbers: Floats, decimals: int, values: Floats) -> int:
    """Number of values that equal a score, its complement or its percentage at these decimals."""
    half = 0.5000001 * 10.0**-decimals
    hit = np.zeros(numbers.size, dtype=bool)
    for form in (values, np.sort(1 - values), 100 * values):
        left = np.searchsorted(form, numbers - half)
        right = np.searchsorted(form, numbers + half, side="right")
        hit |= right > left
    return int(hit.sum())


def _beyond_chance(found: set[float], decimals: int, values: Floats) -> int:
    """Number of short numbers that equal a score, or 0 where chance explains them.

    Chance is measured with the same numbers, moved by a few units of their last decimal.
    """
    numbers = np.array(sorted(found))
    numbers = numbers[numbers <= 1]
    unit = 10.0**-decimals
    moved = [_hits(np.abs(numbers + k * unit), decimals, values) for k in (-9, -5, -2, 3, 6, 10)]
    hits = _hits(numbers, decimals, values)
    return hits if hits > FEWEST + 3 * max(moved) else 0


def _in_binary(data: bytes, values: Floats) -> int:
    """Count doubles at any offset, and pairs of single floats: four bytes alone match by chance."""
    return sum(
        _packed(data, values.astype(kind), run)
        for kind, run in (("<f8", 1), (">f8", 1), ("<f4", 2), (">f4", 2))
    )


def _packed(data: bytes, values: NDArray[np.generic], run: int) -> int:
    size = values.dtype.itemsize
    wanted = np.unique(values.view(f"u{size}"))
    count = 0
    for offset in range(min(size, len(data))):
        whole = (len(data) - offset) // size
        words = np.frombuffer(data, dtype=f"u{size}", count=whole, offset=offset)
        hit = wanted[np.searchsorted(wanted, words) % wanted.size] == words
        if run == 2:
            hit = hit[1:] & hit[:-1]
        count += int(hit.sum())
    return count
