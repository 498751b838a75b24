"""A disk that says "I/O error" when it is asked to keep something: fsync and fdatasync of one
thread fail, as after a bad sector or a cable that came loose.

The kernel itself refuses them (a seccomp filter), so that all of SQLite's own code is in play. A
filter stays on its thread for ever; other threads, and those that are started later from them, see
a good disk.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
BAD_DISK = "bad disk"

# Numbers of fsync and fdatasync.
SYSCALLS = {"x86_64": (74, 75), "aarch64": (82, 83)}[platform.machine()]

# linux/prctl.h, linux/seccomp.h, linux/filter.h
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
FAIL, ALLOW = 0x0005_0000 | errno.EIO, 0x7FFF_0000

FILTER = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (LOAD, 0, 0, 0),  # the number of the call
        (JUMP_IF_EQUAL, 1, 0, SYSCALLS[0]),
        (JUMP_IF_EQUAL, 0, 1, SYSCALLS[1]),
        (RETURN, 0, 0, FAIL),
        (RETURN, 0, 0, ALLOW),
    )
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def fail_in_this_thread() -> None:
    """From now on, and until this thread ends, nothing that it writes can be made durable."""
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(FILTER) // 8, FILTER)
    for call in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "the kernel takes no filter")


def in_a_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises, done by a thread of its own: its disk may fail, ours not."""
    with ThreadPoolExecutor(1, thread_name_prefix=BAD_DISK) as pool:
        return pool.submit(work).result()
