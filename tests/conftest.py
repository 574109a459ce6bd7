import json
import os
import uuid

import pytest
import ray

from tests.tiny import save_model


@pytest.fixture(scope="session")
def s3():
    """A moto S3 server with the bucket `relabel`; obstore, s3fs and pyarrow find it through the environment."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="relabel")
        yield settings["AWS_ENDPOINT_URL"]
    server.stop()


@pytest.fixture
def s3_url(s3):
    """The URL of an empty folder in the bucket."""
    return f"s3://relabel/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def text_model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("text_model"))


@pytest.fixture(scope="session")
def cluster():
    """One Ray for all tests; workers find the tests' own modules where pytest found them."""
    ray.init(
        address="local",
        num_cpus=3,
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
        "resources": {"actors": 1, "gpus_per_actor": 0},
    }
