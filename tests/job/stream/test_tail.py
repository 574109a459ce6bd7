"""Copies of the last units: what is copied, and a simulation of engines of unequal speed."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.job.stream.tail import FEWEST_KNOWN, Tail


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tail(clock):
    """Units took 10 seconds so far."""
    tail = Tail(clock)
    for number in range(FEWEST_KNOWN):
        tail.begin(f"u{number}")
        clock.now += 10
        tail.end(f"u{number}")
    return tail


def test_a_unit_is_wanted_when_it_takes_longer_than_most_took(tail, clock):
    tail.begin("a")
    clock.now += 20
    assert tail.wanted(["a"]) == []
    clock.now += 1
    assert tail.wanted(["a"]) == ["a"]


def test_nothing_is_wanted_before_it_is_known_how_long_units_take(clock):
    tail = Tail(clock)
    tail.begin("a")
    clock.now += 1000
    assert tail.wanted(["a"]) == []


def test_copies_are_counted_when_they_begin_and_when_they_are_there_first(tail, clock):
    for part in ("a", "b"):
        tail.begin(part)
        clock.now += 30
        tail.offer(part, "block")
    assert (tail.num_begun, tail.num_first) == (0, 0)
    tail.take(), tail.take()
    tail.end("b")
    tail.made("a", "receipt")
    tail.made("b", "receipt")
    assert (tail.num_begun, tail.num_first) == (2, 1), "b itself was faster"


def test_a_unit_is_taken_once_and_the_longest_first(tail, clock):
    for part in ("a", "b"):
        tail.begin(part)
        clock.now += 30
    for part in ("b", "a"):
        tail.offer(part, f"block {part}")
    assert [tail.take(), tail.take(), tail.take()] == [("a", "block a"), ("b", "block b"), None]
    tail.offer("a", "block a")
    assert tail.take() is None, "not twice"


def test_a_unit_that_a_process_died_with_is_given_to_nobody_else(tail, clock):
    tail.begin("a")
    tail.begin("a")
    clock.now += 100
    tail.offer("a", "block")
    assert (tail.wanted(["a"]), tail.take()) == ([], None)


def test_a_copy_that_comes_second_is_not_heard_of(tail, clock):
    tail.begin("a")
    clock.now += 30
    tail.offer("a", "block")
    tail.take()
    tail.end("a")
    tail.made("a", "receipt")
    assert tail.receipts(["a"]) == {}


def test_a_copy_that_comes_first_ends_the_unit(tail, clock):
    tail.begin("a")
    clock.now += 30
    tail.offer("a", "block")
    tail.take()
    tail.made("a", "receipt")
    assert tail.receipts(["a", "b"]) == {"a": "receipt"}
    tail.end("a")
    assert tail.receipts(["a"]) == {}


@dataclass
class Simulated:
    """Engines that do a unit at a time, each at its own speed, one second a step."""

    sizes: list[int]
    speeds: list[int]
    with_copies: bool
    clock: Clock = field(default_factory=Clock)
    receipts: list[str] = field(default_factory=list)
    num_copies: int = 0

    def seconds(self):
        tail, waiting = Tail(self.clock), [(f"u{at}", size) for at, size in enumerate(self.sizes)]
        own, copies = {}, {}
        while len(self.receipts) < len(self.sizes):
            for engine in range(len(self.speeds)):
                if engine not in own and waiting:
                    own[engine] = list(waiting.pop(0))
                    tail.begin(own[engine][0])
                elif engine not in own and engine not in copies and self.with_copies and (taken := tail.take()):
                    copies[engine], self.num_copies = list(taken), self.num_copies + 1
            self.clock.now += 1
            for engine, (part, _) in list(copies.items()):
                copies[engine][1] -= self.speeds[engine]
                if copies[engine][1] <= 0:
                    tail.made(part, part)
                    del copies[engine]
            for engine, unit in list(own.items()):
                part, unit[1] = unit[0], unit[1] - self.speeds[engine]
                for wanted in tail.wanted([part]):
                    tail.offer(wanted, self.sizes[int(wanted[1:])])
                if unit[1] <= 0 or tail.receipts([part]):
                    tail.end(part)
                    self.receipts.append(part)
                    del own[engine]
        return self.clock.now


def test_a_slow_engine_does_not_hold_up_the_end():
    alone = Simulated([100] * 20, [10, 10, 10, 1], with_copies=False)
    helped = Simulated([100] * 20, [10, 10, 10, 1], with_copies=True)
    assert (alone.seconds(), helped.seconds()) == (100, 70)
    assert helped.num_copies == 1


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_every_unit_has_one_receipt_and_no_run_ends_later_for_its_copies(sizes, speeds):
    alone, helped = (Simulated(sizes, speeds, with_copies=copies) for copies in (False, True))
    assert helped.seconds() <= alone.seconds()
    assert sorted(helped.receipts) == sorted(alone.receipts) == sorted(f"u{at}" for at in range(len(sizes)))
    assert helped.num_copies <= len(sizes)
