"""Units of a handful: begun together, and where a process has died with one it is tried alone, behind the others."""

import contextlib

import pytest

from relabel.data.sources.unit import SourceFile, Unit
from relabel.job.faults.attempt import attempt_each
from relabel.job.faults.deaths import DeathCounter
from relabel.job.faults.poison_search import NUM_OUTSIDE, NUM_WHOLE
from relabel.job.faults.watchdog import Watchdog

FILE = SourceFile(path="a.jsonl", url="/a.jsonl", size=1, version="")
UNITS = [Unit(file=FILE, index=k, first_row=k, num_rows=1) for k in range(4)]


class Died(BaseException):
    """The process is gone: nothing of it runs any more, and nobody is told."""


class Process:
    """What one process does with a handful. It keeps a book of what it began, and of what was held meanwhile."""

    def __init__(self, log, deadly=()):
        self.log, self.deadly, self.book, self.held = log, deadly, [], []

    def run(self, units=UNITS):
        def work(at, how):
            self.book.append((units[at].index, *self.held))
            if units[at].index in self.deadly:
                raise Died
            return f"done {units[at].index}, passed over {sorted(how.poison)}"

        return attempt_each(
            self.log,
            "reading",
            units,
            Watchdog(60),
            work,
            lambda at, why: f"given up {units[at].index}",
            company=lambda: self.holding("company"),
            alone=lambda: self.holding("alone"),
        )

    @contextlib.contextmanager
    def holding(self, what):
        self.held.append(what)
        yield
        self.held.pop()


def test_units_are_begun_together():
    process = Process(DeathCounter())
    assert process.run() == [f"done {k}, passed over []" for k in range(4)]
    assert process.book == [(k, "company") for k in range(4)]


def test_after_a_death_each_of_the_handful_is_tried_alone_and_one_that_was_no_part_of_it_is_not():
    log = DeathCounter()
    with pytest.raises(Died):
        Process(log, deadly={1}).run(UNITS[:3])
    again = Process(log)
    assert again.run() == [f"done {k}, passed over []" for k in range(4)]
    assert again.book == [(0, "company"), (3, "company"), (1, "alone"), (2, "alone")], "the first had ended"
    assert Process(log).run() == [f"done {k}, passed over []" for k in range(4)], "what has ended has no deaths"


def test_a_row_that_kills_is_found_and_its_company_pays_one_more_try():
    log, deaths, tries = DeathCounter(), 0, []
    while True:
        process = Process(log, deadly={2})
        try:
            done = process.run()
            break
        except Died:
            deaths += 1
            tries += [index for index, *_ in process.book]
        assert deaths < 10
    assert done[2] == "given up 2", "a unit that dies outside of all its groups"
    assert [done[k] for k in (0, 1, 3)] == [f"done {k}, passed over []" for k in (0, 1, 3)]
    assert deaths == NUM_WHOLE + NUM_OUTSIDE
    assert tries.count(2) == deaths
