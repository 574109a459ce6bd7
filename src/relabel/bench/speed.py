"""What was measured of a contender in a turn, and how contenders compare: turn by turn, and the median counts.

Plain numbers of one run: knows nothing of models or devices.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relabel.bench.figures import ENGINES

RIVALS = ("one_by_one", "padded_64", "padded_64_by_length", "padded_16", "generate_batch", "vllm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Of one contender in one turn."""

    rows: int
    wall: float
    """Seconds by the clock."""
    cpu: float
    """Seconds of the processor, all threads: another program on the machine disturbs them less."""

    def rate(self, clock: str) -> float:
        """Rows a second."""
        return self.rows / (self.wall if clock == "wall" else self.cpu)


def ratios_of(turns: Sequence[Mapping[str, Speed]]) -> dict[str, dict[str, dict[str, float]]]:
    """Each engine over each rival that ran."""
    return {
        engine: {
            rival: {
                clock: round(statistics.median(turn[engine].rate(clock) / turn[rival].rate(clock) for turn in turns), 3)
                for clock in ("wall", "cpu")
            }
            for rival in RIVALS
            if all(rival in turn for turn in turns)
        }
        for engine in ENGINES
    }


def num_differing(outputs: Sequence[Sequence[int]], reference: Sequence[Sequence[int]]) -> int:
    """Of the rows that there are outputs for."""
    return sum(list(mine) != list(other) for mine, other in zip(outputs, reference, strict=False))
