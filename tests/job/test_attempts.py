from relabel.data.unit import SourceFile, Unit
from relabel.job.attempts import MAX_DEATHS, Attempts
from relabel.job.block import failed_block, failure_of, unit_of


def test_an_attempt_that_never_ends_is_a_death():
    attempts = Attempts()
    assert [attempts.begin("generating", "a") for _ in range(MAX_DEATHS + 1)] == [0, 1, 2, 3]


def test_an_attempt_that_ends_wipes_the_slate():
    attempts = Attempts()
    attempts.begin("generating", "a")
    attempts.end("generating", "a")
    assert attempts.begin("generating", "a") == 0


def test_stages_and_units_are_counted_apart():
    attempts = Attempts()
    attempts.begin("reading", "a")
    assert attempts.begin("generating", "a") == 0
    assert attempts.begin("reading", "b") == 0


def test_a_failed_block_carries_its_unit_and_why():
    unit = Unit(file=SourceFile(path="a.csv", url="/a.csv", size=1, version="2"), index=3, first_row=30, num_rows=10)
    block = failed_block(unit, "the machine is on fire")
    assert unit_of(block) == unit
    assert failure_of(block) == "the machine is on fire"
