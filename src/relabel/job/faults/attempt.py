"""How one attempt at a unit goes: which rows are passed over, which are worked on together. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from relabel.job.faults.poison_search import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How one attempt at a unit goes: which rows are passed over, and which are worked on together."""

    groups: Sequence[Group]
    """Places of rows in the unit."""
    poison: frozenset[int] = frozenset()
    """Those that are passed over, as rejects."""
    reason: str = ""
    """Of these."""
    tries: Callable[[int], None] | None = None
    """Told of each group before it is begun; None where nobody needs to know."""

    def each(self) -> Iterator[Group]:
        """The groups, one after the other."""
        for at, group in enumerate(self.groups):
            if self.tries is not None:
                self.tries(at)
            yield group

    def reasons(self, reasons: Sequence[str | None]) -> list[str | None]:
        """Why each row has no label, or a remark: as it was, and of those that are passed over."""
        return [self.reason if at in self.poison else reason for at, reason in enumerate(reasons)]


def whole(num_rows: int) -> Trial:
    """All rows together, as nearly always."""
    return Trial(groups=[tuple(range(num_rows))])
