"""papermill engine `healthval-fork`: each notebook runs in a process forked from a warm parent.

The parent has the imports loaded and stays single-threaded; the child is a separate kernel, so
nothing flows from one run to another. Outputs equal papermill's. Where forking is not safe (Windows,
macOS, a parent with threads) or the notebook asks for another kernel, papermill's own engine runs.
"""

import ast
import base64
import contextlib
import gc
import importlib
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from nbclient.exceptions import CellExecutionComplete, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NBClientEngine

from healthval.errors import RunFailed
from healthval.runner import forked_kernel
from healthval.runner.forked_kernel import FRAME, frame

KERNELS = frozenset({"python3", "healthval"})
READ_BYTES = 1 << 20
MOST_OUTPUT_BYTES = 128 << 20
_frozen_modules = 0
_adopts = False  # whether this process is a worker, which adopts and ends what notebooks leave
# Libraries that start no thread and open nothing when they are imported, so that a parent may load
# them before it forks.
WARMABLE = frozenset({"healthval", "matplotlib", "numpy", "pandas", "pydicom", "scipy", "sklearn"})


class ForkEngine(Engine):  # type: ignore[misc]  # papermill is untyped
    """Executes a notebook in a forked kernel; `run_timeout` bounds the whole run in seconds."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        execution_timeout: float | None = None,
        run_timeout: float | None = None,
        **given: Any,
    ) -> None:
        """Execute the cells; papermill saves the notebook after each."""
        if not is_safe() or kernel_name not in KERNELS:
            given["execution_timeout"] = execution_timeout
            NBClientEngine.execute_managed_notebook(nb_man, kernel_name, **given)
            return
        known = {name: given[name] for name in _CLIENT_OPTIONS if name in given}
        client = ForkClient(
            nb_man,
            kernel_name="python3",
            timeout=execution_timeout or given.get("timeout"),
            **known,
        )
        client.deadline = None if run_timeout is None else time.monotonic() + run_timeout
        client.execute()


_CLIENT_OPTIONS = ("log_output", "stdout_file", "stderr_file", "allow_errors", "record_timing")


def is_safe() -> bool:
    """Return whether this process may fork a kernel: Linux, and no thread besides the main one."""
    if sys.platform != "linux":
        return False
    _stop_progress_monitor()
    return threading.active_count() == 1


def register() -> None:
    """Make the engine known to papermill under its name, also where no entry point is installed."""
    from papermill.engines import papermill_engines

    papermill_engines.register("healthval-fork", ForkEngine)


def warm(sources: Iterable[str]) -> None:
    """Import in advance what the code of a notebook imports, as far as that is safe before a fork."""
    import ipykernel.ipkernel  # with its debugger, the kernel's own imports
    import ipykernel.zmqshell  # noqa: F401

    for name in dict.fromkeys(name for source in sources for name in _imported(source)):
        if name.partition(".")[0] in WARMABLE:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def _imported(source: str) -> Iterator[str]:
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:  # a magic, or an error that the run will show
        lines = [line for line in source.splitlines() if re.match(r"\s*(import|from)\s", line)]
        for line in lines if len(lines) < len(source.splitlines()) else ():
            yield from _imported(line.strip())
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _stop_progress_monitor() -> None:
    """End tqdm's monitor thread; progress bars work without it."""
    import tqdm

    if tqdm.tqdm.monitor is not None:
        tqdm.tqdm.monitor.exit()
        tqdm.tqdm.monitor = None
    tqdm.tqdm.monitor_interval = 0


class ForkClient(PapermillNotebookClient):  # type: ignore[misc]  # nbclient is untyped
    """papermill's client over a pipe to a forked kernel instead of sockets to a started one."""

    deadline: float | None = None

    def execute(self, **_: Any) -> Any:
        """Execute all cells in one forked kernel and end every process that they started."""
        self.reset_execution_trackers()
        self._kernel = _ForkedKernel()
        try:
            self.papermill_execute_cells()
            self.nb.metadata["language_info"] = self._kernel.language_info
            self.set_widgets_metadata()
        finally:
            self._kernel.end()
        return self.nb

    def execute_cell(self, cell: Any, cell_index: int, **_: Any) -> Any:
        """Execute one cell as nbclient does: its skips, time-out, outputs and errors."""
        tags = cell.metadata.get("tags", [])
        skipped = self.skip_cells_with_tag in tags
        if cell.cell_type != "code" or not cell.source.strip() or skipped:
            return cell
        if self.record_timing:
            cell["metadata"]["execution"] = {}
        self.code_cells_executed += 1
        cell.outputs = []
        self.clear_before_next_output = False
        self._kernel.send({"code": cell.source})
        reply = self._replied(cell, cell_index)
        if reply["content"]["status"] == "error" and not self._allows(reply, tags):
            from nbclient.exceptions import CellExecutionError

            raise CellExecutionError.from_cell_and_msg(cell, reply["content"])
        self.nb["cells"][cell_index] = cell
        return cell

    def _allows(self, reply: dict[str, Any], tags: list[str]) -> bool:
        if self.force_raise_errors:
            return False
        named = reply["content"].get("ename") in self.allow_error_names
        return bool(self.allow_errors or named or "raises-exception" in tags)

    def _replied(self, cell: Any, cell_index: int) -> dict[str, Any]:
        seconds = self._get_timeout(cell)
        end = _earlier(None if seconds is None else time.monotonic() + seconds, self.deadline)
        reply: dict[str, Any] | None = None
        while True:
            message = self._kernel.receive(end)
            if message is None:
                self._kernel.end()
                if self.deadline is not None and time.monotonic() >= self.deadline:
                    raise RunFailed("the run took longer than its time-out and was ended")
                raise CellTimeoutError.error_from_timeout_and_cell(
                    "Cell execution timed out", int(seconds or 0), cell
                )
            if message["msg_type"] == "execute_reply":
                reply = message
                if self.record_timing:
                    cell["metadata"]["execution"]["shell.execute_reply"] = message["header"]["date"]
                continue
            try:
                self.process_message(message, cell, cell_index)
            except CellExecutionComplete:
                if reply is not None:
                    return reply


