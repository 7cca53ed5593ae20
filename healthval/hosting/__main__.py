"""``python -m healthval.hosting serve --model DIR --port N``: entry point of the model container."""

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

from healthval.errors import HealthvalError
from healthval.hosting.artefact import load
from healthval.hosting.child_process import check_platform, stop_with_parent
from healthval.hosting.server import MAX_SECONDS, ModelServer

DRAIN_SECONDS = 10
# Address space of one thread, and threads beside those that receive and score.
STACK_MB = 8
OTHER_THREADS = 8


def main(argv: list[str] | None = None) -> int:
    """Load the model, write the port as a line of JSON, and serve until the end."""
    options = _parse(argv)
    output = _private_output()
    stop, is_serving = threading.Event(), threading.Event()
    if options.die_with_parent:
        stop_with_parent(lambda: stop.set() if is_serving.is_set() else os._exit(0))
    try:
        server = _loaded(options)
    except HealthvalError as error:
        _write_line(output, {"failed": str(error)})
        return error.exit_code
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    is_serving.set()
    _write_line(output, {"ready": server.port})
    _wait(server, stop, options.idle_seconds)
    server.shutdown()
    server.drain(DRAIN_SECONDS)
    os._exit(0)  # threads of the model must not keep the process alive


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m healthval.hosting")
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--model", type=Path, default=Path("/opt/ml/model"))
    parser.add_argument("--host", default="127.0.0.1")
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--socket", type=int, help="number of an open Unix socket that listens")
    parser.add_argument("--memory-mb", type=int, default=0)
    parser.add_argument("--max-concurrency", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=MAX_SECONDS)
    inputs = os.environ.get("HEALTHVAL_INPUTS", "")
    parser.add_argument(
        "--inputs", default=inputs, help="file:// or s3:// prefix of readable files"
    )
    parser.add_argument(
        "--idle-seconds", type=float, default=0, help="stop when unused for so long"
    )
    parser.add_argument("--die-with-parent", action="store_true", help="stop when stdin closes")
    return parser.parse_args(argv)


def _loaded(options: argparse.Namespace) -> ModelServer:
    check_platform()
    _limit_memory(options.memory_mb, threads=2 * options.max_concurrency + OTHER_THREADS)
    address = (options.host, options.port)
    return ModelServer(
        address if options.socket is None else socket.socket(fileno=options.socket),
        load(options.model),
        max_concurrency=options.max_concurrency,
        seconds=options.seconds,
        inputs=options.inputs,
    )


def _limit_memory(megabytes: int, *, threads: int) -> None:
    """Limit the address space of this process; macOS has no such limit and refuses the call.

    The stacks of its threads are added: they have addresses, and hardly any memory.
    """
    if not megabytes:
        return
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_AS, ((megabytes + threads * STACK_MB) * 1024**2,) * 2)
    except (ValueError, OSError):
        if sys.platform != "darwin":
            raise


def _private_output() -> TextIO:
    """Keep standard output for the server and discard the model's output: it may print inputs."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    discarded = os.open(os.devnull, os.O_WRONLY)
    os.dup2(discarded, 1)
    os.dup2(discarded, 2)
    os.close(discarded)
    return output


def _write_line(output: TextIO, line: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):
        output.write(json.dumps(line) + "\n")
        output.flush()


def _wait(server: ModelServer, stop: threading.Event, idle_seconds: float) -> None:
    while not stop.wait(0.2):
        if idle_seconds and server.idle_seconds > idle_seconds:
            return
        if server.stuck:
            server.timeout_sent.wait(DRAIN_SECONDS)
            time.sleep(1)  # /ping answers 503 meanwhile
            return


if __name__ == "__main__":
    sys.exit(main())
