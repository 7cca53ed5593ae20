"""Progress bars: no warning in a notebook without ipywidgets."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "healthval"
IN_A_KERNEL = """
import sys, types, warnings
import IPython
sys.modules.setdefault("ipykernel.zmqshell", types.ModuleType("ipykernel.zmqshell"))
warnings.simplefilter("error")
from healthval.progress import tqdm
assert list(tqdm([1, 2], disable=True)) == [1, 2]
"""


def test_no_bar_warns_in_a_kernel():
    pytest.importorskip("IPython")
    done = subprocess.run(
        [sys.executable, "-c", IN_A_KERNEL], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_one_module_chooses_the_bar():
    direct = re.compile(r"^\s*(from tqdm[.\w]* import|import tqdm)", re.MULTILINE)
    found = {p.name for p in PACKAGE.rglob("*.py") if direct.search(p.read_text(encoding="utf-8"))}
    assert found == {"progress.py", "fork_engine.py"}  # the engine only stops tqdm's monitor
