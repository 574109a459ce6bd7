"""How many tokens the rows that are held will need at once at most, if they end when others lately did.

Plain integers: knows lengths alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from relabel.engine.scheduling.queued import Queued

NUM_KEPT = 256
"""Rows that ended last, from which the length of texts is expected. Before any has, all are expected at their full
length."""


class Outlook:
    """What is to be expected of rows, from those that have ended."""

    def __init__(self) -> None:
        self._ended: deque[tuple[int, int]] = deque(maxlen=NUM_KEPT)
        """Tokens that a row had, and might have had."""
        self._chosen = self._allowed = 0

    def saw(self, row: Queued) -> None:
        """A row has ended."""
        if len(self._ended) == NUM_KEPT:
            chosen, allowed = self._ended[0]
            self._chosen, self._allowed = self._chosen - chosen, self._allowed - allowed
        own = max(1, row.filled + 1 - row.prompt_tokens), row.new_tokens
        self._ended.append(own)
        self._chosen, self._allowed = self._chosen + own[0], self._allowed + own[1]

    def peak(self, rows: Iterable[Queued], block_tokens: int) -> int:
        """Tokens that these rows take at the fullest moment to come, half an empty block for each.

        All grow by a token a step. At the end of each one those that go on for longer are there with all they have got
        by then, and the others have left.
        """
        lengths = sorted(((self._left_of(row), max(row.filled, row.prompt_tokens)) for row in rows), reverse=True)
        most = held = 0
        for number, (left, there) in enumerate(lengths, 1):
            held += there + block_tokens // 2
            most = max(most, held + number * left)
        return most

    def _left_of(self, row: Queued) -> int:
        """Tokens that are still to come: those expected, or half of what is allowed where it has gone on for longer."""
        allowed, chosen = row.new_tokens, max(0, row.filled - row.prompt_tokens)
        expected = -(-allowed * self._chosen // self._allowed) if self._ended else allowed
        return expected - chosen if chosen < expected else (allowed - chosen) // 2
