"""A budget on a small Ray. `.ci/nightly` runs it: half a minute of starting actors; its rules are tested without."""

import os
import time
from pathlib import Path

import pytest

from relabel import run
from relabel.engine.scripted import ScriptedEngine
from relabel.job.cluster.connect import LOCAL
from relabel.job.cluster.execute import OnRay
from tests.job.budget.paid import spec_of
from tests.reading import rows_of

pytestmark = [
    pytest.mark.usefixtures("cluster"),
    pytest.mark.skipif("EVERY_NIGHT" not in os.environ, reason="EVERY_NIGHT=1 runs it"),
]
UNITS = 60


class HourARow(ScriptedEngine):
    """An engine that takes an hour for a row, and never is more than three units ahead of what is published."""

    def __init__(self, spec):
        super().__init__(lambda request: "a circle")
        self._out, self._begun = Path(spec.output.path), 0

    def generate(self, requests):
        self._begun += 1
        until = time.monotonic() + 60
        while len(list(self._out.glob("*.parquet"))) < self._begun - 3 and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.1)  # until the driver has the receipt
        results = super().generate(requests)
        self.goodput.seconds = 1800.0 * self.goodput.output_tokens
        return results


def test_what_waits_in_front_of_the_engines_is_given_back_and_what_has_begun_is_finished(fields, tmp_path):
    spec = spec_of(fields, unit_rows=2, gpu_hours=UNITS)
    report = run(spec, execute=OnRay(LOCAL, load=HourARow))
    told = report.to_json()["budget"]
    assert (report.complete, told["reached"], report.done_now["failed"]) == (False, "gpu_hours", 0)
    assert abs(report.done_now["units"] - UNITS / 2) <= 3, "as many as are between an engine and the driver"
    assert told["spent"]["gpu_hours"] == report.done_now["rows"] == len(rows_of(tmp_path / "out"))
    assert run(spec, execute=OnRay(LOCAL, load=HourARow)).done_now == {}
    assert run(spec_of(fields, unit_rows=2), execute=OnRay(LOCAL, load=HourARow)).complete
