"""Holds a run to its budget: what is left when it begins, how many units may begin, and which limit ended it.

Knows what was spent and how units come along; nothing of who does them. A unit that has begun is finished: what was
paid for it is not lost, and a run ends within half a unit of its budget, or what an engine does at once, if that is
more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from math import inf

from relabel.data.runs.beat import Limit
from relabel.data.runs.heard import Runs, hear
from relabel.data.store.store import Store
from relabel.job.budget.pace import Pace, Sizes
from relabel.job.course import Course
from relabel.job.forecast.hours import gpu_hours
from relabel.job.progress.engines import EnginesSeen
from relabel.spec import Resources

Clock = Callable[[], float]


def runs_before(resources: Resources, store: Store) -> Runs:
    """What earlier runs into an output have spent, where there is a budget that they count for."""
    return hear(store) if resources.budget.is_set else Runs(heard=())


class Guard:
    """The budget of one run."""

    def __init__(
        self,
        resources: Resources,
        before: Runs,
        *,
        rows_done: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Clock = time.monotonic,
    ) -> None:
        """`before`: the other runs into the output; `rows_done`: those that it holds. `clock` tells seconds."""
        self.budget, self.price, self.before = resources.budget, resources.price.gpu_hour, before
        self.gpus = resources.gpus_per_actor
        self.course = Course(is_limited=self.budget.is_set)
        self.reached: Limit | None = None
        """Which limit holds units back now, or did."""
        self._rows_done = rows_done
        ends_at = self.budget.ends_at(now())
        left = None if ends_at is None else (ends_at - now()).total_seconds()
        self._deadline = None if left is None else clock() + left
        self._clock, self._sizes = clock, Sizes(())
        self._num_units, self._is_cut = 0, False
        """Of those that are left to do, and whether `budget.rows` leaves some of them out."""

    @property
    def limits(self) -> dict[Limit, float | str]:
        """The budget as it is written."""
        names: tuple[Limit, ...] = ("gpu_hours", "dollars", "until", "rows")
        return {name: value for name in names if (value := getattr(self.budget, name)) is not None}

    def hours_left(self) -> tuple[float, Limit] | None:
        """GPU hours that this run may take, and which limit says so; None where none does."""
        found: list[tuple[float, Limit]] = []
        if self.budget.gpu_hours is not None:
            found.append((self.budget.gpu_hours - self.before.gpu_hours, "gpu_hours"))
        if self.budget.dollars is not None and self.price:
            spent = self.before.dollars(self.price) or 0.0
            found.append(((self.budget.dollars - spent) / self.price, "dollars"))
        return min(found, default=None)

    def allow(self, num_units: int, rows: Iterable[float]) -> int:
        """How many of the units that are left may be begun as far as it is known by now, the first of them.

        `rows` are those of each, in order, which only a budget looks at. `course` then says how many of these.
        """
        if not self.course.is_limited:
            return num_units
        self._num_units, self.reached = num_units, self._reached_before()
        if self.reached is not None:
            return 0
        most_rows = None if self.budget.rows is None else self.budget.rows - self._rows_done
        self._sizes = sizes = Sizes(rows, most_rows)
        self._is_cut = len(sizes) < num_units
        self.reached = "rows" if self._is_cut else None
        hours, rows_before = self.hours_left(), self.before.rows
        if hours is not None and rows_before and self.before.gpu_hours:
            return len(sizes) if self._limit(hours[0] * rows_before / self.before.gpu_hours, hours[1]) else 0
        return len(sizes)

    def hear(self, figures: Mapping[str, int], engines: EnginesSeen) -> None:
        """Another unit is done: say anew how many may begin."""
        if not self.course.is_limited:
            return
        engines.are_up(self.course.num_engines, self._clock())
        goodput = engines.goodput
        pace = Pace(rows=figures["rows"], row_tokens=figures["output_tokens"], tokens=goodput.output_tokens)
        found = list[tuple[float, Limit]]()
        if (hours := self.hours_left()) is not None:
            rows = pace.rows_that_fit(hours[0], gpu_hours(goodput.seconds, self.gpus))
            if rows is not None:
                found.append((rows, hours[1]))
        if self._deadline is not None:
            rows = pace.rows_that_fit(engines.num_up * (self._deadline - engines.began), engines.lasted)
            if rows is not None:
                found.append((rows, "until"))
        if found:
            self._limit(*min(found))

    def hear_others(self, runs: Runs) -> None:
        """What other runs into the output have spent by now, those at work included."""
        self.before = runs

    def ended_by(self, num_units: int) -> Limit | None:
        """The limit that ended the run, where it has done so many units and others were left."""
        return self.reached if num_units < self._num_units else None

    def _limit(self, rows: float, name: Limit) -> int:
        """Let units begin that hold about so many rows."""
        most = self._sizes.nearest(max(0.0, rows))
        self.course.most_begun = most
        self.reached = name if most < len(self._sizes) else "rows" if self._is_cut else None
        return most

    def _reached_before(self) -> Limit | None:
        """A limit that earlier runs have reached, by what they have spent or because one of them ended for it."""
        if self._deadline is not None and self._deadline <= self._clock():
            return "until"
        if (hours := self.hours_left()) is not None and hours[0] <= 0:
            return hours[1]
        for heard in self.before.heard:
            name = heard.beat.reached
            if name in ("gpu_hours", "dollars") and _number(heard.beat.budget.get(name)) >= _number(
                getattr(self.budget, name), inf
            ):
                return name
        return None


def _number(value: object, otherwise: float = 0.0) -> float:
    return float(value) if isinstance(value, int | float) else otherwise
