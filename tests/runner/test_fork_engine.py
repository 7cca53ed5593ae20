"""The engine `healthval-fork`: outputs equal to papermill's, isolation, time-outs, no process left."""

import json
import os
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")

KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
CELLS = [
    "seed = 1",
    "import sys, numpy as np, pandas as pd\nrng = np.random.default_rng(seed)",
    "print('out'); print('err', file=sys.stderr); print('more')\nrng.normal()",
    "pd.DataFrame({'a': rng.normal(size=3)})",
    "import matplotlib.pyplot as plt\nfig, ax = plt.subplots(figsize=(2, 2)); ax.plot(rng.normal(size=9));",
    "%matplotlib inline\nplt.bar([1], [2]); plt.show()",
    "from IPython.display import HTML, Markdown, clear_output, display\n"
    "handle = display('one', display_id=True); handle.update('two')\n"
    "display(HTML('<b>x</b>'), metadata={'a': 1})",
    "print('gone')\nclear_output(wait=True)\nprint('kept')",
    "!echo shell",
    "%%bash\necho from bash",
    "_, In[1], __name__, sys.argv[0][-11:]",
    "import asyncio\nawait asyncio.sleep(0.001)\n'awaited'",
    "class Both:\n    def _repr_html_(self): return '<i>a</i>'\n    def __repr__(self): return 'a'\nBoth()",
    "import pickle\nclass Here: pass\npickle.loads(pickle.dumps(Here())).__class__.__name__",
    "import logging\nlogging.getLogger('x').warning('logged')",
    "len?",
    "x = 2;",
]


def write(path: Path, *sources: str) -> Path:
    cells = [new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC}), path)
    return path


def python(code: str, folder: Path) -> str:
    """Run code in a new interpreter: this one has the test runner's threads, so that it never forks."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed():
    engines = entry_points(group="papermill.engine", name="healthval-fork")
    return any(entry.module == "healthval.runner.papermill_engine" for entry in engines)


RUN = """
import json, sys
sys.modules.setdefault("rfc3987_syntax", None)
import papermill
from healthval.runner import fork_engine
fork_engine.register()
fork_engine.adopt_orphans()
def run(name, out, engine="healthval-fork", **given):
    try:
        papermill.execute_notebook(name, out, engine_name=engine, progress_bar=False, **given)
    except Exception as error:
        return type(error).__name__
    return "completed"
"""


def test_outputs_equal_those_of_papermill_and_nothing_flows_between_runs(tmp_path):
    write(tmp_path / "in.ipynb", *CELLS)
    python(
        RUN
        + """
for engine in ("nbclient", "healthval-fork"):
    assert fork_engine.is_safe()
    for seed in (3, 7):
        assert run("in.ipynb", f"{engine}{seed}.ipynb", engine, parameters={"seed": seed}) == "completed"
""",
        tmp_path,
    )
    for seed in (3, 7):
        ours, theirs = (
            nbformat.read(tmp_path / f"{engine}{seed}.ipynb", 4)
            for engine in ("healthval-fork", "nbclient")
        )
        for a, b in zip(ours.cells, theirs.cells, strict=True):
            assert a.outputs == b.outputs, a.source
            assert a.execution_count == b.execution_count
            assert set(a.metadata.execution) == set(b.metadata.execution)
        del ours.metadata["papermill"], theirs.metadata["papermill"]
        assert ours.metadata == theirs.metadata


def test_an_error_has_papermills_traceback_and_ends_the_run(tmp_path):
    write(tmp_path / "in.ipynb", "a = 0", "def f():\n    return 1 / a\nf()", "print('never')")
    python(RUN + "for e in ('nbclient', 'healthval-fork'): assert run('in.ipynb', e, e) == 'PapermillExecutionError'", tmp_path)  # fmt: skip
    ours, theirs = (nbformat.read(tmp_path / name, 4) for name in ("healthval-fork", "nbclient"))
    assert [c.get("outputs") for c in ours.cells] == [c.get("outputs") for c in theirs.cells]


@pytest.mark.parametrize(
    ("source", "ended", "given"),
    [
        ("import os; os._exit(3)", "DeadKernelError", {}),
        ("while True: pass", "CellTimeoutError", {"execution_timeout": 1}),
        ("import time\ntime.sleep(300)", "RunFailed", {"run_timeout": 1}),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "DeadKernelError", {}),
        ("import os\nfor fd in range(3): os.close(fd)\n'closed'", "completed", {}),
        ("text = 'x' * 2**20\nfor _ in range(1024): print(text)", "RunFailed", {}),
        ("import sys; sys.exit(1)", "PapermillExecutionError", {}),
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(300,)).start()", "completed", {}),
        ("raise KeyboardInterrupt", "PapermillExecutionError", {}),
    ],
)  # fmt: skip
def test_an_abused_kernel_ends_and_the_next_run_is_not_affected(tmp_path, source, ended, given):
    write(tmp_path / "bad.ipynb", "a = 1", source)
    write(tmp_path / "good.ipynb", "a = 1", "a + 1")
    seen = python(
        RUN
        + f"""
