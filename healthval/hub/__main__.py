"""``python -m healthval.hub --data DIR --operator KEY.pub``: the embedded hub, on loopback only."""

import argparse
import json
import os
import secrets
import socket
import sys
import threading
import time
from pathlib import Path

import uvicorn

from healthval.contracts.access import PublicKey
from healthval.contracts.base import read_wire
from healthval.disclosure import load_policy
from healthval.errors import HealthvalError, UsageError
from healthval.hub.app import Settings, create_app
from healthval.hub.backends.local import FolderObjects, ProcessHost, SqliteIndex
from healthval.hub.ports import Backend

LOOPBACK = "127.0.0.1"


def serve(
    data: Path,
    operator: PublicKey,
    *,
    port: int = 0,
    host: str = LOOPBACK,
    die_with_parent: bool = False,
) -> None:
    """Serve the hub over a data folder until told to stop.

    Writes one line of JSON with the address to standard output and to ``hub.json`` in the folder
    once it listens. `port` 0 takes a free one.

    Raises
    ------
    UsageError
        If `host` is not loopback or the port is taken: this hub has no TLS of its own.
    """
    if host not in {LOOPBACK, "localhost"}:
        raise UsageError("the embedded hub listens on loopback only; use 127.0.0.1")
    data.mkdir(parents=True, exist_ok=True)
    listening = _listen(port)
    port = listening.getsockname()[1]
    objects = FolderObjects(data / "objects")
    index = SqliteIndex(data / "index.sqlite", time.time)
    models = ProcessHost(objects, data / "models")

    def close() -> None:
        models.close()
        index.close()

    settings = Settings(
        operator=operator,
        audiences=(f"http://{LOOPBACK}:{port}", f"http://localhost:{port}"),
        upload_secret=_own_secret(data / "upload.secret"),
        policy=load_policy(),
    )
    app = create_app(Backend(objects, index, models, time.time), settings, on_close=close)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=15,
    )
    server = uvicorn.Server(config)
    if die_with_parent:
        threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    _tell(data / "hub.json", {"url": f"http://{LOOPBACK}:{port}", "pid": os.getpid()})
    server.run([listening])


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m healthval.hub", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for everything it keeps")
    parser.add_argument("--operator", type=Path, required=True, help="the operator's public key")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--die-with-parent", action="store_true", help="stop when stdin closes")
    options = parser.parse_args(argv)
    try:
        serve(
            options.data,
            _public_key(options.operator),
            port=options.port,
            host=options.host,
            die_with_parent=options.die_with_parent,
        )
    except HealthvalError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _public_key(path: Path) -> PublicKey:
    try:
        return read_wire(PublicKey, path.read_bytes())
    except OSError:
        raise UsageError("the operator's public key cannot be read; give its .pub file") from None
    except ValueError:
        raise UsageError(
            "the operator's key is no Ed25519 public key; give its .pub file"
        ) from None


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((LOOPBACK, port))
    except OSError:
        listening.close()
        raise UsageError(f"port {port} is taken; choose another or 0") from None
    listening.listen(128)
    return listening


def _own_secret(path: Path) -> bytes:
    """Read the secret that signs upload addresses, making it at the first start."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(32))
        os.fsync(file.fileno())
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
    return path.read_bytes()


def _tell(path: Path, word: dict[str, object]) -> None:
    line = json.dumps(word) + "\n"
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_text(line)
    aside.replace(path)
    sys.stdout.write(line)
    sys.stdout.flush()


def _end_with_parent(server: uvicorn.Server) -> None:
    sys.stdin.buffer.read()
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
