"""The pure rooms read no file, clock, random source, environment or stream, whatever the spelling."""

import ast
import builtins
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "healthval"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]["contracts"]
PURE = CONTRACTS[1]["source_modules"]
PURE_MODULES = [p for room in PURE for p in sorted((ROOT / Path(*room.split("."))).rglob("*.py"))]

# Everything that a pure room may import; any other library counts as outside.
LIBRARIES = {
    "__future__", "abc", "base64", "binascii", "bisect", "collections", "contextlib", "copy", "cryptography", "dataclasses",
    "datetime", "decimal", "difflib", "enum", "fractions", "functools", "hashlib", "healthval", "heapq", "hmac",
    "html", "io", "itertools", "json", "math", "matplotlib", "numbers", "numpy", "operator", "pandas", "pydantic", "re",
    "scipy", "statistics", "string", "struct", "textwrap", "types", "typing", "unicodedata", "warnings", "zlib",
}  # fmt: skip
# Of these libraries a pure room has the named parts only.
PARTS = {
    "io": {"BytesIO", "StringIO"},
    "numpy.random": {"Generator", "BitGenerator", "PCG64", "SeedSequence", "default_rng"},
    "scipy": {"integrate", "interpolate", "linalg", "ndimage", "optimize", "sparse", "special", "stats"},
    # A table and a figure in memory; a notebook shows them.
    "pandas": {"DataFrame"},
    "matplotlib": {"figure", "rc_context"},
    "cryptography": {"exceptions", "hazmat"},
    "cryptography.hazmat": {"primitives"},
    "matplotlib.figure": {"Figure"},
}  # fmt: skip
# Parts of allowed libraries that touch a file, a clock, a random source or the terminal.
OUTSIDE = {
    "cryptography.hazmat.primitives.asymmetric.x25519.X25519PrivateKey": {"generate"},
    "cryptography.hazmat.primitives.asymmetric.ed25519.Ed25519PrivateKey": {"generate"},
    "cryptography.hazmat.primitives.ciphers.aead.AESGCM": {"generate_key"},
    "datetime.date": {"today", "fromtimestamp"},
    "datetime.datetime": {"now", "utcnow", "today", "fromtimestamp"},
    "numpy": {
        "DataSource", "ctypeslib", "distutils", "f2py", "fromfile", "fromregex", "genfromtxt", "lib", "load",
        "loadtxt", "memmap", "save", "savetxt", "savez", "savez_compressed", "show_config", "testing",
    },
    "pydantic": {
        "DirectoryPath", "FilePath", "FutureDate", "FutureDatetime", "ImportString", "NewPath", "PastDate",
        "PastDatetime", "SocketPath", "v1",
    },
    "scipy.optimize": {"basinhopping", "differential_evolution", "dual_annealing"},
    "scipy.sparse": {"load_npz", "save_npz", "rand", "random", "random_array"},
    "scipy.stats": {"bootstrap", "monte_carlo_test", "permutation_test", "qmc"},
}  # fmt: skip
BUILTINS = {
    "__builtins__", "__import__", "__loader__", "__spec__", "breakpoint", "compile", "eval", "exec", "globals",
    "input", "locals", "open", "print",
}  # fmt: skip
# Attributes of values whose type the text does not show: files, frames, arrays, clocks, distributions, frames of calls.
METHODS = {
    "__builtins__", "__code__", "__globals__", "__import__", "__loader__", "__subclasses__", "f_globals", "now",
    "open", "read_bytes", "read_csv", "read_text", "rvs", "to_csv", "to_parquet", "to_pickle", "today",
    "tofile", "utcnow", "write_bytes", "write_text",
}  # fmt: skip
SEEDED = {"Generator", "PCG64", "SeedSequence", "default_rng"}


