"""Growth of time with the number of cases, sites, files and runs: measured, and fitted by a power law.

Run: python benchmarks/growth.py. The least of two rounds is shown at each size; the exponent is the slope of log time
on log size over the larger sizes, where fixed costs no longer count. A goal of 1.15 is linear growth.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from aggregate import submission

import healthval as hv
from healthval.aggregate import pool
from healthval.deid import Policy, Secret, deidentify_files

ROUNDS = 2
LIMIT = 1.15


def least(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Least wall seconds of several calls."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def of_cases(n: int) -> float:
    """Evaluate n cases with two thresholds and two subgroups."""
    rng = np.random.default_rng(1)
    score = rng.beta(2, 5, size=n)
    reference = rng.uniform(size=n) < score
    sex = rng.choice(["female", "male"], size=n)
    return least(lambda: hv.metrics.evaluate(reference, score, thresholds=(0.2, 0.4), groups=sex))


def of_sites(k: int) -> float:
    """Pool the releases of k hospitals."""
    rng = np.random.default_rng(2)
    sites = tuple((f"Site {i}", submission(rng, 2)) for i in range(k))
    return least(lambda: pool(sites), rounds=1 if k > 10 else ROUNDS)


def of_files(n: int) -> float:
    """De-identify and audit n CT images of 512 x 512 in one process."""
    import pydicom
    from pydicom.data import get_testdata_file

    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "in")
        source.mkdir()
        image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        for i in range(n):
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{i + 1}"
            image.save_as(source / f"{i}.dcm")
        secret = Secret(bytes(range(32)))
        rounds = iter(range(ROUNDS))
        return least(
            lambda: deidentify_files(source, Path(place, f"out{next(rounds)}"), Policy(), secret)
        )


def of_runs(n: int) -> float:
    """Execute a small notebook n times by `healthval batch` with one worker."""
    from nbformat import v4, write

    cells = [v4.new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]}, id="p")]
    cells += [v4.new_code_cell("sum(range(seed))", id="c")]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with tempfile.TemporaryDirectory() as place:
        write(v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), Path(place, "n.ipynb"))
        matrix = {"notebook": "n.ipynb", "output": "out", "matrix": {"seed": list(range(n))}}
        Path(place, "m.yaml").write_text(json.dumps(matrix), encoding="utf-8")
        command = [sys.executable, "-m", "healthval", "batch", "m.yaml", "--force"]
        return least(
            lambda: subprocess.run(command, cwd=place, check=True, capture_output=True), rounds=1
        )


CURVES: dict[str, tuple[Callable[[int], float], tuple[int, ...]]] = {
    "cases evaluated": (of_cases, (1_000, 10_000, 100_000, 1_000_000)),
    "sites pooled": (of_sites, (5, 10, 20, 40)),
    "files de-identified": (of_files, (50, 100, 200, 400)),
    "runs of a notebook": (of_runs, (10, 20, 40, 80)),
}


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """Slope of log time on log size over the three largest sizes."""
    x = [math.log(size) for size in sizes[-3:]]
    y = [math.log(second) for second in seconds[-3:]]
    return float(np.polyfit(x, y, 1)[0])


def main() -> None:
    """Print a line for each size, and the exponent of each curve."""
    for name, (measure, sizes) in CURVES.items():
        seconds = [measure(size) for size in sizes]
        for size, second in zip(sizes, seconds, strict=True):
            print(
                f"{name:24}{size:>10,}{second:>10.3f} s{1e6 * second / size:>12.1f} us each",
                flush=True,
            )
        found = exponent(sizes, seconds)
        state = "met" if found <= LIMIT else "MISSED"
        print(f"{name + ', exponent':<44}{found:>9.2f}  <= {LIMIT:g} {state}\n", flush=True)


if __name__ == "__main__":
    main()
