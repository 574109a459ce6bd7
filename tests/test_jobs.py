"""What people copy: the specs under jobs/, the entry point, and cluster.yaml."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml

from relabel.demo import CAPTION_PROMPT, JSON_PROMPT, REWRITE_PROMPT
from relabel.spec import load_spec

ROOT = Path(__file__).parents[1]
JOBS = sorted((ROOT / "jobs").glob("*.yaml"))


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_every_spec_is_valid(path):
    load_spec(path)


def test_the_demo_specs_ask_what_the_model_was_trained_on():
    assert load_spec(ROOT / "jobs/demo.yaml").prompt.user == CAPTION_PROMPT
    assert load_spec(ROOT / "jobs/demo_rewrite.yaml").prompt.user == REWRITE_PROMPT
    assert load_spec(ROOT / "jobs/demo_json.yaml").prompt.user == JSON_PROMPT


def test_the_entry_point_is_short_and_finds_the_package_beside_its_own_name():
    path = ROOT / "jobs/relabel.py"
    assert len(path.read_text().splitlines()) < 50
    shown = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0
    assert "SPEC" in shown.stdout


@pytest.fixture(params=["cluster.yaml", "cluster.gcp.yaml"])
def cluster(request):
    return yaml.safe_load((ROOT / request.param).read_text())


def test_the_cluster_fits_rays_schema(cluster):
    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    jsonschema.validate(cluster, schema)


def test_the_cluster_asks_for_a_token_and_shows_its_dashboard_to_nobody_else(cluster):
    head = " ".join(cluster["head_start_ray_commands"])
    assert "RAY_AUTH_MODE=token ray start" in head
    assert "--dashboard-host=127.0.0.1" in head
    assert all("RAY_AUTH_MODE=token" in line for line in cluster["worker_start_ray_commands"] if "ray start" in line)


def test_the_workers_are_gpu_nodes_on_spot_and_the_head_runs_no_tasks(cluster):
    types = cluster["available_node_types"]
    worker = types["gpu_worker"]["node_config"]
    assert (
        worker.get("InstanceMarketOptions") == {"MarketType": "spot"} or {"preemptible": True} in worker["scheduling"]
    )
    assert types[cluster["head_node_type"]]["resources"]["CPU"] == 0
