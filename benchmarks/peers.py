"""Peers that benchmarks measure beside us: where each is installed, and why one is not.

Run: python benchmarks/peers.py (by `make .venv/.bench`). Each peer has a lock, requirements/peers/NAME.txt. Peers that run in
our process are installed into this environment; the others have an environment each, below it, so that their
pins cannot clash. A peer that cannot be installed is noted with the last line of pip, and the others are installed.
"""

import json
import re
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "requirements" / "peers"
PLACE = Path(sys.prefix) / "peers"
REASONS = PLACE / "reasons.json"


def names(group: str) -> list[str]:
    """Packages of a dependency group of pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["dependency-groups"][group]
    return [re.split(r"[<>=!~ \[]", requirement)[0] for requirement in wanted]


def peers() -> list[str]:
    """All peers, in the order of their names."""
    return sorted([*names("peers"), *names("peers-apart")])


def interpreter(name: str) -> str:
    """The Python that imports a peer."""
    if name not in names("peers-apart"):
        return sys.executable
    return str(PLACE / name / "bin" / "python")


def reasons() -> dict[str, str]:
    """Why peers are missing, by name."""
    return json.loads(REASONS.read_text(encoding="utf-8")) if REASONS.exists() else {}


def installed(name: str) -> str:
    """Version of a package or peer; otherwise that it is not installed, and why."""
    reason = reasons().get(name)
    if name in names("peers-apart"):
        found = list(
            (PLACE / name).glob(f"lib/*/site-packages/{name.replace('-', '_')}-*.dist-info")
        )
        if found and not reason:
            return found[0].name.removesuffix(".dist-info").rpartition("-")[2]
    else:
        try:
            return version(name)
        except PackageNotFoundError:
            pass
    return f"not installed: {reason}" if reason else "not installed"


def install(name: str) -> str | None:
    """Install one peer by its lock; None, or the reason why it is not installed."""
    if name in names("peers-apart"):
        venv.create(PLACE / name, with_pip=True)
    pip = [interpreter(name), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    lock = str(LOCKS / f"{name}.txt")
    done = subprocess.run(
        [*pip, "--no-deps", "--require-hashes", "-r", lock],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return None if done.returncode == 0 else (lines or ["pip failed"])[-1].strip()[:200]


def main() -> None:
    """Install all peers; print and note those that cannot be installed."""
    PLACE.mkdir(exist_ok=True)
    missing = {}
    for name in peers():
        reason = install(name)
        if reason is not None:
            missing[name] = reason
            print(f"{name}: not installed: {reason}", flush=True)
    REASONS.write_text(json.dumps(missing, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
