"""An embedded hub as a child process that cannot outlive its parent."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from healthval.errors import HubUnavailable
from healthval.hosting.child_process import START_SECONDS, ChildFailed, ChildProcess


@contextmanager
def embedded_hub(
    data: Path, operator: Path, *, port: int = 0, start_seconds: float = START_SECONDS
) -> Iterator[str]:
    """Run a hub over `data` on a loopback port, by default a free one, and yield its address.

    It trusts its models: the demo's model is part of this package.

    Parameters
    ----------
    operator : the operator's public key file
    start_seconds : upper bound for a hub that is alive but never answers

    Raises
    ------
    HubUnavailable
        As soon as the hub has ended before it answered, with the reason; its log is ``hub.log``
        in the folder.
    """
    data.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "healthval.hub", "--die-with-parent", "--trust-models"]
    command += ["--data", str(data), "--operator", str(operator), "--port", str(port)]
    with (data / "hub.log").open("ab") as log:
        hub = ChildProcess(command, log=log, start_seconds=start_seconds)
    try:
        yield _address(hub)
    finally:
        hub.stop()


def _address(hub: ChildProcess) -> str:
    try:
        return str(hub.first_line()["url"])
    except ChildFailed as failure:
        raise HubUnavailable(
            f"the embedded hub did not start: {failure}; see hub.log in its folder"
        ) from None
