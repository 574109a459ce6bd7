"""The task that hands out units is killed: while it hands out, while it waits for its turn, when it is made again."""

import json
import os
import signal
import threading
from contextlib import contextmanager

import pytest

from relabel import make_spec, run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.engine.scripted import ScriptedEngine
from relabel.job.cluster.connect import LOCAL
from relabel.job.cluster.execute import OnRay
from relabel.job.stream.window import CHUNK
from tests.faults.processes import command_line, descendants
from tests.reading import assert_every_row_once

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("cluster"), pytest.mark.timeout(600)]
NUM_UNITS = CHUNK + 40
SOURCE = "ray::ReadUnits"
DELAYS = (0.0, 0.05, 0.3, 0.0)
"""Seconds for which the source lives, each time that it is there: the first chunk dies early and in the middle, the
second one, which waits until units are done, late and at once."""


class Killer(threading.Thread):
    """Ends the processes of the source one after the other."""

    def __init__(self):
        super().__init__(daemon=True)
        self.killed = []
        self.over = threading.Event()

    def run(self):
        for delay in DELAYS:
            while not (found := self.find()) and not self.over.wait(0.01):
                pass
            if found and not self.over.wait(delay):
                os.kill(found, signal.SIGKILL)
                self.killed.append(found)

    def find(self):
        titles = {pid: command_line(pid) for pid in descendants(os.getpid()) if pid not in self.killed}
        return next((pid for pid, title in titles.items() if title.startswith(SOURCE)), None)


@contextmanager
def with_a_killer(killer, units, job, *, num_rows, course):
    with OnRay(LOCAL, load=lambda _: ScriptedEngine(lambda _: "a label"))(
        units, job, num_rows=num_rows, course=course
    ) as receipts:
        killer.start()
        yield receipts
    killer.over.set()


def test_whenever_the_source_is_killed_every_unit_is_handed_out_once(fields, tmp_path):
    """A task that dies with some of its blocks delivered is made again by Ray, which passes over as many."""
    for path in (tmp_path / "data").iterdir():
        path.unlink()
    rows = [json.dumps({"id": f"a{row}", "alt": f"circle {row}"}) for row in range(NUM_UNITS)]
    (tmp_path / "data/a.jsonl").write_text("".join(f"{row}\n" for row in rows))
    fields["source"]["unit_rows"] = 1
    killer = Killer()
    report = run(
        make_spec(fields),
        execute=lambda units, job, *, num_rows, course: with_a_killer(
            killer, units, job, num_rows=num_rows, course=course
        ),
    )
    assert len(killer.killed) == len(DELAYS)
    assert report.complete
    assert (report.done_now["units"], report.done_now["failed"]) == (NUM_UNITS, 0)
    assert_every_row_once(tmp_path / "out", {"a.jsonl": NUM_UNITS})
    assert verify(Store(str(tmp_path / "out"))).problems == ()
