"""``python -m healthval.hub --data DIR --operator KEY.pub``: the embedded hub, on loopback only."""

import argparse
import json
import os
import secrets
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from healthval.contracts.access import PublicKey
from healthval.contracts.base import read_wire
from healthval.credential import Credential
from healthval.errors import HealthvalError, UsageError
from healthval.files import disk_problem, write_durably
from healthval.hosting import sandbox
from healthval.hosting.child_process import check_platform, stop_with_parent
from healthval.hub.api.connections import BACKLOG, TimedProtocol, raise_file_limit
from healthval.hub.app import Settings, create_app
from healthval.hub.backends.local import FolderObjects, SqliteIndex
from healthval.hub.backends.model_process import HostOptions
from healthval.hub.backends.processes import ProcessHost
from healthval.hub.ports import Backend
from healthval.hub.report_orders import NotebookProcess, Reporter

LOOPBACK = "127.0.0.1"
EXIT_DISK = 74
SECRET_BYTES = 32
GRACEFUL_SECONDS = 15
# Longest time for which one thread keeps the others waiting; Python's default is 5 ms.
SWITCH_SECONDS = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Options of a hub that serves.

    Attributes
    ----------
    port : 0 takes a free one
    origin : address of this hub for its callers, behind a TLS proxy
    trust_models : run a vendor's code with the rights of the hub where it cannot be isolated
    """

    port: int = 0
    origin: str | None = None
    die_with_parent: bool = False
    trust_models: bool = False


def serve(data: Path, operator: PublicKey, options: Serving) -> None:
    """Serve the hub over a data folder until a signal or the parent stops it.

    Writes one line of JSON with the address to standard output and to ``hub.json`` in the folder
    once it listens.

    Raises
    ------
    UsageError
        If the system is not supported, models cannot be isolated and are not trusted, the origin
        is malformed, the port is taken or the upload secret is damaged.
    """
    check_platform()
    origins = [] if options.origin is None else [_checked_origin(options.origin)]
    isolated = _isolates(trust_models=options.trust_models)
    raise_file_limit()
    sys.setswitchinterval(SWITCH_SECONDS)
    data.mkdir(parents=True, exist_ok=True)
    secret = _upload_secret(data / "upload.secret")
    listening = _listen(options.port)
    port = listening.getsockname()[1]
    settings = Settings(
        operator=operator,
        audiences=(*origins, f"http://{LOOPBACK}:{port}", f"http://localhost:{port}"),
        upload_secret=secret,
        signer=_own_key(data / "hub.key").private_key,
        reporter=_own_key(data / "reporter.key").public_key,
    )
    server = _server(data, settings, isolated=isolated)

    def stop() -> None:
        server.should_exit = True

    if options.die_with_parent:
        stop_with_parent(stop)
    _announce(data / "hub.json", port, options.origin)
    server.run([listening])


def _isolates(*, trust_models: bool) -> bool:
    """Return whether models run in a sandbox; refuse to run them without unless they are trusted."""
    missing = sandbox.unavailable()
    if missing is None:
        return True
    if not trust_models:
        raise UsageError(
            f"models cannot be isolated: {missing}; with --trust-models a vendor's code has the "
            "rights of this hub"
        )
    sys.stderr.write(f"models are not isolated: {missing}\n")
    return False


def _checked_origin(text: str) -> str:
    from healthval.client_transport import checked_origin

    return checked_origin(text)


def _server(data: Path, settings: Settings, *, isolated: bool) -> uvicorn.Server:
    objects = FolderObjects(data / "objects")
    index = SqliteIndex(data / "index.sqlite", time.time)
    models = ProcessHost(objects, data / "models", HostOptions(isolated=isolated, hidden=data))

    backend = Backend(objects, index, models, time.time)
    notebook = NotebookProcess(url=settings.audiences[-2], key=data / "reporter.key")

    def close() -> None:
        notebook.close()
        models.close()
        index.close()

    reporter = Reporter(backend=backend, notebook=notebook)
    config = uvicorn.Config(
        create_app(backend, settings, on_close=close, reporter=reporter),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=TimedProtocol,
        ws="none",
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    return uvicorn.Server(config)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and serve."""
    options = _parse(argv)
    try:
        _check_loopback(options.host)
        check_apart(options.operator, options.data)
        serve(
            options.data,
            operator_key(options.operator),
            Serving(
                port=options.port,
                origin=options.origin,
                die_with_parent=options.die_with_parent,
                trust_models=options.trust_models,
            ),
        )
    except HealthvalError as error:
        return _stop(str(error), error.exit_code, to_parent=options.die_with_parent)
    except OSError as error:
        if (problem := disk_problem(error)) is None:
            raise
        return _stop(problem, EXIT_DISK, to_parent=options.die_with_parent)
    return 0


