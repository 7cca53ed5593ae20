"""Ratios of `healthval batch` and papermill on the same notebooks, pages included, each with a goal.

Run ``python benchmarks/runner.py``; it needs Linux and takes some minutes.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

RUNS, SLOW = 20, 5
EVALUATION = [
    "import numpy as np\nimport pandas as pd\nimport matplotlib.pyplot as plt\n"
    "from sklearn.metrics import roc_auc_score, roc_curve",
    "rng = np.random.default_rng(seed)\ny = rng.random(2000) < 0.3\np = rng.normal(y * 1.0)",
    "areas = []\nfor _ in range(100):\n    i = rng.integers(0, y.size, y.size)\n"
    "    areas.append(roc_auc_score(y[i], p[i]))\nnp.percentile(areas, [2.5, 50, 97.5])",
    "fig, ax = plt.subplots(figsize=(4, 3))\nax.plot(*roc_curve(y, p)[:2]);",
    "fig, ax = plt.subplots(figsize=(4, 3))\nax.hist(p, 30);",
    "pd.DataFrame({'y': y, 'p': p}).describe()",
]
IMPORTS = [EVALUATION[0]]


def row(name, ratio, goal, *, at_most=False):
    met = ratio <= goal if at_most else ratio >= goal
    sign = "<=" if at_most else ">="
    print(f"{name:<62}{ratio:>9.2f}  {sign} {goal:g} {'met' if met else 'MISSED'}", flush=True)


def write(folder, name, sources):
    cells = [new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]}, id="p")]
    cells += [new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": spec}), folder / name)


def timed(*command, folder):
    """Wall and CPU seconds of a command with all its children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, cpu


def by_command(folder, notebook, n):
    """Wall and CPU seconds per run of papermill's and nbconvert's commands."""
    bin_ = Path(sys.executable).parent
    wall = cpu = 0.0
    for seed in range(n):
        for command in (
            [bin_ / "papermill", notebook, "o.ipynb", "-p", "seed", str(seed)],
            [bin_ / "jupyter-nbconvert", "--to", "html", "o.ipynb"],
        ):
            spent = timed(*map(str, command), folder=folder)
            wall, cpu = wall + spent[0], cpu + spent[1]
    return wall / n, cpu / n


LOOP = """
import papermill
from nbconvert import HTMLExporter
for seed in range({n}):
    papermill.execute_notebook("{notebook}", "o.ipynb", parameters={{"seed": seed}}, progress_bar=False)
    open("o.html", "w").write(HTMLExporter().from_filename("o.ipynb")[0])
"""


def by_loop(folder, notebook, n):
    """Wall and CPU seconds per run of papermill's function in one process."""
    spent = timed(sys.executable, "-c", LOOP.format(n=n, notebook=notebook), folder=folder)
    return spent[0] / n, spent[1] / n


def by_batch(folder, notebook, n, *options, output):
    """Wall and CPU seconds per run of `healthval batch`."""
    content = {"notebook": notebook, "output": output, "matrix": {"seed": list(range(n))}}
    (folder / f"{output}.yaml").write_text(json.dumps(content), encoding="utf-8")
    command = (sys.executable, "-m", "healthval", "batch", f"{output}.yaml", *options)
    spent = timed(*command, folder=folder)
    return spent[0] / n, spent[1] / n


def against_papermill(folder):
    write(folder, "evaluation.ipynb", EVALUATION)
    write(folder, "imports.ipynb", IMPORTS)
    ours = by_batch(folder, "evaluation.ipynb", RUNS, output="one")
    command = by_command(folder, "evaluation.ipynb", SLOW)
    loop = by_loop(folder, "evaluation.ipynb", SLOW)
    row("papermill + nbconvert commands / ours, wall a run", command[0] / ours[0], 5)
    row("papermill's function in one process / ours, wall a run", loop[0] / ours[0], 3.5)
    ours_cpu = by_batch(folder, "imports.ipynb", RUNS, output="imports")[1]
    bare = by_command(folder, "imports.ipynb", 3)[1]
    row("import-only notebook: commands / ours, CPU a run", bare / ours_cpu, 12)
    two = by_batch(folder, "evaluation.ipynb", RUNS, "--workers", "2", output="two")
    row("one worker / two workers, wall a run", ours[0] / two[0], 1.8)


def resuming(folder):
    write(folder, "tiny.ipynb", ["seed"])
    by_batch(folder, "tiny.ipynb", 1000, "--workers", "2", output="many")
    again = by_batch(folder, "tiny.ipynb", 1000, output="many")
    row("resumed batch of 1,000 complete runs, seconds", again[0] * 1000, 2, at_most=True)


@contextlib.contextmanager
def cluster(folder, workers):
    from distributed import Client

    python = [sys.executable, "-m"]
    address = "tcp://127.0.0.1:48786"
    commands = [
        [
            *python,
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "48786",
            "--no-dashboard",
        ],
    ]
    worker = [
        *python,
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--host",
        "127.0.0.1",
    ]
    commands += [[*worker, "--no-dashboard", "--no-nanny"]] * workers
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [subprocess.Popen(command, cwd=folder, **quiet) for command in commands]
    try:
        with Client(address, timeout=600) as client:
            client.wait_for_workers(workers, timeout=600)
        yield address
    finally:
        for process in started:
            process.kill()
            process.wait()


TASKS = 1000


def per_task(address):
    """Milliseconds that the cluster adds to a task without work."""
    from healthval.cluster import outcomes

    start = time.monotonic()
    done = sum(1 for _ in outcomes(address, len, ((f"task-{i}", "") for i in range(TASKS))))
    assert done == TASKS
    return (time.monotonic() - start) / TASKS * 1000


def on_dask(folder):
    spent = {}
    for workers in (1, 2):
        with cluster(folder, workers) as address:
            if workers == 2:
                row("Dask: overhead per task, milliseconds", per_task(address), 10, at_most=True)
            by_batch(
                folder,
                "evaluation.ipynb",
                workers * 2,
                "--scheduler",
                address,
                output=f"w{workers}",
            )
            options = ("--scheduler", address)
            spent[workers] = by_batch(
                folder, "evaluation.ipynb", RUNS, *options, output=f"d{workers}"
            )
    row("Dask: one worker / two workers, wall a run", spent[1][0] / spent[2][0], 1.7)


def main():
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
        against_papermill(folder)
        on_dask(folder)
        resuming(folder)


if __name__ == "__main__":
    main()
