"""Units share an actor, except one in whose company the process died."""

import threading

from relabel.job.faults.shared_lock import SharedLock


def start(lock, log, name, alone, may_end):
    inside = threading.Event()

    def work():
        with lock.exclusive() if alone else lock.shared():
            log.append(f"{name} begins")
            inside.set()
            may_end.wait(10)
            log.append(f"{name} ends")

    thread = threading.Thread(target=work)
    thread.start()
    return thread, inside


def test_units_run_side_by_side():
    lock, log, may_end = SharedLock(), [], threading.Event()
    threads = [start(lock, log, name, False, may_end) for name in "ab"]
    assert all(inside.wait(10) for _, inside in threads)
    may_end.set()
    for thread, _ in threads:
        thread.join(10)
    assert set(log[:2]) == {"a begins", "b begins"}


def test_one_that_is_alone_waits_for_the_others_and_they_for_it():
    lock, log = SharedLock(), []
    end = {name: threading.Event() for name in "abc"}
    first, first_inside = start(lock, log, "a", False, end["a"])
    assert first_inside.wait(10)
    alone, alone_inside = start(lock, log, "b", True, end["b"])
    assert not alone_inside.wait(0.2)
    end["a"].set()
    assert alone_inside.wait(10)
    last, last_inside = start(lock, log, "c", False, end["c"])
    assert not last_inside.wait(0.2)
    end["b"].set()
    assert last_inside.wait(10)
    end["c"].set()
    for thread in (first, alone, last):
        thread.join(10)
    assert log == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]


def test_the_lock_is_let_go_with_an_error_too():
    lock = SharedLock()
    for alone in (True, False):
        try:
            with lock.exclusive() if alone else lock.shared():
                raise ValueError
        except ValueError:
            pass
    with lock.exclusive():
        pass
