from relabel.data.sources.unit import SourceFile, Unit
from relabel.job.faults.deaths import MAX_FILES, MAX_GIVEN_UP, DeathCounter
from relabel.job.faults.poison_search import NUM_LIFELESS, NUM_WHOLE
from relabel.job.stages.block import failed_block, failure_of, unit_of


def test_an_attempt_that_never_ends_is_a_death():
    attempts = DeathCounter()
    for num_deaths in range(NUM_WHOLE):
        assert attempts.begin("generating", "file", "a", 10).num_deaths == num_deaths
    assert attempts.begin("generating", "file", "a", 10).num_deaths == NUM_WHOLE


def test_beside_others_no_attempt_is_opened_at_a_unit_that_a_process_died_with():
    attempts = DeathCounter()
    assert attempts.begin("generating", "file", "a", 10, in_company=True).num_deaths == 0
    for _ in range(3):
        assert attempts.begin("generating", "file", "a", 10, in_company=True).num_deaths == 1, "it is to be alone"
    assert attempts.begin("generating", "file", "a", 10).num_deaths == 1, "what was not opened is no death"
    assert attempts.begin("generating", "file", "a", 10).num_deaths == 2


def test_what_ended_since_the_first_death_counts_also_where_a_unit_waited_to_be_alone():
    attempts = DeathCounter()
    attempts.begin("generating", "file", "a", 1)
    attempts.begin("generating", "file", "b", 10)
    attempts.end("generating", "file", "b")
    attempts.begin("generating", "file", "a", 1, in_company=True)
    assert die_of(attempts, "a", 0, num_rows=1).poison == {0}


def test_an_attempt_that_ends_wipes_the_slate():
    attempts = DeathCounter()
    attempts.begin("generating", "file", "a", 10)
    attempts.end("generating", "file", "a")
    assert attempts.begin("generating", "file", "a", 10).num_deaths == 0


def test_stages_and_units_are_counted_apart():
    attempts = DeathCounter()
    attempts.begin("reading", "file", "a", 10)
    assert attempts.begin("generating", "file", "a", 10).num_deaths == 0
    assert attempts.begin("reading", "file", "b", 10).num_deaths == 0


def die_of(attempts, part, row, num_rows=10):
    """Attempts at a unit one row of which kills its process; what the last of them was told."""
    while not isinstance(told := attempts.begin("generating", "file", part, num_rows), str):
        for at, group in enumerate(told.groups):
            if told.are_apart:
                attempts.tries("generating", part, at, told.num_deaths)
            if row in group:
                break
        else:
            attempts.end("generating", "file", part)
            return told
    return told


def test_the_row_is_found_and_known_when_the_block_is_lost_and_made_again():
    attempts = DeathCounter()
    assert die_of(attempts, "a", 7).poison == {7}
    again = attempts.begin("generating", "file", "a", 10)
    assert again.poison == {7}
    assert all(7 not in group for group in again.groups)


def test_one_row_is_its_unit_and_found_where_other_units_live():
    attempts = DeathCounter()
    attempts.begin("generating", "file", "a", 1)
    attempts.begin("generating", "file", "b", 10)
    attempts.end("generating", "file", "b")
    assert die_of(attempts, "a", 0, num_rows=1).poison == {0}


def test_where_all_die_alike_the_rows_are_not_accused_and_the_rest_is_not_tried():
    """A machine with a broken driver would end each of 20,000 units ten times, a minute of loading each."""
    attempts, told = DeathCounter(), []
    for part in range(MAX_GIVEN_UP):
        num_begun = 0
        while not isinstance(what := attempts.begin("generating", "file", part, 10), str):
            num_begun += 1
            assert not what.poison
            if what.are_apart:
                attempts.tries("generating", part, 0, what.num_deaths)
        assert num_begun == NUM_LIFELESS
        told.append(what)
    assert all(f"died {NUM_LIFELESS} times" in what for what in told)
    assert "not tried" in attempts.begin("generating", "file", "next", 10)
    assert not isinstance(attempts.begin("reading", "file", "next", 10), str), "another stage may be sound"


def test_a_file_that_kills_its_reader_before_any_row_is_given_up_soon():
    attempts, num_begun = DeathCounter(), 0
    while not isinstance(told := attempts.begin("reading", "file", "a", 10), str):
        num_begun += 1
    assert num_begun == 4
    assert "died 4 times" in told


def die_outside(attempts, file, part):
    """Attempts at a unit that kills its reader at once; what the last of them was told."""
    while not isinstance(told := attempts.begin("reading", file, part, 10), str):
        pass
    return told


def test_a_file_that_kills_its_readers_costs_itself_however_many_units_it_has():
    attempts = DeathCounter()
    told = [die_outside(attempts, "bad", f"bad-{index}") for index in range(100)]
    assert ["not tried" in one for one in told] == [False] * MAX_GIVEN_UP + [True] * (100 - MAX_GIVEN_UP)
    assert not isinstance(attempts.begin("reading", "good", "good-0", 10), str)


def test_ten_files_that_kill_their_readers_and_none_that_does_not_are_a_machine_at_fault():
    attempts = DeathCounter()
    for index in range(MAX_FILES - 1):
        assert "given up" in die_outside(attempts, index, index)
    assert not isinstance(attempts.begin("reading", "good", "good-0", 10), str)
    attempts.end("reading", "good", "good-0")
    for index in range(MAX_FILES):
        assert "given up" in die_outside(attempts, f"after {index}", f"after {index}")
    assert "not tried" in attempts.begin("reading", "good", "good-1", 10)


def test_an_attempt_that_was_taken_for_dead_says_nothing_of_the_next_one():
    """Ray begins a unit again where it cannot reach the node of the first, which may be at work all the same."""
    attempts = DeathCounter()
    first, second, third = (attempts.begin("generating", "file", "a", 10).num_deaths for _ in range(3))
    attempts.tries("generating", "a", 3, second)
    attempts.tries("generating", "a", 0, third)
    attempts.tries("generating", "a", 5, first)
    again = attempts.begin("generating", "file", "a", 10)
    assert again.groups[-1] == (0,), "the one that the third attempt began is put last"
    attempts.end("generating", "file", "a")
    attempts.tries("generating", "a", 1, again.num_deaths)
    attempts.end("generating", "file", "a")
    assert attempts.begin("generating", "file", "a", 10).num_deaths == 0


def test_a_failed_block_carries_its_unit_and_why():
    unit = Unit(file=SourceFile(path="a.csv", url="/a.csv", size=1, version="2"), index=3, first_row=30, num_rows=10)
    block = failed_block(unit, "the machine is on fire")
    assert unit_of(block) == unit
    assert failure_of(block) == "the machine is on fire"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_deaths_are_told_apart_by_what_the_process_said_and_by_how_long_it_had_the_unit():
    clock = Clock()
    attempts = DeathCounter(1800.0, clock=clock)

    def begin_again_after(part, seconds):
        attempts.begin("generating", "file", part, 10)
        clock.now += seconds
        attempts.begin("generating", "file", part, 10)

    begin_again_after("a", 10)
    begin_again_after("b", 1800)
    attempts.begin("generating", "file", "c", 10)
    attempts.lose_device("generating", ["c"])
    begin_again_after("c", 0)
    assert attempts.deaths == {("generating", "other"): 2, ("generating", "deadline"): 1, ("generating", "device"): 1}


def test_a_unit_that_ended_or_was_not_begun_is_no_death():
    attempts = DeathCounter()
    attempts.begin("reading", "file", "a", 10)
    attempts.end("reading", "file", "a")
    attempts.begin("reading", "file", "a", 10)
    assert not attempts.deaths
