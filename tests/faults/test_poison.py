"""Rows that take their process along, in whole runs on a small Ray: each is found, and the others get their labels."""

import ctypes
import os
import signal
import time
from pathlib import Path

import pytest

from relabel import make_spec, run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.job.cluster.connect import LOCAL
from relabel.job.cluster.execute import OnRay
from relabel.job.engine import engine_of
from relabel.job.stages.completions import row_id
from tests.reading import assert_every_row_once

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("cluster"), pytest.mark.timeout(600)]
ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}


def leave():
    os._exit(1)


def read_address_zero():
    ctypes.string_at(0)


def be_killed():
    """As the kernel does it when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def lose_the_device():
    """Once a kernel has failed an assertion, every later call of the process fails: it must end."""
    raise RuntimeError("CUDA error: device-side assert triggered")


def hang():
    time.sleep(1000)


WAYS = {
    ("a.jsonl", 20): leave,
    ("a.jsonl", 23): read_address_zero,
    ("a.jsonl", 29): be_killed,
    ("c.jsonl", 31): lose_the_device,
    ("c.jsonl", 32): hang,
}
"""Of two units."""


class Deadly:
    """An engine to which some rows happen. It keeps a book of its processes beside the output."""

    def __init__(self, spec):
        self._engine = engine_of(spec)
        self._ways = {row_id(f"{file}\x00{row}"): way for (file, row), way in WAYS.items()}
        book = Path(f"{spec.output.path}-processes")
        book.mkdir(exist_ok=True)
        (book / str(os.getpid())).touch()

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def generate(self, requests):
        for request in requests:
            if request.id in self._ways:
                self._ways[request.id]()
        return self._engine.generate(requests)


def test_rows_that_kill_their_process_are_rejected_and_no_other_pays(fields, tmp_path):
    """With Ray's defaults the first of them was tried for as long as anyone watched."""
    fields["resources"]["deadline"] = 12  # importing what a reader needs takes 3 seconds alone, and 6 beside others
    report = run(make_spec(fields), execute=OnRay(LOCAL, load=Deadly))
    assert (report.done_now["units"], report.done_now["failed"]) == (12, 0)
    assert report.complete
    rows = assert_every_row_once(tmp_path / "out", ALL)
    rejected = {(row["source_file"], row["source_row"]): row["reason"] for row in rows if row["status"] == "rejected"}
    assert rejected.keys() == WAYS.keys()
    assert {reason.partition(":")[0] for reason in rejected.values()} == {"poison"}
    assert verify(Store(str(tmp_path / "out"))).problems == ()
    # of each unit with poison two deaths of the whole, and two or three of each such row alone
    assert len(list((tmp_path / "out-processes").iterdir())) <= 1 + 2 * 2 + len(WAYS) * 3


class OutOfMemory(Deadly):
    """An engine whose device is full for one row: no reason to end the process."""

    def generate(self, requests):
        if any(request.id == row_id("a.jsonl\x0023") for request in requests):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self._engine.generate(requests)


def test_an_engine_that_is_out_of_memory_lives_on(fields, tmp_path):
    report = run(make_spec(fields), execute=OnRay(LOCAL, load=OutOfMemory))
    assert (report.done_now["units"], report.done_now["failed"]) == (11, 1)
    assert report.audit.missing == ("a-00002.parquet",)
    assert len(list((tmp_path / "out-processes").iterdir())) == 1
