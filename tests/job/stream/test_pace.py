"""How a run on Ray ends where no more may begin."""

from relabel.job.course import Course
from relabel.job.receipt import Receipt
from relabel.job.stream.allowance import HELD_BACK, Allowance
from relabel.job.stream.pace import Pace


class Desk(Allowance):
    """What the driver asks of the process beside it; `told` has every number that it was given."""

    def __init__(self):
        super().__init__()
        self.told = []

    def begin_at_most(self, number):
        self.told.append(number)
        super().begin_at_most(number)


class Beside:
    def __init__(self, desk):
        self._desk, self.num_asked = desk, 0

    def begin_at_most(self, number):
        self._desk.begin_at_most(number)

    def begun(self):
        self.num_asked += 1
        return set(self._desk.begun)


def held_back(part):
    return Receipt(part=part, failure=HELD_BACK)


def test_a_run_ends_when_what_has_begun_is_received():
    desk, course = Desk(), Course(is_limited=True, most_begun=4)
    beside = Beside(desk)
    pace = Pace(beside, course)
    assert [desk.may_begin(part) for part in "abc"] == [True, True, True]
    assert not pace.holds_back(Receipt(part="a", rows=1))
    course.most_begun = 3
    assert not pace.is_done()
    assert not desk.may_begin("d")
    assert pace.holds_back(held_back("d"))
    assert (pace.is_over, pace.is_done()) == (True, False)
    assert not pace.holds_back(Receipt(part="b", failure="generating failed")), "a unit that failed is none that waits"
    assert pace.holds_back(held_back("e"))
    assert not pace.is_done()
    assert not pace.holds_back(Receipt(part="c", rows=1))
    assert pace.is_done()
    assert desk.told == [4, 3]
    assert beside.num_asked == 1


def test_nothing_is_asked_for_a_run_that_nobody_limits():
    beside = Beside(Desk())
    pace = Pace(beside, Course())
    assert not pace.holds_back(Receipt(part="a", rows=1))
    assert (pace.is_over, pace.is_done(), beside.num_asked) == (False, False, 0)
