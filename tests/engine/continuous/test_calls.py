"""Calls from several threads: one computes for all, each gets its own results, none is forgotten."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from relabel.engine import Request, Result
from relabel.engine.continuous.calls import Call, Calls

PATIENCE = 20.0
"""Seconds after which a thread counts as one that hangs."""
Lead = Callable[[Call], None]


def requests(*ids: int) -> list[Request]:
    return [Request(id=row, prompt_ids=[1]) for row in ids]


def answer(request: Request) -> Result:
    return Result(id=request.id, token_ids=[10 * request.id])


def answers(*ids: int) -> list[Result]:
    return [answer(request) for request in requests(*ids)]


def serve_in_thread(calls: Calls, ids: list[int], lead: Lead) -> Future[list[Result]]:
    future: Future[list[Result]] = Future()

    def serve() -> None:
        try:
            future.set_result(calls.serve(requests(*ids), lead))
        except RuntimeError as error:
            future.set_exception(error)

    threading.Thread(target=serve, daemon=True).start()
    return future


def next_call(calls: Calls) -> Call:
    """What an engine does between two steps, until a call is there."""
    deadline = time.monotonic() + PATIENCE
    while (call := calls.take()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError("no call has come")
        time.sleep(0.001)
    return call


def finish(calls: Calls, call: Call) -> None:
    for at, request in enumerate(call.requests):
        calls.finish(call, at, answer(request))


def wait(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


def never(call: Call) -> None:
    raise AssertionError("another thread computes for this call")


class RowByRow:
    """A lead that computes one row at a time, of all calls in turn, until its own call is done."""

    def __init__(self, calls: Calls) -> None:
        self._calls, self._rows = calls, list[tuple[Call, int]]()
        self._is_led = threading.Lock()
        self.num_leads = 0

    def __call__(self, own: Call) -> None:
        assert self._is_led.acquire(blocking=False), "one at a time"
        self.num_leads += 1
        while not own.is_done:
            while (call := self._calls.take()) is not None:
                self._rows = [*((call, at) for at in range(len(call.requests))), *self._rows]
            call, at = self._rows.pop()
            self._calls.finish(call, at, answer(call.requests[at]))
        self._is_led.release()


def test_results_come_in_the_order_of_the_requests_however_they_were_finished() -> None:
    calls = Calls()

    def backwards(call: Call) -> None:
        assert calls.take() is call
        for at in reversed(range(3)):
            calls.finish(call, at, answer(call.requests[at]))

    assert calls.serve(requests(4, 2, 7), backwards) == answers(4, 2, 7)


def test_a_call_returns_when_its_rows_are_done_though_the_thread_that_computes_goes_on() -> None:
    calls, led, may_end = Calls(), threading.Event(), threading.Event()

    def lead(own: Call) -> None:
        assert calls.take() is own
        led.set()
        finish(calls, next_call(calls))
        wait(may_end)
        finish(calls, own)

    first = serve_in_thread(calls, [1], lead)
    wait(led)
    second = serve_in_thread(calls, [2, 3], never)
    assert second.result(PATIENCE) == answers(2, 3)
    assert not first.done()
    may_end.set()
    assert first.result(PATIENCE) == answers(1)


def test_who_waits_computes_next_and_goes_on_with_what_was_begun() -> None:
    calls, led = Calls(), threading.Event()
    begun: list[Call] = []

    def begin(own: Call) -> None:
        assert calls.take() is own
        led.set()
        begun.append(next_call(calls))
        calls.finish(begun[0], 1, answer(begun[0].requests[1]))
        finish(calls, own)

    def go_on(own: Call) -> None:
        assert own is begun[0]
        assert calls.take() is None
        calls.finish(own, 0, answer(own.requests[0]))

    first = serve_in_thread(calls, [1], begin)
    wait(led)
    second = serve_in_thread(calls, [2, 3], go_on)
    assert first.result(PATIENCE) == answers(1)
    assert second.result(PATIENCE) == answers(2, 3)


def test_an_error_reaches_the_calls_in_flight_and_those_that_wait_and_no_later_one() -> None:
    calls, led, taken, may_fail = Calls(), threading.Event(), threading.Event(), threading.Event()

    def lead(own: Call) -> None:
        assert calls.take() is own
        led.set()
        next_call(calls)
        taken.set()
        finish(calls, next_call(calls))
        wait(may_fail)
        calls.fail(RuntimeError("the device is lost"))

    first = serve_in_thread(calls, [1], lead)
    wait(led)
    second = serve_in_thread(calls, [2], never)
    wait(taken)
    finished = serve_in_thread(calls, [3, 4], never)
    assert finished.result(PATIENCE) == answers(3, 4)
    waiting = serve_in_thread(calls, [5], never)
    while not calls._arrived:
        time.sleep(0.001)
    may_fail.set()
    for future in (first, second, waiting):
        with pytest.raises(RuntimeError, match="the device is lost"):
            future.result(PATIENCE)

    def alone(own: Call) -> None:
        assert calls.take() is own, "the calls that failed are forgotten"
        finish(calls, own)

    assert calls.serve(requests(6), alone) == answers(6)


def test_a_call_that_was_done_before_an_error_keeps_its_results() -> None:
    calls = Calls()

    def lead(own: Call) -> None:
        assert calls.take() is own
        finish(calls, own)
        calls.fail(RuntimeError("the device is lost"))

    assert calls.serve(requests(1, 2), lead) == answers(1, 2)


def test_when_the_thread_that_computes_breaks_off_another_takes_over() -> None:
    calls, led, may_break = Calls(), threading.Event(), threading.Event()

    def break_off(own: Call) -> None:
        assert calls.take() is own
        led.set()
        wait(may_break)
        raise RuntimeError("interrupted")

    first = serve_in_thread(calls, [1], break_off)
    wait(led)
    second = serve_in_thread(calls, [2], RowByRow(calls))
    may_break.set()
    with pytest.raises(RuntimeError, match="interrupted"):
        first.result(PATIENCE)
    assert second.result(PATIENCE) == answers(2)


def test_a_call_without_requests_returns_at_once_and_waits_for_nobody() -> None:
    calls = Calls()
    assert calls.serve([], never) == []
    assert calls.serve(requests(1), RowByRow(calls)) == answers(1)


def test_many_calls_from_many_threads_get_their_own_results() -> None:
    calls = Calls()
    lead, numbers = RowByRow(calls), itertools.count()
    ids = [[next(numbers) for _ in range(call % 5)] for call in range(300)]

    def several(mine: list[list[int]]) -> bool:
        return all(calls.serve(requests(*own), lead) == answers(*own) for own in mine)

    done: list[bool] = []
    threads = [threading.Thread(target=lambda at=at: done.append(several(ids[at::6])), daemon=True) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert done == [True] * 6, "a thread hangs, or got what is not its own"
    assert lead.num_leads <= len(ids)
    assert not calls._open, "nothing is kept of calls that have returned"
