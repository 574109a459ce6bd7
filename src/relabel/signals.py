"""SIGTERM and SIGINT: they end a command as Ctrl-C does, and its process soon after in any case.

Must never know what the command does: what it published needs nothing more.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

GRACE = 1.0
"""Seconds that a stopped command has to put its things away. `ray job stop` kills after three."""
TELLING = 1.8
"""Seconds in which whoever is to be told must be, those of GRACE among them."""
STOPPED = "stopped; the same command goes on from here"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stopped(done_now: Mapping[str, object]) -> dict[str, object]:
    """The figures of a command that was stopped."""
    return {"complete": False, "stopped": True, "done_now": done_now}


class Told(Protocol):
    """Somebody who is to be told how a command ended: at once, and waited for in bounded time."""

    def begin(self, figures: Mapping[str, object], seconds: float) -> None: ...

    def wait(self) -> None: ...


class Stop:
    """Installed once, by the main thread of the process of a command.

    Ray may need longer than GRACE to shut down, and no Python handler runs while the main thread is in a call that does
    not come back; the processes of a Ray of our own end with this one. Only a call that keeps the interpreter to itself
    delays the end, as Ray does while it connects to a raylet that is slow to start.
    """

    def __init__(self) -> None:
        self.told: Told | None = None
        """Who is told, too, that the command is stopped; None where nobody is."""
        self._is_said, self._saying = threading.Event(), threading.Lock()
        self.done_now: Mapping[str, object] = {}
        """Figures of what the command has done so far, kept up to date by whoever counts."""
        self._stdout, self._stderr = os.dup(1), os.dup(2)  # while Ray starts, 2 leads nowhere
        self._arrived, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written)
        self._is_stopped, self._is_telling = False, threading.Event()
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)
        threading.Thread(target=self._leave_soon, daemon=True).start()

    def say(self, write: Callable[[str], None]) -> None:
        """Write the last line of a command that was stopped, unless it stands there already."""
        if self._saying.acquire(blocking=False):
            write(json.dumps(stopped(self.done_now)))
            self._is_said.set()

    def wait(self) -> None:
        """Until whoever is told that the command is stopped knows it, or the time for that is over."""
        if self._is_stopped and self.told is not None:
            self._is_telling.wait(GRACE)
            self.told.wait()

    def __call__(self, *_: object) -> None:
        if not self._is_stopped:  # a second signal must not disturb what the first began
            self._is_stopped = True
            raise KeyboardInterrupt

    def _leave_soon(self) -> None:
        while os.read(self._arrived, 1)[0] not in _SIGNALS:  # any signal with a handler is told of here
            pass
        if self.told is not None:
            self.told.begin(stopped(self.done_now), TELLING)
        self._is_telling.set()
        time.sleep(GRACE)
        self.say(self._write)
        if self.told is not None:
            self.told.wait()
        self._is_said.wait(0.2)  # whoever else says it is in the middle of it
        os._exit(1)

    def _write(self, line: str) -> None:
        os.write(self._stderr, f"{STOPPED}\n".encode())
        os.write(self._stdout, f"{line}\n".encode())
