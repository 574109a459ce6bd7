"""What is heard of the runs into an output: the last word of each, how old it is, and what all have spent.

Reads documents and the times that the store lists of them; writes what a run says of itself. Knows nothing of parts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from relabel.data.runs.beat import MOST_BYTES, Beat, read_beat
from relabel.data.store.objects import Listed
from relabel.data.store.store import Store
from relabel.errors import StoreFailed

FOLDER = "_runs"
SILENT_PERIODS = 4
"""Without a word, then a run is called silent: one that is lost costs no alarm."""
CLOCKS_APART = 5.0
"""Seconds between two clocks that are worth a word."""
_NUM_READERS = 64
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The last word of one run."""

    beat: Beat
    age: float
    """Seconds since the store has it, by this machine's clock; below nought where that is behind the store's."""
    clocks_apart: float
    """Seconds that the driver's clock is ahead of the store's; below nought where it is behind."""

    @property
    def is_silent(self) -> bool:
        """Whether it should have been heard of since, and has not ended."""
        return not self.beat.is_over and self.age > SILENT_PERIODS * self.beat.period

    def to_json(self) -> dict[str, object]:
        """The beat, and how old it is."""
        age = {"heard_seconds_ago": round(self.age, 1), "silent": self.is_silent}
        return {**self.beat.to_json(), "dollars": self.beat.spent_dollars(), **age}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """All runs that have said anything."""

    heard: Sequence[Heard]
    """In the order of their starts."""
    unreadable: Sequence[str] = ()
    """Documents that no version like this one wrote."""

    @property
    def live(self) -> list[Heard]:
        """Those that have not ended, silent ones included."""
        return [one for one in self.heard if not one.beat.is_over]

    @property
    def shown(self) -> list[Heard]:
        """Those that have not ended, the newest of them where there are many; else the newest."""
        return self.live[-_MOST_SHOWN:] or list(self.heard[-1:])

    @property
    def gpu_hours(self) -> float:
        """What all together have spent."""
        return sum(one.beat.spent_hours for one in self.heard)

    def dollars(self, price: float | None = None) -> float | None:
        """The same as money, each run at its own price, else at this one; None where no run has any."""
        found = [one.beat.spent_dollars(price) for one in self.heard]
        known = [dollars for dollars in found if dollars is not None]
        return sum(known) if known else None

    @property
    def rows(self) -> int:
        """That all together have done, each time that they were."""
        return sum(one.beat.rows for one in self.heard)

    def to_json(self) -> dict[str, object]:
        """What all have spent, and the last word of each that is shown."""
        spent = {"runs": len(self.heard), "gpu_hours": round(self.gpu_hours, 6), "dollars": self.dollars()}
        return {
            "spent": spent,
            "runs": [one.to_json() for one in self.shown],
            "unreadable_runs": list(self.unreadable[:20]),
        }


def say(store: Store, beat: Beat) -> None:
    """Write down the newest word of a run, over its last one. Raises StoreFailed."""
    store.put_json(f"{FOLDER}/{beat.run}.json", beat.to_json())


class Hearing:
    """Listens to the runs into one output, over and over; the last word of a run that has ended is read once."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store, self._now = store, now
        self._ended: dict[str, tuple[Listed, Beat]] = {}

    def __call__(self) -> Runs:
        """What is heard of every run by now. Raises StoreFailed where the output cannot be listed."""
        listed = self._store.documents(FOLDER)
        names = [name for name in sorted(listed) if name.endswith(".json") and listed[name].size <= MOST_BYTES]
        with ThreadPoolExecutor(_NUM_READERS) as threads:
            found = dict(zip(names, threads.map(lambda name: self._read(name, listed[name]), names), strict=True))
        clock = self._now()
        heard = [
            Heard(
                beat=beat,
                age=clock - listed[name].modified / 10**6,
                clocks_apart=beat.said - listed[name].modified / 10**6,
            )
            for name, beat in found.items()
            if beat is not None
        ]
        heard.sort(key=lambda one: (one.beat.started, one.beat.run))
        return Runs(heard=heard, unreadable=[name for name in sorted(listed) if found.get(name) is None])

    def _read(self, name: str, listed: Listed) -> Beat | None:
        if (known := self._ended.get(name)) is not None and known[0] == listed:
            return known[1]
        try:
            beat = read_beat(self._store.read_json(name))
        except (StoreFailed, ValueError):
            return None
        if beat.is_over:
            self._ended[name] = listed, beat
        return beat


def hear(store: Store, now: Callable[[], float] = time.time) -> Runs:
    """What is heard of every run into the output. Raises StoreFailed where it cannot be listed."""
    return Hearing(store, now)()
