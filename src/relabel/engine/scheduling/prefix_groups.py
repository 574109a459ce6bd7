"""Rows whose prompts begin alike: which blocks hold what they have in common, and who is computing it. Plain integers.

Knows rows, blocks and which of them wait; nothing of budgets or of tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from relabel.engine.scheduling.queued import Queued


class PrefixGroups:
    """The prefix groups of the rows that are held, as of the last step."""

    def __init__(self) -> None:
        self._sources: dict[int, tuple[int, ...]] = {}
        """For each group the blocks that hold what its rows have in common."""
        self._computing: set[int] = set()
        """Groups of which a row is held, but none has computed what they have in common yet."""
        self._waiting = Counter[int]()
        """Rows of each group that have not come in."""
        self._left: dict[int, tuple[int, ...]] = {}
        """For each group blocks of a row that has ended, while others wait; the oldest first."""

    def expect(self, row: Queued) -> None:
        """A row waits."""
        if row.prefix_group:
            self._waiting[row.prefix_group.number] += 1

    def look(self, held: Iterable[Queued]) -> list[int]:
        """Find the sources for a new step: what is filled by now is computed before the step is.

        Returns blocks that nobody waits for any more.
        """
        spent = [group for group in self._left if group not in self._waiting]
        free = [block for group in spent for block in self._left.pop(group)]
        members = [(row.prefix_group, row) for row in held if row.prefix_group]
        filled = {group.number: tuple(row.blocks) for group, row in members if row.filled >= group.num_tokens}
        self._sources = {**self._left, **filled}
        self._computing = {group.number for group, _ in members} - self._sources.keys()
        return free

    def source_of(self, row: Queued) -> tuple[int, ...] | None:
        """The blocks from which a new row can copy what its group has in common."""
        return self._sources.get(row.prefix_group.number) if row.prefix_group else None

    def start_of(self, row: Queued) -> int:
        """The first token that a new row has to compute itself."""
        return row.filled if self.source_of(row) is None or not row.prefix_group else row.prefix_group.num_tokens

    def is_computing(self, row: Queued) -> bool:
        """Whether another row is at what the group has in common: the next step can copy it."""
        return row.prefix_group is not None and row.prefix_group.number in self._computing

    def claim(self, row: Queued) -> None:
        """A row has come in."""
        if row.prefix_group:
            own = row.prefix_group.number
            self._waiting[own] -= 1
            if not self._waiting[own]:
                del self._waiting[own]
            if own not in self._sources:
                self._computing.add(own)

    def release(self, row: Queued, block_tokens: int) -> list[int]:
        """A row has ended. Returns its blocks but those that others of its group will copy."""
        group = row.prefix_group
        if not group or group.number not in self._waiting or group.number in self._left:
            return row.blocks
        if row.filled < group.num_tokens:
            return row.blocks
        num_kept = -(-group.num_tokens // block_tokens)
        self._left[group.number] = tuple(row.blocks[:num_kept])
        return row.blocks[num_kept:]

    def evict(self) -> list[int]:
        """Blocks of a row that has ended and was to be copied; none where there is none. Only between steps."""
        return list(self._left.pop(next(iter(self._left)))) if self._left else []

    def forget(self) -> None:
        """The blocks are made anew, and nothing is in them."""
        self._left.clear()
