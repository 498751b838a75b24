"""Becomes the program it is told to start, and asks the kernel to kill it when its parent dies.

Run as a script: `python -I -S launch.py PARENT_PID PROGRAM ARGUMENTS...`. A small program of its
own, because code between fork and exec of a process with threads may deadlock. The death signal
survives execve(2), and is sent when the parent's *thread* that started us ends (prctl(2)), so the
supervisor starts us from a thread that outlives us.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        # The parent died before we asked: nobody would ever end us.
        sys.exit("the parent is gone")
    os.execv(program, sys.argv[2:])


if __name__ == "__main__":
    main()
