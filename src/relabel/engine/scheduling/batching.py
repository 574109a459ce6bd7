"""How a queue of rows is cut into padded batches, and how large a batch may be after one did not fit.

Plain integers: knows nothing of torch, models or what a row holds.
"""

from __future__ import annotations

from collections.abc import Sequence


def longest_first(lengths: Sequence[int]) -> list[int]:
    """Row numbers by falling length, so that a batch that does not fit shows at the start; equal lengths keep order."""
    return sorted(range(len(lengths)), key=lambda row: -lengths[row])


def take_batch(
    lengths: Sequence[int], *, new_tokens: int, budget: int, max_rows: int, equal_lengths: bool = False
) -> int:
    """How many rows from the front of a queue sorted longest first make the next batch; at least one.

    A row costs the padded length of the batch (its first row's) plus the tokens it may generate.
    """
    num_rows = min(len(lengths), max_rows, max(1, budget // (lengths[0] + new_tokens)))
    if equal_lengths:
        num_rows = next((row for row in range(1, num_rows) if lengths[row] != lengths[0]), num_rows)
    return num_rows


class Budget:
    """Padded tokens that one batch may hold: halves when a batch does not fit and grows back slowly.

    It never reaches the smallest size that failed until `cooldown` batches have gone well; each failure doubles that.
    """

    GROW_AFTER = 8
    """Batches in a row that must go well before the budget grows by an eighth."""
    FIRST_COOLDOWN = 64
    """Batches after which a failed size may be tried again: memory that another process held may be free by then."""

    def __init__(self, tokens: int) -> None:
        self.tokens = self._ceiling = max(1, tokens)
        self._failed: int | None = None
        self._num_good = 0
        self._cooldown = self.FIRST_COOLDOWN
        self._before: tuple[int, int | None, int] | None = None
        """Tokens, failed size and cool-down as they were before the failures that are going on."""

    def failed(self, tokens: int) -> None:
        """A batch of this many padded tokens ran out of memory."""
        if self._before is None:
            self._before = self.tokens, self._failed, self._cooldown
            if self._failed is not None:
                self._cooldown *= 2
        self._failed = tokens if self._failed is None else min(tokens, self._failed)
        self.tokens = max(1, min(self.tokens, tokens // 2))
        self._num_good = 0

    def failed_alone(self) -> None:
        """The batch that failed last was a single row: the row was at fault, and what it cost the others is undone."""
        if self._before is not None:
            self.tokens, self._failed, self._cooldown = self._before
            self._before = None

    def succeeded(self) -> None:
        """A batch within the budget went well."""
        self._before = None
        if self.tokens == self._ceiling:
            return
        self._num_good += 1
        if self._failed is not None and self._num_good >= self._cooldown:
            self._failed = None
        if self._num_good % self.GROW_AFTER == 0:
            bound = self._ceiling if self._failed is None else min(self._ceiling, self._failed - 1)
            self.tokens = max(self.tokens, min(bound, self.tokens + max(1, self.tokens // 8)))
