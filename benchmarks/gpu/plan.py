"""What is measured, in which order, and how long each item may take. Plain values: measures nothing.

An item that must not be missed is run while its own time is left; any other leaves room for all of those.
"""

from __future__ import annotations

from dataclasses import dataclass

START_SECONDS, START_LIMIT = 20.0, 120.0
"""To start a process with torch and transformers, and at most, on a machine that has not read them yet."""
CHECKS = {"equality": 35.0, "kernels": 15.0, "sampling": 15.0, "memory": 12.0, "waits": 20.0}
"""Files tests/engine/cuda/test_<name>.py, and the seconds that each should take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that a process of a part is asked for."""

    name: str
    expected: float
    """Seconds that it should take."""
    limit: float
    """Seconds after which its process is ended."""
    must: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One module of this folder, and what it is asked for, one after the other."""

    module: str
    items: tuple[Item, ...]


PARTS = (
    Part(
        module="roofline",
        items=(
            Item(name="matrix_product", expected=5, limit=30, must=True),
            Item(name="device_copy", expected=2, limit=20, must=True),
        ),
    ),
    Part(
        module="checks",
        items=tuple(Item(name=name, expected=expected, limit=120, must=True) for name, expected in CHECKS.items()),
    ),
    Part(
        module="text",
        items=(
            Item(name="load", expected=10, limit=60, must=True),
            Item(name="parity", expected=5, limit=40, must=True),
            Item(name="300/50", expected=18, limit=75, must=True),
            Item(name="decode", expected=15, limit=60, must=True),
            Item(name="static 300/50", expected=10, limit=60, must=True),
            Item(name="one by one 300/50", expected=8, limit=40, must=True),
            Item(name="128/128", expected=18, limit=75, must=True),
            Item(name="mixed", expected=18, limit=60),
            Item(name="1024/128", expected=28, limit=75),
            Item(name="512+128/128", expected=18, limit=75),
            Item(name="128/128 top-p", expected=18, limit=75),
            Item(name="256/128", expected=18, limit=75),
            Item(name="ragged", expected=8, limit=60),
            Item(name="256/1024", expected=35, limit=90),
        ),
    ),
    Part(
        module="images",
        items=(
            Item(name="load", expected=10, limit=60, must=True),
            Item(name="parity", expected=5, limit=40, must=True),
            Item(name="decoding", expected=15, limit=60, must=True),
            Item(name="engine", expected=20, limit=75, must=True),
            Item(name="engine beside decoding", expected=25, limit=75),
        ),
    ),
)


def reserved(part: Part, item: Item) -> float:
    """Seconds that what must not be missed will need after this item."""
    later = PARTS[PARTS.index(part) + 1 :]
    same = part.items[part.items.index(item) + 1 :]
    musts = [one.expected for items in (same, *(other.items for other in later)) for one in items if one.must]
    return sum(musts) + START_SECONDS * len(later)
