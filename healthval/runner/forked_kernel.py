"""The forked half of the engine: an IPython kernel without sockets, whose messages go into a pipe.

It runs in a child process that was forked from a warm parent. The kernel, its display hooks and its
tracebacks are ipykernel's own, so the messages equal those of a kernel behind sockets.
"""

import asyncio
import base64
import contextlib
import io
import json
import logging
import os
import random
import struct
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, BinaryIO

from ipykernel.ipkernel import IPythonKernel
from jupyter_client.session import Session
from traitlets.config import Application

FRAME = struct.Struct(">I")
FLUSH_SECONDS = 0.2  # as ipykernel's streams
FLUSH_CHARACTERS = 1 << 16
READ_BYTES = 1 << 16
INLINE = "module://matplotlib_inline.backend_inline"


def serve(requests: BinaryIO, messages: BinaryIO) -> None:
    """Execute the cells that arrive as frames of JSON; write the kernel's messages as frames."""
    kernel = _start(_Sink(messages))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    while request := read_frame(requests):
        loop.run_until_complete(_execute(kernel, request))


def read_frame(source: BinaryIO) -> dict[str, Any] | None:
    """Read one frame; None at the end of the stream or within a frame that was cut off."""
    head = source.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    body = source.read(FRAME.unpack(head)[0])
    return json.loads(body) if len(body) == FRAME.unpack(head)[0] else None


def frame(content: Any) -> bytes:
    """Return a frame: length and JSON."""
    body = json.dumps(content, default=str).encode()
    return FRAME.pack(len(body)) + body


class _Sink:
    """Writes messages whole, whichever thread they come from."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._lock = out, threading.RLock()

    def __call__(self, message: dict[str, Any], buffers: list[Any]) -> None:
        kept = {name: message[name] for name in ("header", "parent_header", "metadata", "content")}
        kept["msg_type"] = message["msg_type"]
        kept["buffers"] = [base64.b64encode(bytes(part)).decode() for part in buffers]
        with self._lock:
            self._out.write(frame(kept))
            self._out.flush()


class _PipeSession(Session):
    """A session that hands each message to the sink instead of a socket."""

    sink: Callable[[dict[str, Any], list[Any]], None] = staticmethod(lambda _m, _b: None)

    def send(self, stream: Any, msg_or_type: Any, *given: Any, **named: Any) -> Any:
        """Send one message; `stream` is ignored, because there is one pipe."""
        values = dict(zip(("content", "parent", "ident", "buffers"), given, strict=False)) | named
        made: Any = msg_or_type
        if not isinstance(msg_or_type, dict):
            made = self.msg(
                msg_or_type,
                content=values.get("content"),
                parent=values.get("parent"),
                header=values.get("header"),
                metadata=values.get("metadata"),
            )
        self.sink(made, values.get("buffers") or [])
        return made


class _Stream(io.TextIOBase):
    """Standard output or error of the cells, buffered and flushed as ipykernel does it."""

    def __init__(self, kernel: Any, name: str, descriptor: int) -> None:
        self._kernel, self.name, self._descriptor = kernel, name, descriptor
        self._parts: list[str] = []
        self._size, self._since = 0, 0.0
        self._lock = threading.RLock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding that `print` and libraries ask for."""
        return "UTF-8"

    def fileno(self) -> int:
        """Descriptor of the process's own stream, whose bytes are captured as well."""
        return self._descriptor

    def writable(self) -> bool:
        """Text can be written."""
        return True

    def isatty(self) -> bool:
        """Return False: the stream is not a terminal."""
        return False

    def write(self, text: str) -> int:
        """Buffer text, and send it when the buffer is full or old."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        now = time.monotonic()
        with self._lock:
            self._since = self._since if self._parts else now
            self._parts.append(text)
            self._size += len(text)
            due = self._size > FLUSH_CHARACTERS or now - self._since > FLUSH_SECONDS
        if due:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Send what is buffered."""
        with self._lock:
            text, self._parts, self._size = "".join(self._parts), [], 0
        if text:
            content = {"name": self.name, "text": text}
            parent = self._kernel.get_parent("shell")
            self._kernel.session.send(None, "stream", content, parent)


class _Capture:
    """Bytes that other code and child processes write to the process's own descriptor."""

    def __init__(self, stream: _Stream) -> None:
        read, write = os.pipe()
        os.dup2(write, stream.fileno())
        os.close(write)
        self._stream, self._read, self._idle = stream, read, threading.Event()
        threading.Thread(target=self._copy, daemon=True).start()

    def _copy(self) -> None:
        while data := os.read(self._read, READ_BYTES):
            self._idle.clear()
            self._stream.write(data.decode("utf-8", "replace"))
            self._idle.set()

    def settle(self) -> None:
        """Wait until what was written before this call was read."""
        import fcntl
        import termios

        for _ in range(1000):
            waiting = bytearray(4)
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._read, termios.FIONREAD, waiting)
            if not int.from_bytes(waiting, sys.byteorder):
                return
            time.sleep(0.001)


class _Kernel(IPythonKernel):
    """ipykernel's kernel for one notebook; it has no sockets, no debugger and no user profile."""

    captures: tuple[_Capture, ...] = ()
    shell_channel_thread = SimpleNamespace(parent_thread=None)  # there is one thread

    def _abort_queues(self, subshell_id: str | None = None) -> None:
        """Nothing is queued: the next cell is sent when this one has ended."""


def _start(sink: _Sink) -> Any:
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else the debugger warns on standard error
    _forget_the_parent()
    session = _PipeSession(key=b"")
    session.sink = sink
    kernel: Any = _Kernel.instance(session=session, log=logging.getLogger(__name__))
    kernel.shell.history_manager.enabled = False
    out, err = _Stream(kernel, "stdout", 1), _Stream(kernel, "stderr", 2)
    kernel.captures = (_Capture(out), _Capture(err))
    sys.stdout = sys.__stdout__ = out  # type: ignore[misc, assignment]
    sys.stderr = sys.__stderr__ = err  # type: ignore[misc, assignment]
    from ipykernel.displayhook import ZMQDisplayHook

    sys.displayhook = ZMQDisplayHook(session, None)
    _register(kernel)
    return kernel


def _register(kernel: Any) -> None:
    """Let magics such as ``%matplotlib`` find the kernel, as they find that of an application."""
    Application.clear_instance()
    application: Any = Application.instance()
    application.kernel = kernel


def _forget_the_parent() -> None:
    """Reset arguments, random state and plot backend to those of a new interpreter."""
    sys.argv = ["ipykernel_launcher.py"]
    sys.path[:] = ["", *(place for place in sys.path[1:] if place)]
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    backend = os.environ.get("MPLBACKEND") or INLINE
    os.environ["MPLBACKEND"] = backend
    # A module that was imported before the shell existed has registered nothing with it.
    sys.modules.pop("matplotlib_inline.backend_inline", None)
    if matplotlib := sys.modules.get("matplotlib"):
        matplotlib.rcParams["backend"] = backend


async def _execute(kernel: Any, request: dict[str, Any]) -> None:
    content = {
        "code": request["code"],
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": False,
    }
    message = kernel.session.msg("execute_request", content)
    kernel.set_parent([b""], message, channel="shell")
    kernel._publish_status("busy", "shell")
    await kernel.execute_request(None, [b""], message)
    for capture in kernel.captures:
        capture.settle()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):
            stream.flush()
    kernel._publish_status("idle", "shell")
