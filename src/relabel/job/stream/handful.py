"""How many small units travel together: what carries them takes as long for a small block as for a large one.

Plain Python; knows neither units nor Ray.
"""

from __future__ import annotations

ROWS_TOGETHER, MOST_TOGETHER = 32, 16
"""Units of so many rows together, and so many units, are a handful. Larger ones travel alone: a process that dies takes
a whole handful along."""
LEAST_HANDFULS = 128
"""Of few units each travels alone: then nothing waits for the last row of another."""


def units_together(num_units: int, num_rows: int) -> int:
    """How many of so many units, with so many rows in all, travel together."""
    by_rows = ROWS_TOGETHER * num_units // max(1, num_rows)
    return max(1, min(MOST_TOGETHER, by_rows, num_units // LEAST_HANDFULS))
