"""Real processes, since what is tested is how they end."""

import subprocess
import sys

PROLOGUE = """
import re, threading, time
from relabel.job.faults.watchdog import Watchdog
"""


def run(code):
    return subprocess.run([sys.executable, "-c", PROLOGUE + code], capture_output=True, text=True, timeout=60)


def test_a_process_that_hangs_is_ended_and_says_where():
    ended = run("with Watchdog(0.5).watching(): time.sleep(50)")
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr


def test_one_that_hangs_in_c_without_letting_other_threads_run_is_ended_too():
    """A pattern that backtracks for years holds the interpreter's lock."""
    ended = run('with Watchdog(0.5).watching(): re.match("(a+)+b", "a" * 60)')
    assert ended.returncode == 1


def test_work_in_time_goes_on_and_a_rest_between_is_no_hang():
    assert (
        run("""
dog = Watchdog(0.5)
for _ in range(2):
    with dog.watching(): time.sleep(0.01)
    time.sleep(1)
print("alive")
""").stdout
        == "alive\n"
    )


def test_slow_work_lives_as_long_as_there_is_a_sign_of_it():
    code = """
steps = 0
dog = Watchdog(1, lambda: steps)
with dog.watching():
    for steps in range(30): time.sleep(0.1)
print("alive", flush=True)
with dog.watching(): time.sleep(50)
"""
    ended = run(code)
    assert ended.stdout == "alive\n"
    assert ended.returncode == 1


def test_the_last_of_several_pieces_of_work_is_still_watched():
    ended = run("""
dog = Watchdog(1)
def hang():
    with dog.watching(): time.sleep(50)
thread = threading.Thread(target=hang)
thread.start()
with dog.watching(): pass
thread.join()
""")
    assert ended.returncode == 1


def test_two_watchdogs_of_a_process_share_its_one_alarm():
    """Two runs without Ray in threads of one process: the end of a piece of one took the alarm of the other."""
    ended = run("""
def hang():
    with Watchdog(1).watching(): time.sleep(50)
thread = threading.Thread(target=hang)
thread.start()
time.sleep(0.2)
with Watchdog(20).watching(): pass
thread.join()
""")
    assert ended.returncode == 1
    patient = run("""
with Watchdog(20).watching():
    with Watchdog(0.5).watching(): pass
    time.sleep(1)
print("alive")
""")
    assert patient.stdout == "alive\n"
