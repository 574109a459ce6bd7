"""Metrics at Ray's endpoint, while a run is at work and when it has ended, read as Prometheus reads them."""

import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import ray
from prometheus_client.parser import text_string_to_metric_families

from relabel import make_spec, run
from relabel.engine.scripted import ScriptedEngine
from relabel.job.cluster.connect import LOCAL
from relabel.job.cluster.execute import OnRay
from relabel.job.metrics.table import METRICS, RUN

OF_RAY = {"Component", "NodeAddress", "SessionName", "Version", "WorkerId"}
OF_OPEN_TELEMETRY = {"otel_scope_name", "otel_scope_schema_url", "otel_scope_version"}


class LosesItsDeviceThenWaits(ScriptedEngine):
    """Once it loses its device, at the second unit; in the next process it does a few, and then waits for a word."""

    def __init__(self, spec):
        super().__init__(lambda request: "a circle")
        self._notes, self._num_calls = Path(spec.output.path).parent, 0

    def generate(self, requests):
        self._num_calls += 1
        has_died, may_go_on = self._notes / "has_died", self._notes / "may_go_on"
        if self._num_calls == 2 and not has_died.exists():
            has_died.touch()
            raise RuntimeError("CUDA error: device-side assert triggered")
        until = time.monotonic() + 120
        while self._num_calls > 6 and not may_go_on.exists() and time.monotonic() < until:
            time.sleep(0.02)
        return super().generate(requests)


def scrape(name):
    """All that is exported of the run with this name: by metric and values of labels, in the order of their names."""
    (node,) = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    text = urllib.request.urlopen(url, timeout=10).read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.get(RUN) == name:
                labels = {key: sample.labels[key] for key in sorted(sample.labels.keys() - OF_RAY - OF_OPEN_TELEMETRY)}
                found[sample.name, *(value for key, value in labels.items() if key != RUN)] = sample.value
                expected = next(one for one in METRICS if one.exported == sample.name)
                assert (labels.keys(), family.type) == ({RUN, *expected.labels}, expected.type)
    return found


def wait_for(condition):
    until = time.monotonic() + 90
    while (found := condition()) is None:
        assert time.monotonic() < until
        time.sleep(0.2)
    return found


@pytest.mark.usefixtures("cluster")
def test_a_running_job_exports_every_metric_and_at_its_end_the_figures_of_its_line(fields, tmp_path):
    fields["resources"]["price"] = {"gpu_hour": 3600.0}
    out = tmp_path / "out"

    def all_are_there():
        names = [path.stem for path in out.glob("_runs/*.json")]
        found = scrape(names[0]) if names else {}
        return found if {name for name, *_ in found} == {one.exported for one in METRICS} else None

    with ThreadPoolExecutor() as threads:
        running = threads.submit(run, make_spec(fields), execute=OnRay(LOCAL, load=LosesItsDeviceThenWaits))
        try:
            found = wait_for(all_are_there)
        finally:
            (tmp_path / "may_go_on").touch()
        report = running.result()
    (name,) = [path.stem for path in out.glob("_runs/*.json")]
    assert found["ray_relabel_units_left",] > 0
    assert found["ray_relabel_unit_deaths_total", "device", "generating"] >= 1

    def is_over():
        found = scrape(name)
        return found if found["ray_relabel_rows_total", "ok"] == 120 else None

    found, done = wait_for(is_over), report.done_now
    assert report.complete
    assert found["ray_relabel_units_total", "done"] == done["units"] == 12
    assert found["ray_relabel_row_tokens_total", "prompt"] == done["prompt_tokens"] > 0
    assert found["ray_relabel_row_tokens_total", "output"] == done["output_tokens"] > 0
    assert found["ray_relabel_computed_tokens_total", "useful"] == done["goodput"]["useful_tokens"]
    assert found["ray_relabel_run_cost_dollars",] == pytest.approx(done["goodput"]["seconds"], abs=1e-3)
    assert found["ray_relabel_units_left",] == found["ray_relabel_rows_left",] == 0
