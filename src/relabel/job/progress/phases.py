"""What a person sees of a run before its first unit, on stderr: what it is doing, and how far that has come.

A live line on a terminal; in a log a line for each phase when it begins, and from then on now and then.
"""

from __future__ import annotations

import logging
import time

from relabel.job.progress.console import console
from relabel.job.progress.ticker import LOG_EVERY_SECONDS, Ticker

log = logging.getLogger("relabel")


class Phases:
    """Shows what goes on as long as the block lasts."""

    def __init__(self, *, every: float = LOG_EVERY_SECONDS) -> None:
        """`every`: seconds between two lines of a log."""
        self._text, self._since = "", time.monotonic()
        self._live = console.status("") if console.is_terminal else None
        self._ticker = Ticker(self._repeat, every=every)

    def __enter__(self) -> Phases:
        if self._live is None:
            self._ticker.__enter__()
        else:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ticker.__exit__()
        if self._live is not None:
            self._live.stop()

    def begin(self, phase: str) -> None:
        """Another phase, in a few words."""
        self._since = time.monotonic()
        self._show(phase)
        if self._live is None:
            log.info("%s", phase)

    def plan(self, done: int, total: int) -> None:
        """Of the files of the source so many are planned."""
        if done == 1:
            self.begin(f"planning {total:,} files")
        self._show(f"planning {done:,} of {total:,} files")

    def _show(self, text: str) -> None:
        self._text = text
        if self._live is not None:
            self._live.update(text)

    def _repeat(self) -> None:
        log.info("%s, since %d s", self._text, time.monotonic() - self._since)
