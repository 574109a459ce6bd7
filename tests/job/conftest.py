import json
import os

import pytest
import ray

from tests.tiny import save_model


@pytest.fixture(scope="session")
def text_model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("text_model"))


@pytest.fixture(scope="session")
def cluster():
    """One Ray for all tests; workers find the tests' own modules where pytest found them."""
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=512 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}},
    )
    yield
    ray.shutdown()


@pytest.fixture
def jsonl_source(tmp_path):
    """Three files of 40 rows: `id` and `alt`."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in "abc":
        rows = [{"id": f"{name}{row}", "alt": f"a {name} circle, number {row}"} for row in range(40)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def fields(tmp_path, text_model, jsonl_source):
    """The fields of a small spec over `jsonl_source`: 12 units of 10 rows."""
    return {
        "source": {"path": str(jsonl_source / "*.jsonl"), "format": "jsonl", "unit_rows": 10},
        "prompt": {"user": "Rewrite: {{ alt }}"},
        "model": {"path": str(text_model), "dtype": "float32", "max_prompt_tokens": 256},
        "sampling": {"max_new_tokens": 8},
        "label": {"column": "caption"},
        "output": {"path": str(tmp_path / "out"), "keep": ["id"]},
        "resources": {"actors": 2, "gpus_per_actor": 0},
    }
