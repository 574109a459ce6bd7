"""How many requests one server has at a time: more while it keeps up, half where it does not. No clock, no web."""

from __future__ import annotations

FIRST = 16
"""Requests at once before anything is known of a server."""


class Pace:
    """Additive increase, multiplicative decrease, as TCP has it. Times are those of any clock that only goes on."""

    def __init__(self, most: int, first: int = FIRST) -> None:
        self._most, self._first = most, min(first, most)
        self._limit = float(self._first)
        self._is_new = True
        """Whether nothing was ever too much: until then each answer makes room for one more."""
        self._cut = float("-inf")

    @property
    def limit(self) -> int:
        """Requests that may be under way."""
        return int(self._limit)

    def kept_up(self) -> None:
        """A request was answered in good time."""
        self._limit = min(self._most, self._limit + (1.0 if self._is_new else 1.0 / self._limit))

    def too_much(self, *, sent: float, now: float) -> None:
        """The server said so, or took very long. Of requests sent before the last cut one is enough."""
        if sent >= self._cut:
            self._limit, self._cut, self._is_new = max(1.0, self._limit / 2), now, False

    def begin_again(self) -> None:
        """The server is a new one behind the same address."""
        self._limit, self._is_new = float(self._first), True
