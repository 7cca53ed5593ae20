"""``python -m healthval.hosting serve --model DIR --port N``: the container's entry point."""

import argparse
import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

from healthval.errors import HostingError
from healthval.hosting.artefact import load
from healthval.hosting.server import MAX_SECONDS, ModelServer


def main(argv: list[str] | None = None) -> int:
    """Load the model, say where it listens, serve until told to stop."""
    options = _parse(argv)
    voice = _own_voice()
    if options.memory_mb:
        resource.setrlimit(resource.RLIMIT_AS, (options.memory_mb * 1024**2,) * 2)
    try:
        predict = load(options.model)
    except HostingError as error:
        _say(voice, {"failed": str(error)})
        return error.exit_code
    server = ModelServer(
        (options.host, options.port),
        predict,
        max_concurrency=options.max_concurrency,
        seconds=options.seconds,
        inputs=options.inputs,
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    if options.die_with_parent:
        threading.Thread(target=_wait_for_parent, args=(stop,), daemon=True).start()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    _say(voice, {"ready": server.server_address[1]})
    _wait(server, stop, options.idle_seconds)
    server.shutdown()
    server.drain(10)
    os._exit(0)  # threads of the model must not keep a served-out process alive


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m healthval.hosting")
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--model", type=Path, default=Path("/opt/ml/model"))
    parser.add_argument("--host", default="127.0.0.1")
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--memory-mb", type=int, default=0)
    parser.add_argument("--max-concurrency", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=MAX_SECONDS)
    inputs = os.environ.get("HEALTHVAL_INPUTS", "")
    parser.add_argument("--inputs", default=inputs, help="file:// or s3:// prefix it may read")
    parser.add_argument("--idle-seconds", type=float, default=0, help="stop after so long unused")
    parser.add_argument("--die-with-parent", action="store_true", help="stop when stdin closes")
    return parser.parse_args(argv)


def _own_voice() -> TextIO:
    """Keep standard output for ourselves and close it to the model, which may print inputs."""
    voice = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.close(silence)
    return voice


def _say(voice: TextIO, word: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):
        voice.write(json.dumps(word) + "\n")
        voice.flush()


def _wait_for_parent(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


def _wait(server: ModelServer, stop: threading.Event, idle_seconds: float) -> None:
    while not stop.wait(0.2):
        if idle_seconds and server.idle_seconds > idle_seconds:
            return
        if server.stuck:
            time.sleep(1)  # lets the 504 leave
            return


if __name__ == "__main__":
    sys.exit(main())
