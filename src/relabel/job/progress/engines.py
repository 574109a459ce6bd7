"""What the engines of a run have said of themselves: how many are up, what they have computed, how long they worked.

Knows reports and moments; nothing of units, and no clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from relabel.engine import Goodput
from relabel.job.receipt import EngineReport, Waited


@dataclass(frozen=True, slots=True)
class _Said:
    """The newest report of an engine."""

    report: EngineReport
    at: float
    began: float
    """When it must have begun to work, by its first report."""


class EnginesSeen:
    """The newest report of each engine, and when it was heard. One thread hears, others may ask."""

    def __init__(self) -> None:
        self._said: dict[str, _Said] = {}
        """By process."""
        self._longest = 0.0
        """Seconds that any of them worked between two reports."""
        self._up: list[float] = []
        """When each was first known to be loaded."""

    def hear(self, report: EngineReport, now: float) -> bool:
        """Take a report, and say whether it is the engine's first. Reports of one engine may come out of order."""
        before = self._said.get(report.process)
        began = now - report.goodput.seconds if before is None else before.began
        if before is None or before.report.goodput.num_batches < report.goodput.num_batches:
            self._longest = max(self._longest, now - (began if before is None else before.at))
            self._said[report.process] = _Said(report, now, began)
        return before is None

    def are_up(self, number: int, now: float) -> None:
        """So many were loaded so far."""
        up = self._up
        self._up = up + [now] * (number - len(up))  # of two threads that say the same, one is heard

    @property
    def num_up(self) -> int:
        """How many were loaded so far, as far as it is known."""
        return max(len(self._up), len(self._said))

    @property
    def goodput(self) -> Goodput:
        """The sum over all engines, as they said it last."""
        return sum((said.report.goodput for said in list(self._said.values())), start=Goodput())

    @property
    def said_to_wait(self) -> Waited:
        """What all engines have waited by the last word of each."""
        return sum((said.report.waited for said in list(self._said.values())), start=Waited())

    def waited(self, now: float) -> dict[str, float]:
        """For which share of the time of all engines each had nothing to do, and for want of what.

        `ending`: since its last word, which tells of its last unit.
        """
        said = list(self._said.values())
        ending = sum(now - one.at for one in said)
        total = self.said_to_wait + Waited(seconds=ending)
        shares = {"loading": total.loading, "reading": total.reading, "publishing": total.publishing, "ending": ending}
        return {name: round(seconds / max(total.seconds, 1e-9), 4) for name, seconds in shares.items()}

    @property
    def batching(self) -> list[dict[str, object]]:
        """How they batch, each way once."""
        ways = {json.dumps(said.report.batching) for said in list(self._said.values())}
        return [json.loads(way) for way in sorted(ways)]

    @property
    def lasted(self) -> float:
        """Seconds by the clock that the engines that have said anything had worked, waited and stood by then."""
        return sum(said.at - said.began for said in list(self._said.values()))

    @property
    def began(self) -> float:
        """The moment at which they began, in the mean; nought where none has said anything."""
        moments = [said.began for said in list(self._said.values())]
        return sum(moments) / len(moments) if moments else 0.0

    def seconds(self, now: float) -> float:
        """That they have worked until now, all together: what they said, and since then by the clock.

        An engine is always at work while a run lasts, as far as anybody can tell before it says more; but one that has
        said nothing for twice as long as any ever did is gone, as actors of a cluster that shrinks are.
        """
        said = list(self._said.values())
        silent = self._up[len(said) :]
        since = sum(min(now - one.at, 2 * self._longest) for one in said)
        return sum(one.report.goodput.seconds for one in said) + since + sum(now - up for up in silent)
