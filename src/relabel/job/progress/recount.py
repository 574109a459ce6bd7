"""Counts what is in the output while the run goes on, in a thread beside it, so that who goes on after a killed run
does not read all parts again.

Knows when to count, not how.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from relabel.data.store.fault import first_fault

log = logging.getLogger("relabel")

FEWEST, FRACTION = 5_000, 20
"""Parts after which it counts again: so many, or one in FRACTION of all that are there. A count lists all of them: so
all lists together are 20 times the last one, and the stamps that a killed run leaves unread at most a twentieth."""

Count = Callable[[Callable[[], bool]], None]
"""Counts, and ends early without an outcome once what it is given is true."""


class Recount:
    """As long as the block lasts. A count that fails is made again later: it spares work and decides nothing."""

    def __init__(self, count: Count, *, num_parts: int, fewest: int = FEWEST) -> None:
        """`num_parts` are there already, and counted."""
        self._count, self._fewest = count, fewest
        self._num_parts, self._num_new = num_parts, 0
        self._is_over, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Recount:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Where the run ends by an error nobody waits: what is noted late is noted of parts that are there."""
        self._is_over.set()
        if kind is None and self._thread.is_alive():
            self._thread.join()

    def published(self) -> None:
        """One more part is there."""
        self._num_parts += 1
        self._num_new += 1
        if self._num_new >= max(self._fewest, self._num_parts // FRACTION) and not self._thread.is_alive():
            self._num_new = 0
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            self._count(self._is_over.is_set)
        except Exception as error:  # noqa: BLE001  the boundary of the thread: the count at the end raises what it meets
            log.info("the parts are not counted this time: %s", first_fault(error))