def _earlier(a: float | None, b: float | None) -> float | None:
    given = [moment for moment in (a, b) if moment is not None]
    return min(given) if given else None


class _ForkedKernel:
    """The child process, its pipes, and the end of everything that it started."""

    def __init__(self) -> None:
        requests, self._requests = os.pipe()
        self._messages, messages = os.pipe()
        _freeze()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._requests)
            os.close(self._messages)
            _become_kernel(requests, messages)
        os.close(requests)
        os.close(messages)
        self._ended = os.pidfd_open(self._pid)
        self._buffer = bytearray()
        self._received = 0
        self.language_info = _language_info()

    def send(self, request: dict[str, Any]) -> None:
        """Send one request; a kernel that died is an error."""
        data = frame(request)
        try:
            while data:
                data = data[os.write(self._requests, data) :]
        except BrokenPipeError:
            raise self._died() from None

    def receive(self, end: float | None) -> dict[str, Any] | None:
        """Return the next message, or None when the time is over."""
        while True:
            if message := self._taken():
                return message
            wait = None if end is None else max(0.0, end - time.monotonic())
            ready, _, _ = select.select([self._messages, self._ended], [], [], wait)
            if not ready:
                return None
            data = os.read(self._messages, READ_BYTES) if self._messages in ready else b""
            if not data:
                raise self._died()
            self._received += len(data)
            if self._received > MOST_OUTPUT_BYTES:
                self.end()
                raise RunFailed(
                    f"the notebook's outputs exceed {MOST_OUTPUT_BYTES >> 20} MiB; print less"
                )
            self._buffer += data

    def _taken(self) -> dict[str, Any] | None:
        if len(self._buffer) < FRAME.size:
            return None
        size = FRAME.unpack_from(self._buffer)[0]
        whole = FRAME.size + size
        if len(self._buffer) < whole:
            return None
        message = _parsed(bytes(self._buffer[FRAME.size : whole]))
        del self._buffer[:whole]
        return message

    def _died(self) -> DeadKernelError:
        self.end()
        return DeadKernelError("Kernel died")

    def end(self) -> None:
        """Kill the kernel's process group, wait for it, and close the pipes; once is enough."""
        if not self._pid:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        for descriptor in (self._requests, self._messages, self._ended):
            os.close(descriptor)
        self._pid = 0
        reap_orphans()


def _freeze() -> None:
    """Hide what is loaded from the collector, so that the child copies no page only to be marked.

    Only after new imports, and with everything looked at again: what is frozen while it is in use
    is never freed, so that a freeze for each run would keep the objects of every run.
    """
    global _frozen_modules  # noqa: PLW0603  number of modules at the last freeze
    if len(sys.modules) != _frozen_modules:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        _frozen_modules = len(sys.modules)


def _parsed(body: bytes) -> dict[str, Any]:
    import json

    message: dict[str, Any] = json.loads(body)
    message["buffers"] = [base64.b64decode(part) for part in message["buffers"]]
    return message


def _language_info() -> dict[str, Any]:
    from ipykernel.ipkernel import IPythonKernel

    known: dict[str, Any] = dict(IPythonKernel.language_info)
    return known


def _become_kernel(requests: int, messages: int) -> None:
    """Turn the forked child into a kernel; it never returns to the parent's code."""
    code = 1
    try:
        os.setsid()
        die_with_parent()
        silence = os.open(os.devnull, os.O_RDONLY)
        os.dup2(silence, 0)
        with os.fdopen(requests, "rb") as source, os.fdopen(messages, "wb") as out:
            forked_kernel.serve(source, out)
        code = 0
    finally:
        os._exit(code)


def die_with_parent() -> None:
    """End this process when its parent ends, also when the parent is killed."""
    _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def adopt_orphans() -> None:
    """Make this process the parent of processes whose own parent ends, so that it can end them.

    For a process whose only children are kernels: at the end of a run it ends every child.
    """
    global _adopts  # noqa: PLW0603  once in a worker, before its first run
    _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    _adopts = True


def _prctl(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def reap_orphans() -> None:
    """End the processes that a notebook left behind and that this process adopted.

    A process that ends leaves its own children, which are adopted in turn. A process that adopts
    none has other children, which are not ours to end.
    """
    while _adopts:
        for pid in children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:  # none is left; the list may lack one while others end
            return
        if not ended:
            time.sleep(0.001)


def children() -> list[int]:
    """Return the process numbers of this process's children."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as listed:  # noqa: PTH123
            return [int(pid) for pid in listed.read().split()]
    except OSError:
        return []
