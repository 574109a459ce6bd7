"""Ends the process with the one that began it, whatever it is doing: a lock that it hangs in would hold its device.

The kernel does it, on Linux; elsewhere nobody does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Kill this process when its parent ends. It counts for the thread that calls, as long as that lives."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)