def imported(tree):
    """Full names behind the names that imports bind, and every full name that is imported."""
    names, found = {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for a in node.names:
                names[a.asname or a.name.split(".")[0]] = a.name if a.asname else a.name.split(".")[0]  # fmt: skip
                found.append((node.lineno, a.name))
        if isinstance(node, ast.ImportFrom):
            home = "healthval.here" if node.level else node.module
            for a in node.names:
                names[a.asname or a.name] = f"{home}.{a.name}"
                found.append((node.lineno, f"{home}.{a.name}"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and (name := full_name(node.value, names)):
            names |= {target.id: name for target in node.targets if isinstance(target, ast.Name)}
    return names, found


def full_name(node, names):
    """`np.random.seed` as `numpy.random.seed`; None where the owner is no import."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = full_name(node.value, names)
        return owner and f"{owner}.{node.attr}"
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
        owner, part = full_name(node.args[0], names), node.args[1]
        return owner and f"{owner}.{part.value if isinstance(part, ast.Constant) else '*'}"
    return None


def is_module(name):
    path = ROOT / Path(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def is_outside(name):
    """Whether a full name is outside what a pure room may use."""
    parts = name.split(".")
    if parts[0] == "healthval":
        # The package itself imports its modules lazily, where the linter cannot see it.
        return len(parts) == 1 or not is_module(".".join(parts[:2]))
    if parts[0] not in LIBRARIES or parts[-1] == "*":
        return True
    for n in range(1, len(parts)):
        home, part = ".".join(parts[:n]), parts[n]
        if home in PARTS and part not in PARTS[home]:
            return True
        if part in OUTSIDE.get(home, ()) or part in {"builtins", "codecs", "io", "os", "sys"}:
            return True
    return False


def unseeded(node, names, called):
    """Whether a random source is taken without a seed: no argument, or None."""
    name = full_name(node, names)
    if not name or not name.startswith("numpy.random.") or name.split(".")[-1] not in SEEDED:
        return False
    call = called.get(node)
    if call is None:  # named, not called: a type is fine, a function to call later is not
        return name.endswith(".default_rng")
    given = [*call.args, *(k.value for k in call.keywords)]
    return not given or (isinstance(given[0], ast.Constant) and given[0].value is None)


def buffers(tree, names):
    """Names of streams in memory."""
    for node in ast.walk(tree):
        made = node.value if isinstance(node, ast.Assign) else None
        if full_name(getattr(made, "func", None), names) in {"io.BytesIO", "io.StringIO"}:
            yield from (t.id for t in node.targets if isinstance(t, ast.Name))


def is_in_memory(call, streams):
    return bool(call and call.args and getattr(call.args[0], "id", "") in streams)


def is_outside_method(node, call, streams):
    if node.attr == "savefig":
        return not is_in_memory(call, streams)
    # Without an argument it reads the system's time zone, a setting of the environment.
    if node.attr == "astimezone":
        return call is None or not call.args
    return node.attr in METHODS


def impurities(source):
    """Lines that reach for something outside: file, clock, unseeded random source, stream, lazy package."""
    tree = ast.parse(source)
    names, found = imported(tree)
    called = {node.func: node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    streams = set(buffers(tree, names))
    lines = {line for line, name in found if is_outside(name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in BUILTINS and node.id not in names:
            lines.add(node.lineno)
        if isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
            name = full_name(node, names)
            if name and (is_outside(name) or unseeded(node, names, called)):
                lines.add(node.lineno)
        if isinstance(node, ast.Attribute) and is_outside_method(node, called.get(node), streams):
            lines.add(node.lineno)
    return sorted(lines)


@pytest.mark.parametrize("path", PURE_MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_pure_module_reaches_for_nothing_outside(path):
    lines = impurities(path.read_text(encoding="utf-8"))
    assert not lines, (
        f"{path.name}, lines {lines}: not pure; a library that is belongs in LIBRARIES"
    )


def test_one_pure_module_draws():
    drawing = [p for p in PURE_MODULES if "import rc_context" in p.read_text(encoding="utf-8")]
    drawing += [p for p in PURE_MODULES if "import Figure" in p.read_text(encoding="utf-8")]
    assert {str(p.relative_to(PACKAGE)) for p in drawing} == {"metrics/display/plots.py"}


CLOCKS = [
    "import datetime\ndatetime.datetime.now()",
    "import datetime as D\nD.datetime.now()",
    "from datetime import datetime\ndatetime.now(UTC)",
    "from datetime import datetime as d\nd.utcnow()",
    "from datetime import date\ndate.today()",
    "from datetime import datetime\nnow = datetime.now",
    "from datetime import datetime\nField(default_factory=datetime.today)",
    "from datetime import datetime\ndatetime.fromtimestamp(0)",
    "when.astimezone()",
    "from time import monotonic",
    "import pandas as pd\npd.Timestamp.now()",
    "from pydantic import PastDate",
]
FILES = [
    "open('x')",
    "read = open",
    "import io\nio.open('x')",
    "from io import FileIO",
    "import codecs\ncodecs.open('x')",
    "import builtins\nbuiltins.open('x')",
    "__builtins__['open']('x')",
    "import numpy as np\nnp.savetxt('x', a)",
    "import numpy as np\nnp.load('x')",
    "import numpy as np\nnp.fromfile('x')",
    "from numpy import genfromtxt as read",
    "import numpy as np\nnp.memmap('x')",
    "import numpy as np\narrays = np\narrays.load('x')",
    "import numpy as np\ngetattr(np, 'load')('x')",
    "import numpy as np\ngetattr(np, name)('x')",
    "import numpy as np\nnp.lib.format.open_memmap('x')",
    "values.tofile('x')",
    "import pandas as pd\npd.read_csv('x')",
    "frame.to_csv('x')",
    "import scipy.io",
    "from scipy import io as files",
    "from scipy.sparse import load_npz",
    "from pydantic import FilePath",
    "import linecache",
    "import pickle",
    "import shelve",
    "import matplotlib.pyplot",
    "figure.savefig('x')",
    "page = 'x'\nfigure.savefig(page)",
    "def later():\n    import fileinput",
]
RANDOM = [
    "import numpy as np\nnp.random.rand(3)",
    "import numpy as np\nnp.random.default_rng()",
    "import numpy as np\nnp.random.default_rng(None)",
    "import numpy as np\nnp.random.default_rng(seed=None)",
    "import numpy as np\nrng = np.random.default_rng",
    "import numpy as np\nnp.random.Generator(np.random.PCG64())",
    "import numpy\nnumpy.random.seed(1)",
    "from numpy.random import default_rng\ndefault_rng()",
    "from numpy.random import default_rng as rng\nrng(None)",
    "from numpy import random as r\nr.normal()",
    "from numpy.random import normal",
    "import numpy as np\nsource = np.random\nsource.normal()",
    "from scipy.stats import norm\nnorm.rvs(3)",
    "from scipy.stats import bootstrap",
    "import random",
    "import uuid",
    "from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey as K\nK.generate()",
    "from cryptography.hazmat.primitives.ciphers.aead import AESGCM\nAESGCM.generate_key(256)",
    "from cryptography.fernet import Fernet",
]
SURROUNDINGS = [
    "import os\nos.environ['x']",
    "import os as o\no.environ['x']",
    "from os import environ as settings",
    "import warnings\nwarnings.sys.stderr",
    "import logging",
    "print(1)",
    "input()",
]
IMPORTS = [
    "import importlib\nimportlib.import_module('os')",
    "from importlib import import_module",
    "__import__('os')",
    "import runpy",
    "exec('import os')",
    "eval('1')",
    "from numpy import *",
    "f.__globals__['os']",
    "object.__subclasses__()",
    "import healthval\nhealthval.evaluate",
    "import healthval as h\nh.load_plan",
    "from healthval import Client",
    "from healthval import evaluate as run",
]


@pytest.mark.parametrize("source", CLOCKS + FILES + RANDOM + SURROUNDINGS + IMPORTS)
def test_each_impurity_is_seen(source):
    assert impurities(source)


@pytest.mark.parametrize(
    "source",
    [
        "from numpy.random import default_rng\ndefault_rng(seed)",
        "import numpy as np\ndef f(rng: np.random.Generator): return np.random.Generator(np.random.PCG64(3))",
        "from datetime import date, datetime\ndate.fromisoformat(text), datetime.combine(day, noon)",
        "import io\nio.BytesIO(content)",
        "import io\npage = io.BytesIO()\nfigure.savefig(page)",
        "import numpy as np\nnp.loadings(x)",
        "when.astimezone(zone)",
        "from healthval.contracts.base import read_wire",
        "from healthval.errors import counted",
    ],
)
def test_what_a_pure_room_needs_is_allowed(source):
    assert impurities(source) == []


def test_every_builtin_of_the_list_exists():
    module_names = {"__builtins__", "__loader__", "__spec__"}
    assert all(hasattr(builtins, name) for name in BUILTINS - module_names)
