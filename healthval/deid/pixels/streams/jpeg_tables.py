"""Tables of JPEG and JPEG-LS frames: those to which no scan refers are removed.

ITU-T T.81 B.2.4 (quantisation and Huffman tables), T.87 C.2.4 (preset parameters).
"""

from collections.abc import Iterator
from typing import Final

from healthval.deid.pixels.streams.pieces import Buffer, Pieces, check, size_of

# Kinds of tables; a table is its kind and number
DC, AC, QUANTISATION, MAPPING, PRESETS = range(5)
Table = tuple[int, int]
Needed = set[Table]
_DHT, _DQT = 0xC4, 0xDB
_MAX_DC: Final = 16  # largest symbol of a table for DC coefficients or lossless differences


def kept_tables(marker: int, segment: Buffer, needed: Needed) -> Pieces:
    """Pieces of a segment of tables, without the tables that later scans do not need.

    The kept tables are removed from `needed`, because earlier ones of their numbers are replaced.
    """
    if marker == _DQT:
        tables = list(_quantisation_tables(segment))
    elif marker == _DHT:
        tables = list(_huffman_tables(segment))
    else:
        return [segment] if _keeps_parameters(segment, needed) else []
    kept: Pieces = []
    for table, data in reversed(tables):
        if table in needed:
            check(table[0] == QUANTISATION or _is_code(table[0], data))
            needed.discard(table)
            kept.insert(0, data)
    if len(kept) == len(tables):
        return [segment]
    size = size_of(kept) + 2
    return [b"\xff", bytes([marker]), size.to_bytes(2, "big"), *kept] if kept else []


def _quantisation_tables(segment: Buffer) -> Iterator[tuple[Table, Buffer]]:
    at = 4
    while at < len(segment):
        precision, table = segment[at] >> 4, segment[at] & 0xF
        end = at + 1 + 64 * (precision + 1)
        check(precision <= 1 and table <= 3 and end <= len(segment))
        yield (QUANTISATION, table), segment[at:end]
        at = end


def _huffman_tables(segment: Buffer) -> Iterator[tuple[Table, Buffer]]:
    at = 4
    while at < len(segment):
        check(at + 17 <= len(segment))
        kind, table = segment[at] >> 4, segment[at] & 0xF
        end = at + 17 + sum(segment[at + 1 : at + 17])
        check(kind <= 1 and table <= 3 and end <= len(segment))
        yield (AC if kind else DC, table), segment[at:end]
        at = end


def _is_code(kind: int, table: Buffer) -> bool:
    """Whether lengths and symbols are a Huffman code; a text is none."""
    counts, symbols = table[1:17], table[17:]
    used = sum(count << 15 - index for index, count in enumerate(counts))
    is_small = kind == AC or all(symbol <= _MAX_DC for symbol in symbols)
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
    table = (PRESETS, kind) if kind in (1, 4) else (MAPPING, segment[5])
    is_kept = table in needed
    if kind != 3:
        needed.discard(table)
    return is_kept
