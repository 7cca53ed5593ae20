"""A long table read by its declaration, against pandas.read_csv with the same types, in one run.

    python benchmarks/tables.py [ROWS]

Each reader runs in a separate process; rounds alternate, and the fastest of each is reported: seconds of
wall and CPU time, and peak memory of the whole process.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
SCHEMA = {
    "visit": "id",
    "patient": "cluster",
    "age": "age",
    "sex": {"kind": "category", "levels": ["female", "male"]},
    "lactate": {"kind": "number", "low": 0, "high": 100},
    "crp": "number",
    "admitted": "date",
    "sepsis": {"kind": "label", "positive": [1], "negative": [0]},
}
TEXTS = ("visit", "patient", "sex", "sepsis")
NUMBERS = ("age", "lactate", "crp")


def write(path: Path, n: int) -> None:
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(1)
    minutes = pd.to_timedelta(rng.integers(0, 525_600, n), unit="min")
    frame = pd.DataFrame(
        {
            "visit": [f"V{k:08d}" for k in range(n)],
            "patient": [f"P{k:07d}" for k in rng.integers(0, n // 2, n)],
            "age": rng.integers(18, 100, n),
            "sex": rng.choice(["female", "male"], n),
            "lactate": np.round(rng.gamma(2, 1, n), 1),
            "crp": rng.gamma(2, 30, n),
            "admitted": pd.Timestamp("2023-01-01") + minutes,
            "sepsis": rng.integers(0, 2, n),
        }
    )
    frame.loc[rng.random(n) < 0.05, "lactate"] = np.nan
    frame.to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%S")
    frame.to_parquet(path.with_suffix(".parquet"), row_group_size=100_000)


def read(reader: str, path: Path) -> None:
    import pandas as pd
    import pyarrow.compute
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401

    from healthval.cohort import read_table

    types = dict.fromkeys(TEXTS, "str") | dict.fromkeys(NUMBERS, "float64")
    before, cpu = time.perf_counter(), time.process_time()
    if reader == "healthval":
        read_table(path, SCHEMA)
    elif path.suffix == ".csv":
        pd.read_csv(path, dtype=types, parse_dates=["admitted"])
    else:
        pd.read_parquet(path)
    wall, cpu = time.perf_counter() - before, time.process_time() - cpu
    print(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def fastest(reader: str, path: Path, found: dict[str, list[float]]) -> None:
    line = [sys.executable, __file__, "--read", reader, str(path)]
    numbers = [float(x) for x in subprocess.check_output(line, text=True).split()]
    found[reader] = [min(pair) for pair in zip(numbers, found.get(reader, numbers), strict=True)]


def main(n: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # A process begins with the peak memory of the one that starts it, so this one stays small.
        subprocess.run([sys.executable, __file__, "--write", f"{folder}/t.csv", str(n)], check=True)
        for suffix in ("csv", "parquet"):
            found: dict[str, list[float]] = {}
            for _ in range(ROUNDS):
                for reader in ("pandas", "healthval"):
                    fastest(reader, Path(folder) / f"t.{suffix}", found)
            for reader, (wall, cpu, peak) in found.items():
                print(f"{suffix:8}{reader:10}{wall:8.2f} s wall{cpu:8.2f} s cpu{peak:8.0f} MB")
            ratios = [b / a for a, b in zip(*found.values(), strict=True)]
            print(
                f"{suffix:8}{'ratio':10}{ratios[0]:8.2f}       {ratios[1]:8.2f}      {ratios[2]:8.2f}"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2], Path(sys.argv[3]))
    elif sys.argv[1:2] == ["--write"]:
        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
