"""The Nth call fails, for every N: first at each named point, then each call of the operating system by itself.

SQLite's way (sqlite.org/testing.html, "anomaly testing"): go on until a run gets through undisturbed.
"""

import errno
import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from relabel.data.store.store import Store
from relabel.errors import Refused, StoreFailed
from tests.faults.job import Child, assert_exact, to_the_end, write_source
from tests.faults.moments import ALL, step

pytestmark = pytest.mark.fault
SIZES = {"a": 5, "b": 2}
NUM_WRITES = 7
"""The fewest of a whole job: `_run.json`, three parts, two of them replaced, `_SUCCESS`."""
CALLS = ("open", "os.mkdir", "os.link", "os.rename", "os.remove")
THROUGH, SAID, PASSED_OVER = 0, 3, 4


@pytest.fixture
def source(tmp_path):
    write_source(tmp_path / "source", **SIZES)
    return tmp_path / "source"


@pytest.fixture(params=["local", "s3"])
def output(request, tmp_path):
    return str(tmp_path / "out") if request.param == "local" else request.getfixturevalue("s3_url")


class FailsAt:
    """Fails the Nth moment, and counts them."""

    def __init__(self, nth, number):
        self.left, self._number = nth, number

    def __call__(self, point, name):
        self.left -= 1
        if self.left == 0:
            raise OSError(self._number, os.strerror(self._number))


def assert_whole_and_then_exact(output, source):
    """What is there is whole; the same command again completes it."""
    store = Store(output)
    for name in store.names():
        assert store.read(name).rows.num_rows > 0
    assert_exact(output, source, SIZES)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["disk full", "input output error"])
def test_whichever_moment_fails_the_run_says_where_and_the_same_command_ends_exactly(output, source, number):
    nth, failed = 1 + (number == errno.EIO and not ALL), True
    while failed:
        place, fails, said = f"{output}/{nth}", FailsAt(nth, number), None
        try:
            assert to_the_end(place, source, fails, retry=True).complete
        except (StoreFailed, Refused) as error:
            said = str(error)
        failed = fails.left <= 0
        assert failed == (said is not None)
        assert said is None or (place in said and os.strerror(number) in said)
        assert_whole_and_then_exact(place, source)
        nth += step(3)
    assert nth > 2 * NUM_WRITES


def exit_saying(output, source):
    """Do the whole job, and exit with whether it got through or said what failed; anything else is a traceback."""
    try:
        to_the_end(output, source, retry=True)
    except (Refused, StoreFailed) as error:
        sys.exit(SAID if output in str(error) else str(error))


def fail_at_call(output, source, nth):
    """An audit hook cannot be removed again, hence in a process of its own."""
    left = nth

    def hook(event, arguments):
        nonlocal left
        if event in CALLS and str(arguments[0]).startswith(output):
            left -= 1
            if left == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    sys.addaudithook(hook)
    exit_saying(output, source)
    sys.exit(PASSED_OVER if left <= 0 else THROUGH)


def test_whichever_call_of_the_operating_system_fails_the_same_command_ends_exactly(tmp_path, source):
    """One that makes a folder that is there already is passed over."""
    exitcodes = []
    while THROUGH not in exitcodes:
        place = str(tmp_path / f"out{len(exitcodes)}")
        exitcodes.append(Child(fail_at_call, place, source, len(exitcodes) + 1).exitcode())
        assert exitcodes[-1] in (THROUGH, SAID, PASSED_OVER)
        assert_whole_and_then_exact(place, source)
    assert exitcodes.count(SAID) > 3 * NUM_WRITES, "the hidden file is opened, named and removed, at the least"


def fill_disk(output, source, num_bytes):
    """RLIMIT_FSIZE makes every write past a size fail, as a full disk does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))
    exit_saying(output, source)


def test_a_disk_that_is_full_after_any_number_of_bytes_leaves_what_the_same_command_completes(tmp_path, source):
    """Of a document or of a part, at its first byte or in its middle; in the end all fits."""
    exitcodes = []
    while THROUGH not in exitcodes:
        place = str(tmp_path / f"out{len(exitcodes)}")
        exitcodes.append(Child(fill_disk, place, source, len(exitcodes) * 500).exitcode())
        assert exitcodes[-1] in (THROUGH, SAID)
        assert not [path for path in Path(place).glob("_staging/*") if path.name != "lock"], "the half is removed"
        assert_whole_and_then_exact(place, source)
    assert len(exitcodes) > 5
