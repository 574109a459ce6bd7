"""One attempt at a unit: counted while it lasts, and how it goes about rows that may have killed earlier ones.

Knows what is counted, not where; must never know Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from relabel.data.sources.unit import Unit
from relabel.errors import UnitGivenUp
from relabel.job.faults.attempt_log import AttemptLog
from relabel.job.faults.poison_search import Group, PoisonSearch
from relabel.job.faults.watchdog import Watchdog
from relabel.rejected import Code, Rejected

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitAttempt:
    """How one attempt at a unit goes: which rows are passed over, and which are worked on together."""

    groups: Sequence[Group]
    """Rows of the unit that are worked on together, by their places in it."""
    poison: frozenset[int] = frozenset()
    """Places of the rows that are passed over, as rejects."""
    reason: str = ""
    """Why the rows of `poison` are rejected."""
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


def whole(num_rows: int) -> UnitAttempt:
    """All rows together, as nearly always."""
    return UnitAttempt(groups=[tuple(range(num_rows))])


def attempt(log: AttemptLog, stage: str, unit: Unit, watchdog: Watchdog, work: Callable[[UnitAttempt], T]) -> T:
    """Do the work. Raises UnitGivenUp, and does nothing, where it killed its process too often."""
    search = log.begin(stage, unit.file.path, unit.part, unit.num_rows)
    return _do(log, stage, unit, watchdog, work, _known(search, stage, unit))


def _attempt_in_company(
    log: AttemptLog,
    stage: str,
    unit: Unit,
    watchdog: Watchdog,
    work: Callable[[UnitAttempt], T],
    found: PoisonSearch | str,
) -> T | None:
    """The same beside other units; None, and nothing is done, where a process has died with this one in it."""
    known = _known(found, stage, unit)
    return None if known.num_deaths else _do(log, stage, unit, watchdog, work, known)


def attempt_each(
    log: AttemptLog,
    stage: str,
    units: Sequence[Unit],
    watchdog: Watchdog,
    work: Callable[[int, UnitAttempt], T],
    given_up: Callable[[int, str], T],
    *,
    each: Callable[[Callable[[int], T | None], Iterable[int]], Iterable[T | None]] = map,
    company: Callable[[], AbstractContextManager[None]] = nullcontext,
    alone: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[T]:
    """Do the work of several units by their places: begun together, and those that a process has died with alone after.

    `each` goes through the places inside of `company`, `alone` is held around each that comes after. What is not tried
    is what `given_up` makes of why.
    """

    def in_company(at: int) -> T | None:
        try:
            return _attempt_in_company(log, stage, units[at], watchdog, partial(work, at), found[at])
        except UnitGivenUp as error:
            return given_up(at, str(error))

    def by_itself(at: int) -> T:
        try:
            with alone():
                return attempt(log, stage, units[at], watchdog, partial(work, at))
        except UnitGivenUp as error:
            return given_up(at, str(error))

    with company():
        found = log.begin_each(stage, [(unit.file.path, unit.part, unit.num_rows) for unit in units])
        done = list(each(in_company, range(len(units))))
    return [by_itself(at) if one is None else one for at, one in enumerate(done)]


def _known(search: PoisonSearch | str, stage: str, unit: Unit) -> PoisonSearch:
    if isinstance(search, str):
        first, last = unit.first_row, unit.first_row + unit.num_rows - 1
        raise UnitGivenUp(f"rows {first} to {last} of {unit.file.path}: {search}")
    return search


def _do(
    log: AttemptLog,
    stage: str,
    unit: Unit,
    watchdog: Watchdog,
    work: Callable[[UnitAttempt], T],
    search: PoisonSearch,
) -> T:
    num_deaths = search.num_deaths

    def tries(at: int) -> None:
        log.tries(stage, unit.part, at, num_deaths)

    how = UnitAttempt(
        poison=frozenset(search.poison),
        groups=search.groups,
        reason=str(Rejected(Code.POISON, f"the {stage} process died of this row alone, again and again")),
        tries=tries if search.are_apart else None,
    )
    with watchdog.watching():
        done = work(how)
    log.end(stage, unit.file.path, unit.part)
    return done
