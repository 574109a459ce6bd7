"""`relabel run` of the demo's task of texts, as a command on a Ray of its own: each engine gives the same labels."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.peers.outcome import Outcome, read_outcome
from benchmarks.peers.tasks import demo_task
from benchmarks.peers.ways import spec_of
from relabel import make_spec, run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.job.local import InProcess
from tests.engine.vllm.serving import serving

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).parents[3]
NUM_ROWS = 256


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return demo_task(tmp_path_factory.mktemp("demo"), NUM_ROWS)


@pytest.fixture(scope="module")
def own(task, tmp_path_factory):
    """The texts of relabel's own engine."""
    out = tmp_path_factory.mktemp("own")
    assert run(make_spec(spec_of(task, out, "relabel")), execute=InProcess()).complete
    texts = exact(out).texts
    assert len(set(texts.values())) > NUM_ROWS // 4, "the model says something of its own to each"
    return texts


def exact(out: Path) -> Outcome:
    outcome = read_outcome(out, NUM_ROWS)
    assert (outcome.lost, outcome.doubled, outcome.rejects) == (0, 0, {})
    assert verify(Store(str(out))).problems == ()
    return outcome


def run_as_a_command(fields, folder: Path) -> Outcome:
    (spec := folder / "spec.yaml").write_text(yaml.safe_dump(fields))
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), environment.get("PYTHONPATH", "")])
    command = [sys.executable, str(ROOT / "jobs/relabel.py"), str(spec)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return exact(Path(fields["output"]["path"]))


def test_vllm_gives_the_labels_of_relabels_own_engine(task, own, tmp_path):
    assert run_as_a_command(spec_of(task, tmp_path / "out", "vllm"), tmp_path).texts == own


def test_a_server_of_vllm_gives_the_labels_of_relabels_own_engine(task, own, tmp_path):
    fields = spec_of(task, tmp_path / "out", "server")
    with serving(task.model, task.max_tokens) as url:
        assert run_as_a_command({**fields, "server": {"urls": [url]}}, tmp_path).texts == own
