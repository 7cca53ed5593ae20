"""Node and what the lock file of a folder installs, for tests of JavaScript."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

NODE = shutil.which("node")
AT_LEAST = (20, 19)
ROOT = Path(__file__).parents[2]
SDK = ROOT / "sdk" / "js"


def run(*command: str, folder: Path, **options) -> str:
    """Run a program to its end and return its output; a failure shows both streams."""
    done = subprocess.run(
        [*command],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(folder: Path) -> Path:
    """Install what the lock file of a folder lists, once for each content of it; else skip the test."""
    if NODE is None or shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed")
    version = run(NODE, "--version", folder=folder).strip()
    if tuple(map(int, version.removeprefix("v").split(".")[:2])) < AT_LEAST:
        pytest.skip(f"Node {version} is older than 20.19")
    lock = (folder / "package-lock.json").read_bytes()
    mark, now = folder / "node_modules" / ".lock.sha256", hashlib.sha256(lock).hexdigest()
    with FileLock(folder / ".build.lock"):
        if not mark.exists() or mark.read_text(encoding="utf-8") != now:
            done = subprocess.run(
                ["npm", "ci"], cwd=folder, capture_output=True, text=True, check=False
            )
            # EUSAGE: the lock file itself is at fault, not the network.
            assert "EUSAGE" not in done.stderr, done.stderr
            if done.returncode:
                pytest.skip("npm ci could not install the development dependencies")
            mark.write_text(now, encoding="utf-8")
    return folder


def built_client() -> Path:
    """Compile the JavaScript client with the tools of its lock file; return its folder.

    Once for each content of what the compiler reads: it takes longer than most tests.
    """
    installed(SDK)
    read = [SDK / "package-lock.json", SDK / "tsconfig.json", *sorted(SDK.glob("src/**/*.ts"))]
    now = hashlib.sha256(b"".join(path.read_bytes() for path in read)).hexdigest()
    mark = SDK / "node_modules" / ".sources.sha256"
    with FileLock(SDK / ".build.lock"):
        is_built = mark.exists() and (SDK / "dist" / "index.js").exists()
        if not is_built or mark.read_text(encoding="utf-8") != now:
            run("npm", "run", "--silent", "build", folder=SDK)
            mark.write_text(now, encoding="utf-8")
    return SDK


def project(folder: Path) -> Path:
    """Pack the JavaScript client and install it into an empty project."""
    sdk = built_client()
    packing = ("npm", "pack", "--json", "--ignore-scripts", f"--pack-destination={folder}")
    (packed,) = json.loads(run(*packing, folder=sdk))
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    run("npm", "install", "--offline", str(folder / packed["filename"]), folder=folder)
    return folder
