"""A process of ours ends with the process that started it, also when that one is killed.

`follow` is the first thing that a role's process does, before anything is imported that takes
time. Does nothing for what a person or systemd has started. Linux only: prctl(2),
PR_SET_PDEATHSIG; the signal comes when the parent's thread that started us ends, which is its
main thread (decision 0011).
"""

import ctypes
import os
import signal
import sys

ENV_PARENT = "MAILWEIR_PARENT"
_PR_SET_PDEATHSIG = 1


def follow() -> None:
    """Be killed when the parent that `ENV_PARENT` names ends; end now if it has already."""
    parent = os.environ.get(ENV_PARENT)
    if parent is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if str(os.getppid()) != parent:
        sys.exit(1)
