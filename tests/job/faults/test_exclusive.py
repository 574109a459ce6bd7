"""Units share an actor, except one in whose company the process died."""

import threading

from relabel.job.faults.exclusive import Turns


def start(turns, log, name, alone, may_end):
    inside = threading.Event()

    def work():
        with turns.taken(alone=alone):
            log.append(f"{name} begins")
            inside.set()
            may_end.wait(10)
            log.append(f"{name} ends")

    thread = threading.Thread(target=work)
    thread.start()
    return thread, inside


def test_units_run_side_by_side():
    turns, log, may_end = Turns(), [], threading.Event()
    threads = [start(turns, log, name, False, may_end) for name in "ab"]
    assert all(inside.wait(10) for _, inside in threads)
    may_end.set()
    for thread, _ in threads:
        thread.join(10)
    assert set(log[:2]) == {"a begins", "b begins"}


def test_one_that_is_alone_waits_for_the_others_and_they_for_it():
    turns, log = Turns(), []
    end = {name: threading.Event() for name in "abc"}
    first, first_inside = start(turns, log, "a", False, end["a"])
    assert first_inside.wait(10)
    alone, alone_inside = start(turns, log, "b", True, end["b"])
    assert not alone_inside.wait(0.2)
    end["a"].set()
    assert alone_inside.wait(10)
    last, last_inside = start(turns, log, "c", False, end["c"])
    assert not last_inside.wait(0.2)
    end["b"].set()
    assert last_inside.wait(10)
    end["c"].set()
    for thread in (first, alone, last):
        thread.join(10)
    assert log == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]


def test_a_turn_ends_with_an_error_too():
    turns = Turns()
    for alone in (True, False):
        try:
            with turns.taken(alone=alone):
                raise ValueError
        except ValueError:
            pass
    with turns.taken(alone=True):
        pass
