import pytest

from relabel.engine import Goodput
from relabel.job.metrics import table
from relabel.job.metrics.of_engine import EngineLook
from relabel.job.stream.waits import Waits


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Engine:
    """Counts as it is told."""

    def __init__(self):
        self.clock, self.goodput = Clock(), Goodput()
        self.waits = Waits(0.0, clock=self.clock)
        self.look = EngineLook("e", self.waits, lambda: self.goodput)

    def seen(self, metric):
        return {sample.metric: sample.value for sample in self.look()}[metric]


@pytest.fixture
def engine():
    return Engine()


def test_it_was_busy_as_long_as_it_had_a_unit_since_the_last_look(engine):
    engine.clock.now += 6
    with engine.waits.working(0):
        engine.clock.now += 2
        assert engine.seen(table.BUSY_RATIO) == 0.25
        engine.clock.now += 5
        assert engine.seen(table.BUSY_RATIO) == 1.0
    engine.clock.now += 5
    assert engine.seen(table.BUSY_RATIO) == 0.0


def test_units_are_those_that_it_has_now(engine):
    with engine.waits.working(0), engine.waits.working(0):
        assert engine.seen(table.ENGINE_UNITS) == 2
    assert engine.seen(table.ENGINE_UNITS) == 0


def step(engine, *, num_forwards, all_slots, held_slots):
    engine.goodput.num_forwards += num_forwards
    engine.goodput.all_slots += all_slots
    engine.goodput.held_slots += held_slots


def slots(engine):
    found = {sample.metric: sample.value for sample in engine.look()}
    return found[table.SLOTS], found[table.SLOTS_HELD]


def test_slots_are_those_of_a_step_in_the_mean_since_the_last_look(engine):
    step(engine, num_forwards=2, all_slots=16, held_slots=10)
    assert slots(engine) == (8, 5)
    step(engine, num_forwards=4, all_slots=16, held_slots=4)
    assert slots(engine) == (4, 1)
    assert slots(engine) == (0, 0), "it made no step"


def test_an_engine_that_counts_slots_when_a_batch_ends_has_those_of_the_last_one_until_then(engine):
    step(engine, num_forwards=2, all_slots=16, held_slots=10)
    assert slots(engine) == (8, 5)
    step(engine, num_forwards=6, all_slots=0, held_slots=0)
    assert slots(engine) == (8, 5)
    step(engine, num_forwards=2, all_slots=32, held_slots=16)
    assert slots(engine) == (4, 2)
