"""Rows that take their process along, in whole runs on a small Ray: each is found, and the others get their labels.

The gate has one of them, every night has three: each costs Ray some five processes.
"""

import ctypes
import json
import os
import time
from pathlib import Path

import pytest

from relabel import make_spec, run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.engine.scripted import ScriptedEngine
from relabel.job.cluster.connect import LOCAL
from relabel.job.cluster.execute import OnRay
from relabel.job.local import InProcess
from relabel.job.stages.completions import row_id
from relabel.job.stream.handful import LEAST_HANDFULS
from tests.faults import moments
from tests.reading import assert_every_row_once

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("cluster"), pytest.mark.timeout(600)]
ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}


def read_address_zero():
    ctypes.string_at(0)


def lose_the_device():
    """Once a kernel has failed an assertion, every later call of the process fails: it must end."""
    raise RuntimeError("CUDA error: device-side assert triggered")


def hang():
    time.sleep(1000)


def run_out_of_memory():
    """No reason to end the process: other rows have room."""
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")


DEADLY = {("a.jsonl", 20): read_address_zero}
if moments.ALL:
    DEADLY |= {("a.jsonl", 29): lose_the_device, ("c.jsonl", 32): hang}
DEADLY_AT_A = {row for file, row in DEADLY if file == "a.jsonl"}
HARMLESS = {("b.jsonl", 23): run_out_of_memory}


class Deadly(ScriptedEngine):
    """An engine to which some rows happen. It keeps a book of its processes beside the output.

    Without a model: some fifteen processes die, and each would import torch anew.
    """

    def __init__(self, spec):
        super().__init__(lambda request: "a circle")
        self._ways = {row_id(f"{file}\x00{row}"): way for (file, row), way in (DEADLY | HARMLESS).items()}
        book = Path(f"{spec.output.path}-processes")
        book.mkdir(exist_ok=True)
        (book / str(os.getpid())).touch()

    def generate(self, requests):
        for request in requests:
            if request.id in self._ways:
                self._ways[request.id]()
        return super().generate(requests)


@pytest.mark.skipif(not moments.ALL, reason="tried every night")
def test_a_row_that_kills_costs_itself_alone_where_small_units_travel_together(fields, tmp_path):
    """Four units of a row in each block: all of them die twice with it, and then each is tried by itself."""
    num_rows = 4 * LEAST_HANDFULS
    for path in (tmp_path / "data").iterdir():
        path.unlink()
    rows = [json.dumps({"id": str(row), "alt": f"circle number {row}"}) for row in range(num_rows)]
    (tmp_path / "data/a.jsonl").write_text("\n".join(rows))
    fields["source"]["unit_rows"] = 1
    report = run(make_spec(fields), execute=OnRay(LOCAL, load=Deadly))
    assert report.complete
    assert (report.done_now["units"], report.done_now["rejected"]) == (num_rows, len(DEADLY_AT_A))
    rows = assert_every_row_once(tmp_path / "out", {"a.jsonl": num_rows})
    assert {row["source_row"] for row in rows if row["status"] == "rejected"} == DEADLY_AT_A
    assert verify(Store(str(tmp_path / "out"))).problems == ()


def test_rows_that_kill_their_process_are_rejected_and_no_other_pays(fields, tmp_path):
    """With Ray's defaults the first of them was tried for as long as anyone watched."""
    fields["resources"]["deadline"] = 6
    report = run(make_spec(fields), execute=OnRay(LOCAL, load=Deadly))
    assert (report.done_now["units"], report.done_now["failed"]) == (11, 1)
    assert report.audit.missing == ("b-00002.parquet",), "it is tried again by the same command, and no row is to blame"
    # of each unit with poison two deaths of the whole, and two or three of each such row alone
    num_units = len({(file, row // 10) for file, row in DEADLY})
    assert len(list((tmp_path / "out-processes").iterdir())) <= 1 + 2 * num_units + len(DEADLY) * 3

    assert run(make_spec(fields), execute=InProcess()).complete
    rows = assert_every_row_once(tmp_path / "out", ALL)
    rejected = {(row["source_file"], row["source_row"]): row["reason"] for row in rows if row["status"] == "rejected"}
    assert rejected.keys() == DEADLY.keys()
    assert {reason.partition(":")[0] for reason in rejected.values()} == {"poison"}
    assert verify(Store(str(tmp_path / "out"))).problems == ()
