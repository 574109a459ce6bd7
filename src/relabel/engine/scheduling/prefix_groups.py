"""Rows whose prompts begin alike: which slot holds what they have in common, and who is computing it. Plain integers.

Knows slots and rows that hold one; nothing of what waits, of budgets or of tokens.
"""

from __future__ import annotations

from collections.abc import Iterable

from relabel.engine.scheduling.queued import Queued


class PrefixGroups:
    """The prefix groups of the rows in the slots, as of the last step."""

    def __init__(self) -> None:
        self._sources: dict[int, int] = {}
        """For each group a slot that holds what its rows have in common."""
        self._computing: set[int] = set()
        """Groups of which a row holds a slot, but none has computed what they have in common yet."""
        self._left: dict[int, int] = {}
        """For each group the slot of a row that has ended: what it holds stays until another row comes in."""

    def look(self, held: Iterable[Queued]) -> None:
        """Find the sources for a new step: what is filled by now is computed before the step is."""
        members = [(row.prefix_group, row) for row in held if row.prefix_group]
        filled = {group.number: row.slot for group, row in members if row.filled >= group.num_tokens}
        self._sources = {**self._left, **filled}
        self._computing = {group.number for group, _ in members} - self._sources.keys()

    def source_of(self, row: Queued) -> int | None:
        """The slot from which a new row can copy what its group has in common."""
        return self._sources.get(row.prefix_group.number) if row.prefix_group else None

    def start_of(self, row: Queued) -> int:
        """The first token that a new row has to compute itself."""
        return row.filled if self.source_of(row) is None or not row.prefix_group else row.prefix_group.num_tokens

    def is_computing(self, row: Queued) -> bool:
        """Whether another row is at what the group has in common: the next step can copy it."""
        return row.prefix_group is not None and row.prefix_group.number in self._computing

    def claim(self, row: Queued) -> None:
        """A row has taken its slot: what the slot held is there for its own group alone, which copies it first."""
        own = row.prefix_group.number if row.prefix_group else None
        if own is not None and own not in self._sources:
            self._computing.add(own)
        self._left = {group: slot for group, slot in self._left.items() if slot != row.slot}
        self._sources = {group: slot for group, slot in self._sources.items() if slot != row.slot or group == own}

    def release(self, row: Queued) -> None:
        """A row has ended and left its slot."""
        if row.prefix_group:
            self._left[row.prefix_group.number] = row.slot

    def forget(self) -> None:
        """The slots are made anew, and nothing is in them."""
        self._left.clear()
