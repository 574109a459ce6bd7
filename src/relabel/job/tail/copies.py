"""The last units of a run, twice: an engine that has nothing to do makes copies of those that another is slow with.

A copy goes through the stages in the process of its engine, with counts of deaths of its own, and is published under
the same name: who is first wins. Its receipt takes the place of the unit's, and comes by the one way that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Protocol

import pyarrow as pa

from relabel.job.progress.ticker import Ticker
from relabel.job.stages.block import failed_block, is_over, unit_of
from relabel.job.stream.elsewhere import with_receipt
from relabel.job.stream.prepared import without_time
from relabel.job.stream.waits import Waits
from relabel.job.worker import MOST_UNITS_AT_ONCE, Generator, Publisher

LOOK_SECONDS = 2.0
"""Between two looks, of those that have nothing to do and of those that are slow."""
Blocks = Sequence[pa.Table]


class Exchange(Protocol):
    """Where the processes of a run offer and take units."""

    def copies(self, parts: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Of units that this process generates the receipts of copies, and those that somebody else may have, too."""
        ...

    def offer(self, part: str, block: pa.Table) -> None:
        """Let somebody else generate the unit of this block, too."""
        ...

    def take(self) -> tuple[str, pa.Table] | None:
        """A unit that another process is slow with, where all are read; None where there is none, or none any more."""
        ...

    def made(self, part: str, receipt: str) -> None:
        """The copy of a unit is published."""
        ...


class Copies:
    """What one engine's process does of it."""

    def __init__(self, exchange: Exchange, waits: Waits, generate: Generator, publish: Publisher) -> None:
        """`generate` and `publish` are those of copies."""
        self._exchange, self._waits = exchange, waits
        self._generate, self._publish = generate, publish
        self._threads, self._worked = ThreadPoolExecutor(MOST_UNITS_AT_ONCE), -1.0
        Ticker(self._make_some, every=LOOK_SECONDS).__enter__()

    def beside(self, generate: Callable[[Blocks], list[pa.Table]], blocks: Blocks) -> list[pa.Table]:
        """What `generate` makes of these blocks; where copies of all of them are published before, that."""
        work = self._threads.submit(generate, blocks)
        while wait([work], LOOK_SECONDS).not_done:
            if (made := self._made_elsewhere(blocks)) is not None:
                return made
        return work.result()

    def _made_elsewhere(self, blocks: Blocks) -> list[pa.Table] | None:
        units = {unit_of(block): block for block in blocks if not is_over(block)}
        by_part = {unit.part: block for unit, block in units.items()}
        receipts, wanted = self._exchange.copies(list(by_part))
        for part in wanted:
            self._exchange.offer(part, by_part[part])
        if receipts.keys() < by_part.keys():
            return None
        done = iter(
            with_receipt(failed_block(unit, "it was published elsewhere"), receipts[unit.part]) for unit in units
        )
        return [block if is_over(block) else next(done) for block in blocks]

    def _make_some(self) -> None:
        """Where this engine has had nothing to do since the last look: before the end the next unit is there soon."""
        _, worked, num_units = self._waits.at_work()
        was_idle, self._worked = not num_units and worked == self._worked, worked
        while was_idle and (taken := self._exchange.take()) is not None:
            part, block = taken
            try:
                receipt = self._publish(self._generate(without_time(block)))
            except Exception:  # noqa: BLE001  a copy is nobody's unit: what is wrong its own attempt says, too
                return
            if receipt.failure is None:
                self._exchange.made(part, receipt.to_text())
