"""The API as a zip file for AWS Lambda, made from the installed packages; equal inputs, equal bytes."""

import hashlib
import io
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

from healthval.errors import UsageError, counted
from healthval.files import install_command

# What the API imports beside healthval; boto3 is part of Lambda's own runtime.
ROOTS = ("cryptography", "fastapi", "mangum", "pydicom", "pyjwt", "pyyaml")
MAX_BYTES = 15_000_000
_PACKAGE = Path(__file__).parents[1]
# Rooms that the API never imports.
_ELSEWHERE = {"cli", "cloud", "cohort", "deid", "demo", "metrics", "report", "runner", "aggregate"}
_UNUSED = re.compile(
    r"(^|/)(tests?|__pycache__|_share)/|\.(pyc|pyi|c|h|rs)$|^pydicom/(data/(test_files|charset_files|palettes)|"
    r"examples|cli|pixels/encoders)/|^pip/|\.dist-info/(?!METADATA|licenses)|^\.\."
)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip file


@dataclass(frozen=True, slots=True)
class Package:
    """A packed API, and the runtime and architecture of Lambda for which it is built."""

    data: bytes
    runtime: str
    architecture: str

    @property
    def key(self) -> str:
        """Name in the bucket for code: the hash of the bytes."""
        return f"api/{hashlib.sha256(self.data).hexdigest()}.zip"


def pack_api() -> Package:
    """Pack the API and its dependencies from this environment.

    Raises
    ------
    UsageError
        If this machine's packages cannot run in Lambda, one is missing or the zip is too large.
    """
    architecture = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine())
    if sys.platform != "linux" or architecture is None:
        raise UsageError(
            "Lambda runs Linux: pack the API on Linux (x86_64 or aarch64), for example in the "
            "image python:3.13-slim"
        )
    files = dict(_own_files())
    for name in sorted(_closure(ROOTS)):
        files |= dict(_files_of(name))
    data = _zip(_compiled(files))
    if len(data) > MAX_BYTES:
        raise UsageError(f"the packed API has {len(data)} bytes, more than {MAX_BYTES}")
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Package(data, runtime, architecture)


def _own_files() -> Iterator[tuple[str, Path]]:
    for path in _PACKAGE.rglob("*"):
        name = path.relative_to(_PACKAGE.parent).as_posix()
        room = path.relative_to(_PACKAGE).parts[0]
        if path.is_file() and room not in _ELSEWHERE and not _UNUSED.search(name):
            yield name, path


def _closure(roots: tuple[str, ...]) -> set[str]:
    """Return installed distributions and all that they require; markers decide by what is there."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found or not (name in roots or _is_installed(name)):
            continue
        found.add(name)
        needs = [line for line in _distribution(name).requires or () if "extra ==" not in line]
        todo += [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in needs]
    return found


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        missing = [root for root in ROOTS if not _is_installed(root)]
        raise UsageError(
            f"{counted(len(missing), 'package')} of the API not installed ({', '.join(missing)}); "
            f"{install_command('aws,hub')}"
        ) from None


def _files_of(name: str) -> Iterator[tuple[str, Path]]:
    for file in _distribution(name).files or ():
        path = PurePosixPath(file)
        located = Path(str(file.locate()))
        if not _UNUSED.search(str(path)) and located.is_file():
            yield str(path), located


def _compiled(files: dict[str, Path]) -> dict[str, bytes]:
    """Read the files, Python ones as bytecode: Lambda cannot keep what it compiles."""
    with tempfile.TemporaryDirectory() as folder:
        for name, path in files.items():
            copy = Path(folder, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
        # A separate process, whose memory does not differ between two builds: the bytecode's
        # references depend on it.
        options = ["-b", "-q", "-s", folder, "-p", "/var/task"]
        command = [sys.executable, "-I", "-m", "compileall", *options]
        command += ["--invalidation-mode", "unchecked-hash", folder]
        environment = {"PYTHONHASHSEED": "0"}
        subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603 - our own interpreter
        made = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        compiled = {path.relative_to(folder).as_posix(): path.read_bytes() for path in made}
    return {name: data for name, data in compiled.items() if not name.endswith(".py")}


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return out.getvalue()
