import pytest

from relabel.job.receipt import EngineReport, Waited
from relabel.job.stream.waits import Waits


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def work(clock, waits, *, comes, prepared, ends):
    clock.now = comes
    with waits.working(prepared):
        clock.now = ends


def test_time_without_a_unit_is_waiting_for_reading_until_it_is_prepared_and_for_publishing_after(clock):
    waits = Waits(30.0, clock=clock)
    work(clock, waits, comes=104, prepared=103, ends=110)
    work(clock, waits, comes=111, prepared=105, ends=120)
    work(clock, waits, comes=126, prepared=126, ends=130)
    assert waits.so_far() == Waited(seconds=60.0, loading=30.0, reading=3 + 0 + 6, publishing=1 + 1 + 0)


def test_nothing_is_waited_as_long_as_any_unit_is_worked_on(clock):
    waits = Waits(0.0, clock=clock)
    with waits.working(100):
        clock.now = 105
        with waits.working(104):
            clock.now = 110
        clock.now = 120
    assert waits.so_far() == Waited(seconds=20.0)


def test_a_unit_that_fails_is_worked_on_no_more(clock):
    waits = Waits(0.0, clock=clock)
    with pytest.raises(ValueError, match="of no use"), waits.working(100):
        raise ValueError("of no use")
    work(clock, waits, comes=107, prepared=107, ends=107)
    assert waits.so_far().reading == 7


@pytest.mark.parametrize("prepared", [50, 200])
def test_clocks_that_differ_between_machines_make_no_time(clock, prepared):
    waits = Waits(0.0, clock=clock)
    work(clock, waits, comes=110, prepared=prepared, ends=111)
    found = waits.so_far()
    assert (found.reading + found.publishing, found.seconds) == (10, 11)


def test_what_several_engines_waited_is_added():
    one = Waited(seconds=10.0, loading=1.0, reading=2.0, publishing=3.0)
    assert one + one == Waited(seconds=20.0, loading=2.0, reading=4.0, publishing=6.0)
    assert sum([one], start=Waited(seconds=5.0)).seconds == 15.0


def test_it_travels_with_the_report_of_an_engine():
    from relabel.engine import Goodput

    report = EngineReport(process="p", batching={}, goodput=Goodput(), waited=Waited(seconds=2.0, reading=1.0))
    assert EngineReport.from_text(report.to_text()) == report
