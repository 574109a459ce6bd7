"""An engine that stands still at the end of a run, beside one that has nothing to do."""

import time
from pathlib import Path

import pytest

from relabel import make_spec, run
from relabel.engine.scripted import ScriptedEngine
from relabel.job.cluster.connect import LOCAL
from relabel.job.cluster.execute import OnRay
from tests.reading import assert_every_row_once


class FirstStandsStill(ScriptedEngine):
    """Of the engines of a run the first never ends a row, once the other one is at work."""

    def __init__(self, spec):
        super().__init__(lambda request: "a circle")
        self._notes = Path(spec.output.path).parent
        try:
            (self._notes / "first").touch(exist_ok=False)
            self._is_first = True
        except FileExistsError:
            self._is_first = False

    def generate(self, requests):
        (self._notes / ("first_works" if self._is_first else "second_works")).touch()
        other = self._notes / ("second_works" if self._is_first else "first_works")
        while not other.exists():
            time.sleep(0.05)
        while self._is_first:
            time.sleep(0.05)
        return super().generate(requests)


@pytest.mark.usefixtures("cluster")
def test_units_of_an_engine_that_stands_still_are_made_by_another_and_counted_once(fields, tmp_path):
    fields["resources"] |= {"actors": 2, "copies": True}
    report = run(make_spec(fields), execute=OnRay(LOCAL, load=FirstStandsStill))
    assert (tmp_path / "first_works").exists()
    assert report.complete
    done = report.done_now
    assert (done["units"], done["rows"], done["ok"], done["failed"]) == (12, 120, 120, 0)
    copies = done["copies"]
    assert 1 <= copies["first"] <= copies["begun"] <= 12, "those that the first engine has begun and never ends"
    assert done["goodput"]["num_batches"] == 12, "the engine that makes copies is one engine"
    assert_every_row_once(tmp_path / "out", {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40})
