"""Build context of a vendor's model image: server, model and locks, ready for `docker build`."""

import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from healthval.errors import UsageError, counted
from healthval.files import packaged
from healthval.hosting.artefact import pack, unpack

# The model server needs these parts of the package only, and the standard library.
_SERVER: Final = ("__init__.py", "errors.py", "hosting")
LOCK: Final = "requirements.txt"
_LOCK_REMEDY: Final = "write it with `uv pip compile --generate-hashes`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A written build context; `tag` begins with the digest of the model's artefact."""

    folder: Path
    artefact_sha256: str

    @property
    def tag(self) -> str:
        """Tag of the image, never used for other bytes."""
        return self.artefact_sha256[:16]

    def commands(self, group: str) -> tuple[str, ...]:
        """Return the shell commands that build the image and push it to ECR.

        Parameters
        ----------
        group : the model's group in `infra/model.yaml`
        """
        registry = "$ACCOUNT.dkr.ecr.$AWS_REGION.amazonaws.com"
        image = f"{registry}/healthval/{group}:{self.tag}"
        return (
            "ACCOUNT=$(aws sts get-caller-identity --query Account --output text)",
            "aws ecr get-login-password --region $AWS_REGION |"
            f" docker login --username AWS --password-stdin {registry}",
            f"docker build --provenance=false --platform linux/amd64 -t {image} {self.folder}",
            f"docker push {image}",
        )


def write_context(model: Path, folder: Path) -> Context:
    """Write the build context of a model folder into a new folder, whole or not at all.

    Parameters
    ----------
    model : folder with ``inference.py``, and ``requirements.txt`` with hashes if it needs packages

    Raises
    ------
    UsageError
        If `folder` exists, or a line of the lock has no version or no hash.
    HostingError
        If the model folder has no ``inference.py``.
    """
    if folder.exists():
        raise UsageError(f"the folder {folder.name} exists; name a new one")
    artefact = pack(model)
    lock = model / LOCK
    if lock.is_file():
        _check_lock(lock.read_text(encoding="utf-8"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        made = Path(aside) / "context"
        _write(made, artefact, lock)
        made.rename(folder)
    return Context(folder=folder, artefact_sha256=hashlib.sha256(artefact).hexdigest())


def _write(made: Path, artefact: bytes, lock: Path) -> None:
    container, package = packaged("infra") / "container", Path(__file__).parents[1]
    (made / "healthval").mkdir(parents=True)
    for name in _SERVER:
        source, target = package / name, made / "healthval" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    (made / "model").mkdir()
    unpack(artefact, made / "model")
    shutil.copyfile(container / "model.Dockerfile", made / "Dockerfile")
    shutil.copyfile(container / "server.txt", made / "server.txt")
    (made / LOCK).write_bytes(lock.read_bytes() if lock.is_file() else b"")


def _check_lock(text: str) -> None:
    """Refuse a lock that pip would not install with `--require-hashes --no-deps`."""
    joined = re.sub(r"\\\s*\n", " ", text)
    entries = [line.split("#")[0].strip() for line in joined.splitlines()]
    loose = [entry for entry in entries if entry and not _is_locked(entry)]
    if loose:
        raise UsageError(
            f"{LOCK} of the model: {counted(len(loose), 'line has', 'lines have')} no exact version or"
            f" no hash; {_LOCK_REMEDY}"
        )


def _is_locked(entry: str) -> bool:
    return bool(re.match(r"[A-Za-z0-9._-]+(\[[^\]]*\])?\s*===?\s*\S", entry)) and "--hash=" in entry
