from relabel.data.unit import SourceFile, Unit
from relabel.job.attempts import MAX_GIVEN_UP, Attempts
from relabel.job.block import failed_block, failure_of, unit_of
from relabel.job.suspects import NUM_LIFELESS, NUM_WHOLE


def test_an_attempt_that_never_ends_is_a_death():
    attempts = Attempts()
    for num_deaths in range(NUM_WHOLE):
        assert attempts.begin("generating", "a", 10).num_deaths == num_deaths
    assert attempts.deaths("generating", "a") == NUM_WHOLE


def test_an_attempt_that_ends_wipes_the_slate():
    attempts = Attempts()
    attempts.begin("generating", "a", 10)
    attempts.end("generating", "a")
    assert attempts.deaths("generating", "a") == 0
    assert attempts.begin("generating", "a", 10).num_deaths == 0


def test_stages_and_units_are_counted_apart():
    attempts = Attempts()
    attempts.begin("reading", "a", 10)
    assert attempts.begin("generating", "a", 10).num_deaths == 0
    assert attempts.begin("reading", "b", 10).num_deaths == 0


def die_of(attempts, part, row, num_rows=10):
    """Attempts at a unit one row of which kills its process; what the last of them was told."""
    while not isinstance(told := attempts.begin("generating", part, num_rows), str):
        for at, group in enumerate(told.groups):
            if told.are_apart:
                attempts.tries("generating", part, at)
            if row in group:
                break
        else:
            attempts.end("generating", part)
            return told
    return told


def test_the_row_is_found_and_known_when_the_block_is_lost_and_made_again():
    attempts = Attempts()
    assert die_of(attempts, "a", 7).poison == {7}
    again = attempts.begin("generating", "a", 10)
    assert again.poison == {7}
    assert all(7 not in group for group in again.groups)


def test_one_row_is_its_unit_and_found_where_other_units_live():
    attempts = Attempts()
    attempts.begin("generating", "a", 1)
    attempts.begin("generating", "b", 10)
    attempts.end("generating", "b")
    assert die_of(attempts, "a", 0, num_rows=1).poison == {0}


def test_where_all_die_alike_the_rows_are_not_accused_and_the_rest_is_not_tried():
    """A machine with a broken driver would end each of 20,000 units ten times, a minute of loading each."""
    attempts, told = Attempts(), []
    for part in range(MAX_GIVEN_UP):
        num_begun = 0
        while not isinstance(what := attempts.begin("generating", part, 10), str):
            num_begun += 1
            assert not what.poison
            if what.are_apart:
                attempts.tries("generating", part, 0)
        assert num_begun == NUM_LIFELESS
        told.append(what)
    assert all(f"died {NUM_LIFELESS} times" in what for what in told)
    assert "not tried" in attempts.begin("generating", "next", 10)
    assert not isinstance(attempts.begin("reading", "next", 10), str), "another stage may be sound"


def test_a_file_that_kills_its_reader_before_any_row_is_given_up_soon():
    attempts, num_begun = Attempts(), 0
    while not isinstance(told := attempts.begin("reading", "a", 10), str):
        num_begun += 1
    assert num_begun == 4
    assert "died 4 times" in told


def test_a_failed_block_carries_its_unit_and_why():
    unit = Unit(file=SourceFile(path="a.csv", url="/a.csv", size=1, version="2"), index=3, first_row=30, num_rows=10)
    block = failed_block(unit, "the machine is on fire")
    assert unit_of(block) == unit
    assert failure_of(block) == "the machine is on fire"
