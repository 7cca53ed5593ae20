"""Odd CSV files with a fixed seed: every cell is that of Python's csv reader, or the file is refused.

With ``HYPOTHESIS_PROFILE=thorough`` 6,000 files are read, otherwise 400.
"""

import csv
import io
import os
import random

import pytest

from healthval.cohort.csv_files import read_csv
from healthval.errors import CohortError

FILES = 6000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 400
SEEDS = range(4)
CALM = ["a", "1", "x y", "é", ""]
ODD = [
    *("a", "1", "0012", "1e5", "NA", "", "  ", "é", "µ", "日本", '"', '""', "'", ",", ";", "\t"),
    *("|", "\n", "\r\n", "\r", "\\", "#", "-", "<0.5", "1,5", "\u2028", "\x0b", "\x0c", "\x1c"),
    *("\x85", "\u00a0", "=", "\ufeff"),
]
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"]


def cell(rng):
    return "".join(rng.choice(ODD) for _ in range(rng.choice([0, 1, 1, 2, 3])))


def raw(rng, cells, separator):
    """A line as careless programs write it: marks of quotation anywhere."""
    quoted = ['"' + c.replace('"', '""') + '"' + rng.choice(["", "", " ", "x"]) for c in cells]
    return separator.join(rng.choice(pair) for pair in zip(cells, quoted, strict=True))


def table(rng):
    """Text of a table and its separator; two columns at least, because one has no separator."""
    separator, end = rng.choice(",,;\t|"), rng.choice(["\n", "\r\n", "\r"])
    names = [f"c{k}" for k in range(rng.randint(2, 5))]
    calm = rng.random() < 0.4
    rows = [
        [rng.choice(CALM) if calm else cell(rng) for _ in names]
        for _ in range(rng.choice([0, 1, 2, 5, 30, 80]))
    ]
    out = io.StringIO(newline="")
    if rng.random() < 0.6:
        quoting = rng.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
        writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting)
        writer.writerows([names, *rows])
    else:
        lines = [separator.join(names), *(raw(rng, row, separator) for row in rows)]
        out.write(end.join(lines) + rng.choice([end, "", end * 2, " "]))
    return rng.choice(["", "", "", end]) + out.getvalue(), separator


@pytest.mark.parametrize("seed", SEEDS)
def test_odd_files_are_read_like_the_csv_reader_or_refused(tmp_path, seed):
    rng = random.Random(seed)
    n_read = 0
    for _ in range(FILES // len(SEEDS)):
        text, separator = table(rng)
        encoding = rng.choice(ENCODINGS)
        try:
            content = text.encode(encoding)
        except UnicodeEncodeError:
            content = text.encode("utf-8")
        (tmp_path / "t.csv").write_bytes(content)
        try:
            frame = read_csv(tmp_path / "t.csv")
        except CohortError:
            continue
        expected = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        read = [list(frame.columns), *frame.to_numpy().tolist()]
        assert read == [row for row in expected if row]
        n_read += len(frame) > 0
    assert n_read > FILES / len(SEEDS) / 4  # refusing everything is no remedy


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_read(tmp_path, encoding):
    (tmp_path / "t.csv").write_bytes("visit;ward\nv1;Säuglinge\n".encode(encoding))
    assert read_csv(tmp_path / "t.csv").to_numpy().tolist() == [["v1", "Säuglinge"]]


def test_a_first_cell_that_begins_with_a_byte_order_mark_keeps_it(tmp_path):
    (tmp_path / "t.csv").write_bytes("visit,x\n\ufeffv1,2\n".encode())
    assert read_csv(tmp_path / "t.csv").to_numpy().tolist() == [["\ufeffv1", "2"]]
