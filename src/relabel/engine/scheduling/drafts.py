"""How many tokens of a row are drafted: more where drafts are accepted, none where they do not pay.

The model checks each draft, so it never changes a text; a token that is not accepted costs one of a step. Plain
numbers: knows nothing of tokens or where a draft comes from.
"""

from __future__ import annotations

FIRST, MOST = 3, 15
"""Tokens of the first draft and of the longest one: with the newest token, 4 and 16 are attended together."""
LONGEST_WAIT = 64
"""Steps without a draft for a row whose drafts fail again and again."""
PRIOR_ACCEPTED, PRIOR_DRAFTED = 8.0, 10.0
"""What is thought of drafts before there were any."""
KEPT = 0.98
"""Of what is known, after each step: drafts that did not pay are tried again after some hundred."""


class DraftLength:
    """Of one row: doubles while whole drafts are accepted, and pauses twice as long after each that fails at once."""

    def __init__(self) -> None:
        self._length, self._wait, self._left = FIRST, 1, 0

    def next(self) -> int:
        """Tokens to draft now; to be asked once a step."""
        if self._left:
            self._left -= 1
            return 0
        return self._length

    def took(self, *, drafted: int, accepted: int) -> None:
        """So many tokens of the last draft were accepted."""
        if accepted == drafted:
            self._length, self._wait = min(2 * self._length + 1, MOST), 1
            return
        self._length = FIRST
        if accepted == 0:
            self._left = self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)


class AcceptanceRate:
    """Of one source of drafts over all rows: the fraction of its tokens that was accepted lately."""

    def __init__(self) -> None:
        self._accepted = self._drafted = 0.0

    @property
    def value(self) -> float:
        return (self._accepted + PRIOR_ACCEPTED) / (self._drafted + PRIOR_DRAFTED)

    def took(self, *, drafted: int, accepted: int) -> None:
        """So many tokens of a draft were accepted."""
        self._drafted += drafted
        self._accepted += accepted

    def forget(self) -> None:
        """A step has gone by."""
        self._drafted *= KEPT
        self._accepted *= KEPT
