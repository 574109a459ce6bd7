"""The process beside the driver: what it knows outlives the processes that die, and it ends with the driver.

It counts attempts, since Ray restarts a dead actor and repeats its task without limit, so that a row that kills would
be tried for ever; and it holds the gate that chunks of units wait at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from relabel.job.faults.attempt_log import Counted
from relabel.job.faults.deaths import DeathCounter
from relabel.job.faults.poison_search import PoisonSearch
from relabel.job.metrics.seen import Seen
from relabel.job.stream.allowance import Allowance
from relabel.job.stream.tail import Tail
from relabel.job.stream.whereabouts import Whereabouts
from relabel.job.stream.window import Gate

LOOK_SECONDS = 0.2
"""Between two looks at the gate: some units of the hundreds that are under way end meanwhile."""
LATEST_SECONDS = 0.5
"""After which it is known that a unit ended, where no next one of the process has brought the news before."""
_LAST_WORD_SECONDS = 5.0
"""For the last word of a process that ends."""

GENERATING = "generating"
"""The stage that is shared out at the end of a run."""

End = tuple[str, str, str]
"""Stage, file and part of a unit that ended."""


class _Desk(DeathCounter, Gate):
    """One process for both, for what may begin, and for what the driver is told."""

    num_engines = 0

    def __init__(self, deadline: float) -> None:
        super().__init__(deadline)
        self._allowance, self._whereabouts = Allowance(), Whereabouts()
        self._tail = Tail[list[ray.ObjectRef]]()

    def begin(self, stage: str, file: str, part: str, num_rows: int, *, in_company: bool = False) -> PoisonSearch | str:
        found = super().begin(stage, file, part, num_rows, in_company=in_company)
        if isinstance(found, str):
            self._whereabouts.leave(part)
            self._tail.end(part)
        else:
            self._whereabouts.begin(stage, part)
            if stage == GENERATING:
                self._tail.begin(part)
        return found

    def end(self, stage: str, file: str, part: str) -> None:
        super().end(stage, file, part)
        self._whereabouts.end(stage, part)
        if stage == GENERATING:
            self._tail.end(part)

    def copies(self, parts: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        return self._tail.receipts(parts), self._tail.wanted(parts)

    def offer(self, part: str, block: list[ray.ObjectRef]) -> None:
        self._tail.offer(part, block)

    def take(self) -> tuple[str, list[ray.ObjectRef]] | None:
        is_read = not self._whereabouts.counts.get(("reading", "working"))
        return self._tail.take() if is_read else None

    def made(self, part: str, receipt: str) -> None:
        self._tail.made(part, receipt)

    def begin_at_most(self, number: int) -> None:
        self._allowance.begin_at_most(number)

    def may_begin(self, parts: Sequence[str]) -> list[bool]:
        return [self._allowance.may_begin(part) for part in parts]

    def allowance_is_over(self) -> bool:
        return self._allowance.is_over

    def begun(self) -> set[str]:
        return self._allowance.begun

    def end_all(self, ended: Sequence[End]) -> None:
        for one in ended:
            self.end(*one)

    def begin_after(self, ended: Sequence[End], stage: str, file: str, part: str, num_rows: int) -> PoisonSearch | str:
        self.end_all(ended)
        return self.begin(stage, file, part, num_rows)

    def begin_each_after(self, ended: Sequence[End], stage: str, units: Sequence[Counted]) -> list[PoisonSearch | str]:
        self.end_all(ended)
        return self.begin_each(stage, units)

    def add_engine(self) -> None:
        self.num_engines += 1

    def said(self) -> tuple[int, Seen]:
        copies = {"begun": self._tail.num_begun, "first": self._tail.num_first}
        return self.num_engines, Seen(under_way=self._whereabouts.counts, deaths=dict(self.deaths), copies=copies)


def open_desk(deadline: float) -> Beside:
    """Begin the process, on the node of this one. `deadline`: seconds that a process has for a unit."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    desk = ray.remote(_Desk)
    return Beside(desk.options(num_cpus=0, scheduling_strategy=here).remote(deadline))