given = json.loads({json.dumps(given)!r})
print(json.dumps([run("bad.ipynb", "b.ipynb", **given), run("good.ipynb", "g.ipynb"), fork_engine.children()]))
""",
        tmp_path,
    )
    assert json.loads(seen.splitlines()[-1]) == [ended, "completed", []]


def test_processes_that_a_notebook_leaves_behind_end_with_the_run(tmp_path, processes_with):
    name = f"left-{os.urandom(8).hex()}"
    left = f"""
import subprocess, sys
child = "import os, time; os.setsid() if os.getpid() != os.getsid(0) else 0; time.sleep(300)"
subprocess.Popen([sys.executable, "-c", child, "{name}"], start_new_session=True)
subprocess.Popen([sys.executable, "-c", child, "{name}"])
"""
    write(tmp_path / "in.ipynb", "a = 1", left)
    python(RUN + "assert run('in.ipynb', 'out.ipynb') == 'completed'", tmp_path)
    assert processes_with(name) == []


def test_other_children_of_the_callers_process_are_not_ended(tmp_path):
    write(tmp_path / "own.ipynb", "n = 1")
    ran = python(
        RUN.replace("fork_engine.adopt_orphans()", "")
        + """
import subprocess
other = subprocess.Popen(["sleep", "60"])
print(run("own.ipynb", "out.ipynb"), other.poll())
other.kill(); other.wait()
""",
        tmp_path,
    )
    assert ran.split() == ["completed", "None"]


def test_many_runs_leak_no_descriptor_and_no_process(tmp_path):
    write(tmp_path / "in.ipynb", "a = 1", "a + 1")
    seen = python(
        RUN
        + """
import os
run("in.ipynb", "out.ipynb")
before = len(os.listdir("/proc/self/fd"))
for _ in range(20):
    run("in.ipynb", "out.ipynb")
print(len(os.listdir("/proc/self/fd")) - before, fork_engine.children())
""",
        tmp_path,
    )
    assert seen.split() == ["0", "[]"]


def test_many_runs_keep_no_object_of_a_run(tmp_path):
    """Objects in reference cycles that are frozen before a fork are never freed."""
    write(tmp_path / "in.ipynb", "a = 1", "a + 1")
    seen = python(
        RUN
        + """
import gc
counts = []
for _ in range(3):
    for _ in range(5):
        run("in.ipynb", "out.ipynb")
    gc.collect()
    counts.append(len(gc.get_objects()) + gc.get_freeze_count())
print(*counts)
""",
        tmp_path,
    )
    _, second, third = map(int, seen.split())
    assert third - second < 500
    assert second > 50_000, "what is loaded is frozen or tracked"


@pytest.mark.parametrize("first", ["papermill", "healthval.runner.fork_engine"])
def test_papermill_and_the_engine_are_imported_in_any_order(tmp_path, first):
    python(f"import {first}, papermill; from healthval.runner import fork_engine", tmp_path)


@pytest.mark.skipif(not installed(), reason="the installation is older than this entry point")
def test_papermill_finds_the_engine_by_its_name(tmp_path):
    write(tmp_path / "in.ipynb", "a: int = 1", "a + 1")
    command = ["papermill", "--engine", "healthval-fork", "-p", "a", "4", "in.ipynb", "out.ipynb"]
    program = Path(sys.executable).parent / command[0]
    subprocess.run([program, *command[1:]], cwd=tmp_path, check=True, capture_output=True)
    assert nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs[0].data["text/plain"] == "5"
