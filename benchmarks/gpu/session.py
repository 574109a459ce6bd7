"""A process that is asked for one item after the other, started anew where it died or did not answer in time.

Knows processes and clocks; nothing of what is measured.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Sequence
from typing import IO


class Session:
    """A command at work that answers each line with one of JSON."""

    def __init__(self, command: Sequence[str], *, start_limit: float) -> None:
        self._command, self._start_limit = command, start_limit
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()

    @property
    def is_up(self) -> bool:
        """Whether the next item needs no new process."""
        return self._process is not None and self._process.poll() is None

    def ask(self, name: str, seconds: float, most: float = math.inf) -> dict[str, object]:
        """The figures of an item, or why there are none. To start a process first may take as long again as it needs,
        but with the item no more than `most` seconds."""
        if not self.is_up:
            self._start()
            seconds += self._start_limit
        seconds = min(seconds, most)
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(name + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=max(0.0, seconds))
        except queue.Empty:
            self.close()
            return {"error": f"no answer within {seconds:.0f} s: the process was ended"}
        except OSError:
            line = None
        if line is None:
            code = process.wait()
            self.close()
            return {"error": f"the process died with exit code {code}"}
        figures: dict[str, object] = json.loads(line)
        if figures.get("device_lost"):
            self.close()
        return figures

    def close(self) -> None:
        """End the process, and whatever it started."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self) -> None:
        self.close()
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True).start()


def _read(stdout: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stdout:
        lines.put(line)
    lines.put(None)
