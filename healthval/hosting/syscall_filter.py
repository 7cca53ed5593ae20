"""Filter of system calls for a sandboxed model: a seccomp program in classic BPF.

Refused are calls that hold memory outside the address space of every process, where no limit of the
sandbox counts it (memfd, System V and POSIX IPC), and calls that a model does not need and that have
often been a way out: keys, tracing, io_uring, BPF. Python and numerical libraries run without them.

References
----------
Linux, Documentation/userspace-api/seccomp_filter.rst; system call numbers: linux/unistd.h.
"""

import errno
import platform
import struct
from typing import Final

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.ENOSYS  # as a kernel without the call
_X32: Final = 0x40000000  # a second set of numbers on x86-64
_COMMON: Final = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "pidfd_getfd": 438,
    "memfd_secret": 447,
}
# Audit number of the machine, and its numbers of the refused calls.
_MACHINES: Final = {
    "x86_64": (
        0xC000003E,
        {
            **_COMMON,
            "shmget": 29,
            "semget": 64,
            "msgget": 68,
            "ptrace": 101,
            "mq_open": 240,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "perf_event_open": 298,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "kcmp": 312,
            "memfd_create": 319,
            "bpf": 321,
            "userfaultfd": 323,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            **_COMMON,
            "ptrace": 117,
            "mq_open": 180,
            "msgget": 186,
            "semget": 190,
            "shmget": 194,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "perf_event_open": 241,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "kcmp": 272,
            "memfd_create": 279,
            "bpf": 280,
            "userfaultfd": 282,
        },
    ),
}


def program(machine: str = "") -> bytes | None:
    """Return the filter for a machine, by default this one; None where none is known.

    Examples
    --------
    >>> len(program("x86_64")) % 8, program("pdp11")
    (0, None)
    """
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    audit, calls = known
    numbers = sorted(calls.values())
    refuse = len(numbers) + 2  # steps from the first comparison of a number to the refusal
    steps = [
        (_LOAD, 0, 0, 4),  # audit number of the machine
        (_EQUAL, 0, refuse + 1, audit),
        (_LOAD, 0, 0, 0),  # number of the call
        (_AT_LEAST, refuse - 1, 0, _X32),
        *((_EQUAL, refuse - 2 - i, 0, number) for i, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