class Beside:
    """An `AttemptLog` and a gate that every process of a run can hold.

    One question a handful and stage: that its units ended is told with the next one's beginning, or soon after. A
    process that dies meanwhile costs one death that was none; two are anyone's.
    """

    def __init__(self, desk: Any) -> None:  # Ray types no method of an actor
        self._desk = desk
        self._lock, self._ended, self._is_timed = threading.Lock(), list[End](), False

    def __reduce__(self) -> tuple[type[Beside], tuple[object]]:
        return Beside, (self._desk,)

    def begin(self, stage: str, file: str, part: str, num_rows: int) -> PoisonSearch | str:
        return ray.get(self._desk.begin_after.remote(self._take(), stage, file, part, num_rows))

    def begin_each(self, stage: str, units: Sequence[Counted]) -> list[PoisonSearch | str]:
        return ray.get(self._desk.begin_each_after.remote(self._take(), stage, units))

    def tries(self, stage: str, part: str, at: int, num_deaths: int) -> None:
        ray.get(self._desk.tries.remote(stage, part, at, num_deaths))

    def end(self, stage: str, file: str, part: str) -> None:
        with self._lock:
            self._ended.append((stage, file, part))
            is_timed, self._is_timed = self._is_timed, True
        if not is_timed:
            timer = threading.Timer(LATEST_SECONDS, self._tell)
            timer.daemon = True
            timer.start()

    def open_to(self, limit: int) -> None:
        """Let chunks go that begin below this place."""
        self._desk.open_to.remote(limit)

    def pass_gate(self, place: int) -> None:
        """Wait until the chunk that begins at this place may go."""
        while not ray.get(self._desk.is_open.remote(place)):
            time.sleep(LOOK_SECONDS)

    def begin_at_most(self, number: int) -> None:
        """Let so many units begin to be generated in all."""
        self._desk.begin_at_most.remote(number)

    def may_begin(self, parts: Sequence[str]) -> list[bool]:
        """Of each unit whether it may begin to be generated, and then counts as begun."""
        return ray.get(self._desk.may_begin.remote(parts))

    def is_over(self) -> bool:
        """Whether a unit was held back, so that no other begins any more."""
        return ray.get(self._desk.allowance_is_over.remote())

    def begun(self) -> set[str]:
        """The parts of all units that were let begin."""
        return ray.get(self._desk.begun.remote())

    def add_engine(self) -> None:
        """An engine is loaded."""
        self._desk.add_engine.remote()

    def lose_device(self, stage: str, parts: Sequence[str]) -> None:
        """This process ends itself at these units, because its device is lost."""
        ray.wait([self._desk.lose_device.remote(stage, parts)], timeout=_LAST_WORD_SECONDS)

    def copies(self, parts: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Of units that this process generates the receipts of copies, and those that somebody else may have, too."""
        return ray.get(self._desk.copies.remote(parts))

    def offer(self, part: str, block: pa.Table) -> None:
        """Let somebody else generate the unit of this block, too."""
        self._desk.offer.remote(part, [ray.put(block)])  # in a list: Ray would hand on the block itself

    def take(self) -> tuple[str, pa.Table] | None:
        """A unit that another process is slow with, where all are read; None where there is none, or none any more."""
        found = ray.get(self._desk.take.remote())
        try:
            return None if found is None else (found[0], ray.get(found[1][0]))
        except ray.exceptions.ObjectLostError:  # with the process that offered it
            return None

    def made(self, part: str, receipt: str) -> None:
        """The copy of a unit is published."""
        ray.get(self._desk.made.remote(part, receipt))

    def said(self) -> tuple[int, Seen]:
        """How many engines were loaded so far, by actors that live and by others, and what is known of all units."""
        return ray.get(self._desk.said.remote())

    def _take(self) -> list[End]:
        with self._lock:
            taken, self._ended = self._ended, []
        return taken

    def _tell(self) -> None:
        with self._lock:
            self._is_timed = False
        if taken := self._take():
            self._desk.end_all.remote(taken)
