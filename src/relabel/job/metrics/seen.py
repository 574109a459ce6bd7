"""What an executor knows of units on their way and of processes that died. Knows numbers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Counts = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known at one moment."""

    under_way: Counts = field(default_factory=dict)
    """Units by stage and whether they wait for it or are worked on."""
    deaths: Counts = field(default_factory=dict)
    """Attempts that ended with their process so far, by stage and cause."""
    copies: Mapping[str, int] = field(default_factory=lambda: {"begun": 0, "first": 0})
    """Copies of the last units so far: those that were begun, and of them those that were there first."""
