"""Trial of a vendor's model by the container contract: the server as a process of its own, over HTTP."""

import base64
import http.client
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from healthval.contracts.model import ModelRegistration
from healthval.errors import HostingError
from healthval.hosting.child_process import ChildFailed, ChildProcess
from healthval.hosting.server import MAX_SECONDS

ROWS_A_CALL: Final = 500


def served_scores(
    folder: Path,
    registration: ModelRegistration,
    rows: Sequence[dict[str, Any]],
    files: Sequence[bytes],
) -> list[float | None]:
    """Start the model's server as the container does and ask it for the scores of a sample and the probes.

    Parameters
    ----------
    rows : cases of a table model, by name of the input
    files : the files of the registered probes, in their order

    Raises
    ------
    HostingError
        If the server does not start, or refuses a call; gives the reason of the server.
    """
    with _server(folder, registration) as connection:
        if _call(connection, "GET", "/ping")[0] != 200:
            raise HostingError("the model's server does not answer GET /ping")
        bodies = [*_row_calls(registration, rows), *_probe_calls(registration, files)]
        return [score for body in bodies for score in _scores(connection, body)]


@contextmanager
def _server(folder: Path, registration: ModelRegistration) -> Iterator[http.client.HTTPConnection]:
    options = {
        "--model": folder.resolve(),
        "--port": 0,
        "--memory-mb": registration.memory_mb,
        "--max-concurrency": registration.max_concurrency,
    }
    command = [sys.executable, "-m", "healthval.hosting", "serve", "--die-with-parent"]
    command += [str(part) for option in options.items() for part in option]
    # The vendor's folder stays as it is: it is packed, and its hash registered.
    child = ChildProcess(command, environment={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        port = child.first_line()["ready"]
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=MAX_SECONDS + 10)
        with closing(client) as connection:
            yield connection
    except ChildFailed as failure:
        raise HostingError(f"the model's server does not start: {failure}") from None
    finally:
        child.stop()


def _row_calls(
    registration: ModelRegistration, rows: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    names = [entry.name for entry in registration.inputs.fields]
    for start in range(0, len(rows), ROWS_A_CALL):
        part = rows[start : start + ROWS_A_CALL]
        yield {"columns": names, "rows": [[row[name] for name in names] for row in part]}


def _probe_calls(
    registration: ModelRegistration, files: Sequence[bytes]
) -> Iterator[dict[str, Any]]:
    left, kind = iter(files), registration.inputs.kind
    for probe in registration.probes:
        sent = [base64.b64encode(next(left)).decode() for _ in probe.files]
        (row,) = _row_calls(registration, [dict(probe.row)])
        if kind == "table":
            yield row
        else:
            yield {"files": sent} if kind == "dicom" else row | {"files": [sent]}


def _scores(connection: http.client.HTTPConnection, body: dict[str, Any]) -> list[float | None]:
    status, answer = _call(connection, "POST", "/invocations", json.dumps(body).encode())
    if status != 200:
        raise HostingError(f"the model's server answers {status}: {answer.get('error', '')}")
    found: list[float | None] = answer["scores"]
    return found


def _call(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
) -> tuple[int, dict[str, Any]]:
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
    except (OSError, http.client.HTTPException):
        raise HostingError(
            "the model's server ended during a call; look for lack of memory"
        ) from None
    return answer.status, json.loads(data) if data else {}
