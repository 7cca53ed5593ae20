"""Sandbox of a model process: bubblewrap around the vendor's code, and a bound on its memory.

Inside, the model has its own user, process, network and file system namespaces: it sees the system's
libraries, Python and this package read-only, its unpacked artefact under ``/model``, the files of its
running calls under ``/inputs``, and a small private ``/tmp``. It has no network and no capability, a
filter of system calls where the kernel has one, and every process that it starts ends with it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Final

from healthval.hosting import syscall_filter

MODEL: Final = Path("/model")
INPUTS: Final = Path("/inputs")
PRIVATE_BYTES: Final = 256 * 1024**2
PRIVATE: Final = ("/tmp", "/dev/shm")  # noqa: S108 - inside the sandbox
MAX_PROCESSES: Final = 256
_TRIAL_SECONDS: Final = 30
_FILTERS: Final = Path("/proc/sys/kernel/seccomp/actions_avail")
_PACKAGE: Final = Path(__file__).parents[1]
_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS: Final = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime")
_ISOLATION: Final = (
    *("--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
    *("--unshare-uts", "--unshare-cgroup-try", "--uid", "65534", "--gid", "65534"),
    *("--cap-drop", "ALL", "--new-session", "--die-with-parent", "--hostname", "model"),
)


def unavailable() -> str | None:
    """Return why models cannot be isolated on this machine; None if they can.

    It starts a sandbox: an installed bubblewrap may still be forbidden to make namespaces.
    """
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian and Ubuntu: apt install bubblewrap)"
    try:
        with open_filter() as fds:
            trial = wrapped([sys.executable, "-I", "-c", "pass"], hidden=[], fds=fds)
            done = subprocess.run(  # noqa: S603 - arguments as a list
                trial, capture_output=True, timeout=_TRIAL_SECONDS, check=False, pass_fds=fds
            )
    except (OSError, subprocess.TimeoutExpired):
        return "bubblewrap does not run here"
    return None if done.returncode == 0 else "bubblewrap cannot make namespaces on this machine"


@contextmanager
def open_filter() -> Iterator[list[int]]:
    """Open the filter of system calls for one start; no file where the kernel has no filters."""
    program = syscall_filter.program() if _FILTERS.exists() else None
    if program is None:
        yield []
        return
    with tempfile.TemporaryFile() as file:
        file.write(program)
        file.seek(0)
        yield [file.fileno()]


def wrapped(
    command: Sequence[str],
    *,
    hidden: Sequence[Path],
    fds: Sequence[int],
    shown: Sequence[tuple[Path, Path]] = (),
) -> list[str]:
    """Return the command that runs `command` in a sandbox.

    Parameters
    ----------
    hidden : folders that are empty inside, whatever contains them
    fds : the open filter of `open_filter`, which the command inherits
    shown : (folder, its path inside), read-only
    """
    visible = list(dict.fromkeys(_visible()))
    empty = [path.resolve() for path in hidden]
    inside = [path for path in empty if any(path.is_relative_to(shows) for shows in visible)]
    private = [("--size", str(PRIVATE_BYTES), "--tmpfs", path) for path in PRIVATE]
    mounts = [
        ("--proc", "/proc"),
        ("--dev", "/dev"),
        *private,
        *(("--tmpfs", str(path)) for path in empty),
        *(("--ro-bind-try", path, path) for path in visible),
        *(("--tmpfs", str(path)) for path in inside),
        *(("--ro-bind", str(outside), str(place)) for outside, place in shown),
        *(("--remount-ro", str(path)) for path in (*empty, "/dev", "/")),
    ]
    words = [word for mount in mounts for word in mount]
    calls = [word for fd in fds for word in ("--seccomp", str(fd))]
    return ["bwrap", *_ISOLATION, *calls, *words, "--chdir", "/", "--", *command]


def _visible() -> Iterator[str]:
    """Yield the paths that Python and the libraries of a model need."""
    yield from _SYSTEM
    yield from _SETTINGS
    for prefix in (sys.base_prefix, sys.prefix):
        yield os.path.realpath(prefix)
        yield prefix
    yield str(_PACKAGE)


def python_path() -> str:
    """Return the search path by which a sandboxed Python finds this package."""
    return str(_PACKAGE.parent)


def group_of(pid: int) -> list[int]:
    """Return the processes that descend from `pid`, with itself; Linux only."""
    children = _listed_children if _lists_children() else partial(_found_children, _parents())
    group = [pid]
    for member in group:
        group += children(member)
    return group


@cache
def _lists_children() -> bool:
    """Return whether this kernel lists the children of each thread."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _listed_children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - called ten times a second
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                found += [int(child) for child in file.read().split()]
    return found


def _parents() -> dict[int, list[int]]:
    """Return the children of every process, from the parents that all processes name."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            parent = int((folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    return children


def _found_children(children: dict[int, list[int]], pid: int) -> list[int]:
    return children.get(pid, [])


def memory_of(group: Sequence[int], *, above: int) -> int:
    """Return the bytes that a group of processes holds, pages that they share counted once.

    They include the files in the group's private folders, which are in memory. Shared pages are looked
    up only where the plain sum exceeds `above`: the look-up is slow.
    """
    files = _private_bytes(group)
    plain = files + sum(_resident(pid) for pid in group)
    return plain if plain <= above else files + sum(_proportional(pid) for pid in group)


def _private_bytes(group: Sequence[int]) -> int:
    """Return the bytes of the files in the private folders, as a process inside sees them."""
    for pid in reversed(group):
        with suppress(OSError):
            found = [os.statvfs(f"/proc/{pid}/root{path}") for path in PRIVATE]
            if all(one.f_blocks * one.f_frsize == PRIVATE_BYTES for one in found):
                return sum((one.f_blocks - one.f_bfree) * one.f_frsize for one in found)
    return 0


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _proportional(pid: int) -> int:
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return _resident(pid)
