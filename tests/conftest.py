import json
import os
import shutil
import signal
import threading
import uuid
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import settings

from tests.tiny import save_model

settings.register_profile("relabel", deadline=None)  # a busy machine is no failure
settings.load_profile("relabel")

# a shell's background job ignores it, and so would every process that a test starts
signal.signal(signal.SIGINT, signal.default_int_handler)

SLOWEST = (
    *("test_points", "test_flaky_store", "test_nth_call", "test_nights", "test_machine", "test_dry_run"),
    *("test_no_ray", "test_crash", "test_operations", "test_secrets"),
)
STARTS_RAY = ("test_crash", "test_operations", "test_secrets", "test_token")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own
def pytest_collection_modifyitems(items):
    """For `-n 2 --dist loadgroup`: what runs on Ray goes to one process, and first; each other file to one.

    Two Rays side by side on two cores take minutes to start, and rows then look as if they hung.
    """

    def is_on_ray(item):
        return "cluster" in item.fixturenames or item.path.stem in STARTS_RAY

    def rank(item):
        return not is_on_ray(item), "cluster" not in item.fixturenames, item.path.stem not in SLOWEST

    for item in items:
        group = "ray" if is_on_ray(item) else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=rank)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """The tests of Ray take longest, one after the other: beside them, others give way, also to Ray's workers at 15."""
    if "PYTEST_XDIST_WORKER" in os.environ and item.get_closest_marker("xdist_group").args != ("ray",):
        os.setpriority(os.PRIO_PROCESS, 0, 19)


def one_write_at_a_time(app):
    """A conditional PUT that is atomic, as in S3: moto looks and then writes, and let two of eight writers win."""
    lock = threading.Lock()

    def locked(environ, start_response):
        with lock if environ["REQUEST_METHOD"] == "PUT" else nullcontext():
            return app(environ, start_response)

    return locked


@pytest.fixture(scope="session")
def s3():
    """A moto S3 server with the bucket `relabel`; obstore, s3fs and pyarrow find it through the environment."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    server._server.app = one_write_at_a_time(server._server.app)
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
    """One Ray for the tests of Ray, with a small object store; workers find the tests' own modules where pytest did."""
    import ray  # those of the engine run where it is not installed

    ray.init(
        address="local",
        num_cpus=3,
        num_gpus=1,  # by name: what a graph asks of a GPU it asks of this one
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80 * 2**20,
        _system_config={"metrics_report_interval_ms": 1000},  # 10,000 else: a test of metrics would wait so long
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}},
    )
    yield
    ray.shutdown()


def write_source(folder):
    """Three files of 40 rows: `id` and `alt`."""
    folder.mkdir()
    for name in "abc":
        rows = [{"id": f"{name}{row}", "alt": f"a {name} circle, number {row}"} for row in range(40)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def small_spec(folder, model):
    """The fields of a small spec over `write_source`: 12 units of 10 rows, sampled."""
    return {
        "source": {"path": str(folder / "data/*.jsonl"), "format": "jsonl", "unit_rows": 10},
        "prompt": {"user": "Rewrite: {{ alt }}"},
        "model": {"path": str(model), "dtype": "float32", "max_prompt_tokens": 256},
        "sampling": {"max_new_tokens": 8, "temperature": 1.0, "seed": 5},
        "label": {"column": "caption"},
        "output": {"path": str(folder / "out"), "keep": ["id"]},
        "resources": {"actors": 1, "gpus_per_actor": 0},
    }


@pytest.fixture
def jsonl_source(tmp_path):
    return write_source(tmp_path / "data")


@pytest.fixture
def fields(tmp_path, text_model, jsonl_source):
    return small_spec(tmp_path, text_model)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory, text_model):
    """A run that is complete: its folder, its spec with paths relative to that folder, and its report."""
    from relabel import make_spec, run
    from relabel.job.local import InProcess

    folder = tmp_path_factory.mktemp("first_run")
    write_source(folder / "data")
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        spec = make_spec(small_spec(Path(), text_model))
        return folder, spec, run(spec, execute=InProcess())


@pytest.fixture
def finished(first_run, tmp_path, monkeypatch):
    """A copy of a complete run in the working directory; the spec that made it."""
    folder, spec, _ = first_run
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return spec
