"""Units that are handed out in chunks: whoever dies or comes late, every unit comes, and few are under way."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.job.stream.window import CHUNK, LEAST_AHEAD, Gate, chunks, limit


@given(st.integers(0, 5 * CHUNK))
def test_chunks_are_all_units_in_order(num_units):
    cut = list(chunks(num_units))
    assert [place for places in cut for place in places] == list(range(num_units))
    assert all(len(places) == CHUNK for places in cut[:-1]), "Ray Data cuts all into the same number of blocks"
    assert all(0 < len(places) <= CHUNK for places in cut)


def test_a_gate_that_was_opened_stays_open_whatever_comes_late():
    gate = Gate()
    assert not gate.is_open(0), "nobody goes before the driver says so"
    gate.open_to(300)
    gate.open_to(200)
    assert (gate.is_open(299), gate.is_open(300)) == (True, False)
    assert not Gate().is_open(0), "each run has its own"


class Run:
    """A run as the gate sees it: one chunk at a time waits, goes or dies; units end in any order and are heard late."""

    def __init__(self, num_units, num_slots, seed):
        self.random = random.Random(seed)
        self.gate, self.num_slots = Gate(), num_slots
        self.waiting = list(chunks(num_units))
        self.under_way, self.handed_out, self.num_done, self.num_heard = [], [], 0, 0
        self.most = 0
        self.gate.open_to(limit(0, num_slots))

    def step(self):
        moves = [self.die] * 1 + [self.hand_out] * 3
        moves += [self.end] * 6 if self.under_way else []
        self.random.choice(moves)()
        self.most = max(self.most, len(self.under_way))

    def die(self):
        """A source task dies while it waits, or after it gave its units: made again it gives the same."""
        if self.handed_out and self.random.random() < 0.5:
            places = self.random.choice(self.handed_out)
            assert self.gate.is_open(places.start), "what is made again waits for nothing"

    def hand_out(self):
        if self.waiting and self.gate.is_open(self.waiting[0].start):
            places = self.waiting.pop(0)
            self.handed_out.append(places)
            self.under_way += places

    def end(self):
        for _ in range(min(len(self.under_way), self.random.randint(1, 40))):
            self.under_way.pop(self.random.randrange(len(self.under_way)))
            self.num_done += 1
        if self.random.random() < 0.5 or not self.under_way:  # the driver hears of some units together
            self.num_heard = self.num_done
            self.gate.open_to(limit(self.num_heard, self.num_slots))


@settings(max_examples=30)
@given(num_units=st.integers(1, 6 * CHUNK), num_slots=st.integers(1, 400), seed=st.integers(0, 2**32))
def test_every_unit_comes_and_few_are_under_way(num_units, num_slots, seed):
    run = Run(num_units, num_slots, seed)
    for _ in range(20 * num_units + 1000):
        if run.num_done == num_units:
            break
        run.step()
    assert run.num_done == num_units, "nothing waits for ever"
    assert [place for places in run.handed_out for place in places] == list(range(num_units))
    assert run.most <= max(LEAST_AHEAD, 2 * num_slots) + CHUNK


def test_as_many_units_are_ahead_as_all_stages_can_hold_twice():
    assert limit(1000, num_slots=10) == 1000 + LEAST_AHEAD
    assert limit(1000, num_slots=LEAST_AHEAD) == 1000 + 2 * LEAST_AHEAD
