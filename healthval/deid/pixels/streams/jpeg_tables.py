"""Tables of JPEG and JPEG-LS frames: those to which no component refers are removed.

ITU-T T.81 B.2.4 (quantisation and Huffman tables), T.87 C.2.4 (preset parameters).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from healthval.deid.pixels.streams.pieces import Buffer, Pieces, check, size_of

_DHT, _DQT = 0xC4, 0xDB
_MAX_DC: Final = 16  # largest symbol of a table for DC coefficients or lossless differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """Tables in use: quantisation, Huffman by (class, number), mapping tables of JPEG-LS."""

    quantisation: frozenset[int] = frozenset()
    huffman: frozenset[tuple[int, int]] = frozenset()
    mapping: frozenset[int] = frozenset()


def kept_tables(marker: int, segment: Buffer, needed: Needed) -> Pieces:
    """Pieces of a segment of tables, without the tables that are not in use."""
    if marker == _DQT:
        tables = list(_quantisation_tables(segment, needed))
    elif marker == _DHT:
        tables = list(_huffman_tables(segment, needed))
    else:
        return [segment] if _keeps_parameters(segment, needed) else []
    kept = [table for is_kept, table in tables if is_kept]
    if len(kept) == len(tables):
        return [segment]
    size = size_of(kept) + 2
    return [b"\xff", bytes([marker]), size.to_bytes(2, "big"), *kept] if kept else []


def _quantisation_tables(segment: Buffer, needed: Needed) -> Iterator[tuple[bool, Buffer]]:
    at = 4
    while at < len(segment):
        precision, table = segment[at] >> 4, segment[at] & 0xF
        end = at + 1 + 64 * (precision + 1)
        check(precision <= 1 and table <= 3 and end <= len(segment))
        yield table in needed.quantisation, segment[at:end]
        at = end


def _huffman_tables(segment: Buffer, needed: Needed) -> Iterator[tuple[bool, Buffer]]:
    at = 4
    while at < len(segment):
        check(at + 17 <= len(segment))
        kind, table = segment[at] >> 4, segment[at] & 0xF
        counts = segment[at + 1 : at + 17]
        end = at + 17 + sum(counts)
        check(kind <= 1 and table <= 3 and end <= len(segment))
        is_kept = (kind, table) in needed.huffman
        check(not is_kept or _is_code(kind, counts, segment[at + 17 : end]))
        yield is_kept, segment[at:end]
        at = end


def _is_code(kind: int, counts: Buffer, symbols: Buffer) -> bool:
    """Whether lengths and symbols are a Huffman code; a text is none."""
    used = sum(count << 15 - index for index, count in enumerate(counts))
    is_small = kind == 1 or all(symbol <= _MAX_DC for symbol in symbols)
    return used <= 1 << 16 and len(set(symbols)) == len(symbols) and is_small


def _keeps_parameters(segment: Buffer, needed: Needed) -> bool:
    """Whether JPEG-LS preset parameters are in use.

    Their kinds are thresholds (1), a mapping table (2), its continuation (3) and a size (4).
    """
    check(len(segment) > 5)
    kind = segment[4]
    if kind == 1:
        check(len(segment) == 15)
    elif kind == 4:
        check(segment[5] <= 4 and len(segment) == 6 + 2 * segment[5])
    else:
        check(kind in (2, 3))
    return kind in (1, 4) or segment[5] in needed.mapping - {0}
