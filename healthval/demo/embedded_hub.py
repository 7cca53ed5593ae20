"""An embedded hub as a child process that cannot outlive its parent."""

import fcntl
import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from healthval.errors import HubUnavailable, UsageError

START_SECONDS = 30.0
STOP_SECONDS = 20.0


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file: two runs in one folder would write over each other."""
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another run is busy in {path.parent}; wait for it or choose another folder"
            ) from None
        yield


@contextmanager
def embedded_hub(data: Path, operator: Path) -> Iterator[str]:
    """Run a hub over `data` on a free loopback port and give its address.

    Parameters
    ----------
    operator : the operator's public key file

    Raises
    ------
    HubUnavailable
        If it does not come up; its own words are in ``hub.log`` in the folder.
    """
    data.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "healthval.hub",
        "--data",
        str(data),
        "--operator",
        str(operator),
        "--die-with-parent",
    ]
    with (data / "hub.log").open("ab") as log:
        hub = subprocess.Popen(  # noqa: S603 - our own module, arguments as a list
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
    try:
        yield _address(hub)
    finally:
        _stop(hub)


def _address(hub: subprocess.Popen[bytes]) -> str:
    assert hub.stdout is not None  # noqa: S101 - opened above
    ready, _, _ = select.select([hub.stdout], [], [], START_SECONDS)
    line = hub.stdout.readline() if ready else b""
    if not line:
        raise HubUnavailable("the embedded hub did not start; see hub.log in its folder")
    return str(json.loads(line)["url"])


def _stop(hub: subprocess.Popen[bytes]) -> None:
    for stream in (hub.stdin, hub.stdout):
        if stream is not None:
            stream.close()
    try:
        hub.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        hub.kill()
        hub.wait()
