"""While a run goes on its parts are counted now and then, beside it and one count at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from relabel.errors import StoreFailed
from relabel.job.progress.recount import FRACTION, Recount


class Counts:
    """A count that lasts until it is let go, and how many there were."""

    def __init__(self) -> None:
        self.num_begun = self.num_stopped = 0
        self.has_begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, is_over: Callable[[], bool]) -> None:
        self.num_begun += 1
        self.has_begun.release()
        self.may_end.acquire()
        self.num_stopped += is_over()


def publish(recount: Recount, num_parts: int) -> None:
    for _ in range(num_parts):
        recount.published()


def test_it_counts_after_so_many_parts_and_never_twice_at_once() -> None:
    counts = Counts()
    with Recount(counts, num_parts=0, fewest=3) as recount:
        publish(recount, 2)
        assert counts.num_begun == 0
        publish(recount, 1)
        counts.has_begun.acquire()
        publish(recount, 30)
        assert counts.num_begun == 1
        counts.may_end.release()
        while not counts.has_begun.acquire(timeout=0.01):  # the first one needs a moment to end
            publish(recount, 3)
        assert counts.num_begun == 2
        counts.may_end.release()


def test_where_many_are_there_it_counts_after_a_fraction_of_them() -> None:
    counts = Counts()
    with Recount(counts, num_parts=100 * FRACTION, fewest=3) as recount:
        publish(recount, 100)
        assert counts.num_begun == 0
        publish(recount, 10)
        counts.has_begun.acquire()
        counts.may_end.release()
    assert counts.num_begun == 1


def test_at_the_end_of_the_run_a_count_is_told_and_waited_for() -> None:
    counts = Counts()
    with Recount(counts, num_parts=0, fewest=1) as recount:
        recount.published()
        counts.has_begun.acquire()
        threading.Timer(0.05, counts.may_end.release).start()
    assert counts.num_stopped == 1


def test_a_count_that_fails_is_said_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: Callable[[], bool]) -> None:
        raise StoreFailed("cannot list s3://bucket/out: 503")

    with caplog.at_level(logging.INFO, "relabel"), Recount(fails, num_parts=0, fewest=1) as recount:
        recount.published()
    assert "503" in caplog.text