def _stop(reason: str, code: int, *, to_parent: bool) -> int:
    """Write why the hub did not start; to the parent's pipe where a full disk refuses the log."""
    line = (json.dumps({"failed": reason}) if to_parent else reason) + "\n"
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except OSError:
        sys.stdout.write(line)
        sys.stdout.flush()
    return code


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m healthval.hub", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the hub's data")
    parser.add_argument("--operator", type=Path, required=True, help="the operator's public key")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--origin", help="https address of this hub behind a TLS proxy")
    parser.add_argument("--die-with-parent", action="store_true", help="stop when stdin closes")
    parser.add_argument(
        "--trust-models", action="store_true", help="run models also where they cannot be isolated"
    )
    return parser.parse_args(argv)


def check_apart(operator: Path, data: Path) -> Path:
    """Return the private half of the operator's key; it must not be in the hub's data folder.

    Raises
    ------
    UsageError
        If `operator` is not named like a public key or is in the data folder.
    """
    private = operator.with_name(operator.name.removesuffix(".pub"))
    if private == operator:
        raise UsageError("--operator takes the operator's public key, a file that ends in .pub")
    if operator.resolve().is_relative_to(data.resolve()):
        raise UsageError(
            "the operator's key is in the hub's data folder, which backups copy; keep it elsewhere"
        )
    return private


def operator_key(path: Path) -> PublicKey:
    """Read the operator's public key."""
    try:
        return read_wire(PublicKey, path.read_bytes())
    except OSError:
        raise UsageError("the operator's public key cannot be read; give its .pub file") from None
    except ValueError:
        raise UsageError(
            "the operator's key is not an Ed25519 public key; give its .pub file"
        ) from None


def _check_loopback(host: str) -> None:
    """Refuse another interface: this hub has no TLS."""
    if host not in {LOOPBACK, "localhost"}:
        raise UsageError(
            "the embedded hub listens on loopback only; for other machines, put a TLS proxy before "
            "it and start it with --origin"
        )


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((LOOPBACK, port))
    except OSError:
        listening.close()
        raise UsageError(f"port {port} is taken; choose another or 0") from None
    listening.listen(BACKLOG)
    return listening


def _upload_secret(path: Path) -> bytes:
    """Read the secret that signs upload addresses; the first start creates it."""
    write_durably(path, secrets.token_bytes(SECRET_BYTES), replace=False)
    secret = path.read_bytes()
    if len(secret) < SECRET_BYTES:
        raise UsageError(
            f"{path.name} in the data folder has fewer than {SECRET_BYTES} bytes; delete it and "
            "start again: the hub creates a new one, and pending upload addresses end"
        )
    return secret


def _own_key(path: Path) -> Credential:
    """Read a key of the hub itself; the first start creates it."""
    with suppress(UsageError):
        return Credential.load(path)
    if path.exists():
        raise UsageError(
            f"{path.name} in the data folder is damaged; restore a backup of it: with a new key, "
            "nothing that the old one signed would fit the keys that the hub uses"
        )
    return Credential.create(path)


def _announce(path: Path, port: int, origin: str | None) -> None:
    where = {"url": f"http://{LOOPBACK}:{port}", "pid": os.getpid()}
    where |= {} if origin is None else {"origin": origin}
    write_durably(path, json.dumps(where).encode() + b"\n", mode=0o644)
    sys.stdout.write(json.dumps(where) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
