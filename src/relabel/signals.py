"""SIGTERM and SIGINT: they end a command as Ctrl-C does, and its process soon after in any case.

Must never know what the command does: what it published needs nothing more.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Mapping

GRACE = 1.0
"""Seconds that a stopped command has to put its things away. `ray job stop` kills after three."""
STOPPED = "stopped; the same command goes on from here"


def last_line(done_now: Mapping[str, object]) -> str:
    """The line of figures of a command that was stopped."""
    return json.dumps({"complete": False, "stopped": True, "done_now": done_now})


_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Installed once, by the main thread of the process of a command.

    Ray may need longer than GRACE to shut down, and no Python handler runs while the main thread is in a call that does
    not come back; the processes of a Ray of our own end with this one. Only a call that keeps the interpreter to itself
    delays the end, as Ray does while it connects to a raylet that is slow to start.
    """

    def __init__(self) -> None:
        self.is_said = threading.Event()
        """Set by who told the user that the command is stopped."""
        self.done_now: Mapping[str, object] = {}
        """Figures of what the command has done so far, kept up to date by whoever counts."""
        self._stdout, self._stderr = os.dup(1), os.dup(2)  # while Ray starts, 2 leads nowhere
        self._arrived, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written)
        self._is_stopped = False
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)
        threading.Thread(target=self._leave_soon, daemon=True).start()

    def __call__(self, *_: object) -> None:
        if not self._is_stopped:  # a second signal must not disturb what the first began
            self._is_stopped = True
            raise KeyboardInterrupt

    def _leave_soon(self) -> None:
        while os.read(self._arrived, 1)[0] not in _SIGNALS:  # any signal with a handler is told of here
            pass
        time.sleep(GRACE)
        if not self.is_said.is_set():
            os.write(self._stderr, f"{STOPPED}\n".encode())
            os.write(self._stdout, f"{last_line(self.done_now)}\n".encode())
        os._exit(1)
